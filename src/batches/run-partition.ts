/**
 * One attempt at one partition: rows out to files, a worker over them, its files back as copies, a part written by the
 * documents process, one transaction. Whatever goes wrong ends as row errors, halves, a failed run or a released lease.
 */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import type { Documents } from "../documents/process.ts"
import type { Log } from "../log.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { TakeSlot } from "../scheduler/scheduler.ts"
import { maxConcurrency } from "../workers/compute-profile.ts"
import { callRows } from "./call-rows.ts"
import { HostileOutput } from "./collect.ts"
import { writeDocumentRows } from "./document-rows.ts"
import type { Ledger, RowFault } from "./ledger.ts"
import { identityOf, ownFaults, partitionCommit } from "./partition-commit.ts"
import type { PartitionRun } from "./partition-context.ts"
import { deathFault, failureFault, othersMayHaveKilled, ranOutOfMemory } from "./partition-faults.ts"
import type { PartitionPace } from "./partition-pace.ts"
import { preparedRun } from "./partition-run.ts"
import { type Outcome, type Output, partitionWork } from "./partition-work.ts"
import type { BatchProgress } from "./progress.ts"
import { type WrittenRows, writeRows } from "./rows.ts"
import type { RunError } from "./run-error.ts"
import { continuation, halves } from "./split.ts"

/** A batch is held when this many rows of a run kill their worker or have their output refused, with nothing done in between. */
const BREAKER_DEATHS = 10
/** The same for a run that has rows done: bad stretches of data exist, a spin of two starts a row must not. */
const LATE_BREAKER_DEATHS = 100

interface Deps extends Omit<Parameters<typeof partitionWork>[0], "calls"> {
  ledger: Ledger
  progress: Pick<BatchProgress, "begin" | "hear" | "end">
  /** Is told how long workers took. */
  pace: Pick<PartitionPace, "measured">
  documents: Documents
  namespaceById: (namespaceId: string) => Namespace | null
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
  /** Of each worker. */
  memoryBytes: number
  /** There is no room on a GPU for a run now. */
  onBusy: (batchId: string, collectionId: string) => void
  /** A run failed as a whole: its other workers end. */
  onRunFailed: (batchId: string, collectionId: string) => void
  /** A plugin keeps failing whatever it is given: its batch waits for somebody to look. */
  hold: (batchId: string, why: string) => void
  log: Log
  now: () => Date
}

export function partitionRunner(deps: Deps) {
  const { metadata, ledger, progress, log } = deps
  /** Single rows that killed their worker, per run, since the last commit with a row done. */
  const deaths = new Map<string, number>()
  /** Partitions of one row that others may have failed, those before it in its worker or whoever kills: it is blamed for the second time only. */
  const suspects = new Set<number>()
  const calls = callRows(deps)
  const work = partitionWork({ ...deps, calls })
  const { commitOutput, commitNothing, inputsOf } = partitionCommit(deps)

  const spool = (partition: PartitionRow) =>
    join(deps.dataDir, "spool", `${partition.partition_id}-${partition.attempt}`)

  function fail(partition: PartitionRow, error: Omit<RunError, "timestamp">) {
    if (ledger.failRun(partition, error)) deps.onRunFailed(partition.batch_id, partition.collection_id)
  }

  async function run(partition: PartitionRow, signal: AbortSignal, slot: TakeSlot): Promise<void> {
    const context = preparedRun(deps, partition)
    if ("error_type" in context) {
      fail(partition, context)
      return
    }
    const directory = spool(partition)
    try {
      const rows =
        context.run.source === null
          ? await writeRows(
              metadata.read,
              context.plan,
              { ...partition, bucket_id: context.batch.bucket_id },
              partition.rows_in,
              directory,
              deps.now,
            )
          : await writeDocumentRows(deps, context, partition, directory)
      const outcome =
        rows.rows === 0 ? null : await work(context, partition, rows, directory, standsAlone(partition), signal, slot)
      if (outcome !== null && outcome.kind !== "output") {
        await settleFailure(context, partition, rows, outcome)
        return
      }
      deps.pace.measured(context.run, partition, outcome?.seconds ?? 0)
      if (outcome === null) await commitNothing(context, partition, rows)
      else await commit(context, partition, rows, outcome, directory)
    } finally {
      progress.end(partition)
      await rm(directory, { recursive: true, force: true })
    }
  }

  /** What becomes of it is put down to its row, the one that was looked for. */
  function standsAlone({ partition_id: id, rows_in: rows, deaths: before }: PartitionRow): boolean {
    return suspects.has(id) || (rows === 1 && before > 0)
  }

  async function settleFailure(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    outcome: Exclude<Outcome, { kind: "output" }>,
  ): Promise<void> {
    if (outcome.kind === "refused") {
      await refuse(context, partition, rows, outcome.error)
      return
    }
    if (outcome.kind === "busy") deps.onBusy(partition.batch_id, partition.collection_id)
    if (outcome.kind === "aborted" || outcome.kind === "busy") {
      ledger.release(partition)
      return
    }
    if (outcome.kind === "failed" && outcome.error.error_type === "network") {
      // An API step gave its service up: the rows are as good as before, and wait until it is back.
      if (ledger.release(partition)) deps.hold(partition.batch_id, `${outcome.error.stage}: ${outcome.error.message}`)
      return
    }
    if (outcome.kind === "failed" && outcome.run) {
      const { error_type, exception, message: words, traceback, stage } = outcome.error
      // As of a run whose every row failed: `'key'` alone says nothing.
      const message = `${exception}: ${words}`
      fail(partition, { error_type, message, traceback: traceback ?? null, stage: stage ?? null })
      return
    }
    const memory = outcome.kind === "died" ? outcome.error.outOfMemory : ranOutOfMemory(outcome.error)
    const next = continuation(metadata.read, partition, {
      call: outcome.call,
      memory,
      batchRows: outcome.batchRows,
    })
    if (next.kind === "narrow") ledger.tryWithFewer(partition, next)
    if (next.kind === "split") ledger.split(partition, next.parts)
    if (next.kind !== "alone") return
    const mayBeOthers = outcome.used || (outcome.kind === "died" && othersMayHaveKilled(outcome.error))
    if (!suspects.delete(partition.partition_id) && mayBeOthers) {
      suspects.add(partition.partition_id)
      ledger.release(partition)
      return
    }
    await failAlone(
      context,
      partition,
      rows,
      outcome.kind === "died" ? deathFault(outcome.error) : failureFault(outcome.error),
    )
  }

  /** The row stands alone: it failed. A batch of which such rows are all that comes is held, the others as they are. */
  async function failAlone(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    fault: Omit<RowFault, "ordinal" | "object_id" | "source_document_id" | "input">,
  ): Promise<void> {
    const { run } = context
    const { batch_id: batchId, collection_id: collectionId } = partition
    const objects = await rows.objectIds(null)
    const inputs = await inputsOf(context, partition, rows, objects, spool(partition))
    const faults = [...objects.keys()].map((ordinal) => ({
      ...fault,
      ...identityOf(rows, objects, ordinal),
      input: inputs.get(ordinal) ?? null,
    }))
    const committed = ledger.commit(partition, {
      code: run,
      part: null,
      superseded: [],
      faults: [...faults, ...ownFaults(rows)],
      done: 0,
      skipped: rows.skipped,
    })
    if (committed !== "committed") return
    const key = `${batchId}/${collectionId}`
    const count = (deaths.get(key) ?? 0) + 1
    deaths.set(key, count)
    if (count < (run.rows_done === 0 ? BREAKER_DEATHS : LATE_BREAKER_DEATHS)) return
    forgetDeaths(batchId)
    deps.hold(
      batchId,
      `${count} rows of '${run.plugin_id}' failed alone, one after another, and none succeeded; the last: ${fault.message}`,
    )
  }

  function forgetDeaths(batchId: string): void {
    for (const key of deaths.keys()) if (key.startsWith(`${batchId}/`)) deaths.delete(key)
  }

  async function commit(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    output: Output,
    spooled: string,
  ): Promise<void> {
    const { run } = context
    try {
      const learned = calls.lesson(context, output.batchRows ?? partition.batch_rows)
      const done = await commitOutput(context, partition, rows, output, learned, spooled)
      if (done === null) {
        log.info({ event: "partition_read_anew", partition_id: partition.partition_id }, "outdated")
        ledger.release(partition)
        return
      }
      suspects.delete(partition.partition_id)
      if (done > 0) deaths.delete(`${run.batch_id}/${run.collection_id}`)
    } catch (error) {
      if (!(error instanceof HostileOutput)) throw error
      await refuse(context, partition, rows, error)
    }
  }

  /** As with a death: the row whose output it is stands alone in the end, the others keep theirs. */
  async function refuse(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    { message }: HostileOutput,
  ): Promise<void> {
    log.warn(
      {
        event: "hostile_output",
        batch_id: context.run.batch_id,
        partition_id: partition.partition_id,
        reason: message,
      },
      "refused",
    )
    if (partition.rows_in > 1) {
      ledger.split(partition, halves(metadata.read, partition))
      return
    }
    const fault = { error_type: "runtime", exception: "OutputRefused", message, traceback: null, stage: "commit" }
    await failAlone(context, partition, rows, fault)
  }

  return {
    run,
    /** Rows that failed alone count anew: somebody says that it can go on. */
    forgetDeaths,
    /** Partitions of this one's run that may be under way at once; null: as many as there are slots. */
    mostAtOnce(partition: PartitionRow): number | null {
      const context = preparedRun(deps, partition)
      return "error_type" in context ? null : maxConcurrency(context.plugin.manifest.compute_profile)
    },
  }
}

export type PartitionRunner = ReturnType<typeof partitionRunner>
