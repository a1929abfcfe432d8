/**
 * How a new revision comes to answer: it starts beside what serves, is asked something, and then one transaction makes it the
 * one that answers. Until then nothing has changed; what served before finishes what it was given.
 */
import type { DeploymentCondition } from "../contract/plugins.ts"
import { ApplianceError } from "../errors.ts"
import { newId } from "../identifiers.ts"
import type { Log } from "../log.ts"
import type { DeploymentRow, RevisionRow } from "../metadata/deployments.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { bakeWindow } from "./bake.ts"
import { probeRequest } from "./probe-request.ts"
import type { RunningRevision } from "./revision.ts"
import type { Shadow } from "./shadow.ts"
import { shadows } from "./shadows.ts"

/** Rollouts that start at the same time: each imports libraries and loads a model. */
const ROLLOUTS_AT_ONCE = 2
/** So long a retired revision may work on what it was given; then its callers are told. */
const DRAIN_MS = 30_000
const PROBE_DEADLINE_MS = 120_000
/** Of what the old revision holds, for the new one. */
const HEADROOM = 1.1
/** Until a start has been measured here. */
const FIRST_ESTIMATE_SECONDS = 5
const ERROR_LENGTH = 16_384

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
  const queue: { key: string; revisionId: string }[] = []
  const underway = new Map<string, { revisionId: string; running: RunningRevision | null }>()
  const inShadow = shadows(now)
  const background = new Set<Promise<unknown>>()
  let stopped = false

  const later = (work: Promise<unknown>) => {
    background.add(work)
    void work.finally(() => background.delete(work))
  }
  /** Starts what waits, as many at once as may. */
  const fill = () => {
    while (!stopped && underway.size < ROLLOUTS_AT_ONCE) {
      const next = queue.findIndex(({ key }) => !underway.has(key))
      const [rollout] = next < 0 ? [] : queue.splice(next, 1)
      if (rollout === undefined) return
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

  const setState = (tx: Transaction, revisionId: string, change: Partial<RevisionRow>) => {
    const row = tx.read.deployments.revision(revisionId)
    if (row !== undefined) tx.write.deployments.updateRevision({ ...row, ...change })
  }
  /** Moves the rollout on, unless another took its place or it was called off. */
  const advance = (
    revisionId: string,
    change: (tx: Transaction, deployment: DeploymentRow, at: string) => DeploymentRow,
    state: (at: string) => Partial<RevisionRow>,
  ): DeploymentRow | null =>
    metadata.transact((tx) => {
      const revision = tx.read.deployments.revision(revisionId)
      const deployment =
        revision === undefined ? undefined : tx.read.deployments.get(revision.namespace_id, revision.plugin_id)
      if (deployment === undefined || deployment.rollout_revision_id !== revisionId) return null
      const at = now().toISOString()
      const changed = { ...change(tx, deployment, at), updated_at: at }
      tx.write.deployments.put(changed)
      setState(tx, revisionId, state(at))
      return changed
    })

  async function roll(key: string, revisionId: string): Promise<void> {
    const pending = advance(
      revisionId,
      (_, deployment) => ({ ...deployment, status: "PENDING" }),
      (at) => ({ state: "PENDING", started_at: at }),
    )
    if (pending === null) return
    const namespace = deps.namespaceById(pending.namespace_id)
    const plugin = namespace === null ? null : deps.pluginById(namespace, pending.plugin_id)
    if (namespace === null || plugin === null) {
      fail(revisionId, "The plugin was deleted.")
      return
    }
    const reason = metadata.read.deployments.revision(revisionId)?.reason
    const blue = live.get(key)
    const running = deps.revision(revisionId, namespace, plugin)
    underway.set(key, { revisionId, running })
    advance(
      revisionId,
      (_, deployment) => ({ ...deployment, status: "IN_PROGRESS" }),
      () => ({ state: "IN_PROGRESS" }),
    )
    const replaced = blue !== undefined && (reason === "replace" || !fitsBeside(blue)) ? blue : null
    try {
      await replaced?.hold(DRAIN_MS)
      await running.start()
      await probe(running, plugin)
    } catch (error) {
      await running.end()
      replaced?.resume()
      fail(revisionId, error instanceof Error ? error.message : String(error))
      return
    }
    if (reason === "shadow" && copyTo(key, revisionId, running)) return
    if (!flip(key, revisionId, running, replaced)) replaced?.resume()
  }

  /** By what the old one holds now: the new one's need is not known better. */
  function fitsBeside(blue: RunningRevision): boolean {
    const available = deps.memoryAvailable()
    const needed = blue.memoryBytes * HEADROOM
    if (available >= needed) return true
    log.warn(
      { event: "replacing", revision_id: blue.id, available_bytes: available, needed_bytes: needed },
      "memory does not allow both revisions: requests wait while one replaces the other",
    )
    return false
  }

  /** False when nothing answers any more that could be copied, or the rollout was called off. */
  function copyTo(key: string, revisionId: string, running: RunningRevision): boolean {
    const revision = metadata.read.deployments.revision(revisionId)
    if (revision === undefined) return false
    const deployment = metadata.read.deployments.get(revision.namespace_id, revision.plugin_id)
    if (deployment?.rollout_revision_id !== revisionId) return false
    const source = sourceOf(revision.namespace_id, deployment)
    const before = source === null ? undefined : live.get(source)
    if (source === null || before === undefined) return false
    inShadow.add(key, running, source, before)
    log.info(
      { event: "in_shadow", revision_id: revisionId, plugin_id: revision.plugin_id },
      "copies of requests go to it",
    )
    return true
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

  function endShadow(key: string): void {
    const ended = inShadow.remove(key)
    if (ended !== null) later(ended.end())
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
    const [worker] = running.workers
    let before: string | null = null
    let aliasBefore: string | null = null
    const flipped = advance(
      revisionId,
      (tx, deployment, at) => {
        before = deployment.live_revision_id
        if (before !== null) setState(tx, before, { state: "DRAINING" })
        aliasBefore = pointAlias(tx, deployment, at)
        return {
          ...deployment,
          status: "DEPLOYED",
          live_revision_id: revisionId,
          previous_revision_id: before,
          rollout_revision_id: null,
          deployed_at: at,
          error: null,
        }
      },
      (at) => ({
        state: "LIVE",
        live_at: at,
        isolation: worker?.isolation ?? null,
        isolation_facts: worker === undefined ? null : JSON.stringify(worker.isolationFacts),
      }),
    )
    if (flipped === null) {
      later(running.end())
      return false
    }
    const blue = live.get(key)
    live.set(key, running)
    if (replaced !== null) running.takeOver(replaced)
    inShadow.follow(key, running)
    log.info({ event: "deployed", namespace_id: flipped.namespace_id, plugin_id: flipped.plugin_id }, "deployed")
    if (blue !== undefined) retire(blue)
    const { namespace_id: namespaceId, plugin_id: pluginId, name } = flipped
    if (aliasBefore !== null) bake.watch({ namespaceId, name, pluginId, previousPluginId: aliasBefore })
    return true
  }

  /** The plugin id that the name answered with, when that was another. */
  function pointAlias(tx: Transaction, { namespace_id, name, plugin_id }: DeploymentRow, at: string): string | null {
    const alias = tx.read.deployments.alias(namespace_id, name)
    if (alias?.plugin_id === plugin_id) return null
    const previous_plugin_id = alias?.plugin_id ?? null
    tx.write.deployments.putAlias({ namespace_id, name, plugin_id, previous_plugin_id, updated_at: at })
    return previous_plugin_id
  }

  function retire(revision: RunningRevision): void {
    later(
      revision
        .drain(DRAIN_MS)
        .then(() =>
          metadata.transact((tx) => setState(tx, revision.id, { state: "RETIRED", ended_at: now().toISOString() })),
        ),
    )
  }

  function fail(revisionId: string, message: string): void {
    const error = message.slice(0, ERROR_LENGTH)
    advance(
      revisionId,
      (_, deployment) => ({ ...deployment, status: "FAILED", rollout_revision_id: null, error }),
      (at) => ({ state: "FAILED", error, ended_at: at }),
    )
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
    const row = metadata.transact((tx) => {
      const at = now().toISOString()
      const existing = tx.read.deployments.get(namespace.namespaceId, plugin.plugin_id)
      if (existing?.rollout_revision_id != null) {
        setState(tx, existing.rollout_revision_id, {
          state: "CANCELED",
          ended_at: at,
          error: "another rollout took its place",
        })
      }
      const revisionId = newId("rev")
      tx.write.deployments.insertRevision({
        revision_id: revisionId,
        namespace_id: namespace.namespaceId,
        plugin_id: plugin.plugin_id,
        code_hash: plugin.code_hash,
        state: "QUEUED",
        reason,
        created_by: by,
        error: null,
        isolation: null,
        isolation_facts: null,
        created_at: at,
        started_at: null,
        live_at: null,
        ended_at: null,
      })
      const deployment: DeploymentRow = {
        namespace_id: namespace.namespaceId,
        plugin_id: plugin.plugin_id,
        name: plugin.name,
        live_revision_id: existing?.live_revision_id ?? null,
        previous_revision_id: existing?.previous_revision_id ?? null,
        deployed_at: existing?.deployed_at ?? null,
        status: "QUEUED",
        rollout_revision_id: revisionId,
        queued_at: at,
        error: null,
        updated_at: at,
      }
      tx.write.deployments.put(deployment)
      return deployment
    })
    endShadow(key)
    const superseded = underway.get(key)
    if (superseded?.running != null) later(superseded.running.end())
    const waiting = queue.findIndex((entry) => entry.key === key)
    if (waiting >= 0) queue.splice(waiting, 1)
    queue.push({ key, revisionId: row.rollout_revision_id ?? "" })
    queueMicrotask(fill)
    return row
  }

  return {
    /** Brings back what was live, and begins again what was under way. Nothing answers before; call once. */
    recover(): void {
      metadata.transact((tx) => tx.write.deployments.retireDraining(now().toISOString()))
      for (const row of metadata.read.deployments.all()) {
        const key = keyOf(row.namespace_id, row.plugin_id)
        if (row.rollout_revision_id !== null) {
          advance(
            row.rollout_revision_id,
            (_, deployment) => ({ ...deployment, status: "QUEUED" }),
            () => ({ state: "QUEUED" }),
          )
          queue.push({ key, revisionId: row.rollout_revision_id })
        }
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
    shadowed(namespaceId: string, plugin: PluginRow): RunningRevision | undefined {
      const source = sourceOf(namespaceId, plugin)
      return source === null ? undefined : live.get(source)
    },

    shadowsOf: inShadow.of,

    /** Of what answers now, since it does. */
    requests: (): number => {
      let requests = 0
      for (const running of live.values()) requests += running.measured.requests
      return requests
    },

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
    const rollout = underway.get(key)
    const was = metadata.transact((tx) => {
      const row = tx.read.deployments.get(namespaceId, pluginId)
      if (row === undefined) return false
      const at = now().toISOString()
      if (row.rollout_revision_id !== null) setState(tx, row.rollout_revision_id, { state: "CANCELED", ended_at: at })
      if (row.live_revision_id !== null) setState(tx, row.live_revision_id, { state: "DRAINING" })
      const alias = tx.read.deployments.alias(namespaceId, row.name)
      if (alias?.plugin_id === pluginId) {
        const previous = alias.previous_plugin_id
        if (previous !== null && live.has(keyOf(namespaceId, previous))) {
          tx.write.deployments.putAlias({ ...alias, plugin_id: previous, previous_plugin_id: null, updated_at: at })
        } else tx.write.deployments.removeAlias(namespaceId, row.name)
      }
      if (forGood) tx.write.deployments.remove(namespaceId, pluginId)
      else {
        tx.write.deployments.put({
          ...row,
          status: "NOT_DEPLOYED",
          live_revision_id: null,
          rollout_revision_id: null,
          deployed_at: null,
          error: null,
          updated_at: at,
        })
      }
      return row.live_revision_id !== null
    })
    const waiting = queue.findIndex((entry) => entry.key === key)
    if (waiting >= 0) queue.splice(waiting, 1)
    if (rollout?.running != null) later(rollout.running.end())
    endShadow(key)
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
