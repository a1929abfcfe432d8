/**
 * A partition's rows through its plugin's steps, group by group: each in a worker that has what its class is given and no more, the
 * rows in a file between two. A partition stays one lease and one commit; whatever goes wrong in a group goes wrong with the
 * attempt, and the next one begins with the first group.
 */
import { constants, copyFile, mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { BatchLogLine } from "../contract/batches.ts"
import type { Network } from "../egress.ts"
import type { IsolationFacts } from "../isolation-facts.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { GpuBusy, GpuRefused } from "../scheduler/gpu-leases.ts"
import type { TakeSlot } from "../scheduler/scheduler.ts"
import { callSeconds, maxConcurrency, shareOf } from "../workers/compute-profile.ts"
import { EnvironmentGone } from "../workers/environments/plugin-environments.ts"
import type { OutputLine } from "../workers/output.ts"
import { partitionLimits } from "../workers/partition-limits.ts"
import type { WorkerFailure } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import type { BatchWorkers, GroupAt, LentWorker, OnLine } from "./batch-workers.ts"
import { type CallMark, type OpenCallMark, openCallMark } from "./call-mark.ts"
import type { CallRows } from "./call-rows.ts"
import { collectHandedOn, HostileOutput, type RowFailure, takeDirectory } from "./collect.ts"
import { roomIsShort, workerFoundDiskFull } from "./disk-faults.ts"
import { objectPlan } from "./inputs.ts"
import { embeddings, type PartitionRun } from "./partition-context.ts"
import { gone, refusal } from "./partition-faults.ts"
import { assetRoots } from "./partition-run.ts"
import type { BatchProgress } from "./progress.ts"
import type { WrittenRows } from "./rows.ts"
import { StepsChanged } from "./step-groups.ts"
import { type BatchWorkerSpec, StepsNotBuilt } from "./worker-key.ts"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  progress: Pick<BatchProgress, "begin" | "hear">
  workers: Pick<BatchWorkers, "acquire" | "firstResources" | "worthAsking">
  calls: Pick<CallRows, "atMost">
  dataDir: string
  blobDirectory: (namespace: Namespace, bucketId: string) => string
  /** What steps of resource type API of a namespace's plugins may reach. */
  networkOf: (namespace: Namespace) => Network
  /** Partitions that may have workers of one class at once, of all batches. */
  slots: number
  /** Longest silence of a worker over a step group of a partition. */
  silenceMs: number
  /** Longest time over one, however much the worker reports. */
  wallMs: number
  /** Result files of one partition together. */
  outputBytes: number
  /** Its worker printed it. */
  onLine: (batchId: string, line: Omit<BatchLogLine, "time">) => void
}

/** `batchRows`: what it was told to call with at most. `used`: its worker had had rows of others. */
type Called = { readonly call: CallMark | null; readonly batchRows: number | null; readonly used: boolean }
type Failed =
  | ({ readonly kind: "died"; readonly error: WorkerDied } & Called)
  | ({ readonly kind: "failed"; readonly error: WorkerFailure; readonly run: boolean } & Called)
  | { readonly kind: "refused"; readonly error: HostileOutput }
  | { readonly kind: "aborted" }
  | { readonly kind: "busy" }

/** Paths of what a worker is given, and of where it writes. */
interface HandedIn {
  readonly exchange: string
  readonly input: string
  /** Rows of the group before; null for the first. */
  readonly received: string | null
  readonly output: string
}

/** What the last group's worker left, and the rows that failed of earlier groups. */
export interface Output {
  readonly kind: "output"
  readonly directory: string
  readonly failed: readonly RowFailure[]
  /** Rows a call that sufficed when memory for more did not. */
  readonly batchRows: number | null
  /** Of all its workers. */
  readonly seconds: number
}

export type Outcome = Output | Failed

export function partitionWork(deps: Deps) {
  const { metadata, progress } = deps

  /**
   * `directory`: the partition's own, which no worker sees. `fresh`: in workers that have had no other rows, since what becomes of
   * it is put down to its own. Throws faults of this machine only.
   */
  return async function work(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    directory: string,
    fresh: boolean,
    signal: AbortSignal,
    slot: TakeSlot,
  ): Promise<Outcome> {
    const { plugin, namespace, config, run } = context
    const assets = await assetRoots(deps, context)
    const spec: BatchWorkerSpec = {
      namespace,
      plugin,
      config,
      collectionId: run.collection_id,
      datasetSize: run.rows_in,
      blobDirectories: Object.values(assets),
      network: deps.networkOf(namespace),
    }
    let call: CallMark | null = null
    let batchRows: number | null = null
    let used = false
    let facts: IsolationFacts | null = null

    async function acquire(at: GroupAt | null, onLine: OnLine): Promise<LentWorker> {
      for (;;) {
        const lent = await deps.workers.acquire(spec, at, onLine, signal)
        used = lent.used
        if (!fresh || !used) return lent
        lent.poison()
        lent[Symbol.dispose]()
      }
    }

    /** A worker for that group, and a slot for as long. A later group waits for its GPU, with the rows that it has, without one. */
    async function lend(at: GroupAt | null) {
      const resources = at?.group.resources ?? deps.workers.firstResources(spec)
      const onLine = ({ stream, text: message }: Pick<OutputLine, "stream" | "text">) =>
        deps.onLine(run.batch_id, { collection_id: run.collection_id, plugin_id: run.plugin_id, stream, message })
      using room = new DisposableStack()
      if (at !== null && resources === "gpu") room.use(await slot(signal, "gpu"))
      for (;;) {
        try {
          using starting = new DisposableStack()
          const slots = starting.use(new DisposableStack())
          const taken = slots.use(new DisposableStack())
          const kind = resources === "api" ? "api" : "cpu"
          taken.use(await slot(signal, kind))
          batchRows = at === null ? deps.calls.atMost(context, partition) : batchRows
          const lent = starting.use(await acquire(at, onLine))
          // The first of its key was lent before its steps were known: were it to stay, a service that is slow would hold up who computes.
          if (at === null && kind === "cpu" && deps.workers.firstResources(spec) === "api") {
            taken.dispose()
            slots.use(await slot(signal, "api"))
          }
          room.use(starting.move())
          const held = room.move()
          return { lent, [Symbol.dispose]: () => held.dispose() }
        } catch (error) {
          if (at === null || !(error instanceof GpuBusy)) throw error
        }
        await deps.workers.worthAsking(spec, at, signal)
      }
    }

    /** Runs it; the files that it left are then in `taken`, where its worker does not reach them. */
    async function inWorker(lent: LentWorker, handedOn: string | null, taken: string) {
      const { worker, group, next } = lent
      const exchange = join(worker.exchange, `partition-${partition.partition_id}-${crypto.randomUUID()}`)
      const input = join(exchange, "input.jsonl")
      const output = join(exchange, "output")
      const received = handedOn === null ? null : join(exchange, "rows.arrow")
      await using mark = await handIn(next, handedOn, { exchange, input, output, received }).catch((error: unknown) => {
        // Of a worker that has ended meanwhile the directory is gone; the request below says how it did.
        if (worker.alive) throw error
        return null
      })
      if (run.isolation === null) facts = recordWorker(context, worker, facts)
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
            ...(group === null ? {} : { group: { first: group.first, end: group.end, rows: received } }),
            concurrency: callsLeft(context, partition),
            call_seconds: callSeconds(deps.silenceMs),
            batch_rows: batchRows,
          },
          { ...partitionLimits(deps.silenceMs, deps.wallMs), signal },
        )
        if (reply.type !== "failed") {
          const fault = await takeDirectory(output, taken).then(
            () => null,
            (error: unknown) => error,
          )
          // Of one that has ended meanwhile the directory was going while it was taken.
          if (!worker.alive) throw new WorkerDied(await worker.exited)
          if (fault !== null) throw fault
          return {
            kind: "done",
            batchRows: reply.batch_rows,
            seconds: (performance.now() - began) / 1000,
            next,
          } as const
        }
        if (workerFoundDiskFull(reply.error) && (await roomIsShort(deps.dataDir))) throw new Error(reply.error.message)
        // What cannot be imported now cannot be imported for the next rows either.
        const lasting = reply.error.error_type === "dependency"
        // What made it fail as a whole may be there still: what filled its memory, an alarm that rings at any time.
        if (reply.error.error_type !== "network") lent.poison()
        const told = { error: reply.error, run: lasting, call: (await mark?.read()) ?? null, batchRows, used }
        return { kind: "failed", ...told } as const
      } catch (error) {
        lent.poison()
        call = (await mark?.read()) ?? null
        throw error
      } finally {
        stopListening()
        await rm(exchange, { recursive: true, force: true })
      }
    }

    /** A worker reaches its own exchange directory and no other partition's files: input moves in, output moves out. */
    async function handIn(next: GroupAt | null, handedOn: string | null, to: HandedIn): Promise<OpenCallMark> {
      await mkdir(to.exchange, { mode: 0o700 })
      // Each group reads it, as it was written and not as a worker has left it.
      if (next === null) await rename(rows.input, to.input)
      else await copyFile(rows.input, to.input, constants.COPYFILE_FICLONE)
      if (handedOn !== null && to.received !== null) await rename(handedOn, to.received)
      await mkdir(to.output, { mode: 0o700 })
      return await openCallMark(to.output)
    }

    async function throughGroups(): Promise<Outcome> {
      let at: GroupAt | null = null
      let handedOn: string | null = null
      let failed: readonly RowFailure[] = []
      let sufficed: number | null = null
      let seconds = 0
      for (;;) {
        const taken = join(directory, `output-${at?.place ?? 0}`)
        const done = await oneGroup(at, handedOn, taken)
        if (done.kind === "failed") return done
        sufficed = lesser(sufficed, done.batchRows)
        seconds += done.seconds
        if (done.next === null) return { kind: "output", directory: taken, failed, batchRows: sufficed, seconds }
        at = done.next
        const copies = join(directory, `group-${at.place}`)
        await mkdir(copies, { mode: 0o700 })
        const limits = { asked: rows.rows, failed, bytes: deps.outputBytes }
        const collected = await collectHandedOn(taken, copies, limits)
        handedOn = collected.rows
        failed = collected.failures
        await rm(taken, { recursive: true, force: true })
      }
    }

    async function oneGroup(at: GroupAt | null, handedOn: string | null, taken: string) {
      using held = await lend(at)
      return await inWorker(held.lent, handedOn, taken)
    }

    try {
      return await throughGroups()
    } catch (error) {
      if (error instanceof StepsNotBuilt)
        return { kind: "failed", error: error.failure, run: true, call, batchRows, used }
      // From its first group on it is run with the steps as they are now.
      if (signal.aborted || error instanceof StepsChanged) return { kind: "aborted" }
      if (error instanceof EnvironmentGone)
        return { kind: "failed", error: gone(error), run: true, call, batchRows, used }
      if (error instanceof GpuBusy) return { kind: "busy" }
      if (error instanceof GpuRefused)
        return { kind: "failed", error: refusal(error), run: true, call, batchRows, used }
      if (error instanceof HostileOutput) return { kind: "refused", error }
      if (!(error instanceof WorkerDied)) throw error
      return { kind: "died", error, call, batchRows, used }
    }
  }

  /** What the run's workers can do, all of them together. */
  function recordWorker({ run, plugin }: PartitionRun, worker: Worker, before: IsolationFacts | null): IsolationFacts {
    const now = worker.isolationFacts
    const facts: IsolationFacts = {
      ...now,
      gpu: before === null || before.gpu === "none" ? now.gpu : before.gpu,
      network: before === null || before.network === "denied" ? now.network : before.network,
    }
    metadata.transact((tx) =>
      tx.write.batches.recordWorker(run.batch_id, run.collection_id, {
        isolation: worker.isolation,
        facts: JSON.stringify(facts),
        environment: [
          `python-${worker.python}`,
          ...(plugin.environment === null ? [] : [plugin.environment.hash]),
        ].join("+"),
      }),
    )
    return facts
  }

  /** Of what the plugin allows its whole run, this partition's share; null where it does not say. */
  function callsLeft({ plugin }: PartitionRun, { batch_id, collection_id }: PartitionRow): number | null {
    const most = maxConcurrency(plugin.manifest.compute_profile)
    if (most === null) return null
    return shareOf(most, Math.min(deps.slots, metadata.read.partitions.openCount(batch_id, collection_id)))
  }
}

function lesser(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}
