/**
 * The transactions of a batch's ledger: every change of a partition, run and batch is here, each decided in its WHERE.
 * In = done + failed + skipped, per partition, run and batch, whatever happens.
 */
import type { Superseded } from "../collections/part-ref.ts"
import type { Log } from "../log.ts"
import type { LearnedRows } from "../metadata/batch-sizes.ts"
import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { PartitionRange, PartitionRow } from "../metadata/partitions.ts"
import type { PartRow } from "../metadata/parts.ts"
import type { RunSource } from "../metadata/run-sources.ts"
import { jointStatus, runsAbove } from "./chain.ts"
import { failuresOver } from "./failure-policy.ts"
import { insertFirstPass } from "./first-pass.ts"
import { bytesPerRow } from "./partition-size.ts"
import { recordProcessed } from "./processed.ts"
import type { BatchProgress } from "./progress.ts"
import { type RestsOn, stillHolds } from "./rests-on.ts"
import { allRowsFailed } from "./row-errors.ts"
import type { RowInput } from "./rows.ts"
import { dependencyError, leftUntried, type RunError } from "./run-error.ts"
import { withAtMost } from "./split.ts"
import { type BatchState, NEXT, statesBefore } from "./states.ts"

export interface RowFault {
  readonly ordinal: number
  readonly object_id: string
  /** Where the row is a document: its id. */
  readonly source_document_id?: string
  readonly error_type: string
  readonly exception: string
  readonly message: string
  readonly traceback: string | null
  readonly stage: string | null
  /** Null for a row that the plugin was not given, or whose object has changed since. */
  readonly input: RowInput | null
}

export interface Commit {
  /** That the rows ran in. */
  readonly code: Pick<RunRow, "plugin_version" | "code_hash">
  readonly part: Omit<PartRow, "seq"> | null
  readonly superseded: readonly Superseded[]
  readonly faults: readonly RowFault[]
  readonly done: number
  readonly skipped: number
  readonly restsOn?: RestsOn
  readonly learned?: LearnedRows | null
}

/** `stale`: what the commit rests on has changed since it was looked at; `lost`: the lease was. Nothing is written then. */
export type Committed = "committed" | "lost" | "stale"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  /** Partitions that a namespace without a quota of its own may have under way; null: as many as there are slots. */
  workersPerNamespace: number | null
  /** The rest of a batch is not run: its workers end. */
  onStopped: (batchId: string) => void
  /** What a partition's rows came to is also told here: what its steps did, and that it is counted now. */
  progress: Pick<BatchProgress, "stepsOf" | "committed">
  /** How many rows a partition has in a run of so many. */
  rowsPerPartition: (rows: number, bytesPerRow: number) => number
  /** How many rows the partition that is leased next of a run gets at most. */
  rowsAtLease: (batch: BatchRow, run: RunRow) => number
  now: () => Date
  log: Log
}

export function ledger({
  metadata,
  workersPerNamespace,
  rowsPerPartition,
  rowsAtLease,
  onStopped,
  progress,
  now,
  log,
}: Deps) {
  /** By namespace: which lease was its last. Who waits longest comes next; after a restart all are alike. */
  const turns = new Map<string, number>()
  let leases = 0

  /** False when the batch is not in `from`. @throws for a state that may not follow */
  const move = (tx: Transaction, batchId: string, from: BatchState, to: BatchState, at: string): boolean => {
    if (!NEXT[from].includes(to)) throw new Error(`batch ${batchId} is ${from}, not to be ${to}`)
    if (!tx.write.batches.move(batchId, from, to, at)) return false
    const task = tx.read.batches.byId(batchId)?.task_id
    if (task != null) tx.write.tasks.move(task, to, null, at)
    return true
  }

  /** False when it had ended already. */
  const finish = (tx: Transaction, batchId: string, status: BatchState, error: string | null, at: string): boolean => {
    if (!tx.write.batches.finish(batchId, statesBefore(status), status, error, at)) return false
    const task = tx.read.batches.byId(batchId)?.task_id
    if (task != null) tx.write.tasks.move(task, status, error, at)
    return true
  }

  /** Of a batch that ends early: what no run has done is skipped. */
  const endRuns = (tx: Transaction, batchId: string, status: BatchState, error: string | null, at: string) => {
    for (const { collection_id: collectionId, ...run } of tx.read.batches.runs(batchId)) {
      stopRun(tx, batchId, collectionId, at)
      tx.write.batches.finishRun(batchId, collectionId, status, error, at)
      if (run.tier > 0 && run.task_id !== null && run.finished_at === null)
        tx.write.tasks.move(run.task_id, status, null, at)
    }
    logEnd(tx, batchId, status)
  }

  const logEnd = (tx: Transaction, batchId: string, status: BatchState) =>
    log.info(
      { event: "batch_finished", batch_id: batchId, status, ...totals(tx.read.batches.runs(batchId)) },
      "batch finished",
    )

  /** Nothing of a run is open any more. One that had failed as a whole has still where a retry left rows that were never tried. */
  const settled = (tx: Transaction, run: RunRow, at: string) => {
    const untried = run.rows_in - tx.read.partitions.firstPass(run.batch_id, run.collection_id).tried
    const status = untried > 0 ? "FAILED" : endOf(run)
    const error = untried > 0 ? JSON.stringify({ ...leftUntried(untried, run.rows_in), timestamp: at }) : null
    tx.write.batches.finishRun(run.batch_id, run.collection_id, status, error, at)
    const batch = tx.read.batches.byId(run.batch_id)
    if (status !== "FAILED" && batch !== undefined) recordProcessed(tx, batch, run, at)
  }

  /** Ends a run when none of its partitions is open, and the batch when none of its runs is. */
  const settle = (tx: Transaction, batchId: string, collectionId: string, at: string) => {
    const run = tx.read.batches.run(batchId, collectionId)
    if (run === undefined || run.finished_at !== null || tx.read.partitions.openCount(batchId, collectionId) > 0) return
    // In a retry, what it reads may still get more.
    if (runsAbove(run, tx.read.batches.runs(batchId)).some((source) => source.finished_at === null)) return
    settled(tx, run, at)
    settleBatch(tx, batchId, at)
  }

  /** After a run has ended: what reads it begins, its tier's task ends with the tier, and the batch with all. */
  const settleBatch = (tx: Transaction, batchId: string, at: string) => {
    while (beginNext(tx, batchId, at)) {
      // Each may be what another waits for.
    }
    const runs = tx.read.batches.runs(batchId)
    for (const own of Map.groupBy(runs, (run) => run.tier).values()) {
      const [{ tier, task_id: taskId } = { tier: 0, task_id: null }] = own
      if (tier === 0 || taskId === null || own.some((run) => run.finished_at === null)) continue
      if (own.some((run) => run.finished_at === at)) tx.write.tasks.move(taskId, jointStatus(own), null, at)
    }
    if (runs.some((run) => run.finished_at === null)) return
    const status = jointStatus(runs)
    if (finish(tx, batchId, status, firstError(tx, runs), at)) logEnd(tx, batchId, status)
  }

  /** Whether the batch ended because more rows failed than its failure policy allows. */
  const stopForFailures = (tx: Transaction, batchId: string, at: string): boolean => {
    const why = failuresOver(tx.read.batches.byId(batchId)?.failure_policy ?? null, tx.read.batches.runs(batchId))
    if (why === null || !finish(tx, batchId, "FAILED", why, at)) return false
    const error: RunError = { error_type: "runtime", message: why, traceback: null, stage: null, timestamp: at }
    endRuns(tx, batchId, "FAILED", JSON.stringify(error), at)
    return true
  }

  /** What waits or runs of a run ends; rows that a retry had opened have failed as before. */
  const stopRun = (tx: Transaction, batchId: string, collectionId: string, at: string) => {
    tx.write.partitions.cancelOpen(batchId, collectionId, at)
    const failed = tx.write.rowErrors.giveBack(batchId, collectionId)
    if (failed > 0) tx.write.batches.addCounts(batchId, collectionId, { done: 0, failed, skipped: 0, documents: 0 })
  }

  /**
   * Begins a run whose sources in the batch have all ended, once the batch has started; false when there is none. What
   * could not be made cannot be read: the run of a source that failed fails too.
   */
  const beginNext = (tx: Transaction, batchId: string, at: string): boolean => {
    const batch = tx.read.batches.byId(batchId)
    const runs = tx.read.batches.runs(batchId)
    const started = batch?.status === "IN_PROGRESS" || runs.some((run) => run.started_at !== null)
    const next = runs.find(
      (run) =>
        run.started_at === null &&
        run.finished_at === null &&
        runsAbove(run, runs).every((source) => source.finished_at !== null),
    )
    if (batch === undefined || batch.finished_at !== null || !started || next === undefined) return false
    const lost = runsAbove(next, runs).find((run) => run.status === "FAILED" || run.status === "CANCELED")
    if (lost !== undefined) {
      const how = lost.status === "FAILED" ? "failed" : "was ended"
      const message = `Its source, collection '${lost.collection_id}', ${how} in this batch.`
      endRun(tx, next, "FAILED", { ...dependencyError(message), timestamp: at }, at)
    } else begin(tx, batch, next, at)
    return true
  }

  /** Fixes the run's rows and cuts them into partitions; a run that failed at submit, or has no rows, ends. */
  const begin = (tx: Transaction, batch: BatchRow, run: RunRow, at: string) => {
    const { batch_id: batchId, collection_id: collectionId } = run
    if (run.source !== null && run.tier > 0) {
      const { collection_ids: sources }: RunSource = JSON.parse(run.source)
      tx.write.runSources.fix(batchId, collectionId, sources, { ofBatch: batchId })
    }
    const rows = run.source === null ? batch.object_count : tx.read.runSources.total(batchId, collectionId)
    tx.write.batches.beginRun(batchId, collectionId, rows, at)
    if (run.tier > 0 && run.task_id !== null) tx.write.tasks.move(run.task_id, "IN_PROGRESS", null, at)
    if (run.error !== null)
      return endRun(tx, run, "FAILED", { ...(JSON.parse(run.error) as RunError), timestamp: at }, at)
    // What it has from before a retry keeps its ordinals: only the rest is new.
    const bytes = bytesPerRow(tx.read, batch, run)
    insertFirstPass(tx, batch, run, run.rows_in, rows, rowsPerPartition(rows, bytes))
    if (tx.read.partitions.openCount(batchId, collectionId) === 0) {
      settled(tx, run, at)
    }
  }

  const endRun = (
    tx: Transaction,
    { batch_id: batchId, collection_id: collectionId }: Pick<RunRow, "batch_id" | "collection_id">,
    status: "FAILED" | "CANCELED",
    error: RunError | null,
    at: string,
  ) => {
    stopRun(tx, batchId, collectionId, at)
    tx.write.batches.finishRun(batchId, collectionId, status, error === null ? null : JSON.stringify(error), at)
  }

  /** Of the lowest tier that failed: those above it fail for want of it. */
  const firstError = (tx: Transaction, runs: readonly RunRow[]): string | null => {
    const failed = runs.find((run) => run.error !== null || run.status === "FAILED")
    if (failed === undefined) return null
    const error: RunError | null = failed.error === null ? allRowsFailed(tx.read, failed) : JSON.parse(failed.error)
    return error?.message ?? null
  }

  const start = (tx: Transaction, batchId: string, at: string) => {
    const batch = tx.read.batches.byId(batchId)
    if (batch === undefined || !move(tx, batchId, "PENDING", "IN_PROGRESS", at)) return
    log.info({ event: "batch_started", batch_id: batchId, objects: batch.object_count }, "batch started")
    settleBatch(tx, batchId, at)
  }

  return {
    /** Of the runs that are not put off (`<batch>/<collection>`), the next partition, leased with its new attempt number before anything is dispatched; null when none waits. */
    lease(putOff: readonly string[] = []): PartitionRow | null {
      if (metadata.read.partitions.next(workersPerNamespace, putOff, turns) === undefined) return null
      return metadata.transact((tx) => {
        const next = tx.read.partitions.next(workersPerNamespace, putOff, turns)
        if (next === undefined) return null
        const batch = tx.read.batches.byId(next.batch_id)
        const run = tx.read.batches.run(next.batch_id, next.collection_id)
        if (batch === undefined || run === undefined) throw new Error(`partition ${next.partition_id} has no run`)
        const partition = withAtMost(tx, next, rowsAtLease(batch, run))
        if (!tx.write.partitions.lease(next.partition_id, now().toISOString())) return null
        turns.set(batch.namespace_id, ++leases)
        return { ...partition, state: "leased", attempt: next.attempt + 1 }
      })
    },

    /** The one commit point: unless it answers `committed`, nothing of it becomes visible. */
    commit(
      partition: PartitionRow,
      { code, part, superseded, faults, done, skipped, restsOn, learned = null }: Commit,
    ): Committed {
      const at = now().toISOString()
      const { batch_id: batchId, collection_id: collectionId } = partition
      let stopped = false
      const committed = metadata.transact((tx): Committed => {
        if (restsOn !== undefined && !stillHolds(tx.read, restsOn)) return "stale"
        const counts = { rows_done: done, rows_failed: faults.length, rows_skipped: skipped }
        if (!tx.write.partitions.finish(partition.partition_id, partition.attempt, counts, at)) return "lost"
        if (part !== null) tx.write.parts.insert(part)
        for (const dead of superseded) tx.write.parts.supersede(dead.part_id, dead.dead_file, dead.dead_rows)
        const { first_ordinal: first, end_ordinal: end, retry } = partition
        if (retry > 0) tx.write.rowErrors.settle(batchId, collectionId, first, end, retry)
        for (const { input, ...fault } of faults) {
          const row = {
            ...fault,
            source_document_id: fault.source_document_id ?? null,
            batch_id: batchId,
            collection_id: collectionId,
            attempt: partition.attempt,
            plugin_version: code.plugin_version,
            code_hash: code.code_hash,
            input_bytes: input?.bytes ?? null,
            created_at: at,
          }
          tx.write.rowErrors.insert(row, input?.text ?? null)
        }
        // The next batch may begin as soon as this one is seen to have ended.
        if (learned !== null) tx.write.batchSizes.learn(learned, at)
        const dead = superseded.find(({ part_id: id }) => id === part?.part_id)?.dead_rows ?? 0
        const documents = (part?.document_rows ?? 0) - dead
        tx.write.batches.addCounts(batchId, collectionId, { done, failed: faults.length, skipped, documents })
        for (const [index, step] of progress.stepsOf(partition.partition_id)) {
          tx.write.batches.addStep(batchId, collectionId, index, step)
        }
        stopped = faults.length > 0 && stopForFailures(tx, batchId, at)
        if (!stopped) settle(tx, batchId, collectionId, at)
        return "committed"
      })
      if (committed === "committed" && learned !== null)
        log.info({ event: "batch_size_learned", ...learned }, "memory suffices for calls of so many rows")
      if (committed === "committed") progress.committed(partition.partition_id, batchId, done + faults.length)
      if (stopped) onStopped(batchId)
      return committed
    },

    /** A partition that killed its worker continues as these, which have its rows. */
    split(partition: PartitionRow, parts: readonly PartitionRange[]): void {
      const at = now().toISOString()
      metadata.transact((tx) => {
        if (!tx.write.partitions.split(partition.partition_id, partition.attempt, at)) return
        for (const part of parts) tx.write.partitions.insert(part)
      })
    },

    /** Gives a lease back, for another attempt with fewer rows a call. */
    tryWithFewer(partition: PartitionRow, change: Pick<PartitionRow, "batch_rows" | "suspect">): void {
      metadata.transact((tx) => tx.write.partitions.narrow(partition.partition_id, partition.attempt, change))
    },

    /** Gives a lease back untouched, for another attempt; false when it was lost before. */
    release: (partition: PartitionRow): boolean =>
      metadata.transact((tx) => tx.write.partitions.release(partition.partition_id, partition.attempt)),

    /**
     * What cannot go on at all, as this attempt at one of its partitions found: the rest of the run is skipped, the reason stands on
     * the run. False when the lease was lost before: it may be the run of a retry by now.
     */
    failRun(partition: PartitionRow, error: Omit<RunError, "timestamp">): boolean {
      const at = now().toISOString()
      return metadata.transact((tx) => {
        if (!tx.read.partitions.isHeld(partition)) return false
        endRun(tx, partition, "FAILED", { ...error, timestamp: at }, at)
        settleBatch(tx, partition.batch_id, at)
        return true
      })
    },

    /** False when the batch had ended already. */
    cancel(batchId: string): boolean {
      const at = now().toISOString()
      return metadata.transact((tx) => {
        const batch = tx.read.batches.byId(batchId)
        if (batch === undefined || !finish(tx, batchId, "CANCELED", null, at)) return false
        endRuns(tx, batchId, "CANCELED", null, at)
        return true
      })
    },

    /** One collection's share ends, the others of the batch go on. */
    cancelRun(batchId: string, collectionId: string): void {
      const at = now().toISOString()
      metadata.transact((tx) => {
        endRun(tx, { batch_id: batchId, collection_id: collectionId }, "CANCELED", null, at)
        settleBatch(tx, batchId, at)
      })
    },

    /** Its members are being written; false when it is not QUEUED any more. */
    plan: (batchId: string): boolean =>
      metadata.transact((tx) => move(tx, batchId, "QUEUED", "PENDING", now().toISOString())),

    /** Starts the batch: the runs that read nothing of it begin, the others after what they read. */
    start: (batchId: string): void => metadata.transact((tx) => start(tx, batchId, now().toISOString())),

    /** A batch that was just submitted over nothing ends in the same transaction. */
    endEmpty(tx: Transaction, batchId: string): void {
      const at = now().toISOString()
      move(tx, batchId, "QUEUED", "PENDING", at)
      start(tx, batchId, at)
    },

    /** After a kill: what was leased waits again, under its next attempt number. */
    recover(): number {
      return metadata.transact((tx) => tx.write.partitions.releaseAll())
    },
  }
}

export type Ledger = ReturnType<typeof ledger>

/** How a run ends whose every row has an outcome. */
function endOf(run: Pick<RunRow, "rows_done" | "rows_failed">): BatchState {
  return run.rows_failed === 0 ? "COMPLETED" : run.rows_done === 0 ? "FAILED" : "COMPLETED_WITH_ERRORS"
}

function totals(runs: readonly RunRow[]) {
  const sum = (key: "rows_done" | "rows_failed" | "rows_skipped") => runs.reduce((total, run) => total + run[key], 0)
  return { rows_done: sum("rows_done"), rows_failed: sum("rows_failed"), rows_skipped: sum("rows_skipped") }
}
