import type { Network } from "../egress.ts"
import type { Log } from "../log.ts"
import { type WorkerPermit, workerPool } from "../workers/pool.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import type { Worker } from "../workers/worker.ts"
import { type BatchWorkerSpec, StepsNotBuilt, workerKey } from "./worker-key.ts"

/** An idle worker keeps its models this long for the next partition or batch. */
const MAX_IDLE_MS = 60_000
/** Importing a heavy library and building steps on a busy machine; loading models belongs into the first call. */
const BUILD_DEADLINE_MS = 300_000

/** Of what was learned; forgetting costs a start. */
const MAX_KNOWN_KEYS = 10_000

interface Deps {
  starter: Pick<WorkerStarter, "start">
  log: Log
}

/** Workers with their steps built, lent per partition; see `workerKey` for what shares one. */
export function batchWorkers({ starter, log }: Deps) {
  const specs = new Map<string, BatchWorkerSpec>()
  const pool = workerPool({
    start: (key, signal) => {
      const spec = specs.get(key)
      if (spec === undefined) throw new Error(`no worker was asked for under ${key}`)
      return start(key, spec, signal)
    },
    maxIdleMs: MAX_IDLE_MS,
    now: () => performance.now(),
  })

  /** By worker key: plugins whose steps, once built, turned out to call outside services. */
  const apiKeys = new Set<string>()

  /** Which steps there are is known when they are built, and what a worker may do is fixed before: it may take two starts. */
  async function start(key: string, spec: BatchWorkerSpec, signal: AbortSignal): Promise<Worker> {
    if (spec.network.mode === "none") return (await startWith(spec, spec.network, signal)).worker
    if (!apiKeys.has(key)) {
      const { worker, callsOut } = await startWith(spec, { mode: "none" }, signal)
      if (!callsOut) return worker
      if (apiKeys.size >= MAX_KNOWN_KEYS) apiKeys.clear()
      apiKeys.add(key)
      await worker.end()
    }
    const { worker, callsOut } = await startWith(spec, spec.network, signal)
    if (callsOut) return worker
    // Its steps are other ones each time they are built; such a worker does not keep the network.
    apiKeys.delete(key)
    await worker.end()
    return (await startWith(spec, { mode: "none" }, signal)).worker
  }

  async function startWith(
    { namespace, plugin, config, datasetSize, blobDirectories }: BatchWorkerSpec,
    network: Network,
    signal: AbortSignal,
  ): Promise<{ worker: Worker; callsOut: boolean }> {
    const output = log.child({ namespace_id: namespace.namespaceId, plugin_id: plugin.pluginId })
    const worker = await starter.start(plugin, {
      signal,
      readable: blobDirectories,
      network,
      onLog: ({ stream, text }) => output.debug({ event: "plugin_output", stream, text }, "plugin output"),
    })
    try {
      const reply = await worker.request(
        {
          type: "build_steps",
          parameters: { ...config.params, ...config.parameters },
          dataset_size: datasetSize,
          content_flags: {},
          feature_extractor_name: plugin.name,
          version: plugin.version,
        },
        { deadlineMs: BUILD_DEADLINE_MS, signal },
      )
      if (reply.type === "failed") throw new StepsNotBuilt(reply.error)
      return { worker, callsOut: reply.steps.some((step) => step.resource_type === "api") }
    } catch (error) {
      await worker.end()
      throw error
    }
  }

  return {
    /** @throws StepsNotBuilt, WorkerDied, ApplianceError (no environment), or the signal's reason */
    async acquire(spec: BatchWorkerSpec, signal: AbortSignal): Promise<WorkerPermit> {
      const key = workerKey(spec)
      specs.set(key, spec)
      try {
        return await pool.acquire(key, signal)
      } finally {
        specs.delete(key)
      }
    },
    [Symbol.asyncDispose]: () => pool.closeAll(),
  }
}

export type BatchWorkers = ReturnType<typeof batchWorkers>
