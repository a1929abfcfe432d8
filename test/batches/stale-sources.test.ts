import { expect, test } from "bun:test"
import { openLedger } from "./ledger-support.ts"

test("a commit over a part whose dead documents changed since it was looked at writes nothing, and may be tried again", () => {
  using opened = openLedger()
  const { ledger, metadata } = opened
  const batchId = opened.start(opened.source(), 4, 4)
  const collectionId = metadata.read.batches.runs(batchId)[0]?.collection_id ?? ""
  metadata.transact((tx) =>
    tx.write.parts.insert({
      part_id: "part_1",
      collection_id: collectionId,
      batch_id: "btch_older",
      plugin_id: "x_1_0_0",
      code_hash: "0",
      file: "documents/part_1",
      features: "[]",
      document_rows: 4,
      dead_file: null,
      dead_rows: 0,
      size_bytes: 1,
      created_at: opened.now().toISOString(),
    }),
  )
  const partition = ledger.lease()
  if (partition === null) throw new Error("nothing to lease")
  const [run] = metadata.read.batches.runs(batchId)
  if (run === undefined) throw new Error("no run")
  const commit = (restsOn: ReadonlyMap<string, string | null | undefined>) =>
    ledger.commit(partition, { code: run, part: null, superseded: [], faults: [], done: 4, skipped: 0, restsOn })
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
