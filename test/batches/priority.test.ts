import { expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { leased, type OpenLedger, openLedger } from "./ledger-support.ts"
import { batchOnce, trigger, words } from "./support.ts"

/** Batch ids in the order of so many leases, each of which is committed at once. */
const served = (opened: OpenLedger, leases: number) =>
  Array.from({ length: leases }, () => {
    const partition = leased(opened.ledger.lease())
    opened.commit(partition)
    return partition.batch_id
  })

const update = (opened: OpenLedger, id: string, changes: object) =>
  opened.batches.update(opened.namespace, opened.row(id).bucket_id, id, changes)

test("within a namespace the higher priority goes first, then the older batch, and a change counts at once", () => {
  using opened = openLedger()
  const bucket = opened.source()
  const [old, young] = [opened.start(bucket, 4, 1), opened.start(bucket, 4, 1)]
  const urgent = opened.start(bucket, 4, 1, { priority: 5 })
  expect(served(opened, 2)).toEqual([urgent, urgent])
  update(opened, young, { priority: 6 })
  expect(served(opened, 5)).toEqual([young, young, young, young, urgent])
  update(opened, urgent, { priority: -1 })
  expect(served(opened, 5)).toEqual([old, old, old, old, urgent])
})

test("namespaces take turns whatever the priority of their batches, with one slot too", () => {
  using opened = openLedger()
  const stranger = opened.stranger()
  const [one, other] = [opened.source(), opened.source(1, stranger)]
  const ours = opened.start(one, 4, 1, { priority: 100 })
  const theirs = opened.start(other, 4, 1, { priority: -100 }, stranger)
  expect(served(opened, 6)).toEqual([ours, theirs, ours, theirs, ours, theirs])
  // Who holds fewer leases goes first.
  const held = leased(opened.ledger.lease())
  expect([held.batch_id, ...served(opened, 1)]).toEqual([ours, theirs])
})

test("max_concurrency bounds the partitions of one batch under way; a change counts for the next lease", () => {
  using opened = openLedger()
  const bucket = opened.source()
  const narrow = opened.start(bucket, 5, 1, { max_concurrency: 1 })
  const wide = opened.start(bucket, 2, 1)
  const leases = [1, 2, 3].map(() => leased(opened.ledger.lease()).batch_id)
  expect(leases).toEqual([narrow, wide, wide])
  expect(opened.ledger.lease()).toBeNull()
  update(opened, narrow, { max_concurrency: 3 })
  expect([1, 2].map(() => leased(opened.ledger.lease()).batch_id)).toEqual([narrow, narrow])
  expect(opened.ledger.lease()).toBeNull()
  update(opened, narrow, { max_concurrency: null })
  expect(leased(opened.ledger.lease()).batch_id).toBe(narrow)
})

test("the next partition is found by seeks: what waits in other batches, and batches that have ended, cost nothing", () => {
  using opened = openLedger()
  const bucket = opened.source()
  const ended = opened.row(opened.start(bucket, 1, 1))
  opened.ledger.cancel(ended.batch_id)
  for (let count = 0; count < 50; count++) opened.start(bucket, 20, 1)
  /** The middle of 21, in milliseconds. */
  const took = () => {
    const times = Array.from({ length: 21 }, () => {
      const before = performance.now()
      expect(opened.metadata.read.partitions.next(null, [], new Map())).toBeDefined()
      return performance.now() - before
    })
    return times.sort((one, other) => one - other)[10] ?? 0
  }
  const alone = took()
  for (let count = 0; count < 5; count++) opened.suspension.pause(opened.start(bucket, 2000, 1))
  opened.metadata.transact((tx) => {
    for (let count = 0; count < 60_000; count++) {
      tx.write.batches.insert({ ...ended, batch_id: `btch_${count}`, status: "COMPLETED" })
    }
  })
  // Some 0.3 ms; with a scan of the batches it is 2.5 more.
  expect(took()).toBeLessThan(alone * 3 + 0.3)
})

test("over HTTP: bounds are checked, what is set is answered, and a running batch widens when it is told to", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await published(appliance, {
    name: "takes_time",
    call: `time.sleep(0.02)
batch["takes_time_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
  })
  const { bucket } = await bucketOf(appliance, words(1500))
  const collection = await collectionOf(appliance, bucket, "takes_time")
  const wrong = [
    { priority: 101 },
    { priority: -101 },
    { priority: 0.5 },
    { max_concurrency: 0 },
    { max_concurrency: "2" },
  ]
  for (const body of wrong) {
    const answer = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body })
    expect([body, answer.status]).toEqual([body, 422])
  }
  const path = await trigger(appliance, bucket, collection, { priority: -7, max_concurrency: 1 })
  const set = await batchOnce(appliance, path, (batch) => batch.status === "IN_PROGRESS")
  expect(set).toMatchObject({ priority: -7, max_concurrency: 1 })
  const changed = await appliance.call("PATCH", path, { body: { priority: 9, max_concurrency: null } })
  expect(changed.body).toMatchObject({ priority: 9, max_concurrency: null, status: "IN_PROGRESS" })
  const ended = await batchOnce(appliance, path, (batch) => batch.status === "COMPLETED")
  expect(ended.rows_done).toBe(1500)
})
