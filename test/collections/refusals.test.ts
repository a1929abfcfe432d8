import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"

let appliance: TestAppliance
let bucket: string

beforeAll(async () => {
  appliance = await startTestAppliance()
  await published(appliance, { name: "plain_text" })
  bucket = (await bucketOf(appliance, [])).bucket
})
afterAll(() => appliance[Symbol.asyncDispose]())

test("parameters that the plugin's own class refuses answer 422 at the collection", async () => {
  const { status, body } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "refused",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "plain_text", version: "1.0", parameters: { threshold: 7 } },
    },
  })
  expect(status).toBe(422)
  expect(body.error.details.validation_errors[0].location).toEqual([
    "body",
    "feature_extractor",
    "parameters",
    "threshold",
  ])
})

test("a collection refuses a mapping to an input that the plugin does not have", async () => {
  const { status, body } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "misspelt",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: {
        feature_extractor_name: "plain_text",
        version: "1.0.0",
        input_mappings: { texxt: "text" },
      },
    },
  })
  expect(status).toBe(422)
  expect(body.error.message).toContain("texxt")
})

test("a collection refuses another extractor or other parameters in a PATCH; only the version moves", async () => {
  const collection = await collectionOf(appliance, bucket, "plain_text")
  for (const feature_extractor of [
    { feature_extractor_name: "chunker", version: "1.0.0" },
    { version: "1.0.0", parameters: { threshold: 0.1 } },
  ]) {
    const { status } = await appliance.call("PATCH", `/v1/collections/${collection}`, { body: { feature_extractor } })
    expect(status).toBe(422)
  }
})

test("a collection refuses a trigger when its bucket was deleted", async () => {
  const { bucket: gone } = await bucketOf(appliance, [])
  const collection = await collectionOf(appliance, gone, "plain_text")
  await appliance.call("DELETE", `/v1/buckets/${gone}`)
  expect((await appliance.call("POST", `/v1/collections/${collection}/trigger`)).status).toBe(400)
})

test("mappings are answered as they were sent: a map of paths, or the list where one is a literal", async () => {
  const paths = await collectionOf(appliance, bucket, "plain_text", { input_mappings: { text: "title" } })
  const literal = await collectionOf(appliance, bucket, "plain_text", {
    input_mappings: [{ input_key: "text", source_type: "literal", override: "always this" }],
  })
  const answered = async (id: string) =>
    (await appliance.call("GET", `/v1/collections/${id}`)).body.feature_extractor.input_mappings
  expect(await answered(paths)).toEqual({ text: "title" })
  expect(await answered(literal)).toEqual([
    { input_key: "text", source_type: "literal", path: null, override: "always this" },
  ])
})
