/** What a collection is asked in vain is taken, as the contract has it, and said in `warnings`. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf, trigger } from "../support/collections.ts"
import { published } from "../support/plugins.ts"

let appliance: TestAppliance
let bucket: string

beforeAll(async () => {
  appliance = await startTestAppliance()
  await published(appliance, { name: "plain_text" })
  bucket = (await bucketOf(appliance, ["a"])).bucket
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** The place of each, and all that they say. */
async function warned(extractor: object, source: object = { type: "bucket", bucket_ids: [bucket] }, more: object = {}) {
  const { status, body } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `warned ${crypto.randomUUID()}`,
      source,
      feature_extractor: { feature_extractor_name: "plain_text", version: "1.0.0", ...extractor },
      ...more,
    },
  })
  const warnings: string[] = body.warnings
  return { status, at: warnings.map((warning) => warning.split(":")[0]), said: warnings.join("\n") }
}

test("a path that no schema of the source has is told, with what there is; metadata is free and never told", async () => {
  const misspelt = await warned({
    input_mappings: { text: "txet" },
    field_passthrough: ["titel", "metadata.author", { source_path: "note", default: "none" }],
  })
  expect([misspelt.status, misspelt.at]).toEqual([
    200,
    ["feature_extractor.input_mappings.text", "feature_extractor.field_passthrough.0.source_path"],
  ])
  expect(misspelt.said).toContain("'txet' is in no schema of the source, which has text")
  expect((await warned({ input_mappings: { text: "$.payload.text" } })).at).toEqual([])
})

test("a chained collection may map what is above it: outputs, vectors, fields of documents and files of the object", async () => {
  const above = await collectionOf(appliance, bucket, "plain_text")
  const source = { type: "collection", collection_ids: [above] }
  for (const path of ["label", "plain_text_embedding", "root_object_id", "text"]) {
    expect((await warned({ input_mappings: { text: path } }, source)).at).toEqual([])
  }
  expect((await warned({ input_mappings: { text: "lable" } }, source)).said).toContain("label")
})

test("keys that nothing reads are told at each level of the request, but not what an answer has or what is null", async () => {
  const { at } = await warned(
    { paramters: { threshold: 1 }, feature_extractor_id: "plain_text_1_0_0", other: null },
    { type: "bucket", bucket_ids: [bucket], bucket_idss: ["a"] },
    { descripton: "a" },
  )
  expect(at).toEqual(["descripton", "source.bucket_idss", "feature_extractor.paramters"])
})

test("a key of a collection's change that nothing reads is told", async () => {
  const collection = await collectionOf(appliance, bucket, "plain_text")
  const { status, body } = await appliance.call("PATCH", `/v1/collections/${collection}`, {
    body: { descripton: "a", enabled: true },
  })
  expect([status, body.warnings.length]).toEqual([200, 1])
  expect(body.warnings[0]).toStartWith("descripton: 'descripton' is not read; there are collection_name, ")
})

test("however many keys are not read, twenty are told", async () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key_${index}`, index]))
  expect((await warned(many, undefined, many)).at).toHaveLength(40)
})

test("a parameter that the plugin's class passes over is told with those that it has", async () => {
  const { at, said } = await warned({ parameters: { treshold: 0.1 } })
  expect(at).toEqual(["feature_extractor.parameters.treshold"])
  expect(said).toContain("threshold")
})

test("a passed field that an output or the document's own field hides is told", async () => {
  const { at } = await warned({
    field_passthrough: [
      { source_path: "text", target_path: "label" },
      { source_path: "text", target_path: "document_id" },
    ],
  })
  expect(at).toEqual([
    "feature_extractor.field_passthrough.0.target_path",
    "feature_extractor.field_passthrough.1.target_path",
  ])
})

test("a nested path passes through under its last name, which filters find", async () => {
  await appliance.call("POST", `/v1/buckets/${bucket}/objects`, {
    body: { blobs: [{ property: "text", type: "text", data: "b" }], metadata: { author: "Ada" } },
  })
  const collection = await collectionOf(appliance, bucket, "plain_text", { field_passthrough: ["metadata.author"] })
  await trigger(appliance, bucket, collection)
  const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
    body: { filters: { author: "Ada" } },
  })
  expect(body.results).toMatchObject([{ author: "Ada" }])
  expect(body.results[0]).not.toHaveProperty("metadata.author")
})
