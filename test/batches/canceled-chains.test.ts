/** What a batch of collections over one another has in hand once it was canceled and some of its tiers are retried. */

import { expect, test } from "bun:test"
import { newId } from "../../src/identifiers.ts"
import type { PartitionRow } from "../../src/metadata/partitions.ts"
import { nothing } from "../buckets/support.ts"
import { leased, openLedger, raised } from "./ledger-support.ts"

/** A bucket, a collection over it and one over that; `commit` fails the first rows of a partition and makes a document of each other. */
function chain(opened: ReturnType<typeof openLedger>) {
  const { ledger, metadata, namespace } = opened
  const bucket = opened.source()
  const [above] = metadata.read.collections.enabledOf(bucket)
  if (above === undefined) throw new Error("no collection")
  const below = newId("col")
  const source = JSON.stringify({ type: "collection", inherited_bucket_ids: [bucket] })
  metadata.transact((tx) =>
    tx.write.collections.insert(
      { ...above, collection_id: below, collection_name: below, source },
      { bucketIds: [], collectionIds: [above.collection_id] },
    ),
  )
  const commit = (partition: PartitionRow, failed = 0) => {
    const rows = metadata.read.partitions.ordinals(partition) ?? [
      ...Array(partition.rows_in)
        .keys()
        .map((row) => partition.first_ordinal + row),
    ]
    const run = metadata.read.batches.run(partition.batch_id, partition.collection_id)
    if (run === undefined) throw new Error("no run")
    const part = {
      part_id: newId("part"),
      collection_id: partition.collection_id,
      batch_id: partition.batch_id,
      plugin_id: run.plugin_id,
      code_hash: run.code_hash,
      file: "part",
      features: "[]",
      document_rows: rows.length - failed,
      dead_file: null,
      dead_rows: 0,
      size_bytes: 1,
      created_at: opened.now().toISOString(),
    }
    const faults = rows.slice(0, failed).map((ordinal) => raised(ordinal, `obj_${ordinal}`))
    return ledger.commit(partition, {
      code: run,
      part: failed === rows.length ? null : part,
      superseded: [],
      faults,
      done: rows.length - failed,
      skipped: 0,
    })
  }
  return {
    bucket,
    above: above.collection_id,
    below,
    commit,
    retry: (batchId: string, tiers?: number[]) =>
      opened.batches.retry(namespace, bucket, batchId, tiers === undefined ? {} : { tier_nums: tiers }).retried_rows,
    trigger: () => opened.batches.triggerCollection(namespace, below, {}, nothing).document_count,
  }
}

test("a tier that is retried alone has not in hand what the tier above made before its retry was canceled", () => {
  using opened = openLedger()
  const { ledger } = opened
  const { bucket, above, below, commit, retry, trigger } = chain(opened)
  const batchId = opened.start(bucket, 4, 2)
  commit(leased(ledger.lease()), 2)
  commit(leased(ledger.lease()))
  commit(leased(ledger.lease()), 1)
  expect(opened.row(batchId).status).toBe("COMPLETED_WITH_ERRORS")
  // One row of two, then the cancel: what it became is read by nobody.
  expect(retry(batchId)).toBe(3)
  opened.leaseAtMost(1)
  for (;;) {
    const partition = leased(ledger.lease())
    if (partition.collection_id === below) continue
    commit(partition)
    break
  }
  ledger.cancel(batchId)
  expect(retry(batchId, [1])).toBe(1)
  expect(trigger()).toBe(1)
  // The rest of it is to come to the batch's own run, once that waits for it.
  ledger.cancel(batchId)
  expect(retry(batchId)).toBe(2)
  for (;;) {
    const partition = ledger.lease()
    if (partition === null) break
    commit(partition)
  }
  expect(opened.metadata.read.batches.runs(batchId)).toMatchObject([
    { collection_id: above, status: "COMPLETED", rows_in: 4, rows_done: 4 },
    { collection_id: below, status: "COMPLETED", rows_in: 4, rows_done: 4 },
  ])
  expect(trigger()).toBe(0)
})
