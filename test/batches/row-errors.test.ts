import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"

let appliance: TestAppliance
let path = ""
const objectIds: string[] = []

const KIB = 1024
const long = (kib: number) => `value ${"x".repeat(kib * KIB)}`
const TEXTS = ["good", "value é", "key", long(150), "type", ...Array.from({ length: 200 }, () => long(60))]

/** One batch that all tests look at: 204 rows fail, 200 of them with inputs of 120 KiB. */
beforeAll(async () => {
  appliance = await startTestAppliance()
  await published(appliance, {
    name: "fails_variously",
    call: `for text in batch["text"].tolist():
    kinds = {"value": ValueError, "key": KeyError, "type": TypeError}
    if text.split(" ")[0] in kinds:
        raise kinds[text.split(" ")[0]]("as told")
batch["fails_variously_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
  })
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "texts", bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucketId: string = bucket.body.bucket_id
  for (let at = 0; at < TEXTS.length; at += 50) {
    const objects = TEXTS.slice(at, at + 50).map((data, index) => ({
      blobs: [{ property: "text", type: "text", data }],
      number: at + index,
    }))
    const loaded = await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
    objectIds.push(...loaded.body.succeeded.map((object: { object_id: string }) => object.object_id))
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "failing",
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: "fails_variously", version: "1.0.0" },
    },
  })
  const batch = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
    body: { collection_ids: [collection.body.collection_id] },
  })
  const ended = await waitForBatch(appliance, bucketId, batch.body.batch_id)
  expect([ended.rows_done, ended.rows_failed]).toEqual([1, TEXTS.length - 1])
  path = `/v1/buckets/${bucketId}/batches/${batch.body.batch_id}/failed-documents`
}, 60_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const errors = async (query: string) => (await appliance.call("GET", `${path}?${query}`)).body

test("row errors are found by exception, type, object and row", async () => {
  const byException = await errors("exception=KeyError")
  expect(byException).toMatchObject({ total: 1, next_offset: null })
  expect(byException.failed_documents[0]).toMatchObject({
    row: 2,
    exception: "KeyError",
    error_type: "runtime",
    retry_count: 0,
    plugin_version: "1.0.0",
    code_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  expect((await errors("error_type=network")).total).toBe(0)
  expect((await errors("error_type=runtime")).total).toBe(TEXTS.length - 1)
  expect((await errors(`object_id=${objectIds[4]}`)).failed_documents[0].exception).toBe("TypeError")
  expect((await errors("row=1&exception=KeyError")).total).toBe(0)
  expect((await appliance.call("GET", `${path}?error_type=bad_luck`)).status).toBe(422)
})

test("one row answers its input as the plugin saw it; a list only when it is asked for", async () => {
  const [one] = (await errors("row=1")).failed_documents
  expect(one.input_bytes).toBe(Buffer.byteLength(JSON.stringify(one.input)))
  expect(one.input).toMatchObject({
    text: "value é",
    data: "value é",
    number: 1,
    object_id: objectIds[1],
    mime_type: "text/plain",
    document_id: expect.stringMatching(/^doc_/),
  })
  expect(one.input.__row).toBeUndefined()
  const [listed] = (await errors("exception=KeyError")).failed_documents
  expect(listed.input).toBeUndefined()
  expect(listed.input_bytes).toBeGreaterThan(100)
  const [asked] = (await errors("exception=KeyError&include_input=true")).failed_documents
  expect(asked.input.text).toBe("key")
})

test("an input that is too large to keep is known by its size", async () => {
  const [one] = (await errors("row=3")).failed_documents
  expect(one.input).toBeNull()
  expect(one.input_bytes).toBeGreaterThan(300 * KIB)
})

test("a page ends where it would grow too large, and the next one goes on behind it", async () => {
  const rows: number[] = []
  let pages = 0
  for (let offset: number | null = 0; offset !== null; pages++) {
    const answer = await appliance.call("GET", `${path}?include_input=true&limit=1000&offset=${offset}`)
    expect(answer.text.length).toBeLessThan(10 * KIB * KIB)
    rows.push(...answer.body.failed_documents.map((error: { row: number }) => error.row))
    offset = answer.body.next_offset
  }
  expect(pages).toBeGreaterThan(1)
  expect(rows).toEqual(Array.from({ length: TEXTS.length - 1 }, (_, index) => index + 1))
})
