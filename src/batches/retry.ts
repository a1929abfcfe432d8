/**
 * Failed rows run again, in their batch: one transaction takes them out of the failed ones, opens them as partitions of a
 * retry, and takes the batch back from its end. What a run that failed as a whole or was canceled never reached runs too. Rows run in the code
 * that their collection names now, so that a fixed plugin is tried on what its predecessor failed at.
 */
import type { RetriedBatch, RetryBatch } from "../contract/batches.ts"
import { ApplianceError } from "../errors.ts"
import type { BatchRow, RunCode, RunRow } from "../metadata/batches.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { RetrySelection } from "../metadata/row-errors.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { runsBelow } from "./chain.ts"
import { insertFirstPass } from "./first-pass.ts"
import { taskStatus } from "./model.ts"
import { bytesPerRow } from "./partition-size.ts"
import { enterCode } from "./processed.ts"
import type { RunError } from "./run-error.ts"
import { isCutShort, isTerminal, RETRIABLE } from "./states.ts"

interface Deps {
  metadata: Pick<Metadata, "transact">
  now: () => Date
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
  /** How many rows a partition gets of so many. */
  rowsPerPartition: (rows: number, bytesPerRow: number) => number
}

type Left = RetriedBatch["skipped"][number]

/** What may pass by itself. */
const TRANSIENT = ["network", "resource"]
const MAX_RETRIES = 3

/** What a retry does with a run. */
interface RunRetry {
  readonly run: RunRow
  readonly code: RunCode
  readonly selection: RetrySelection
  readonly failed: number
  /** Rows of a failed or canceled run that were never tried. */
  readonly unprocessed: number
  /** No row of it was ever cut into a partition. */
  readonly uncut: boolean
}

export function batchRetry({ metadata, now, pluginById, rowsPerPartition }: Deps) {
  /**
   * Zero rows are an answer, not an error: who retries every batch that ended need not look first whether something failed.
   * @throws BadRequestError for a batch that has not ended or never started; of two at once the second gets that
   */
  return (namespace: Namespace, find: (tx: Transaction) => BatchRow, request: RetryBatch): RetriedBatch =>
    metadata.transact((tx) => {
      const batch = find(tx)
      refuseUnlessEnded(batch, tx.read.batches.runs(batch.batch_id))
      const { retries, skipped } = selected(tx, namespace, batch, request)
      const at = now().toISOString()
      const reopened = retries.length > 0 && tx.write.batches.reopen(batch.batch_id, RETRIABLE, at)
      if (reopened) {
        for (const retry of retries) reopenRun(tx, batch, retry, at)
        awaitSources(tx, namespace, batch, retries)
      }
      if (reopened && batch.task_id !== null) tx.write.tasks.move(batch.task_id, "IN_PROGRESS", null, at)
      const rows = retries.reduce((sum, { failed, unprocessed }) => sum + failed + unprocessed, 0)
      return {
        batch_id: batch.batch_id,
        task_id: batch.task_id,
        status: reopened ? "IN_PROGRESS" : taskStatus(batch.status),
        retry_count: batch.retry + (reopened ? 1 : 0),
        retried_rows: rows,
        skipped_rows: skipped.reduce((sum, left) => sum + left.rows, 0),
        skipped,
        runs: retries.map(({ run, code, failed, unprocessed }) => ({
          collection_id: run.collection_id,
          plugin_id: code.plugin_id,
          plugin_version: code.plugin_version,
          code_hash: code.code_hash,
          code_changed: code.code_hash !== run.code_hash,
          failed_rows: failed,
          unprocessed_rows: unprocessed,
        })),
        message:
          rows === 0
            ? `No row of the batch runs again${skipped.length === 0 ? ": none failed" : "; see 'skipped'"}.`
            : `${rows} rows of the batch run again.`,
      }
    })

  function selected(tx: Transaction, namespace: Namespace, batch: BatchRow, request: RetryBatch) {
    const transientOnly = request.retry_mode === "transient_only"
    const maxRetries = request.max_retry_count ?? MAX_RETRIES
    const tiers = request.tier_nums ?? []
    const retries: RunRetry[] = []
    const skipped: Left[] = []
    for (const run of tx.read.batches.runs(batch.batch_id)) {
      const selection = {
        batchId: batch.batch_id,
        collectionId: run.collection_id,
        maxRetries,
        errorTypes: transientOnly ? JSON.stringify(TRANSIENT) : null,
      }
      const leave = (reason: Left["reason"], rows: number, message: string) => {
        if (rows > 0) skipped.push({ collection_id: run.collection_id, reason, rows, message })
      }
      const found = tx.read.rowErrors.retriable(selection)
      const first = tx.read.partitions.firstPass(run.batch_id, run.collection_id)
      const cutShort = isCutShort(run.status)
      const uncut = cutShort && first.partitions === 0
      const untried = !cutShort ? 0 : uncut ? run.rows_skipped : first.rows
      const all = found.rows + found.exhausted + found.lasting + untried
      if (tiers.length > 0 && !tiers.includes(run.tier)) {
        leave("tier", all, "The tier is not one of 'tier_nums'.")
        continue
      }
      const code = codeNow(tx, namespace, run)
      if ("reason" in code) {
        leave(code.reason, all, code.message)
        continue
      }
      leave("retry_limit", found.exhausted, `The rows were run again ${maxRetries} times or more ('max_retry_count').`)
      leave(
        "not_transient",
        found.lasting,
        "The rows' errors do not pass by themselves; retry_mode 'all' takes them too.",
      )
      const stopped = run.error === null ? null : (JSON.parse(run.error) as RunError)
      const lasting = transientOnly && stopped !== null && !TRANSIENT.includes(stopped.error_type)
      if (lasting) leave("not_transient", untried, `The run failed as a whole: ${stopped.message}`)
      const unprocessed = lasting ? 0 : untried
      if (found.rows + unprocessed > 0) {
        retries.push({ run, code, selection, failed: found.rows, unprocessed, uncut: uncut && unprocessed > 0 })
      }
    }
    return { retries, skipped }
  }

  /** The code that the run's collection names now, or why there is none. */
  function codeNow(tx: Transaction, namespace: Namespace, run: RunRow): RunCode | Pick<Left, "reason" | "message"> {
    const collection = tx.read.collections.get(namespace.namespaceId, run.collection_id)
    if (collection === undefined) {
      return { reason: "collection_deleted", message: `Collection '${run.collection_id}' was deleted.` }
    }
    if (collection.enabled !== 1) {
      return { reason: "collection_disabled", message: `Collection '${run.collection_id}' is disabled.` }
    }
    const plugin = pluginById(namespace, collection.plugin_id)
    if (plugin === null) {
      const message = `Plugin '${collection.plugin_id}' is not registered any more; upload it, or move the collection to another version.`
      return { reason: "plugin_missing", message }
    }
    const { version }: { version: string } = JSON.parse(collection.feature_extractor)
    return {
      plugin_id: collection.plugin_id,
      plugin_version: version,
      code_hash: plugin.codeHash,
      feature_extractor: collection.feature_extractor,
    }
  }

  /** What reads a run that runs again waits for it, and takes the documents that are new. */
  function awaitSources(tx: Transaction, namespace: Namespace, batch: BatchRow, retries: readonly RunRetry[]): void {
    const again = retries.map(({ run }) => run.collection_id)
    for (const run of runsBelow(again, tx.read.batches.runs(batch.batch_id))) {
      const code = codeNow(tx, namespace, run)
      if ("reason" in code) continue
      enterCode(tx, { ...code, collection_id: run.collection_id })
      tx.write.batches.awaitRun(run.batch_id, run.collection_id, code)
    }
    for (const run of tx.read.batches.runs(batch.batch_id)) {
      if (run.tier === 0 || run.task_id === null || run.finished_at !== null) continue
      tx.write.tasks.move(run.task_id, run.started_at === null ? "PENDING" : "IN_PROGRESS", null, now().toISOString())
    }
  }

  function reopenRun(tx: Transaction, batch: BatchRow, retry: RunRetry, at: string): void {
    const { run, code, selection, unprocessed, uncut } = retry
    const number = batch.retry + 1
    enterCode(tx, { ...code, collection_id: run.collection_id })
    const bytes = bytesPerRow(tx.read, batch, run)
    const failed = tx.write.rowErrors.open(selection, number)
    if (failed > 0) {
      tx.write.partitions.insertOpen(run.batch_id, run.collection_id, number, rowsPerPartition(failed, bytes))
    }
    if (uncut) insertFirstPass(tx, batch, run, 0, run.rows_in, rowsPerPartition(run.rows_in, bytes))
    else if (unprocessed > 0) tx.write.partitions.reopen(run.batch_id, run.collection_id)
    tx.write.batches.reopenRun(run.batch_id, run.collection_id, { failed, skipped: unprocessed }, code, at)
  }
}

/** Of one that was canceled before it started it was never settled which rows it has. */
function refuseUnlessEnded({ status }: BatchRow, runs: readonly RunRow[]): void {
  const started = status !== "CANCELED" || runs.some((run) => run.started_at !== null)
  if (isTerminal(status) && started) return
  const why = REFUSED[status] ?? `is ${status}; retry it when it has ended`
  throw new ApplianceError("BadRequestError", `The batch ${why}.`, { details: { status } })
}

const REFUSED: Readonly<Record<string, string>> = {
  DRAFT: "is a DRAFT; submit it first",
  SUSPENDED: "is SUSPENDED; resume it, or cancel it and retry it then",
  CANCELED: "was canceled before it started; trigger a new one over its objects",
}
