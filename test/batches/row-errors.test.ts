import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"
import { leased, openLedger } from "./ledger-support.ts"

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
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const errors = async (query: string) => (await appliance.call("GET", `${path}?${query}`)).body

test("row errors are found by exception, type, object, row and collection, by its name too", async () => {
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
  expect((await errors("collection_id=failing")).total).toBe(TEXTS.length - 1)
  expect((await errors("collection_id=col_other")).total).toBe(0)
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

test("a cursor goes on behind the page that answered it, also one that ended by its size, and under any filter", async () => {
  const walk = async (query: string) => {
    const pages: number[][] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page = await errors(`${query}${cursor === "" ? "" : `&cursor=${cursor}`}`)
      pages.push(page.failed_documents.map((error: { row: number }) => error.row))
      expect(page.pagination.total).toBe(page.total)
      cursor = page.pagination.next_cursor
    }
    return pages
  }
  const all = Array.from({ length: TEXTS.length - 1 }, (_, index) => index + 1)
  const pages = await walk("limit=17")
  expect(pages.map((page) => page.length)).toEqual(
    [...Array(12).fill(17), 0].with(12, (TEXTS.length - 1) % 17).filter(Boolean),
  )
  expect(pages.flat()).toEqual(all)
  const large = await walk("include_input=true&limit=1000")
  expect(large.length).toBeGreaterThan(1)
  expect(large.flat()).toEqual(all)
  expect((await walk("exception=ValueError&limit=50")).flat()).toEqual(all.filter((row) => row !== 2 && row !== 4))
  expect((await appliance.call("GET", `${path}?cursor=nonsense`)).status).toBe(422)
})

test("rows that a retry takes away in between shift no page of a cursor", () => {
  using s = openLedger()
  const bucket = s.source()
  const batch = s.start(bucket, 8, 4)
  for (const _ of [1, 2]) s.commit(leased(s.ledger.lease()), 3)
  const page = (cursor?: string) =>
    s.batches.failedDocuments(s.namespace, bucket, batch, { limit: 2, offset: 0, ...(cursor ? { cursor } : {}) })
  const rows = ({ failed_documents: failed }: ReturnType<typeof page>) => failed.map((error) => error.row)
  const first = page()
  expect(rows(first)).toEqual([0, 1])
  s.batches.retry(s.namespace, bucket, batch, { retry_mode: "all" })
  s.commit(leased(s.ledger.lease()))
  const open = page(first.pagination.next_cursor ?? "")
  expect([rows(open), open.total]).toEqual([[], 0])
  s.ledger.cancel(batch)
  const second = page(first.pagination.next_cursor ?? "")
  expect([rows(second), second.total]).toEqual([[2, 4], 4])
  expect(rows(page(second.pagination.next_cursor ?? ""))).toEqual([5, 6])
})
