/**
 * Moves submitted batches along: membership in slices, partitions, then partitions to the scheduler's slots. All state is
 * in the ledger; after a kill the same steps go on where the last transaction ended.
 */
import { setImmediate as nextTurn } from "node:timers/promises"
import { DocumentsUnavailable } from "../documents/process.ts"
import { parseExactly } from "../exact-json.ts"
import { parseFilter } from "../filtering.ts"
import type { Log } from "../log.ts"
import type { BatchRow } from "../metadata/batches.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Job } from "../scheduler/scheduler.ts"
import { isDiskFault } from "./disk-faults.ts"
import type { Ledger } from "./ledger.ts"
import { membershipSlice } from "./membership.ts"
import type { PartitionRunner } from "./run-partition.ts"
import { runsUnderWay } from "./runs-under-way.ts"

/** Objects looked at per turn of the event loop, where only an index is walked through. */
const ARRIVED_SLICE = 100_000
/** A fault of ours (a full disk, a restarting child) gets another attempt; one that stays fails the run. */
const MAX_FAULTS = 3
const FAULT_BACKOFF_MS = 1000
/** A full or failing disk, or documents that are being restarted, are no batch's fault: its partitions wait, visibly open. */
const MAX_BACKOFF_MS = 30_000
/** A run that waits for a GPU asks again so often. */
const PUT_OFF_MS = 3_000

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  ledger: Ledger
  runner: Pick<PartitionRunner, "run" | "mostAtOnce">
  /** False while no Python environment is there: work waits visibly instead of failing. */
  ready: () => boolean
  wakeScheduler: () => void
  log: Log
  now: () => Date
}

export function batchDrive({ metadata, ledger, runner, ready, wakeScheduler, log, now }: Deps) {
  const faults = new Map<number, number>()
  /** Runs, and until when they are passed by. */
  const putOff = new Map<string, number>()
  const underWay = runsUnderWay()
  let planning: Promise<void> | null = null
  let again = false
  let stopped = false

  async function plan(): Promise<void> {
    for (const batch of metadata.read.batches.waiting()) {
      if (stopped) return
      try {
        await planBatch(batch)
      } catch (error) {
        // Nobody would ask again for what was acknowledged, and the batches behind it must not wait for it.
        log.error(
          { event: "planning_failed", batch_id: batch.batch_id, err: error },
          "planning failed; it is tried again",
        )
        setTimeout(planSoon, FAULT_BACKOFF_MS)
      }
    }
  }

  async function planBatch(batch: BatchRow): Promise<void> {
    if (batch.status === "QUEUED" && !ledger.plan(batch.batch_id)) return
    if (batch.whole_bucket === 1) await countArrived(batch)
    else if (batch.membership === "bucket") await fillMembership(batch)
    ledger.start(batch.batch_id)
    wakeScheduler()
  }

  /** All of a bucket up to an end: who is in it needs no list. */
  async function countArrived({
    batch_id: batchId,
    bucket_id: bucketId,
    membership_end: end,
  }: BatchRow): Promise<void> {
    let objects = 0
    for (let after = 0; ; ) {
      const found = metadata.read.objects.stretch(bucketId, after, end ?? 0, ARRIVED_SLICE)
      objects += found.objects
      if (stopped) return
      if (found.last === null || found.objects < ARRIVED_SLICE) break
      after = found.last
      await nextTurn()
    }
    metadata.transact((tx) => tx.write.batches.setMembership(batchId, end ?? 0, objects))
  }

  async function fillMembership(batch: BatchRow): Promise<void> {
    const filter = parseFilter(batch.membership_filters === null ? null : parseExactly(batch.membership_filters))
    const end = batch.membership_end ?? 0
    for (;;) {
      const more = metadata.transact((tx) => {
        const current = tx.read.batches.byId(batch.batch_id)
        if (stopped || current === undefined || current.status !== "PENDING") return false
        const room = (current.membership_limit ?? Number.MAX_SAFE_INTEGER) - current.object_count
        if (room <= 0) return false
        const slice = membershipSlice(tx.read, current, end, room, filter)
        if (slice === null) return false
        const count = tx.write.batches.addMembers(batch.batch_id, current.object_count, slice.objectIds)
        tx.write.batches.setMembership(batch.batch_id, slice.until, count)
        return slice.until < end
      })
      if (!more) return
      await nextTurn()
    }
  }

  function planSoon(): void {
    if (stopped) return
    if (planning !== null) {
      again = true
      return
    }
    planning = plan()
      .catch((error: unknown) => log.error({ event: "planning_failed", err: error }, "planning failed"))
      .finally(() => {
        planning = null
        if (again && !stopped) {
          again = false
          planSoon()
        }
      })
  }

  function job(partition: PartitionRow): Job {
    return {
      name: `${partition.batch_id}/${partition.collection_id}/${partition.partition_id}`,
      async run(signal, slot) {
        using _ = underWay.begin(partition, () => runner.mostAtOnce(partition))
        await runner.run(partition, signal, slot)
      },
      failed(error) {
        const count = (faults.get(partition.partition_id) ?? 0) + 1
        faults.set(partition.partition_id, count)
        if (count < MAX_FAULTS || isDiskFault(error) || error instanceof DocumentsUnavailable) {
          insist(Math.min(FAULT_BACKOFF_MS * count, MAX_BACKOFF_MS), () => ledger.release(partition))
          return
        }
        faults.delete(partition.partition_id)
        insist(0, () =>
          ledger.failRun(partition, {
            error_type: "resource",
            message: `The appliance failed ${count} times on a partition of this batch: ${error instanceof Error ? error.message : String(error)}`,
            traceback: null,
            stage: "appliance",
          }),
        )
      },
    }
  }

  /** A lease whose end cannot be written now (a full disk) would stay leased, and its batch open, until a restart. */
  function insist(delayMs: number, step: () => void): void {
    setTimeout(() => {
      if (stopped) return
      try {
        step()
        wakeScheduler()
      } catch (error) {
        log.error({ event: "ledger_failed", err: error }, "the ledger could not be written; it is tried again")
        insist(FAULT_BACKOFF_MS, step)
      }
    }, delayMs)
  }

  return {
    /** Something was submitted, or the appliance has just started. */
    planSoon,
    /** What it needs is not free now: others go on, and it comes again. */
    putOff(batchId: string, collectionId: string): void {
      putOff.set(`${batchId}/${collectionId}`, now().getTime() + PUT_OFF_MS)
      setTimeout(wakeScheduler, PUT_OFF_MS).unref()
    },
    /** The scheduler's source of work. */
    next(): Job | null {
      if (stopped || !ready()) return null
      const at = now().getTime()
      for (const [run, until] of putOff) if (until <= at) putOff.delete(run)
      const partition = ledger.lease([...putOff.keys(), ...underWay.full()])
      return partition === null ? null : job(partition)
    },
    async [Symbol.asyncDispose]() {
      stopped = true
      await planning
    },
  }
}
