/**
 * How a new revision comes to answer: it starts beside what serves, is asked something, and then one transaction makes it the
 * one that answers. Until then nothing has changed; what served before finishes what it was given.
 */
import type { DeploymentCondition } from "../contract/plugins.ts"
import { ApplianceError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { DeploymentRow } from "../metadata/deployments.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { Alarm } from "./alarm.ts"
import { bakeWindow } from "./bake.ts"
import { probeRequest } from "./probe-request.ts"
import type { RunningRevision } from "./revision.ts"
import { rolloutStates } from "./rollout-states.ts"
import type { Shadow } from "./shadow.ts"
import { shadows } from "./shadows.ts"

/** Rollouts that start at the same time: each imports libraries and loads a model. */
const ROLLOUTS_AT_ONCE = 2
/** One that has waited so long begins though others are under way, which may hang: nothing is QUEUED for 30 s (api.md §1). */
const MOST_QUEUED_MS = 20_000
/** So many of one namespace, and of all, may be under way then: who hangs holds up himself. */
const MOST_OF_NAMESPACE = 4
const MOST_AT_ONCE = 16
/** So long a retired revision may work on what it was given; then its callers are told. */
const DRAIN_MS = 30_000
const PROBE_DEADLINE_MS = 120_000
/** Of what the old revision holds, for the new one. */
const HEADROOM = 1.1
/** Until a start has been measured here. */
const FIRST_ESTIMATE_SECONDS = 5

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  namespaceById: (namespaceId: string) => Namespace | null
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
  /** Not started yet. */
  revision: (id: string, namespace: Namespace, plugin: RegisteredPlugin) => RunningRevision
  /** After a name went over to another version, in which it may go back by itself; 0: never. */
  bakeMs: number
  /** Bytes that this machine could still give. */
  memoryAvailable: () => number
  now: () => Date
  log: Log
}

const keyOf = (namespaceId: string, pluginId: string) => `${namespaceId}/${pluginId}`

export function rollouts(deps: Deps) {
  const { metadata, now, log } = deps
  /** By `<namespace>/<plugin>`: what answers. */
  const live = new Map<string, RunningRevision>()
  const bake = bakeWindow({
    ...deps,
    windowMs: deps.bakeMs,
    answering: (namespaceId, pluginId) => live.get(keyOf(namespaceId, pluginId)),
  })
  const queue: { key: string; revisionId: string; since: number }[] = []
  const overdue = new Alarm(() => fill())
  const underway = new Map<string, { revisionId: string; running: RunningRevision | null }>()
  const states = rolloutStates(deps)
  const inShadow = shadows(now)
  const background = new Set<Promise<unknown>>()
  let stopped = false

  const later = (work: Promise<unknown>) => {
    const done = work.catch((error: unknown) =>
      log.error({ event: "rollout_failed", err: error }, "a rollout's end failed"),
    )
    background.add(done)
    void done.finally(() => background.delete(done))
  }
  const mayBegin = (key: string) => {
    if (underway.size < ROLLOUTS_AT_ONCE) return true
    const [namespaceId] = key.split("/")
    const same = [...underway.keys()].filter((other) => other.split("/")[0] === namespaceId)
    return same.length < MOST_OF_NAMESPACE && underway.size < MOST_AT_ONCE
  }

  /** Starts what waits, as many at once as may. */
  const fill = () => {
    while (!stopped) {
      const next = queue.findIndex(({ key }) => !underway.has(key) && mayBegin(key))
      const waited = queue[next]
      if (waited === undefined) return
      const begins = waited.since + MOST_QUEUED_MS
      if (underway.size >= ROLLOUTS_AT_ONCE && performance.now() < begins) return overdue.setFor(begins)
      const [rollout = waited] = queue.splice(next, 1)
      underway.set(rollout.key, { revisionId: rollout.revisionId, running: null })
      later(
        roll(rollout.key, rollout.revisionId)
          .catch((error: unknown) => log.error({ event: "rollout_failed", err: error }, "a rollout ended unexpectedly"))
          .finally(() => {
            underway.delete(rollout.key)
            fill()
          }),
      )
    }
  }

  async function roll(key: string, revisionId: string): Promise<void> {
    const pending = states.pending(revisionId)
    if (pending === null) return
    const namespace = deps.namespaceById(pending.namespace_id)
    const plugin = namespace === null ? null : deps.pluginById(namespace, pending.plugin_id)
    if (namespace === null || plugin === null) return fail(revisionId, "The plugin was deleted.")
    const reason = metadata.read.deployments.revision(revisionId)?.reason ?? ""
    const running = deps.revision(revisionId, namespace, plugin)
    const source = reason === "shadow" ? shadowed(pending.namespace_id, pending) : undefined
    if (source !== undefined && !fitsBeside(source)) {
      return fail(revisionId, "There is not enough memory for a shadow beside what answers; try strategy=replace.")
    }
    underway.set(key, { revisionId, running })
    states.inProgress(revisionId)
    let replaced: RunningRevision | null = null
    try {
      replaced = await replacedBy(key, reason, running)
      await replaced?.hold(DRAIN_MS)
      await running.start()
      await probe(running, plugin)
      if (reason === "shadow") copyTo(key, revisionId, running)
      else if (!flip(key, revisionId, running, replaced)) throw new Error("The rollout was called off.")
    } catch (error) {
      await running.end()
      replaced?.resume()
      fail(revisionId, error instanceof Error ? error.message : String(error))
    }
  }

  /** What must end before the new one starts; never what a shadow gets copies of. */
  async function replacedBy(key: string, reason: string, green: RunningRevision): Promise<RunningRevision | null> {
    const blue = live.get(key)
    if (blue === undefined || reason === "shadow") return null
    if (reason === "replace" || !fitsBeside(blue)) return blue
    // Where its end would make no room on a GPU either, it answers on while the new one is refused.
    const onlyInstead = !(await green.fits(blue, "beside")) && (await green.fits(blue, "instead"))
    return onlyInstead ? blue : null
  }

  /** By what the old one holds now: the new one's need is not known better. */
  function fitsBeside(blue: RunningRevision): boolean {
    const available = deps.memoryAvailable()
    const needed = blue.memoryBytes * HEADROOM
    if (available >= needed) return true
    log.warn(
      { event: "memory_short", revision_id: blue.id, available_bytes: available, needed_bytes: needed },
      "memory does not allow both revisions",
    )
    return false
  }

  /** @throws Error when nothing answers any more that could be copied, or the rollout was called off */
  function copyTo(key: string, revisionId: string, running: RunningRevision): void {
    const deployment = states.rolling(revisionId)
    if (deployment === null) throw new Error("The rollout was called off.")
    const source = sourceOf(deployment.namespace_id, deployment)
    const before = source === null ? undefined : live.get(source)
    if (source === null || before === undefined)
      throw new Error("Nothing answers any more that it could get copies of.")
    inShadow.add(key, running, source, before)
    log.info(
      { event: "in_shadow", revision_id: revisionId, plugin_id: deployment.plugin_id },
      "copies of requests go to it",
    )
  }

  /** Key of what callers of this plugin are answered by now: the plugin id itself, or the version that its name stands for. */
  function sourceOf(
    namespaceId: string,
    { plugin_id: pluginId, name }: { plugin_id: string; name: string },
  ): string | null {
    const own = keyOf(namespaceId, pluginId)
    if (live.has(own)) return own
    const alias = metadata.read.deployments.alias(namespaceId, name)
    return alias === undefined ? null : keyOf(namespaceId, alias.plugin_id)
  }

  function shadowed(namespaceId: string, plugin: { plugin_id: string; name: string }): RunningRevision | undefined {
    const source = sourceOf(namespaceId, plugin)
    return source === null ? undefined : live.get(source)
  }

  /** Whatever of a rollout waits, starts or gets copies. */
  function callOff(key: string): void {
    const waiting = queue.findIndex((entry) => entry.key === key)
    if (waiting >= 0) queue.splice(waiting, 1)
    for (const running of [underway.get(key)?.running, inShadow.remove(key)]) if (running != null) later(running.end())
  }

  async function probe(running: RunningRevision, plugin: RegisteredPlugin): Promise<void> {
    const { request, declared } = probeRequest(plugin.manifest)
    const body = new TextEncoder().encode(JSON.stringify(request))
    try {
      await running.call(body, { deadlineMs: PROBE_DEADLINE_MS, onPiece: () => undefined })
    } catch (error) {
      // An example that we made up may be none; a handler that answers, with an error, is there.
      const raised = error instanceof ApplianceError && error.type === "ProcessingError"
      if (declared || !raised || error.details?.exception === "InvalidPlugin") {
        throw new Error(`The probe failed: ${error instanceof Error ? probeError(error) : String(error)}`)
      }
    }
  }

  /** False when the rollout was called off. */
  function flip(key: string, revisionId: string, running: RunningRevision, replaced: RunningRevision | null): boolean {
    const flipped = states.live(revisionId, running.workers[0])
    if (flipped === null) return false
    const blue = live.get(key)
    live.set(key, running)
    if (replaced !== null) running.takeOver(replaced)
    inShadow.follow(key, running)
    const { namespace_id: namespaceId, plugin_id: pluginId, name } = flipped.deployment
    log.info({ event: "deployed", namespace_id: namespaceId, plugin_id: pluginId }, "deployed")
    if (blue !== undefined) retire(blue)
    const { previousPluginId } = flipped
    if (previousPluginId !== null) bake.watch({ namespaceId, name, pluginId, previousPluginId })
    return true
  }

  function retire(revision: RunningRevision): void {
    later(revision.drain(DRAIN_MS).then(() => states.retired(revision.id)))
  }

  function fail(revisionId: string, error: string): void {
    states.failed(revisionId, error)
    log.warn({ event: "rollout_failed", revision_id: revisionId, error }, "a rollout failed")
  }

  /** Seconds a rollout takes here: the mean of those measured, and those that wait before it. */
  const estimate = (ahead: number): number => {
    const starts = metadata.read.deployments.measuredStarts()
    const mean =
      starts.length === 0 ? FIRST_ESTIMATE_SECONDS : starts.reduce((sum, one) => sum + one, 0) / starts.length
    return Math.max(1, Math.ceil(mean * (1 + Math.floor(ahead / ROLLOUTS_AT_ONCE))))
  }

  const enqueue = (namespace: Namespace, plugin: PluginRow, by: string, reason: string): DeploymentRow => {
    const key = keyOf(namespace.namespaceId, plugin.plugin_id)
    const row = states.queue(namespace, plugin, by, reason)
    callOff(key)
    queue.push({ key, revisionId: row.rollout_revision_id ?? "", since: performance.now() })
    queueMicrotask(fill)
    return row
  }

  return {
    /** Brings back what was live, and begins again what was under way. Nothing answers before; call once. */
    recover(): void {
      for (const row of states.recover()) {
        const key = keyOf(row.namespace_id, row.plugin_id)
        if (row.rollout_revision_id !== null)
          queue.push({ key, revisionId: row.rollout_revision_id, since: performance.now() })
        const namespace = deps.namespaceById(row.namespace_id)
        const plugin = namespace === null ? null : deps.pluginById(namespace, row.plugin_id)
        if (row.live_revision_id === null || namespace === null || plugin === null) continue
        const running = deps.revision(row.live_revision_id, namespace, plugin)
        live.set(key, running)
        running.revive()
      }
      for (const alias of metadata.read.deployments.aliases()) {
        const { namespace_id: namespaceId, plugin_id: pluginId, previous_plugin_id: previousPluginId, name } = alias
        const age = now().getTime() - Date.parse(alias.updated_at)
        if (previousPluginId !== null) bake.watch({ namespaceId, name, pluginId, previousPluginId, age })
      }
      queueMicrotask(fill)
    },

    enqueue,

    /** What answers for a plugin id now. */
    answering: (namespaceId: string, pluginId: string): RunningRevision | undefined =>
      live.get(keyOf(namespaceId, pluginId)),

    /** While a revision of the plugin id gets copies of requests. */
    shadow: (namespaceId: string, pluginId: string): Shadow | undefined => inShadow.get(keyOf(namespaceId, pluginId)),

    /** What a shadow of the plugin would get copies of. */
    shadowed,

    shadowsOf: inShadow.of,

    /** Of what answers now, since it does. */
    requests: (): number => {
      let requests = 0
      for (const running of live.values()) requests += running.measured.requests
      return requests
    },

    /** That realtime requests use now. */
    processors: (): number => [...live.values()].reduce((sum, running) => sum + running.processors, 0),

    /** Of everything that answers. */
    conditions: (): DeploymentCondition[] => [...live.values()].map((running) => running.condition),

    /** Of those that wait, 1 the next; 0 once it is under way. */
    position: (revisionId: string | null): number => queue.findIndex((entry) => entry.revisionId === revisionId) + 1,

    /** Seconds until one more would answer. */
    estimate: (): number => estimate(queue.length + underway.size),

    /** Calls off what is under way, and takes down what answers. True when something answered until now. */
    takeDown,

    async [Symbol.asyncDispose]() {
      stopped = true
      bake[Symbol.dispose]()
      queue.length = 0
      overdue.clear()
      const ends = [
        ...live.values(),
        ...inShadow.revisions(),
        ...[...underway.values()].flatMap(({ running }) => running ?? []),
      ]
      await Promise.all(ends.map((running) => running.end()))
      while (background.size > 0) await Promise.allSettled([...background])
    },
  }

  function takeDown(namespaceId: string, pluginId: string, forGood: boolean): boolean {
    const key = keyOf(namespaceId, pluginId)
    const answers = (id: string) => live.has(keyOf(namespaceId, id))
    const was = states.takeDown(namespaceId, pluginId, { forGood, answers })
    callOff(key)
    const running = live.get(key)
    live.delete(key)
    if (running !== undefined) retire(running)
    return was
  }
}

export type Rollouts = ReturnType<typeof rollouts>

function probeError(error: Error): string {
  const traceback = error instanceof ApplianceError ? error.details?.traceback : undefined
  return typeof traceback === "string" ? `${error.message}\n${traceback}` : error.message
}
