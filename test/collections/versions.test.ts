import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import {
  addTexts,
  bucketOf,
  collectionOf,
  publishEcho,
  rewrite,
  said,
  startTrigger,
  trigger,
} from "../support/collections.ts"
import { textPlugin, upload } from "../support/plugins.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: "2" } })
  for (const version of ["1.0.0", "1.1.0", "2.0.0"]) await publishEcho(appliance, "echo", version)
})
afterAll(() => appliance[Symbol.asyncDispose]())

const move = (collection: string, version: string) =>
  appliance.call("PATCH", `/v1/collections/${collection}`, { body: { feature_extractor: { version } } })
const drop = (collection: string, version: string) =>
  appliance.call("DELETE", `/v1/collections/${collection}/features?version=${version}`)
const features = async (collection: string) =>
  (await appliance.call("GET", `/v1/collections/${collection}/features`)).body
const versions = async (collection: string) =>
  (await features(collection)).versions.map((one: { version: string; current: boolean; document_count: number }) => [
    one.version,
    one.current,
    one.document_count,
  ])
/** What each document says and which version made it, sorted. */
const documents = (collection: string, body: object = {}) => said(appliance, collection, body, ["said", "by"])

/** Two texts, processed by 1.0.0, then moved to 1.1.0. */
async function moved() {
  const { bucket, ids } = await bucketOf(appliance, ["a", "b"])
  const collection = await collectionOf(appliance, bucket, "echo")
  expect((await trigger(appliance, bucket, collection)).rows_done).toBe(2)
  expect((await move(collection, "v1.1")).body.feature_extractor).toMatchObject({
    version: "1.1.0",
    feature_extractor_id: "echo_1_1_0",
  })
  return { bucket, ids, collection }
}

describe("a collection that was moved to another version", () => {
  test("processes what is new or changed since by the new one, and everything on demand", async () => {
    const { bucket, ids, collection } = await moved()
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
    await addTexts(appliance, bucket, ["c"])
    await rewrite(appliance, bucket, ids[0], "A")
    expect((await trigger(appliance, bucket, collection)).rows_done).toBe(2)
    expect(await documents(collection, { version: "1.1.0" })).toEqual(["A 1.1.0", "c 1.1.0"])
    expect((await trigger(appliance, bucket, collection, { reembed: true })).rows_done).toBe(3)
    expect(await documents(collection, { version: "current" })).toEqual(["A 1.1.0", "b 1.1.0", "c 1.1.0"])
    expect(await documents(collection, { version: "1.0" })).toEqual(["a 1.0.0", "b 1.0.0"])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
  })

  test.each(["a", "slow"])("that has or is making documents of its own, of '%s', processes all", async (own) => {
    const { bucket, ids } = await bucketOf(appliance, [own, "b"])
    const collection = await collectionOf(appliance, bucket, "echo")
    await move(collection, "1.1.0")
    const first = await startTrigger(appliance, collection, { object_ids: [ids[0]] })
    if (own === "a") await waitForBatch(appliance, bucket, first)
    await move(collection, "1.0.0")
    await rewrite(appliance, bucket, ids[0], "A")
    expect((await trigger(appliance, bucket, collection)).rows_done).toBe(2)
    await move(collection, "1.1.0")
    await appliance.call("POST", `/v1/buckets/${bucket}/batches/${first}/cancel`)
    expect((await trigger(appliance, bucket, collection)).rows_done).toBe(2)
    expect(await documents(collection)).toEqual(["A 1.1.0", "b 1.1.0"])
  })

  test("shows each object once unless asked: as the current version made it, else as an older one did", async () => {
    const { bucket, ids, collection } = await moved()
    expect(await documents(collection)).toEqual(["a 1.0.0", "b 1.0.0"])
    await addTexts(appliance, bucket, ["c"])
    await rewrite(appliance, bucket, ids[0], "A")
    await trigger(appliance, bucket, collection)
    const expected = ["A 1.1.0", "b 1.0.0", "c 1.1.0"]
    expect(await documents(collection)).toEqual(expected)
    expect(await documents(collection, { version: "all" })).toEqual(["A 1.1.0", "a 1.0.0", "b 1.0.0", "c 1.1.0"])
    const path = `/v1/collections/${collection}/documents`
    // By every way of reading: pages, sorts, groups, totals, filters.
    const first = await appliance.call("GET", `${path}?limit=2&include_total=true`)
    expect(first.body.pagination.total).toBe(3)
    const rest = await appliance.call("GET", `${path}?limit=2&cursor=${first.body.pagination.next_cursor}`)
    const paged = [...first.body.results, ...rest.body.results]
    expect(paged.map(({ said: text, by }: { said: string; by: string }) => `${text} ${by}`).sort()).toEqual(expected)
    const sorted = await appliance.call("POST", `${path}/list`, {
      body: { sort: { field: "said", direction: "desc" } },
    })
    expect(sorted.body.results.map((one: { said: string }) => one.said)).toEqual(["c", "b", "A"])
    const grouped = await appliance.call("POST", `${path}/list`, { body: { group_by: "by" } })
    expect(grouped.body.groups.map((one: { group_key: string; count: number }) => [one.group_key, one.count])).toEqual([
      ["1.0.0", 1],
      ["1.1.0", 2],
    ])
    expect(await documents(collection, { filters: { said: "a" } })).toEqual(["A 1.1.0"])
    // What the third version does outranks both; what it has not done is the second's before the first's.
    await move(collection, "2.0.0")
    await trigger(appliance, bucket, collection, { object_ids: [ids[1]] })
    expect(await documents(collection)).toEqual(["A 1.1.0", "b 2.0.0", "c 1.1.0"])
    // Back again, its own documents come first.
    await move(collection, "1.0.0")
    expect(await documents(collection)).toEqual(["a 1.0.0", "b 1.0.0", "c 1.1.0"])
  })

  test("tells of every document and feature which version it is of, to be filtered by", async () => {
    const { bucket, collection } = await moved()
    await trigger(appliance, bucket, collection, { reembed: true })
    const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { version: "all", filters: { "_internal.processing.feature_extractor_version": "1.0.0" } },
    })
    expect(body.results).toHaveLength(2)
    const processing = { plugin_id: "echo_1_0_0", feature_extractor_name: "echo", feature_extractor_version: "1.0.0" }
    for (const document of body.results) {
      expect(document).toMatchObject({
        feature_extractor_id: "echo_1_0_0",
        feature_extractor_version: "1.0.0",
        _internal: { processing },
      })
      const one = await appliance.call("GET", `/v1/collections/${collection}/documents/${document.document_id}`)
      expect(one.body._internal.processing).toMatchObject(processing)
    }
    for (const filters of [
      { feature_extractor_version: "1.1.0" },
      { feature_extractor_id: "echo_1_1_0" },
      { "_internal.processing.plugin_id": "echo_1_1_0" },
      {
        AND: [{ field: "_internal.processing.feature_extractor_name", value: "echo" }],
        NOT: [{ field: "by", value: "1.0.0" }],
      },
    ]) {
      expect(await documents(collection, { version: "all", filters })).toEqual(["a 1.1.0", "b 1.1.0"])
    }
    const described = await features(collection)
    const summary = described.features.map((one: Record<string, unknown>) => [
      one.feature_uri,
      one.current,
      one.primary,
      one.document_count,
    ])
    expect(summary).toEqual([
      ["mixpeek://echo@1.1.0/echo_embedding", true, true, 2],
      ["mixpeek://echo@1.0.0/echo_embedding", false, false, 2],
    ])
    expect(described.features[1].vector_index).toMatchObject({ dimensions: 4, distance: "cosine", type: "dense" })
    const { body: shown } = await appliance.call("GET", `/v1/collections/${collection}`)
    expect(shown.vector_indexes.map((index: { feature_uri: string }) => index.feature_uri)).toEqual([
      "mixpeek://echo@1.1.0/echo_embedding",
    ])
  })

  test("lets a batch that is under way end with the version that it was submitted with", async () => {
    await publishEcho(appliance, "drags", "1.0.0", 2)
    await publishEcho(appliance, "drags", "1.1.0", 0)
    const { bucket, ids } = await bucketOf(appliance, ["slow a"])
    const collection = await collectionOf(appliance, bucket, "drags")
    const batch = await startTrigger(appliance, collection)
    expect((await move(collection, "1.1.0")).status).toBe(200)
    // Nothing was done before the move: the new version has all to do.
    expect((await trigger(appliance, bucket, collection)).object_ids).toEqual(ids)
    expect((await drop(collection, "1.0.0")).body.error.message).toContain(`Batch ${batch} still runs version 1.0.0`)
    const ended = await waitForBatch(appliance, bucket, batch)
    expect(ended.tier_tasks[0].extractor_jobs[0]).toMatchObject({
      extractor_type: "drags_1_0_0",
      plugin_version: "1.0.0",
    })
    expect(await documents(collection, { version: "1.0.0" })).toEqual(["slow a 1.0.0"])
    expect(await documents(collection)).toEqual(["slow a 1.1.0"])
  })

  test("reads the documents of a version whose plugin was deleted", async () => {
    await publishEcho(appliance, "leaves")
    await publishEcho(appliance, "leaves", "1.1.0")
    const { bucket } = await bucketOf(appliance, ["a"])
    const collection = await collectionOf(appliance, bucket, "leaves")
    await trigger(appliance, bucket, collection)
    await move(collection, "1.1.0")
    expect(
      (await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/leaves_1_0_0`)).status,
    ).toBe(200)
    expect(await documents(collection)).toEqual(["a 1.0.0"])
    const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { return_vectors: true, version: "1.0.0" },
    })
    expect(body.results[0].leaves_embedding).toHaveLength(4)
    expect(await versions(collection)).toEqual([
      ["1.1.0", true, 0],
      ["1.0.0", false, 1],
    ])
    expect((await drop(collection, "1.0.0")).status).toBe(200)
  })
})

describe("dropping a version", () => {
  test("takes its documents and features away and leaves the current one's", async () => {
    const { bucket, collection } = await moved()
    await trigger(appliance, bucket, collection, { reembed: true })
    const [old] = (await appliance.call("GET", `/v1/collections/${collection}/documents?version=1.0.0`)).body.results
    const dropped = await drop(collection, "1.0.0")
    expect(dropped.body).toMatchObject({ success: true, version: "1.0.0", documents_removed: 2 })
    expect(await documents(collection, { version: "all" })).toEqual(["a 1.1.0", "b 1.1.0"])
    expect(await versions(collection)).toEqual([["1.1.0", true, 2]])
    const path = `/v1/collections/${collection}/documents`
    expect((await appliance.call("GET", `${path}/${old.document_id}`)).status).toBe(404)
    expect((await appliance.call("GET", `${path}?version=1.0.0`)).status).toBe(404)
    expect((await drop(collection, "1.0.0")).status).toBe(404)
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
  })

  test("before the new version has done all leaves the rest to the next trigger", async () => {
    const { bucket, collection } = await moved()
    await addTexts(appliance, bucket, ["c"])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(1)
    expect((await drop(collection, "1.0.0")).body.documents_removed).toBe(2)
    expect(await said(appliance, collection)).toEqual(["c"])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(3)
    expect(await said(appliance, collection)).toEqual(["a", "b", "c"])
  })

  test("is refused for the current version, for what is none, and while a batch runs it", async () => {
    const { bucket, collection } = await moved()
    expect((await drop(collection, "1.1.0")).body.error.message).toContain("current")
    expect((await drop(collection, "newest")).status).toBe(422)
    expect((await drop(collection, "")).status).toBe(422)
    await addTexts(appliance, bucket, ["c"])
    await trigger(appliance, bucket, collection)
    await addTexts(appliance, bucket, ["slow d"])
    const running = await startTrigger(appliance, collection)
    await move(collection, "1.0.0")
    const refused = await drop(collection, "1.1.0")
    expect(refused.status).toBe(400)
    expect(refused.body.error.details.batch_ids).toEqual([running])
    await appliance.call("POST", `/v1/buckets/${bucket}/batches/${running}/cancel`, {})
    expect((await drop(collection, "1.1.0")).status).toBe(200)
  })
})

describe("a move is refused", () => {
  test("to a version that is unknown or none, to another extractor, and with other settings", async () => {
    const { collection } = await moved()
    const patched = async (feature_extractor: object) =>
      (await appliance.call("PATCH", `/v1/collections/${collection}`, { body: { feature_extractor } })).status
    expect(await patched({ version: "9.9.9" })).toBe(404)
    expect(await patched({ version: "newest" })).toBe(422)
    expect(await patched({ feature_extractor_name: "other", version: "1.0.0" })).toBe(422)
    expect(await patched({ version: "1.0.0", input_mappings: { text: "title" } })).toBe(422)
    expect(await patched({ version: "1.0.0", feature_extractor_name: "echo" })).toBe(200)
  })

  test("where the new version does not take the collection's parameters or mapped inputs", async () => {
    const files = textPlugin({ name: "strict" })
    expect((await upload(appliance, files, { name: "strict" })).status).toBe(200)
    const changed = (version: string, from: string, to: string) => ({
      ...textPlugin({ name: "strict", version }),
      "manifest.py": (textPlugin({ name: "strict", version })["manifest.py"] ?? "").replace(from, to),
    })
    const narrow = changed("1.1.0", "default=0.5, ge=0, le=1", "default=0.1, ge=0, le=0.2")
    expect((await upload(appliance, narrow, { name: "strict", version: "1.1.0" })).status).toBe(200)
    const renamed = changed("1.2.0", "text: str = Field(..., ", "content: str = Field(..., ")
    expect((await upload(appliance, renamed, { name: "strict", version: "1.2.0" })).status).toBe(200)
    const { bucket } = await bucketOf(appliance, ["a"])
    const collection = await collectionOf(appliance, bucket, "strict", {
      parameters: { threshold: 0.9 },
      input_mappings: { text: "text" },
    })
    const parameters = await move(collection, "1.1.0")
    expect(parameters.status).toBe(422)
    expect(parameters.body.error.details.validation_errors[0].location).toContain("threshold")
    const inputs = await move(collection, "1.2.0")
    expect(inputs.status).toBe(422)
    expect(inputs.body.error.message).toContain("input_mappings names 'text'")
    expect((await appliance.call("GET", `/v1/collections/${collection}`)).body.feature_extractor.version).toBe("1.0.0")
  })
})
