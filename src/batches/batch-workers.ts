import type { Log } from "../log.ts"
import { type WorkerPermit, workerPool } from "../workers/pool.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import type { Worker } from "../workers/worker.ts"
import { type BatchWorkerSpec, StepsNotBuilt, workerKey } from "./worker-key.ts"

/** An idle worker keeps its models this long for the next partition or batch. */
const MAX_IDLE_MS = 60_000
/** Importing a heavy library and building steps on a busy machine; loading models belongs into the first call. */
const BUILD_DEADLINE_MS = 300_000

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
      return start(spec, signal)
    },
    maxIdleMs: MAX_IDLE_MS,
    now: () => performance.now(),
  })

  async function start(
    { namespace, plugin, config, datasetSize, blobDirectories }: BatchWorkerSpec,
    signal: AbortSignal,
  ): Promise<Worker> {
    const output = log.child({ namespace_id: namespace.namespaceId, plugin_id: plugin.pluginId })
    const worker = await starter.start(plugin, {
      signal,
      readable: blobDirectories,
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
      return worker
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
