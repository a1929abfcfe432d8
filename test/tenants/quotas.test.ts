import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { type Answer, eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { TERMINAL } from "../support/batch.ts"
import { textPlugin, upload } from "../support/plugins.ts"

const TEXT_BUCKET = { bucket_schema: { properties: { text: { type: "text" } } } }

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_QUOTA_OBJECTS: "1000", MIXPEEK_WORKERS: "4" } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** A namespace of its own, with these quotas. */
async function namespace(name: string, quotas: Record<string, number | null>): Promise<string> {
  await appliance.call("POST", "/v1/namespaces", { body: { namespace_name: name } })
  const changed = await appliance.call("PATCH", `/v1/namespaces/${name}`, { body: { quotas } })
  expect(changed.status).toBe(200)
  return name
}

async function bucket(name: string): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "texts", ...TEXT_BUCKET },
    namespace: name,
  })
  return body.bucket_id
}

const object = (data: string) => ({ blobs: [{ property: "text", type: "text", data }] })

describe("quotas of a namespace", () => {
  test("are the server's until an administrator sets others, and again when they are taken back", async () => {
    const before = await appliance.call("GET", "/v1/namespaces/default")
    expect(before.body.quotas).toEqual({
      plugins: null,
      objects: 1000,
      bytes: null,
      workers: null,
      requests_per_second: null,
    })
    const changed = await appliance.call("PATCH", "/v1/namespaces/default", {
      body: { quotas: { objects: 5, workers: 2 } },
    })
    expect(changed.body.quotas).toMatchObject({ objects: 5, workers: 2 })
    const one = await appliance.call("PATCH", "/v1/namespaces/default", { body: { quotas: { objects: null } } })
    expect(one.body.quotas).toMatchObject({ objects: 1000, workers: 2 })
    const all = await appliance.call("PATCH", "/v1/namespaces/default", { body: { quotas: null } })
    expect(all.body.quotas).toEqual(before.body.quotas)
  })

  test("cannot be raised by a key that is not an administrator's", async () => {
    const made = await appliance.call("POST", "/v1/organizations/users/dev@example.com/api-keys", {
      body: { name: "writer", permissions: ["read", "write", "delete"] },
    })
    const answer = await appliance.call("PATCH", "/v1/namespaces/default", {
      body: { quotas: { objects: 1_000_000 } },
      key: made.body.key,
    })
    expect(answer.status).toBe(403)
    expect(answer.body.error).toMatchObject({ type: "ForbiddenError", details: { required: "admin" } })
    const rest = await appliance.call("PATCH", "/v1/namespaces/default", {
      body: { description: "changed" },
      key: made.body.key,
    })
    expect(rest.status).toBe(200)
  })

  test.each([{ objects: 0 }, { objects: -1 }, { objects: "many" }, { elephants: 3 }])("refuse %p", async (quotas) => {
    const answer = await appliance.call("PATCH", "/v1/namespaces/default", { body: { quotas } })
    expect(answer.status).toBe(422)
  })

  test("refuse the object that is one too many, and count what is removed", async () => {
    const name = await namespace("few-objects", { objects: 3 })
    const id = await bucket(name)
    const create = (data: string) =>
      appliance.call("POST", `/v1/buckets/${id}/objects`, { body: object(data), namespace: name })
    const made = [await create("a"), await create("b")]
    expect(made.map(({ status }) => status)).toEqual([200, 200])
    const bulk = await appliance.call("POST", `/v1/buckets/${id}/objects/batch`, {
      body: { objects: [object("c"), object("d")] },
      namespace: name,
    })
    expect(bulk.status).toBe(403)
    expect(bulk.body.error).toMatchObject({
      type: "QuotaExceededError",
      details: { resource: "objects", current: 2, limit: 3 },
    })
    // Nothing of the refused request is there.
    const listed = await appliance.call("POST", `/v1/buckets/${id}/objects/list`, { body: {}, namespace: name })
    expect(listed.body.results).toHaveLength(2)
    expect((await create("c")).status).toBe(200)
    expect((await create("d")).status).toBe(403)
    await appliance.call("DELETE", `/v1/buckets/${id}/objects/${made[0]?.body.object_id}`, { namespace: name })
    expect((await create("d")).status).toBe(200)
  })

  test("let exactly as many through as there is room for, however many ask at once", async () => {
    const name = await namespace("raced-objects", { objects: 5 })
    const id = await bucket(name)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        appliance.call("POST", `/v1/buckets/${id}/objects`, { body: object(`text ${n}`), namespace: name }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(15)
  })

  test("bound the bytes of objects and of files that are not confirmed yet", async () => {
    const name = await namespace("few-bytes", { bytes: 1000 })
    const id = await bucket(name)
    const announced = await appliance.call("POST", `/v1/buckets/${id}/uploads`, {
      body: { filename: "big.txt", content_type: "text/plain", file_size_bytes: 1001, blob_property: "text" },
      namespace: name,
    })
    expect(announced.status).toBe(403)
    const reserve = (filename: string) =>
      appliance.call("POST", `/v1/buckets/${id}/uploads`, {
        body: { filename, content_type: "text/plain", blob_property: "text", skip_duplicates: false },
        namespace: name,
      })
    const put = (answer: Answer, bytes: number) =>
      fetch(answer.body.presigned_url, { method: "PUT", body: "x".repeat(bytes) })
    const confirm = (answer: Answer) =>
      appliance.call("POST", `/v1/buckets/${id}/uploads/${answer.body.upload_id}/confirm`, {
        body: {},
        namespace: name,
      })
    const first = await reserve("first.txt")
    expect((await put(first, 700)).status).toBe(200)
    const second = await reserve("second.txt")
    const refused = await put(second, 400)
    expect(refused.status).toBe(403)
    expect(JSON.parse(await refused.text()).error.details).toMatchObject({
      resource: "bytes",
      current: 700,
      limit: 1000,
    })
    expect((await confirm(first)).status).toBe(200)
    expect((await put(second, 200)).status).toBe(200)
    expect((await confirm(second)).status).toBe(200)
  })

  test("refuse the plugin that is one too many, when it is reserved and when it is uploaded", async () => {
    const name = await namespace("few-plugins", { plugins: 1 })
    const { body: found } = await appliance.call("GET", `/v1/namespaces/${name}`)
    const route = `/v1/namespaces/${found.namespace_id}/plugins/uploads`
    const early = await appliance.call("POST", route, { body: { name: "second_one", version: "1.0.0" } })
    expect(early.status).toBe(200)
    const answer = await upload(appliance, textPlugin({ name: "first_one" }), {
      name: "first_one",
      namespace: found.namespace_id,
    })
    expect(answer.status).toBe(200)
    for (const refused of [
      await appliance.call("POST", route, { body: { name: "third_one", version: "1.0.0" } }),
      await upload(appliance, textPlugin({ name: "third_one" }), { name: "third_one", namespace: found.namespace_id }),
    ]) {
      expect(refused.status).toBe(403)
      expect(refused.body.error).toMatchObject({
        type: "QuotaExceededError",
        details: { current_count: 1, max_allowed: 1 },
      })
      expect(refused.body.detail).toMatchObject({ type: "QuotaExceededError" })
    }
  })

  test.each([
    ["bound how many workers a namespace has at one time", 1, (most: number) => expect(most).toBe(1)],
    ["leave a namespace all slots otherwise", null, (most: number) => expect(most).toBeGreaterThan(1)],
  ])("%s", async (_, workers, judge) => {
    const name = await namespace(`workers-${workers}`, { workers })
    const call = `import time
time.sleep(1)
batch['label'] = 'x'
batch['slow_embedding'] = [[0.0] * 4] * len(batch)
return batch`
    await upload(appliance, textPlugin({ name: "slow", call }), { name: "slow", namespace: name })
    const id = await bucket(name)
    const { body: collection } = await appliance.call("POST", "/v1/collections", {
      body: {
        collection_name: "slow",
        source: { type: "bucket", bucket_ids: [id] },
        feature_extractor: { feature_extractor_name: "slow", version: "1.0.0" },
      },
      namespace: name,
    })
    const batches: string[] = []
    for (const text of ["a", "b", "c"]) {
      await appliance.call("POST", `/v1/buckets/${id}/objects`, { body: object(text), namespace: name })
      const { body } = await appliance.call("POST", `/v1/buckets/${id}/batches/trigger`, {
        body: { collection_ids: [collection.collection_id] },
        namespace: name,
      })
      batches.push(body.batch_id)
    }
    using ledger = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
    const leases = ledger.query<{ leases: number }, []>(
      "SELECT count(*) AS leases FROM partitions WHERE state = 'leased'",
    )
    let most = 0
    await eventually(async () => {
      most = Math.max(most, leases.get()?.leases ?? 0)
      const ends = batches.map(async (batchId) => {
        const { body } = await appliance.call("GET", `/v1/buckets/${id}/batches/${batchId}`, { namespace: name })
        return TERMINAL.includes(body.status)
      })
      return (await Promise.all(ends)).every(Boolean) ? true : null
    }, 180_000)
    judge(most)
  })
})

describe("requests of a namespace", () => {
  const ask = (options: Parameters<TestAppliance["call"]>[2]) => appliance.call("GET", "/v1/buckets", options)

  test("tell in every answer what is left", async () => {
    const name = await namespace("counted", { requests_per_second: 50 })
    const answer = await ask({ namespace: name })
    expect(answer.headers.get("X-RateLimit-Limit")).toBe("50")
    expect(answer.headers.get("X-RateLimit-Window")).toBe("1")
    expect(Number(answer.headers.get("X-RateLimit-Remaining"))).toBeLessThan(50)
    expect(Math.abs(Number(answer.headers.get("X-RateLimit-Reset")) - Date.now() / 1000)).toBeLessThan(3)
    const unlimited = await appliance.call("GET", "/v1/organizations")
    expect(unlimited.headers.get("X-RateLimit-Limit")).toBe("2147483647")
    const failed = await appliance.call("GET", "/v1/buckets/bkt_nothing", { namespace: name })
    expect(failed.status).toBe(404)
    expect(failed.headers.get("X-RateLimit-Limit")).toBe("50")
  })

  test("over the limit are refused with 429 and Retry-After; another namespace is served meanwhile", async () => {
    const name = await namespace("limited", { requests_per_second: 5 })
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask({ namespace: name })))
    const refused = answers.filter(({ status }) => status === 429)
    // At most two windows were touched.
    expect(refused.length).toBeGreaterThanOrEqual(20)
    const [one] = refused
    expect(one?.headers.get("Retry-After")).toBe("1")
    expect(one?.headers.get("X-RateLimit-Remaining")).toBe("0")
    expect(one?.body).toMatchObject({
      success: false,
      error: { type: "TooManyRequestsError", details: { limit: 5, window: 1, retry_after: 1 } },
    })
    expect((await ask({ namespace: "default" })).status).toBe(200)
    // By the path as by the header, by the id as by the name.
    const { body: found } = await appliance.call("GET", "/v1/namespaces/default")
    await appliance.call("PATCH", "/v1/namespaces/default", { body: { quotas: { requests_per_second: 3 } } })
    const byPath = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        n % 2 === 0
          ? appliance.call("GET", `/v1/namespaces/${found.namespace_id}/buckets`, { namespace: null })
          : ask({ namespace: "default" }),
      ),
    )
    expect(byPath.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(14)
  })

  test("of a key with a rate limit of its own are counted for the key, per minute", async () => {
    const made = await appliance.call("POST", "/v1/organizations/users/dev@example.com/api-keys", {
      body: { name: "throttled", permissions: ["read"], rate_limit_override: 4 },
    })
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => ask({ key: made.body.key, namespace: "few-objects" })),
    )
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(8)
    const refused = answers.find(({ status }) => status === 429)
    expect(refused?.headers.get("X-RateLimit-Window")).toBe("60")
    expect(Number(refused?.headers.get("Retry-After"))).toBeLessThanOrEqual(60)
    expect((await ask({ namespace: "few-objects" })).status).toBe(200)
  })
})
