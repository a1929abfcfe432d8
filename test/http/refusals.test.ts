/** What a caller cannot have is refused with its place and with what to do instead, and never passed over. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { addTexts, bucketOf, collectionOf, publishEcho } from "../support/collections.ts"

let appliance: TestAppliance
let bucket: string
let ids: string[]
let collection: string

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: "1" } })
  await publishEcho(appliance, "echo")
  const made = await bucketOf(appliance, ["a", "b"])
  bucket = made.bucket
  ids = made.ids
  collection = await collectionOf(appliance, bucket, "echo")
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** Status, message, and where the first problem is. */
async function refused(method: string, path: string, body?: object) {
  const answer = await appliance.call(method, path, body === undefined ? {} : { body })
  const error = answer.body.error ?? {}
  const location: readonly string[] = error.details?.validation_errors?.[0]?.location ?? []
  return { status: answer.status, message: String(error.message), location: location.join(".") }
}

const batches = () => `/v1/buckets/${bucket}/batches`
const documents = () => `/v1/collections/${collection}/documents`

async function draft(): Promise<string> {
  const { body } = await appliance.call("POST", batches(), { body: { object_ids: ids } })
  return `${batches()}/${body.batch_id}`
}

test("what is missing is said to be required, and a word in place of a number that it must be one", async () => {
  expect(await refused("POST", "/v1/collections", { collection_name: "of nothing" })).toEqual({
    status: 422,
    message: "Request is not valid at body.source: is required",
    location: "body.source",
  })
  expect(await refused("GET", `${documents()}?limit=ten`)).toEqual({
    status: 422,
    message: "Request is not valid at query.limit: must be a number",
    location: "query.limit",
  })
})

test.each([
  ["query.page", "GET", "?page=12&page_size=1000", undefined],
  ["query.offset", "GET", "?offset=10001", undefined],
  ["body.page", "POST", "/list", { page: 10_000, page_size: 2 }],
  ["body.offset", "POST", "/list", { offset: 10_001 }],
] as const)(
  "a page past the last offset is refused at %s with the way to go on, not answered by another one",
  async (location, method, path, body) => {
    const answer = await refused(method, `${documents()}${path}`, body)
    expect(answer).toMatchObject({ status: 422, location })
    expect(answer.message).toContain("cursor")
    expect((await appliance.call("GET", `${documents()}?page=11&page_size=1000`)).status).toBe(200)
  },
)

test("a trigger that names no object is refused: it does not run all of them, and blames no object without a name", async () => {
  for (const path of [`${batches()}/trigger`, `/v1/collections/${collection}/trigger`]) {
    const answer = await refused("POST", path, { object_ids: [] })
    expect(answer).toMatchObject({ status: 422, location: "body.object_ids" })
    expect(answer.message).toContain("leave it out")
  }
  expect((await appliance.call("POST", `${batches()}/list`, {})).body.total_count).toBe(0)
})

test("a trigger takes as many object ids as it says, not as many as fit a small body", async () => {
  const many = Array.from({ length: 60_000 }, (_, index) => `obj_${String(index).padStart(16, "0")}`)
  for (const path of [`${batches()}/trigger`, `/v1/collections/${collection}/trigger`]) {
    expect(await refused("POST", path, { object_ids: many })).toMatchObject({ status: 404 })
  }
})

test("what of a batch cannot change is refused, a policy that is none says which there are", async () => {
  const batch = await draft()
  for (const [field, value] of Object.entries({
    failure_policy: "finish",
    object_ids: ids,
    collection_ids: [collection],
  })) {
    const answer = await refused("PATCH", batch, { priority: 1, [field]: value })
    expect(answer).toMatchObject({ status: 422, location: `body.${field}` })
    expect(answer.message).toContain("cannot change")
  }
  expect((await appliance.call("GET", batch)).body.priority).toBe(0)
  const answer = await refused("POST", `${batch}/submit`, { failure_policy: "never" })
  expect(answer).toMatchObject({ status: 422, location: "body.failure_policy" })
  expect(answer.message).toContain("'finish' or {stop_after")
})

test("a filter in another product's words is answered in ours, at its own place", async () => {
  const source_filters = { filters: { number: { $lt: 5 } } }
  const asked = await refused("POST", `/v1/collections/${collection}/trigger`, { source_filters })
  expect(asked).toMatchObject({ status: 422, location: "body.source_filters.filters.number" })
  expect(asked.message).toContain("{field, operator, value}")
  const source = { type: "bucket", bucket_ids: [bucket], source_filters }
  const feature_extractor = { feature_extractor_name: "echo", version: "1.0.0" }
  expect(
    await refused("POST", "/v1/collections", { collection_name: "filtered", source, feature_extractor }),
  ).toMatchObject({
    status: 422,
    location: "body.source.source_filters.filters.number",
  })
})

test("an extractor that is not there is answered with its versions, or with how to bring one", async () => {
  const source = { type: "bucket", bucket_ids: [bucket] }
  const create = (feature_extractor_name: string) =>
    refused("POST", "/v1/collections", {
      collection_name: "of no plugin",
      source,
      feature_extractor: { feature_extractor_name, version: "2.0.0" },
    })
  expect(await create("echo")).toMatchObject({ status: 404, message: expect.stringContaining("There are 1.0.0.") })
  expect(await create("ecco")).toMatchObject({
    status: 404,
    message: expect.stringContaining("mixpeek plugin publish"),
  })
  expect((await create("text_extractor")).message).toContain("hosted service's own")
  const moved = await refused("PATCH", `/v1/collections/${collection}`, { feature_extractor: { version: "1.1.0" } })
  expect(moved).toMatchObject({ status: 404, message: expect.stringContaining("There are 1.0.0.") })
})

test("a disabled collection, and a plugin that was deleted, say how the next batch runs", async () => {
  const other = (await bucketOf(appliance, ["c"])).bucket
  await addTexts(appliance, other, ["d"])
  await publishEcho(appliance, "leaving")
  const leaving = await collectionOf(appliance, other, "leaving")
  await appliance.call("PATCH", `/v1/collections/${leaving}`, { body: { enabled: false } })
  const disabled = await refused("POST", `/v1/collections/${leaving}/trigger`)
  expect(disabled).toMatchObject({ status: 400, message: expect.stringContaining("PATCH it with enabled: true") })
  await appliance.call("PATCH", `/v1/collections/${leaving}`, { body: { enabled: true } })
  await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/leaving_1_0_0`)
  const { body } = await appliance.call("POST", `/v1/buckets/${other}/batches/trigger`, {})
  const [job] = body.tier_tasks[0].extractor_jobs
  expect(job.error).toContain("upload it, or move the collection to another version")
})

test.each(["True", "true", "YES", "on", "1"])(
  "a flag of a query is taken as %s: Python's requests writes True",
  async (flag) => {
    expect((await appliance.call("GET", `${documents()}?include_total=${flag}`)).body.pagination.total).toBe(0)
  },
)

test("a flag that is none is refused with what it may be, and what is given twice is said to be", async () => {
  expect(await refused("GET", `${documents()}?include_total=maybe`)).toEqual({
    status: 422,
    message: "Request is not valid at query.include_total: must be true or false",
    location: "query.include_total",
  })
  expect(await refused("GET", `${documents()}?limit=2&limit=3`)).toEqual({
    status: 422,
    message: "Request is not valid at query.limit: is given more than once",
    location: "query.limit",
  })
})

test("what fits none of several forms is refused by what the form that was meant lacks", async () => {
  const refusal = (feature_extractor: object) =>
    refused("POST", "/v1/collections", {
      collection_name: "of forms",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "echo", version: "1.0.0", ...feature_extractor },
    })
  expect(await refusal({ input_mappings: { text: null } })).toMatchObject({
    message: expect.stringContaining("expected string, received null"),
    location: "body.feature_extractor.input_mappings.text",
  })
  expect(await refusal({ field_passthrough: [{ source: "text" }] })).toMatchObject({
    message: expect.stringContaining("is required"),
    location: "body.feature_extractor.field_passthrough.0.source_path",
  })
  expect(await refusal({ input_mappings: "text" })).toMatchObject({
    message: expect.stringContaining("expected array, received string; or Invalid input: expected record"),
    location: "body.feature_extractor.input_mappings",
  })
})

test("a missing choice is said to be required, with what there is to choose from", async () => {
  const answer = await refused("POST", "/v1/collections", { collection_name: "typeless", source: {} })
  expect(answer.location).toBe("body.source.type")
  expect(answer.message).toContain("is required: one of bucket, collection")
})

test("a body that is no JSON is refused with what stands in the way, however long that is", async () => {
  const sent = async (raw: string) =>
    (await appliance.call("POST", "/v1/buckets", { raw, headers: { "Content-Type": "application/json" } })).body.error
  expect((await sent('{"limit": NaN}')).message).toContain('"NaN"')
  expect((await sent(`{"a": ${"x".repeat(10_000)}}`)).message.length).toBeLessThan(300)
})

test("a collection's source_filters may hold no filters, but not conditions outside of them", async () => {
  const created = (source_filters: object) => ({
    collection_name: `filtered ${crypto.randomUUID()}`,
    source: { type: "bucket", bucket_ids: [bucket], source_filters },
    feature_extractor: { feature_extractor_name: "echo", version: "1.0.0" },
  })
  for (const nothing of [{}, { filters: null }]) {
    const { status, body } = await appliance.call("POST", "/v1/collections", { body: created(nothing) })
    expect([status, body.source.source_filters]).toEqual([200, { filters: null }])
  }
  expect(await refused("POST", "/v1/collections", created({ field: "text", value: "a" }))).toMatchObject({
    status: 422,
    location: "body.source.source_filters.filters",
  })
})
