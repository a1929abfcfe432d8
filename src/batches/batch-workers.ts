import type { Log } from "../log.ts"
import { declaresGpu, gpuDemand } from "../scheduler/gpu-demand.ts"
import type { GpuLease, GpuLeases } from "../scheduler/gpu-leases.ts"
import { actorMemoryBytes } from "../workers/compute-profile.ts"
import type { OutputLine } from "../workers/output.ts"
import { type WorkerPermit, workerPool } from "../workers/pool.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import type { Worker } from "../workers/worker.ts"
import { gpuTurns } from "./gpu-turns.ts"
import {
  type GroupPlan,
  groupPlans,
  type ResourceClass,
  type StepClass,
  type StepGroup,
  StepsChanged,
} from "./step-groups.ts"
import { type BatchWorkerSpec, ownerOf, StepsNotBuilt, workerKey } from "./worker-key.ts"

/** An idle worker keeps its models this long for the next partition or batch. */
const MAX_IDLE_MS = 60_000
/** Importing a heavy library and building steps on a busy machine; loading models belongs into the first call. */
const BUILD_DEADLINE_MS = 300_000

/** A plugin whose steps need something else each time they are built is not followed further. */
const MAX_RESTARTS = 2
/** Of what was learned; forgetting costs a start. */
const MAX_KNOWN_KEYS = 10_000

/** Somebody who waits for a worker's GPU looks again so often, should nobody give one back. */
const GPU_LOOK_MS = 3_000

interface Deps {
  starter: Pick<WorkerStarter, "start">
  gpus: Pick<GpuLeases, "lease" | "wantedByOthers" | "present">
  /** Whether this code of the plugin, and the collection, are there: nobody asks for workers of others. */
  exists: (owner: ReturnType<typeof ownerOf>) => boolean
  /** Of the numeric libraries in each worker: the share of the machine's cores that is one worker's. */
  threads: number
  /** See `callThreads`. */
  callThreads: number
  log: Log
}

export type OnLine = (line: Pick<OutputLine, "stream" | "text">) => void

/** A group of a partition that goes on, as its plugin's steps were when the first one was begun. */
export interface GroupAt {
  readonly plan: GroupPlan
  readonly place: number
  readonly group: StepGroup
}

export interface LentWorker extends WorkerPermit {
  /** What it is lent for; null: all steps. */
  readonly group: StepGroup | null
  /** The group after it. */
  readonly next: GroupAt | null
  /** Rows of others were in it: what they left may be what ends it. */
  readonly used: boolean
}

/** Workers with their steps built, lent per step group of a partition; see `workerKey` for what shares one. */
export function batchWorkers({ starter, gpus, exists, threads, callThreads, log }: Deps) {
  const asked = new Map<string, Asked>()
  const pool = workerPool({
    start: (key, signal) => {
      const how = asked.get(key)
      if (how === undefined) throw new Error(`no worker was asked for under ${key}`)
      return how.at === null ? startWhole(key, how, signal) : startForGroup(key, how, how.at, signal)
    },
    wanted: (key) => exists(ownerOf(key)),
    maxIdleMs: MAX_IDLE_MS,
    now: () => performance.now(),
  })

  /** Who reads what a worker prints: the batch that it was lent to last. */
  const readers = new WeakMap<Worker, { onLine: OnLine }>()
  const leases = new WeakMap<Worker, GpuLease>()
  const known = new WeakSet<Worker>()

  /** By the pool's key: what its workers turned out to need once their steps were built. */
  const learned = new Map<string, Needs>()
  const plans = groupPlans(MAX_KNOWN_KEYS)
  const turns = gpuTurns(GPU_LOOK_MS)

  const learn = (key: string, needs: Needs) => {
    if (learned.size >= MAX_KNOWN_KEYS) learned.clear()
    learned.set(key, needs)
  }

  /**
   * Which steps there are is known when they are built, and what a worker may do is fixed before: it may take two starts.
   * @throws SeveralGroups where no worker is to have all steps
   */
  async function startWhole(key: string, how: Asked, signal: AbortSignal): Promise<Worker> {
    const { spec } = how
    let granted = learned.get(key) ?? { network: false, gpu: declaresGpu(spec.plugin) }
    for (let starts = 1; ; starts++) {
      const { worker, classes } = await startWith(key, how, granted, signal)
      const plan = plans.learn(key, classes, await hasGpu(classes))
      if (plan.groups.length > 1) {
        await worker.end()
        throw new SeveralGroups()
      }
      const needs = wholeNeeds(spec, classes)
      learn(key, needs)
      // Steps that are other ones each time they are built never get the network.
      if (same(needs, granted) || starts > MAX_RESTARTS) return worker
      await worker.end()
      granted = starts === MAX_RESTARTS ? { ...needs, network: false } : needs
    }
  }

  /** @throws StepsChanged when its steps are not those that were parted */
  async function startForGroup(
    key: string,
    how: Asked,
    { plan, group }: GroupAt,
    signal: AbortSignal,
  ): Promise<Worker> {
    const needs = groupNeeds(how.spec, plan, group)
    learn(key, needs)
    const { worker, classes } = await startWith(key, how, needs, signal)
    if (plans.holds(plan, classes)) return worker
    await worker.end()
    plans.giveUp(workerKey(how.spec))
    throw new StepsChanged()
  }

  async function hasGpu(classes: readonly StepClass[]): Promise<boolean> {
    const both = classes.includes("gpu") && classes.some((one) => one === "cpu" || one === "none")
    return !both || (await gpus.present())
  }

  async function startWith(
    key: string,
    { spec, onLine, giveWay }: Asked,
    granted: Needs,
    signal: AbortSignal,
  ): Promise<{ worker: Worker; classes: StepClass[] }> {
    const { namespace, plugin, config, datasetSize, blobDirectories, network } = spec
    let lease: GpuLease | null = null
    const reader = { onLine }
    const output = log.child({ namespace_id: namespace.namespaceId, plugin_id: plugin.pluginId })
    const worker = await starter.start(plugin, {
      signal,
      readable: blobDirectories,
      network: granted.network ? network : { mode: "none" },
      gpu: granted.gpu
        ? async (until) => {
            const demand = gpuDemand(namespace.namespaceId, plugin, { key: `${key}/batch`, realtime: false })
            lease = await gpus.lease(demand, AbortSignal.any([until, giveWay].filter((one) => one != null)))
            return lease
          }
        : null,
      yields: true,
      threads,
      memoryBytes: actorMemoryBytes(plugin.manifest.compute_profile),
      onLog: (line) => {
        output.debug({ event: "plugin_output", stream: line.stream, text: line.text }, "plugin output")
        reader.onLine(line)
      },
    })
    readers.set(worker, reader)
    if (lease !== null) leases.set(worker, lease)
    try {
      const reply = await worker.request(
        {
          type: "build_steps",
          parameters: { ...config.params, ...config.parameters },
          dataset_size: datasetSize,
          content_flags: {},
          feature_extractor_name: plugin.name,
          version: plugin.version,
          call_threads: callThreads,
        },
        { deadlineMs: BUILD_DEADLINE_MS, signal },
      )
      if (reply.type === "failed") throw new StepsNotBuilt(reply.error)
      return { worker, classes: reply.steps.map((step) => step.resource_type) }
    } catch (error) {
      await worker.end()
      throw error
    }
  }

  const endIdleWithGpu = () => pool.endIdle({ longerThanMs: 0, matching: (key) => learned.get(key)?.gpu === true })

  async function lend(key: string, how: Asked, signal: AbortSignal): Promise<WorkerPermit & { used: boolean }> {
    const gpu = learned.get(key)?.gpu === true
    // It would be busy again before anybody saw it idle.
    if (gpu && gpus.wantedByOthers(`${key}/batch`)) await endIdleWithGpu()
    asked.set(key, how)
    try {
      const permit = await pool.acquire(key, signal)
      const reader = readers.get(permit.worker)
      if (reader !== undefined) reader.onLine = how.onLine
      // One that comes again has worked; what it was lent first is not known yet to be what it needs.
      const used = known.has(permit.worker)
      if (used) leases.get(permit.worker)?.worked()
      known.add(permit.worker)
      return { ...permit, used }
    } finally {
      asked.delete(key)
    }
  }

  return {
    /** What the first group of a partition computes with, where its plugin's steps are known. */
    firstResources: (spec: BatchWorkerSpec): ResourceClass => plans.of(workerKey(spec))?.groups[0].resources ?? "cpu",

    /**
     * A worker for that group, or for the first one. What it prints from now on goes to `onLine`.
     * @throws StepsNotBuilt, StepsChanged, WorkerDied, ApplianceError (no environment), what a lease of a GPU throws, or the signal's reason
     */
    async acquire(spec: BatchWorkerSpec, at: GroupAt | null, onLine: OnLine, signal: AbortSignal): Promise<LentWorker> {
      const key = workerKey(spec)
      const plan = plans.of(key)
      const place = at?.place ?? 0
      if (place > 0 && plan !== at?.plan) throw new StepsChanged()
      if (plan === null || plan.groups.length === 1) {
        try {
          const permit = await lend(key, { spec, onLine, at: null, giveWay: null }, signal)
          return { ...permit, group: null, next: null }
        } catch (error) {
          if (!(error instanceof SeveralGroups)) throw error
          return this.acquire(spec, null, onLine, signal)
        }
      }
      const group = plan.groups[place] ?? plan.groups[0]
      const groupKey = groupKeyOf(key, group)
      const here = { plan, place, group }
      const lendIt = (giveWay: AbortSignal | null) => lend(groupKey, { spec, onLine, at: here, giveWay }, signal)
      const permit = group.resources === "gpu" ? await turns.take(groupKey, lendIt) : await lendIt(null)
      const after = plan.groups[place + 1]
      return { ...permit, group, next: after === undefined ? null : { plan, place: place + 1, group: after } }
    },
    /** After `GpuBusy`: when it is worth while to ask for that group's worker again. @throws the signal's reason */
    worthAsking: (spec: BatchWorkerSpec, { group }: GroupAt, signal: AbortSignal) =>
      turns.next(groupKeyOf(workerKey(spec), group), signal),
    /** Somebody waits for a GPU: workers that have one and nothing to do end. */
    endIdleWithGpu,
    /** A collection, a plugin version or a namespace was deleted. */
    endUnwanted: pool.endUnwanted,
    [Symbol.asyncDispose]: () => pool.closeAll(),
  }
}

interface Asked {
  readonly spec: BatchWorkerSpec
  readonly onLine: OnLine
  /** Null: for all steps. */
  readonly at: GroupAt | null
  /** Ends a wait for a GPU, and nothing else. */
  readonly giveWay: AbortSignal | null
}

/** What a worker gets only because its steps ask for it. */
interface Needs {
  readonly network: boolean
  readonly gpu: boolean
}

function wholeNeeds({ plugin, network }: BatchWorkerSpec, classes: readonly StepClass[]): Needs {
  return {
    network: network.mode !== "none" && classes.includes("api"),
    gpu: classes.includes("gpu") || declaresGpu(plugin),
  }
}

function groupNeeds({ plugin, network }: BatchWorkerSpec, { groups }: GroupPlan, { resources }: StepGroup): Needs {
  // A plugin that declares one, and has no step that says so, means those that compute here.
  const computes = groups.some((group) => group.resources === "gpu") ? "gpu" : "cpu"
  return {
    network: network.mode !== "none" && resources === "api",
    gpu: resources === "gpu" || (declaresGpu(plugin) && resources === computes),
  }
}

function same(one: Needs, other: Needs): boolean {
  return one.network === other.network && one.gpu === other.gpu
}

/** Groups of one class have the same workers: they built all steps, and have what the class is given. */
function groupKeyOf(key: string, { resources }: StepGroup): string {
  return `${key}/${resources}`
}

/** No worker of this key is to have all steps. */
class SeveralGroups extends Error {
  override readonly name = "SeveralGroups"
}

export type BatchWorkers = ReturnType<typeof batchWorkers>
