/**
 * One attempt at one partition: rows out to files, a worker over them, its files back as copies, a part written by the
 * documents process, one transaction. Whatever goes wrong ends as row errors, halves, a failed run or a released lease.
 */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { BatchLogLine } from "../contract/batches.ts"
import type { Documents } from "../documents/process.ts"
import type { Network } from "../egress.ts"
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { GpuBusy, GpuRefused } from "../scheduler/gpu-leases.ts"
import type { TakeSlot } from "../scheduler/scheduler.ts"
import { callSeconds, maxConcurrency, shareOf } from "../workers/compute-profile.ts"
import { EnvironmentGone } from "../workers/environments/plugin-environments.ts"
import type { OutputLine } from "../workers/output.ts"
import { partitionLimits } from "../workers/partition-limits.ts"
import type { WorkerFailure } from "../workers/protocol.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import type { BatchWorkers } from "./batch-workers.ts"
import { type CallMark, readCallMark } from "./call-mark.ts"
import { callRows } from "./call-rows.ts"
import { HostileOutput } from "./collect.ts"
import { roomIsShort, workerFoundDiskFull } from "./disk-faults.ts"
import { writeDocumentRows } from "./document-rows.ts"
import { objectPlan } from "./inputs.ts"
import type { Ledger, RowFault, RunError } from "./ledger.ts"
import { identityOf, ownFaults, partitionCommit } from "./partition-commit.ts"
import { embeddings, type PartitionRun } from "./partition-context.ts"
import { deathFault, failureFault, gone, othersMayHaveKilled, ranOutOfMemory, refusal } from "./partition-faults.ts"
import type { PartitionPace } from "./partition-pace.ts"
import { assetRoots, preparedRun } from "./partition-run.ts"
import type { BatchProgress } from "./progress.ts"
import { type WrittenRows, writeRows } from "./rows.ts"
import { continuation, halves } from "./split.ts"
import { type BatchWorkerSpec, StepsNotBuilt } from "./worker-key.ts"

/** A batch is held when this many rows of a run kill their worker or have their output refused, with nothing done in between. */
const BREAKER_DEATHS = 10
/** The same for a run that has rows done: bad stretches of data exist, a spin of two starts a row must not. */
const LATE_BREAKER_DEATHS = 100

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  ledger: Ledger
  progress: Pick<BatchProgress, "begin" | "hear" | "end">
  /** Is told how long workers took. */
  pace: Pick<PartitionPace, "measured">
  documents: Documents
  workers: Pick<BatchWorkers, "acquire">
  dataDir: string
  namespaceById: (namespaceId: string) => Namespace | null
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
  blobDirectory: (namespace: Namespace, bucketId: string) => string
  /** What steps of resource type API of a namespace's plugins may reach. */
  networkOf: (namespace: Namespace) => Network
  /** Partitions that may be under way at once, of all batches. */
  slots: number
  /** Longest silence of a worker over a partition. */
  silenceMs: number
  /** Longest time over one partition, however much the worker reports. */
  wallMs: number
  /** Result files of one partition together. */
  outputBytes: number
  /** Its worker printed it. */
  onLine: (batchId: string, line: Omit<BatchLogLine, "time">) => void
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
  /** Partitions of one row whose worker was killed once: a row is blamed for the second time only. */
  const suspects = new Set<number>()
  const calls = callRows(deps)
  const { commitOutput, commitNothing, inputsOf } = partitionCommit(deps)

  const spool = (partition: PartitionRow) =>
    join(deps.dataDir, "spool", `${partition.partition_id}-${partition.attempt}`)

  function fail({ batch_id: batchId, collection_id: collectionId }: PartitionRow, error: Omit<RunError, "timestamp">) {
    ledger.failRun(batchId, collectionId, error)
    deps.onRunFailed(batchId, collectionId)
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
      const outcome = rows.rows === 0 ? null : await work(context, partition, rows, directory, signal, slot)
      if (outcome !== null && outcome.kind !== "output") {
        await settleFailure(context, partition, rows, outcome)
        return
      }
      if (outcome === null) {
        deps.pace.measured(context.run, partition, 0)
        await commitNothing(context, partition, rows)
      } else {
        const committed = await commit(context, partition, rows, outcome.directory, directory)
        const sufficed = outcome.batchRows ?? partition.batch_rows
        if (committed && sufficed !== null) calls.learn(context, sufficed)
      }
    } finally {
      progress.end(partition.partition_id)
      await rm(directory, { recursive: true, force: true })
    }
  }

  /** `batchRows`: what it was told to call with at most. */
  type Called = { readonly call: CallMark | null; readonly batchRows: number | null }
  type Outcome =
    | { readonly kind: "output"; readonly directory: string; readonly batchRows: number | null }
    | ({ readonly kind: "died"; readonly error: WorkerDied } & Called)
    | ({ readonly kind: "failed"; readonly error: WorkerFailure; readonly run: boolean } & Called)
    | { readonly kind: "aborted" }
    | { readonly kind: "busy" }

  async function work(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    directory: string,
    signal: AbortSignal,
    slot: TakeSlot,
  ): Promise<Outcome> {
    const { plugin, namespace, config, run } = context
    const assets = await assetRoots(deps, context)
    let call: CallMark | null = null
    let batchRows: number | null = null
    const spec: BatchWorkerSpec = {
      namespace,
      plugin,
      config,
      collectionId: run.collection_id,
      datasetSize: run.rows_in,
      blobDirectories: Object.values(assets),
      network: deps.networkOf(namespace),
    }
    try {
      const onLine = ({ stream, text: message }: Pick<OutputLine, "stream" | "text">) =>
        deps.onLine(run.batch_id, { collection_id: run.collection_id, plugin_id: run.plugin_id, stream, message })
      using _ = await slot(signal)
      batchRows = calls.atMost(context, partition)
      using permit = await deps.workers.acquire(spec, onLine, signal)
      const { worker } = permit
      // A worker reaches its own exchange directory and no other partition's files: input moves in, output moves out.
      const exchange = await mkdtemp(join(worker.exchange, "partition-"))
      const input = join(exchange, "input.jsonl")
      const output = join(exchange, "output")
      await rename(rows.input, input)
      await mkdir(output, { mode: 0o700 })
      if (run.isolation === null) {
        metadata.transact((tx) =>
          tx.write.batches.recordWorker(run.batch_id, run.collection_id, {
            isolation: worker.isolation,
            facts: JSON.stringify(worker.isolationFacts),
            environment: [
              `python-${worker.python}`,
              ...(plugin.environment === null ? [] : [plugin.environment.hash]),
            ].join("+"),
          }),
        )
      }
      progress.begin(partition, rows.rows)
      const stopListening = worker.onProgress((event) => {
        if (event.partition !== String(partition.partition_id) || event.attempt !== partition.attempt) return
        progress.hear(partition.partition_id, event)
      })
      const began = performance.now()
      try {
        const reply = await worker.request(
          {
            type: "run_partition",
            partition: String(partition.partition_id),
            attempt: partition.attempt,
            input,
            output,
            features: embeddings(plugin),
            asset_roots: assets,
            ...(rows.chain === null ? { plan: objectPlan(context.plan) } : {}),
            concurrency: callsLeft(context, partition),
            call_seconds: callSeconds(deps.silenceMs),
            batch_rows: batchRows,
          },
          { ...partitionLimits(deps.silenceMs, deps.wallMs), signal },
        )
        if (reply.type !== "failed") {
          deps.pace.measured(run, partition, (performance.now() - began) / 1000)
          const taken = join(directory, "output")
          await rename(output, taken)
          return { kind: "output", directory: taken, batchRows: reply.batch_rows }
        }
        if (workerFoundDiskFull(reply.error) && (await roomIsShort(deps.dataDir))) throw new Error(reply.error.message)
        // What cannot be imported now cannot be imported for the next rows either.
        const lasting = reply.error.error_type === "dependency"
        // What filled its memory may be there still.
        if (ranOutOfMemory(reply.error)) permit.poison()
        return { kind: "failed", error: reply.error, run: lasting, call: await readCallMark(output), batchRows }
      } catch (error) {
        permit.poison()
        call = await readCallMark(output)
        throw error
      } finally {
        stopListening()
        await rm(exchange, { recursive: true, force: true })
      }
    } catch (error) {
      if (error instanceof StepsNotBuilt) return { kind: "failed", error: error.failure, run: true, call, batchRows }
      if (signal.aborted) return { kind: "aborted" }
      if (error instanceof EnvironmentGone) return { kind: "failed", error: gone(error), run: true, call, batchRows }
      if (error instanceof GpuBusy) return { kind: "busy" }
      if (error instanceof GpuRefused) return { kind: "failed", error: refusal(error), run: true, call, batchRows }
      if (!(error instanceof WorkerDied)) throw error
      return { kind: "died", error, call, batchRows }
    }
  }

  /** Of what the plugin allows its whole run, this partition's share; null where it does not say. */
  function callsLeft({ plugin }: PartitionRun, { batch_id, collection_id }: PartitionRow): number | null {
    const most = maxConcurrency(plugin.manifest.compute_profile)
    if (most === null) return null
    return shareOf(most, Math.min(deps.slots, metadata.read.partitions.openCount(batch_id, collection_id)))
  }

  async function settleFailure(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    outcome: Exclude<Outcome, { kind: "output" }>,
  ): Promise<void> {
    if (outcome.kind === "busy") deps.onBusy(partition.batch_id, partition.collection_id)
    if (outcome.kind === "aborted" || outcome.kind === "busy") {
      ledger.release(partition)
      return
    }
    if (outcome.kind === "failed" && outcome.error.error_type === "network") {
      // An API step gave its service up: the rows are as good as before, and wait until it is back.
      deps.hold(partition.batch_id, `${outcome.error.stage}: ${outcome.error.message}`)
      ledger.release(partition)
      return
    }
    if (outcome.kind === "failed" && outcome.run) {
      const { error_type, message, traceback, stage } = outcome.error
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
    if (outcome.kind === "died" && othersMayHaveKilled(outcome.error) && !suspects.delete(partition.partition_id)) {
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
    ledger.commit(partition, {
      code: run,
      part: null,
      superseded: [],
      faults: [...faults, ...ownFaults(rows)],
      done: 0,
      skipped: rows.skipped,
    })
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

  /** False when its output was refused. */
  async function commit(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    output: string,
    spooled: string,
  ): Promise<boolean> {
    const { run } = context
    try {
      const done = await commitOutput(context, partition, rows, output, spooled)
      if (done === null) {
        log.info({ event: "partition_read_anew", partition_id: partition.partition_id }, "outdated")
        ledger.release(partition)
        return true
      }
      suspects.delete(partition.partition_id)
      if (done > 0) deaths.delete(`${run.batch_id}/${run.collection_id}`)
      return true
    } catch (error) {
      if (!(error instanceof HostileOutput)) throw error
      log.warn(
        {
          event: "hostile_output",
          batch_id: run.batch_id,
          partition_id: partition.partition_id,
          reason: error.message,
        },
        "refused",
      )
      // As with a death: the row whose output it is stands alone in the end, the others keep theirs.
      if (partition.rows_in > 1) {
        ledger.split(partition, halves(metadata.read, partition))
        return false
      }
      await failAlone(context, partition, rows, {
        error_type: "runtime",
        exception: "OutputRefused",
        message: error.message,
        traceback: null,
        stage: "commit",
      })
      return false
    }
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
