/** The parts that carry batches out, joined: the ledger, what plans, the slots that pull from it, and the workers. */
import type { Config } from "../config.ts"
import type { GpuLeases } from "../scheduler/gpu-leases.ts"
import { scheduler } from "../scheduler/scheduler.ts"
import { callThreads, rowsAtOnce } from "../workers/compute-profile.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import { batchLogs } from "./batch-logs.ts"
import { batchWorkers } from "./batch-workers.ts"
import { batchDrive } from "./drive.ts"
import { ledger } from "./ledger.ts"
import { partitionPace } from "./partition-pace.ts"
import { rowsPerPartition } from "./partition-size.ts"
import { batchProgress } from "./progress.ts"
import { partitionRunner } from "./run-partition.ts"
import { suspension } from "./suspension.ts"

/** How often work that waits for a Python environment looks whether there is one now. */
const READY_CHECK_MS = 5000

type RunnerDeps = Parameters<typeof partitionRunner>[0]
interface Deps
  extends Omit<
    RunnerDeps,
    | "ledger"
    | "workers"
    | "silenceMs"
    | "wallMs"
    | "slots"
    | "outputBytes"
    | "memoryBytes"
    | "onRunFailed"
    | "onBusy"
    | "hold"
    | "progress"
    | "pace"
    | "onLine"
  > {
  starter: Pick<WorkerStarter, "start" | "current">
  gpus: Pick<GpuLeases, "lease" | "wantedByOthers" | "present">
  /** Of the machine: workers x threads of their libraries are no more. */
  cores: number
  /** That realtime requests use now: they go first. */
  processorsTaken: () => number
  config: Pick<
    Config,
    | "workers"
    | "workerLimits"
    | "quotas"
    | "partitionRows"
    | "partitionSeconds"
    | "partitionDeadlineMs"
    | "partitionWallMs"
    | "outputBytes"
  >
}

/** What a kill left is in order when it returns; nothing runs before `planSoon`. */
export function batchRunning(deps: Deps) {
  const { metadata, starter, config, now, log } = deps
  const abort = (...path: string[]) => slots.abort((name) => name.startsWith(`${path.join("/")}/`))
  const logs = batchLogs(now)
  const progress = batchProgress(() => performance.now())
  const partitionSize = (rows: number, bytesPerRow: number) => rowsPerPartition(config, rows, bytesPerRow)
  const pace = partitionPace({ workers: config.workers, seconds: config.partitionSeconds })
  const book = ledger({
    metadata,
    workersPerNamespace: config.quotas.workers,
    rowsPerPartition: partitionSize,
    rowsAtLease(batch, run) {
      const namespace = deps.namespaceById(batch.namespace_id)
      const plugin = namespace === null ? null : deps.pluginById(namespace, run.plugin_id)
      return pace.rowsFor(run, rowsAtOnce(plugin?.manifest.compute_profile ?? null))
    },
    onStopped: abort,
    progress,
    now,
    log,
  })
  book.recover()
  const suspended = suspension({ metadata, now, log })
  const workers = batchWorkers({
    starter,
    gpus: deps.gpus,
    exists({ namespaceId, pluginId, codeHash, collectionId }) {
      const namespace = deps.namespaceById(namespaceId)
      if (namespace === null || deps.pluginById(namespace, pluginId)?.codeHash !== codeHash) return false
      return metadata.read.collections.get(namespaceId, collectionId) !== undefined
    },
    threads: Math.max(1, Math.floor(deps.cores / config.workers)),
    callThreads: callThreads(config.workerLimits.threads),
    log,
  })
  const runner = partitionRunner({
    ...deps,
    ledger: book,
    progress,
    pace,
    onLine: logs.add,
    workers,
    silenceMs: config.partitionDeadlineMs,
    wallMs: config.partitionWallMs,
    slots: config.workers,
    outputBytes: config.outputBytes,
    memoryBytes: config.workerLimits.memoryBytes,
    onRunFailed: abort,
    hold(batchId, why) {
      if (suspended.hold(batchId, why)) abort(batchId)
    },
    onBusy: (batchId, collectionId) => drive.putOff(batchId, collectionId),
  })
  let ready = false
  const drive = batchDrive({
    metadata,
    ledger: book,
    runner,
    ready: () => ready,
    wakeScheduler: () => slots.wake(),
    log,
    now,
  })
  const slots = scheduler({ slots: config.workers, taken: deps.processorsTaken, next: drive.next, log })
  const lookWhetherReady = async () => {
    if (ready) return
    ready = (await starter.current()).ready
    if (ready) slots.wake()
  }
  const readiness = setInterval(lookWhetherReady, READY_CHECK_MS)

  return {
    ledger: book,
    suspension: suspended,
    progress,
    logs,
    rowsPerPartition: partitionSize,

    /** Partitions wait that the ledger had not before. */
    onRetried(batchId: string): void {
      runner.forgetDeaths(batchId)
      slots.wake()
    },

    /** Something was submitted, or the appliance has just started. */
    planSoon(): void {
      void lookWhetherReady()
      drive.planSoon()
    },

    endBatches(batchIds: readonly string[]): void {
      for (const batchId of batchIds) if (book.cancel(batchId)) abort(batchId)
    },

    endRuns(batchIds: readonly string[], collectionId: string): void {
      for (const batchId of batchIds) {
        book.cancelRun(batchId, collectionId)
        abort(batchId, collectionId)
      }
    },

    /** The ledger says so already. */
    onCanceled: (batchId: string) => abort(batchId),
    onSuspended: (batchId: string) => abort(batchId),
    onResumed(batchId: string): void {
      runner.forgetDeaths(batchId)
      drive.planSoon()
      slots.wake()
    },
    /** How a batch is scheduled has changed. */
    onChanged: () => slots.wake(),

    /** Idle workers of collections and plugins that were deleted. */
    endUnwantedWorkers: workers.endUnwanted,

    /** Somebody waits for a GPU: workers that have one and nothing to do end. */
    endIdleWithGpu: () => void workers.endIdleWithGpu(),

    async [Symbol.asyncDispose]() {
      clearInterval(readiness)
      await drive[Symbol.asyncDispose]()
      await slots[Symbol.asyncDispose]()
      await workers[Symbol.asyncDispose]()
    },
  }
}
