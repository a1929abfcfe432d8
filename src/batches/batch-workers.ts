import type { Log } from "../log.ts"
import { declaresGpu, gpuDemand } from "../scheduler/gpu-demand.ts"
import type { GpuLease, GpuLeases } from "../scheduler/gpu-leases.ts"
import { actorMemoryBytes } from "../workers/compute-profile.ts"
import type { OutputLine } from "../workers/output.ts"
import { type WorkerPermit, workerPool } from "../workers/pool.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import type { Worker } from "../workers/worker.ts"
import { type BatchWorkerSpec, ownerOf, StepsNotBuilt, workerKey } from "./worker-key.ts"

/** An idle worker keeps its models this long for the next partition or batch. */
const MAX_IDLE_MS = 60_000
/** Importing a heavy library and building steps on a busy machine; loading models belongs into the first call. */
const BUILD_DEADLINE_MS = 300_000

/** A plugin whose steps need something else each time they are built is not followed further. */
const MAX_RESTARTS = 2
/** Of what was learned; forgetting costs a start. */
const MAX_KNOWN_KEYS = 10_000

interface Deps {
  starter: Pick<WorkerStarter, "start">
  gpus: Pick<GpuLeases, "lease" | "wantedByOthers">
  /** Whether this code of the plugin, and the collection, are there: nobody asks for workers of others. */
  exists: (owner: ReturnType<typeof ownerOf>) => boolean
  /** Of the numeric libraries in each worker: the share of the machine's cores that is one worker's. */
  threads: number
  /** See `callThreads`. */
  callThreads: number
  log: Log
}

type OnLine = (line: Pick<OutputLine, "stream" | "text">) => void

/** Workers with their steps built, lent per partition; see `workerKey` for what shares one. */
export function batchWorkers({ starter, gpus, exists, threads, callThreads, log }: Deps) {
  const specs = new Map<string, { readonly spec: BatchWorkerSpec; readonly onLine: OnLine }>()
  const pool = workerPool({
    start: (key, signal) => {
      const asked = specs.get(key)
      if (asked === undefined) throw new Error(`no worker was asked for under ${key}`)
      return start(key, asked.spec, asked.onLine, signal)
    },
    wanted: (key) => exists(ownerOf(key)),
    maxIdleMs: MAX_IDLE_MS,
    now: () => performance.now(),
  })

  /** Who reads what a worker prints: the batch that it was lent to last. */
  const readers = new WeakMap<Worker, { onLine: OnLine }>()
  const leases = new WeakMap<Worker, GpuLease>()
  const known = new WeakSet<Worker>()

  /** By worker key: what its steps turned out to need once they were built. */
  const learned = new Map<string, Needs>()

  /** Which steps there are is known when they are built, and what a worker may do is fixed before: it may take two starts. */
  async function start(key: string, spec: BatchWorkerSpec, onLine: OnLine, signal: AbortSignal): Promise<Worker> {
    let granted = learned.get(key) ?? { network: false, gpu: declaresGpu(spec.plugin) }
    for (let starts = 1; ; starts++) {
      const { worker, needs } = await startWith(key, spec, granted, onLine, signal)
      if (learned.size >= MAX_KNOWN_KEYS) learned.clear()
      learned.set(key, needs)
      // Steps that are other ones each time they are built never get the network.
      if (same(needs, granted) || starts > MAX_RESTARTS) return worker
      await worker.end()
      granted = starts === MAX_RESTARTS ? { ...needs, network: false } : needs
    }
  }

  async function startWith(
    key: string,
    { namespace, plugin, config, datasetSize, blobDirectories, network }: BatchWorkerSpec,
    granted: Needs,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<{ worker: Worker; needs: Needs }> {
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
            lease = await gpus.lease(demand, until)
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
      const uses = (type: string) => reply.steps.some((step) => step.resource_type === type)
      return {
        worker,
        needs: { network: network.mode !== "none" && uses("api"), gpu: uses("gpu") || declaresGpu(plugin) },
      }
    } catch (error) {
      await worker.end()
      throw error
    }
  }

  const endIdleWithGpu = () => pool.endIdle({ longerThanMs: 0, matching: (key) => learned.get(key)?.gpu === true })

  return {
    /** What the worker prints from now on goes to `onLine`. @throws StepsNotBuilt, WorkerDied, ApplianceError (no environment), or the signal's reason */
    async acquire(spec: BatchWorkerSpec, onLine: OnLine, signal: AbortSignal): Promise<WorkerPermit> {
      const key = workerKey(spec)
      // It would be busy again before anybody saw it idle.
      if (learned.get(key)?.gpu === true && gpus.wantedByOthers(`${key}/batch`)) await endIdleWithGpu()
      specs.set(key, { spec, onLine })
      try {
        const permit = await pool.acquire(key, signal)
        const reader = readers.get(permit.worker)
        if (reader !== undefined) reader.onLine = onLine
        // One that comes again has worked; what it was lent first is not known yet to be what it needs.
        if (known.has(permit.worker)) leases.get(permit.worker)?.worked()
        known.add(permit.worker)
        return permit
      } finally {
        specs.delete(key)
      }
    },
    /** Somebody waits for a GPU: workers that have one and nothing to do end. */
    endIdleWithGpu,
    /** A collection, a plugin version or a namespace was deleted. */
    endUnwanted: pool.endUnwanted,
    [Symbol.asyncDispose]: () => pool.closeAll(),
  }
}

/** What a worker gets only because its steps ask for it. */
interface Needs {
  readonly network: boolean
  readonly gpu: boolean
}

function same(one: Needs, other: Needs): boolean {
  return one.network === other.network && one.gpu === other.gpu
}

export type BatchWorkers = ReturnType<typeof batchWorkers>
