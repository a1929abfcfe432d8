/** A commit rests on what was looked at before it: the ledger asks again in its transaction. */

import { expect, test } from "bun:test"
import { partitionCommit } from "../../src/batches/partition-commit.ts"
import type { PartitionRun } from "../../src/batches/partition-context.ts"
import type { WrittenRows } from "../../src/batches/rows.ts"
import type { Documents, FindSupersededRequest } from "../../src/documents/process.ts"
import type { Transaction } from "../../src/metadata/open.ts"
import { blobColumns } from "../../src/metadata/stored-blobs.ts"
import { leased, openLedger } from "./ledger-support.ts"

test("a commit over a part whose dead documents changed since it was looked at writes nothing, and may be tried again", () => {
  using opened = openLedger()
  const { ledger, metadata } = opened
  const batchId = opened.start(opened.source(), 4, 4)
  const collectionId = metadata.read.batches.runs(batchId)[0]?.collection_id ?? ""
  insertPart(opened, collectionId, "x_1_0_0")
  const partition = ledger.lease()
  if (partition === null) throw new Error("nothing to lease")
  const [run] = metadata.read.batches.runs(batchId)
  if (run === undefined) throw new Error("no run")
  const commit = (parts: ReadonlyMap<string, string | null | undefined>) =>
    ledger.commit(partition, {
      code: run,
      part: null,
      superseded: [],
      faults: [],
      done: 4,
      skipped: 0,
      restsOn: { parts, bucket: null },
    })
  metadata.transact((tx) => tx.write.parts.supersede("part_1", "documents/part_1.a.dead", 1))
  expect(commit(new Map([["part_1", null]]))).toBe("stale")
  expect(metadata.read.batches.run(batchId, collectionId)).toMatchObject({ rows_done: 0, finished_at: null })
  metadata.transact((tx) => tx.write.parts.supersede("part_1", "documents/part_1.b.dead", 4))
  expect(commit(new Map([["part_1", "documents/part_1.a.dead"]]))).toBe("stale")
  // It has no living document and is gone: who has seen that may commit.
  expect(commit(new Map([["part_1", undefined]]))).toBe("committed")
  expect(opened.row(batchId).status).toBe("COMPLETED")
  expect(commit(new Map())).toBe("lost")
})

test("what a commit supersedes is looked for again when somebody else has taken documents away from the same part", async () => {
  using opened = openLedger()
  const { ledger, metadata } = opened
  const batchId = opened.start(opened.source(), 2, 2)
  const partition = leased(ledger.lease())
  const [run] = metadata.read.batches.runs(batchId)
  if (run === undefined) throw new Error("no run")
  insertPart(opened, run.collection_id, run.plugin_id)
  const looked: (string | undefined)[] = []
  const documents = {
    async findSuperseded({ parts }: FindSupersededRequest) {
      looked.push(parts[0]?.dead_file ?? undefined)
      const looks = looked.length
      if (looks === 1) metadata.transact((tx) => tx.write.parts.supersede("part_1", "documents/part_1.drop.dead", 1))
      return [{ part_id: "part_1", dead_file: `/data/documents/part_1.${looks}.dead`, dead_rows: 1 + looks }]
    },
  } as Documents
  const { commitNothing } = partitionCommit({
    metadata,
    ledger,
    documents,
    dataDir: "/data",
    outputBytes: 1,
    now: opened.now,
  })
  const rows = { rows: 0, skipped: 2, failed: [], chain: null, readAfter: null, lineage: "" } as unknown as WrittenRows
  await commitNothing({ run } as PartitionRun, partition, rows)
  expect(looked).toEqual([undefined, "/data/documents/part_1.drop.dead"])
  expect(metadata.read.parts.ofCollection(run.collection_id)).toMatchObject([
    { dead_file: "documents/part_1.2.dead", dead_rows: 3 },
  ])
})

/** A partition of four rows; `commit` tells how many objects had been deleted when it was looked which were `there`. */
function overObjects(opened: ReturnType<typeof openLedger>) {
  const { ledger, metadata } = opened
  const bucketId = opened.source()
  const batchId = opened.start(bucketId, 4, 4)
  const partition = leased(ledger.lease())
  const [run] = metadata.read.batches.runs(batchId)
  if (run === undefined) throw new Error("no run")
  const commit = (removals: number, there: string[] | null) =>
    ledger.commit(partition, {
      code: run,
      part: null,
      superseded: [],
      faults: [],
      done: 3,
      skipped: 1,
      restsOn: { parts: new Map(), bucket: { bucket_id: bucketId, removals, there } },
    })
  metadata.transact((tx) => tx.write.buckets.countRemoved(bucketId, 10))
  return { bucketId, batchId, commit }
}

test("a commit over objects of which some were deleted since it was looked at writes nothing, and may be tried again", () => {
  using opened = openLedger()
  const { batchId, commit } = overObjects(opened)
  expect(commit(0, null)).toBe("stale")
  expect(commit(0, ["obj_gone"])).toBe("stale")
  expect(opened.counts(batchId)).toEqual([4, 0, 0, 0])
  expect(commit(1, null)).toBe("committed")
  expect(opened.counts(batchId)).toEqual([4, 3, 0, 1])
})

test("a commit whose own objects are there is not put off by others that are deleted all the time", () => {
  using opened = openLedger()
  const { bucketId, commit } = overObjects(opened)
  const there = ["obj_1", "obj_2"]
  opened.metadata.transact((tx) => {
    for (const object_id of there) tx.write.objects.insert(plainObject(object_id, bucketId), [])
  })
  expect(commit(0, there)).toBe("committed")
})

function plainObject(object_id: string, bucket_id: string): Parameters<Transaction["write"]["objects"]["insert"]>[0] {
  const at = "2026-01-01T00:00:00.000Z"
  return {
    object_id,
    bucket_id,
    key_prefix: null,
    fields: "{}",
    ...blobColumns([]),
    unique_value: null,
    content_hash: null,
    size_bytes: 0,
    status: "DRAFT",
    error: null,
    created_at: at,
    updated_at: at,
  }
}

/** `part_1`, of four documents that all live. */
function insertPart({ metadata, now }: ReturnType<typeof openLedger>, collection_id: string, plugin_id: string): void {
  metadata.transact((tx) =>
    tx.write.parts.insert({
      part_id: "part_1",
      collection_id,
      batch_id: "btch_older",
      plugin_id,
      code_hash: "0",
      file: "documents/part_1",
      features: "[]",
      document_rows: 4,
      dead_file: null,
      dead_rows: 0,
      size_bytes: 1,
      created_at: now().toISOString(),
    }),
  )
}
