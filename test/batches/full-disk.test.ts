import { expect, test } from "bun:test"
import { isDiskFault } from "../../src/batches/disk-faults.ts"
import { batchDrive } from "../../src/batches/drive.ts"
import type { Ledger } from "../../src/batches/ledger.ts"
import { DocumentsUnavailable } from "../../src/documents/process.ts"
import { createLog } from "../../src/log.ts"
import type { BatchRow } from "../../src/metadata/batches.ts"
import type { Metadata } from "../../src/metadata/open.ts"
import type { PartitionRow } from "../../src/metadata/partitions.ts"
import { scheduler } from "../../src/scheduler/scheduler.ts"
import { eventually } from "../support/appliance.ts"

const log = createLog("silent")
const full = (code: string) => Object.assign(new Error("database or disk is full"), { code })

/** A ledger of one submitted batch with one partition; each of `refusals` makes the next write of that kind fail. */
function drive(refusals: Record<string, number>, runFails = 0, failure: Error = full("ENOSPC")) {
  const said: string[] = []
  const write = (kind: string) => {
    refusals[kind] = (refusals[kind] ?? 0) - 1
    if ((refusals[kind] ?? 0) >= 0) throw full("SQLITE_FULL")
    said.push(kind)
  }
  const batch = { batch_id: "btch_1", status: "PENDING", membership: "explicit" } as BatchRow
  let state: "planned" | "pending" | "leased" | "done" = "planned"
  let runs = 0
  const driven = batchDrive({
    metadata: { read: { batches: { waiting: () => (state === "planned" ? [batch] : []) } } } as unknown as Metadata,
    ledger: {
      start() {
        write("start")
        state = "pending"
      },
      lease() {
        if (state !== "pending") return null
        write("lease")
        state = "leased"
        return { partition_id: 1, batch_id: "btch_1", collection_id: "col_1" } as PartitionRow
      },
      release() {
        write("release")
        state = "pending"
      },
      failRun() {
        write("failRun")
        state = "done"
      },
    } as unknown as Ledger,
    runner: {
      mostAtOnce: () => null,
      async run() {
        if (++runs <= runFails) throw failure
        state = "done"
        said.push("run")
      },
    },
    ready: () => true,
    wakeScheduler: () => slots.wake(),
    log,
    now: () => new Date(),
  })
  const slots = scheduler({ slots: 1, taken: () => 0, next: driven.next, log })
  return { driven, slots, said }
}

test.concurrent.each([
  ["planning", { start: 1 }, 0, ["start", "lease", "run"]],
  ["leasing", { lease: 1 }, 0, ["start", "lease", "run"]],
  ["giving a lease back", { release: 1 }, 1, ["start", "lease", "release", "lease", "run"]],
])("a disk that was full while %s leaves no batch behind once there is room", async (_, refusals, runFails, steps) => {
  const { driven, slots, said } = drive({ ...refusals }, runFails)
  await using _driven = driven
  await using _slots = slots
  driven.planSoon()
  await eventually(async () => said.includes("run"), 10_000)
  expect(said).toEqual(steps)
})

test.concurrent.each([
  ["a disk that stays full", full("ENOSPC")],
  ["a documents process that does not come back at once", new DocumentsUnavailable("Documents are being restarted.")],
])(
  "%s makes a batch wait, not fail",
  async (_, failure) => {
    const { driven, slots, said } = drive({}, 3, failure)
    await using _driven = driven
    await using _slots = slots
    driven.planSoon()
    await eventually(async () => said.includes("run"), 15_000)
    expect(said).not.toContain("failRun")
  },
  20_000,
)

test.each([
  ["ENOSPC", full("ENOSPC"), true],
  ["EIO", Object.assign(new Error("i/o error"), { code: "EIO" }), true],
  [
    "EIO in words",
    new Error("The documents process failed: Error: EIO: i/o error, fsync '/data/documents/part'"),
    true,
  ],
  ["SQLITE_IOERR_FSYNC", Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_FSYNC" }), true],
  ["ENOENT", Object.assign(new Error("no such file"), { code: "ENOENT" }), false],
  ["words that hold other words", new Error("The RADIO failed"), false],
])("an error is the disk's or not: %s", (_, error, ofTheDisk) => {
  expect(isDiskFault(error)).toBe(ofTheDisk)
})
