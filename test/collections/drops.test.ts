import { expect, test } from "bun:test"
import { collectionVersions } from "../../src/collections/versions.ts"
import { newId } from "../../src/identifiers.ts"
import { openLedger } from "../batches/ledger-support.ts"

/** A collection with documents of an old version, one over it with documents of that; `commits`: how often one comes amid a look. */
function dropped(commits: number) {
  const opened = openLedger()
  const { metadata, namespace, dataDir } = opened
  const bucket = opened.source()
  const [above] = metadata.read.collections.enabledOf(bucket)
  if (above === undefined) throw new Error("no collection")
  const below = newId("col")
  const part = (collectionId: string, version: string) =>
    metadata.transact((tx) => {
      const partId = newId("part")
      tx.write.parts.insert({
        part_id: partId,
        collection_id: collectionId,
        batch_id: "batch",
        plugin_id: version,
        code_hash: "0".repeat(64),
        file: partId,
        features: "[]",
        document_rows: 3,
        dead_file: null,
        dead_rows: 0,
        size_bytes: 1,
        created_at: opened.now().toISOString(),
      })
      return partId
    })
  metadata.transact((tx) =>
    tx.write.collections.insert(
      { ...above, collection_id: below, collection_name: below, source: '{"type":"collection"}' },
      { bucketIds: [], collectionIds: [above.collection_id] },
    ),
  )
  part(above.collection_id, "x_0_9_0")
  const made = part(below, above.plugin_id)
  let looks = 0
  const versions = collectionVersions({
    metadata,
    dataDir,
    documents: {
      findMadeOf: async () => {
        if (looks++ < commits) part(below, above.plugin_id)
        return [{ part_id: made, dead_file: `${dataDir}/dead`, dead_rows: 2 }]
      },
    },
  })
  return {
    drop: () => versions.drop(namespace, above.collection_id, "0.9.0"),
    held: () => metadata.read.parts.ofCollection(above.collection_id).length,
    dead: () => metadata.read.parts.ofCollection(below).find((one) => one.part_id === made)?.dead_rows,
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  }
}

test("a drop beside commits in a collection below looks again until none came in between", async () => {
  using there = dropped(5)
  expect(await there.drop()).toMatchObject({ version: "0.9.0", documents_removed: 3 })
  expect([there.held(), there.dead()]).toEqual([0, 2])
})

test("a drop beside commits that never rest is refused, and nothing is dropped", async () => {
  using there = dropped(Number.POSITIVE_INFINITY)
  await expect(there.drop()).rejects.toThrow("Drop the version when their batches have ended.")
  expect([there.held(), there.dead()]).toEqual([1, 0])
})
