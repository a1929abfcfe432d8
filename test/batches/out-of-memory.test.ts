import { Database } from "bun:sqlite"
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"

let appliance: TestAppliance
let count = 0

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKER_MEMORY_MB: "320" } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** Says how many rows came with each; `before` runs first. */
const counting = (name: string, before: string) => `${before}
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
batch["together"] = [len(batch)] * len(batch)
return batch`

/** Takes 400 MiB of the kind that no limit of the kernel refuses, tables of what is mapped and empty, and holds them until that is seen. */
const holding = `import mmap
import numpy
held = numpy.frombuffer(mmap.mmap(-1, 200 << 30, flags=0x4022, prot=mmap.PROT_READ), dtype=numpy.uint8)
held[:: 2 << 20].sum()
time.sleep(60)`

const indented = (code: string) => code.replaceAll("\n", "\n    ")

async function source(name: string, texts: readonly string[], call: string, batchSize = 64) {
  await published(appliance, { name, call, manifestExtra: `compute_profile = {"batch_size": ${batchSize}}` })
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `${name} ${++count}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucketId: string = bucket.body.bucket_id
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts.slice(at, at + 100).map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
    await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `${name}_${count}`,
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  const collectionId: string = collection.body.collection_id
  return async () => {
    const started = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, { body: {} })
    const batch = await waitForBatch(appliance, bucketId, started.body.batch_id)
    const listed = await appliance.call("POST", `/v1/collections/${collectionId}/documents/list`, {
      body: { limit: 1000, select: ["together"] },
    })
    const together = listed.body.results.map((document: { together: number }) => document.together)
    const errors = await appliance.call("GET", `/v1/buckets/${bucketId}/batches/${batch.batch_id}/failed-documents`)
    return { batch, most: Math.max(...together), errors: errors.body.failed_documents, ...ledgerOf(batch.batch_id) }
  }
}

/** Attempts that had no outcome: each cost a worker. */
function ledgerOf(batchId: string) {
  using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
  const { attempts, done } = database
    .query("SELECT sum(attempt) AS attempts, sum(state = 'done') AS done FROM partitions WHERE batch_id = ?")
    .get(batchId) as { attempts: number; done: number }
  return { deaths: attempts - done }
}

const words = (rows: number) => Array.from({ length: rows }, (_, index) => `text number ${index}`)

test("a MemoryError halves the rows of a call inside the worker, and the code's next batch begins with what sufficed", async () => {
  const run = await source(
    "raises_memory",
    words(192),
    counting("raises_memory", "if len(batch) > 20: raise MemoryError()"),
  )
  const first = await run()
  expect(first.batch).toMatchObject({ status: "COMPLETED", rows_done: 192 })
  expect(first).toMatchObject({ deaths: 0, most: 16 })
  expect((await run()).most).toBe(16)
})

test("a worker that dies of its memory is tried again with half of the rows a call, and that is remembered for the version", async () => {
  const run = await source(
    "dies_of_memory",
    words(64),
    counting("dies_of_memory", `if len(batch) > 32:\n    ${indented(holding)}`),
  )
  const first = await run()
  expect(first.batch).toMatchObject({ status: "COMPLETED", rows_done: 64 })
  expect(first.most).toBe(32)
  expect(first.deaths).toBe(1)
  expect(await run()).toMatchObject({ deaths: 0, most: 32 })
}, 180_000)

test("a row that is too much alone is a resource error, and costs the others neither their rows nor their size", async () => {
  const texts = words(300).map((text, index) => (index === 222 ? "huge" : text))
  const run = await source(
    "one_is_huge",
    texts,
    counting("one_is_huge", `if "huge" in batch["text"].tolist():\n    ${indented(holding)}`),
    16,
  )
  const first = await run()
  expect(first.batch).toMatchObject({ rows_done: 299, rows_failed: 1 })
  expect(first.errors).toMatchObject([{ row: 222, error_type: "resource", exception: "WorkerDied" }])
  expect(first.errors[0].error).toContain("MIXPEEK_WORKER_MEMORY_MB")
  // Calls of 16, 8, 4, 2 and 1, and the row alone.
  expect(first.deaths).toBeLessThanOrEqual(6)
  expect(first.most).toBe(16)
}, 180_000)

test("rows that end their worker cost three starts each, not one for every halving", async () => {
  const texts = words(500).map((text, index) => (index === 77 || index === 401 ? "deadly" : text))
  const run = await source(
    "some_are_deadly",
    texts,
    counting("some_are_deadly", `if "deadly" in batch["text"].tolist(): os.abort()`),
  )
  const first = await run()
  expect(first.batch).toMatchObject({ rows_done: 498, rows_failed: 2 })
  expect(first.errors.map((error: { row: number }) => error.row)).toEqual([77, 401])
  expect(first.deaths).toBeLessThanOrEqual(6)
}, 180_000)
