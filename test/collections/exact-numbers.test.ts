/** Whole numbers of more than 53 bits, such as perceptual hashes: what was sent or a plugin wrote is what is kept, answered and read. */
import { expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { bucketOf, collectionOf, said, trigger } from "../support/collections.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"

const READS = `${" ".repeat(4)}text: str = Field(..., description="Input text")`

test("whole numbers of 64 bits and more are answered digit by digit, to lists, gets, selections and failed rows", async () => {
  await using appliance = await startTestAppliance()
  await published(appliance, {
    name: "hashes",
    call: `batch["phash"] = [2**64 - 1] * len(batch)
batch["found"] = [{"ids": [2**53 + 1, -(2**63)], "large": 10**30, "text": "9007199254740993"}] * len(batch)
return batch`,
  })
  const reads = textPlugin({ name: "reads_hashes", call: `raise ValueError(str(batch["phash"].tolist()[0]))` })
  const below = {
    ...reads,
    "manifest.py": (reads["manifest.py"] ?? "").replace(READS, "    phash: int"),
    "pipeline.py": (reads["pipeline.py"] ?? "").replace("RowCondition.IS_TEXT", "RowCondition.ALWAYS"),
  }
  expect((await upload(appliance, below, { name: "reads_hashes" })).status).toBe(200)
  const { bucket } = await bucketOf(appliance, ["one"])
  const collection = await collectionOf(appliance, bucket, "hashes")
  const made = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "below",
      source: { type: "collection", collection_id: collection },
      feature_extractor: { feature_extractor_name: "reads_hashes", version: "1.0.0" },
    },
  })
  expect(made.status).toBe(200)
  const batch = await trigger(appliance, bucket, collection)
  expect([batch.rows_done, batch.rows_failed]).toEqual([1, 1])

  const list = (body: object) => appliance.call("POST", `/v1/collections/${collection}/documents/list`, { body })
  const listed = await list({})
  expect(listed.text).toContain(
    `"phash":18446744073709551615,"found":{"ids":[9007199254740993,-9223372036854775808],` +
      `"large":1000000000000000000000000000000,"text":"9007199254740993"}`,
  )
  const id = listed.body.results[0].document_id
  const one = await appliance.call("GET", `/v1/collections/${collection}/documents/${id}`)
  expect(one.text).toContain(`"phash":18446744073709551615,`)
  const selected = await list({ select: ["found.ids", "phash", "found.large.rawJSON"] })
  expect(selected.text).toContain(
    `{"found":{"ids":[9007199254740993,-9223372036854775808]},"phash":18446744073709551615,`,
  )

  const failed = await appliance.call(
    "GET",
    `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents?include_input=true`,
  )
  expect(failed.body.failed_documents[0].error).toBe("18446744073709551615")
  expect(failed.text).toContain(`"phash":18446744073709551615,`)
}, 180_000)

const BIG = "9007199254740993"

test("what a client sends is kept digit by digit: in objects, their blobs and metadata, buckets, collections and batches", async () => {
  await using appliance = await startTestAppliance()
  const reads = textPlugin({
    name: "reads",
    call: `columns = [batch[name].tolist() for name in ("n", "data", "over")]
batch["saw"] = [repr((type(n).__name__, n, d, o)) for n, d, o in zip(*columns)]
return batch`,
  })
  const manifest = (reads["manifest.py"] ?? "").replace(READS, `${READS}\n    n: int = 0\n    over: dict = {}`)
  expect((await upload(appliance, { ...reads, "manifest.py": manifest }, { name: "reads" })).status).toBe(200)
  const post = async (path: string, raw: string, method = "POST", headers: Record<string, string> = {}) => {
    const answer = await appliance.call(method, path, { raw, headers })
    if (answer.status >= 300) throw new Error(answer.text)
    return answer
  }
  const made = await post(
    "/v1/buckets",
    `{"bucket_name":"exact","unique_key":{"fields":["id"],"default_policy":"upsert"},"metadata":{"of":${BIG}},
      "bucket_schema":{"properties":{"text":{"type":"text"},"doc":{"type":"json"},
        "id":{"type":"integer"},"n":{"type":"number","default":${BIG}1}}}}`,
  )
  expect(made.text).toContain(`"metadata":{"of":${BIG}}`)
  const objects = `/v1/buckets/${made.body.bucket_id}/objects`
  const object = (id: string, n: string) =>
    `{"id":${id},${n}"metadata":{"m":[${BIG}]},"blobs":[{"property":"text","type":"text","data":"words","metadata":{"b":${BIG}}},
      {"property":"doc","type":"json","data":{"inner":${BIG}}},{"property":"doc","type":"json","data":"{\\"text\\":18446744073709551615}"}]}`
  const once = { "Idempotency-Key": "one" }
  const first = await post(objects, object(BIG, `"n":${BIG},`), "POST", once)
  const again = await post(objects, object(BIG, `"n":${BIG},`), "POST", once)
  expect(again.headers.get("idempotency-replayed")).toBe("true")
  expect(again.text).toBe(first.text)
  const second = await post(objects, object("9007199254740992", '"n":null,'))
  const third = await post(objects, object("9007199254740994", ""))
  expect(new Set([first, second, third].map(({ body }) => body.object_id)).size).toBe(3)

  const one = await appliance.call("GET", `${objects}/${first.body.object_id}`)
  const patched = await post(`${objects}/${first.body.object_id}`, `{"metadata":{"p":-${BIG}}}`, "PATCH")
  for (const text of [first.text, one.text, patched.text]) {
    expect(text).toContain(`"id":${BIG}`)
    expect(text).toContain(`"n":${BIG}`)
    expect(text).toContain(`"m":[${BIG}]`)
    expect(text).toContain(`"metadata":{"b":${BIG}}`)
    expect(text).toContain(`"data":{"inner":${BIG}}`)
    expect(text).toContain(`"data":{"text":18446744073709551615}`)
  }
  expect(patched.text).toContain(`"p":-${BIG}`)
  expect(third.text).toContain(`"n":${BIG}1`)
  const listed = await post(`${objects}/list`, `{"filters":{"id":${BIG}},"select":["n","metadata.m","n.rawJSON"]}`)
  expect(listed.body.results.map((found: { object_id: string }) => found.object_id)).toEqual([first.body.object_id])
  expect(listed.text).toContain(`"n":${BIG},"metadata":{"m":[${BIG}]}`)

  const collection = await post(
    "/v1/collections",
    `{"collection_name":"exact","source":{"type":"bucket","bucket_ids":["${made.body.bucket_id}"]},"metadata":{"c":${BIG}},
      "feature_extractor":{"feature_extractor_name":"reads","version":"1.0.0",
        "input_mappings":[{"input_key":"over","source_type":"literal","override":{"o":${BIG}}}],
        "field_passthrough":["id",{"source_path":"none","target_path":"other","default":${BIG}}]}}`,
  )
  expect(collection.text).toContain(`"metadata":{"c":${BIG}}`)
  expect(collection.text).toContain(`"default":${BIG}`)
  const batch = await post(
    `/v1/buckets/${made.body.bucket_id}/batches`,
    `{"collection_ids":["${collection.body.collection_id}"],"filters":{"field":"id","operator":"in","value":[${BIG},9007199254740992]},"metadata":{"b":${BIG}},"auto_submit":true}`,
  )
  expect(batch.text).toContain(`"metadata":{"b":${BIG}}`)
  const ended = await waitForBatch(appliance, made.body.bucket_id, batch.body.batch_id)
  expect([ended.rows_done, ended.rows_failed]).toEqual([2, 0])

  const documents = `/v1/collections/${collection.body.collection_id}/documents/list`
  const found = await post(documents, `{"filters":{"id":${BIG}}}`)
  expect(found.body.results).toHaveLength(1)
  expect(found.body.results[0].saw).toBe(`('int', ${BIG}, 'words', {'o': ${BIG}})`)
  expect(found.text).toContain(`"id":${BIG}`)
  expect(found.text).toContain(`"other":${BIG}`)
  const groups = await post(documents, `{"group_by":"id"}`)
  expect(groups.body.groups).toHaveLength(2)
  const sorted = await post(documents, `{"sort":{"field":"id","direction":"desc"}}`)
  expect(sorted.body.results.map((document: { object_id: string }) => document.object_id)).toEqual([
    first.body.object_id,
    second.body.object_id,
  ])
}, 180_000)

test("a whole number reaches the plugin as it is beside rows without one, with a fraction, and of any size of 64 bits", async () => {
  await using appliance = await startTestAppliance()
  await published(appliance, {
    name: "mixed",
    call: `batch["saw"] = [repr(n) for n in batch["n"].tolist()]
return batch`,
  })
  const { bucket } = await bucketOf(appliance, [])
  const numbers = [BIG, "1.5", "null", "18446744073709551615", "-9223372036854775808", "7"]
  const objects = numbers.map((n) => `{"n":${n},"blobs":[{"property":"text","type":"text","data":"${n}"}]}`)
  const sent = await appliance.call("POST", `/v1/buckets/${bucket}/objects/batch`, { raw: `{"objects":[${objects}]}` })
  expect(sent.body.failed_count).toBe(0)
  const collection = await collectionOf(appliance, bucket, "mixed")
  const batch = await trigger(appliance, bucket, collection)
  expect(batch.rows_done).toBe(numbers.length)
  expect(await said(appliance, collection, {}, ["saw"])).toEqual(
    [BIG, "1.5", "None", "18446744073709551615", "-9223372036854775808", "7"].sort(),
  )
}, 180_000)

test("JSON in a text is refused for what a body is refused for", async () => {
  await using appliance = await startTestAppliance()
  const made = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "texts of json", bucket_schema: { properties: { doc: { type: "json" } } } },
  })
  for (const [data, message] of [
    ['{"a":"\\ud800"}', "half a surrogate pair at 'a'"],
    ['{"a":[18446744073709551617]}', "a whole number of more than 64 bits at 'a.0'"],
    ['{"a":1e999}', "a number that is too large at 'a'"],
    [`{"a":${"[".repeat(70)}${"]".repeat(70)}}`, "nested deeper than 64 levels"],
  ]) {
    const answer = await appliance.call("POST", `/v1/buckets/${made.body.bucket_id}/objects`, {
      body: { blobs: [{ property: "doc", type: "json", data }] },
    })
    expect(answer.status).toBe(422)
    expect(answer.body.error.message).toContain(message as string)
  }
})
