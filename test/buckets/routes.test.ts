import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readdirSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { PNG } from "./support.ts"

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_UPLOAD_MB: "4" } })
}, 600_000)
afterAll(async () => {
  await appliance[Symbol.asyncDispose]()
})

let count = 0
async function newBucket(extra: Record<string, unknown> = {}) {
  const schema = { properties: { content: { type: "text" }, picture: { type: "image" } } }
  const body = { bucket_name: `bucket-${++count}`, bucket_schema: schema, ...extra }
  const answer = await appliance.call("POST", "/v1/buckets", { body })
  expect(answer.status).toBe(200)
  return {
    id: String(answer.body.bucket_id),
    name: String(answer.body.bucket_name),
    path: `/v1/buckets/${answer.body.bucket_id}`,
  }
}
const picture = {
  property: "picture",
  type: "image",
  data: { base64: PNG.toString("base64"), filename: "Ünï 'dot'.png" },
}
const text = (data: string) => ({ property: "content", type: "text", data })

async function reserve(path: string, extra: Record<string, unknown> = {}) {
  const body = { filename: "dot.png", content_type: "image/png", blob_property: "picture", ...extra }
  const { body: upload } = await appliance.call("POST", `${path}/uploads`, { body })
  return {
    id: String(upload.upload_id),
    url: String(upload.presigned_url),
    path: `${path}/uploads/${upload.upload_id}`,
  }
}

function filesBelow(bucketId: string): string[] {
  return readdirSync(join(appliance.dataDir, "blobs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.includes(bucketId))
    .map((entry) => entry.name)
}

test("an object made over the wire is read back, listed by both twins, changed and deleted with 204", async () => {
  const { path, name } = await newBucket()
  const body = { blobs: [text("hello"), picture], metadata: { a: 1 }, note: "kept" }
  const created = await appliance.call("POST", `/v1/buckets/${name}/objects`, { body })
  expect(created.body).toMatchObject({ note: "kept", metadata: { a: 1 }, status: "DRAFT" })
  const object = `${path}/objects/${created.body.object_id}`
  expect((await appliance.call("GET", object)).body).toEqual(created.body)
  for (const listed of [
    await appliance.call("POST", `${path}/objects/list`, { headers: { "Content-Type": "application/json" } }),
    await appliance.call("GET", `${path}/objects?include_total=true`),
  ]) {
    expect(listed.body.results).toEqual([created.body])
  }
  expect((await appliance.call("PUT", object, { body: { metadata: { b: 2 } } })).body.metadata).toEqual({ b: 2 })
  expect((await appliance.call("PATCH", object, { body: { metadata: { c: 3 } } })).body.metadata).toEqual({
    b: 2,
    c: 3,
  })
  const removed = await appliance.call("DELETE", object)
  expect([removed.status, removed.text]).toEqual([204, ""])
  expect((await appliance.call("GET", object)).status).toBe(404)
})

test("bulk refuses none, more than 100 and what is no list, and names single failures", async () => {
  const { path } = await newBucket()
  const bulk = (objects: unknown) => appliance.call("POST", `${path}/objects/batch`, { body: { objects } })
  expect((await bulk([])).status).toBe(422)
  expect((await bulk(Array.from({ length: 101 }, () => ({})))).status).toBe(422)
  expect((await bulk({})).status).toBe(422)
  const mixed = await bulk([{ blobs: [text("a")] }, { blobs: [{ property: "no", type: "text", data: "x" }] }])
  expect(mixed.body).toMatchObject({ total_requested: 2, succeeded_count: 1, failed_count: 1 })
  expect(mixed.body.failed[0]).toMatchObject({ object_index: 1, error_type: "ValidationError" })
})

test("a repeated Idempotency-Key creates one object", async () => {
  const { path } = await newBucket()
  const request = { body: { blobs: [text("once")] }, headers: { "Idempotency-Key": crypto.randomUUID() } }
  const answers = [
    await appliance.call("POST", `${path}/objects`, request),
    await appliance.call("POST", `${path}/objects`, request),
  ]
  expect(answers[1]?.body).toEqual(answers[0]?.body)
  expect((await appliance.call("GET", path)).body.object_count).toBe(1)
})

test("another organization's key finds neither bucket, object nor upload", async () => {
  const { path } = await newBucket()
  const { body: object } = await appliance.call("POST", `${path}/objects`, { body: { blobs: [text("secret")] } })
  const upload = await reserve(path)
  const requests: [string, string][] = [
    ["GET", path],
    ["PATCH", path],
    ["DELETE", path],
    ["GET", `${path}/objects`],
    ["POST", `${path}/objects/list`],
    ["GET", `${path}/objects/${object.object_id}`],
    ["PATCH", `${path}/objects/${object.object_id}`],
    ["DELETE", `${path}/objects/${object.object_id}`],
    ["POST", `${path}/uploads/list`],
    ["GET", upload.path],
    ["POST", `${upload.path}/confirm`],
    ["DELETE", upload.path],
  ]
  for (const [method, target] of requests) {
    for (const namespace of [null, appliance.namespaceId]) {
      const body = method === "GET" || method === "DELETE" ? {} : { body: {} }
      const answer = await appliance.call(method, target, { ...body, key: appliance.otherKey, namespace })
      expect([method, target, answer.status]).toEqual([method, target, 404])
      expect(answer.text).not.toContain("secret")
    }
  }
})

test("a body that is no JSON, the wrong type or nested too deep is refused with the envelope", async () => {
  const { path } = await newBucket()
  for (const target of [
    `${path}/objects`,
    `${path}/objects/batch`,
    `${path}/objects/list`,
    `${path}/uploads`,
    `${path}/uploads/list`,
  ]) {
    const headers = { "Content-Type": "application/json" }
    const broken = await appliance.call("POST", target, { raw: "{", headers })
    expect([target, broken.status, broken.body.error.type]).toEqual([target, 400, "BadRequestError"])
    const list = await appliance.call("POST", target, { raw: "[]", headers })
    expect([target, list.status, list.body.success]).toEqual([target, 422, false])
    const deep = await appliance.call("POST", target, { raw: `{"a":${"[".repeat(70)}${"]".repeat(70)}}`, headers })
    expect(deep.status).toBe(400)
    const form = await appliance.call("POST", target, { raw: "x", headers: { "Content-Type": "application/xml" } })
    expect(form.status).toBe(415)
  }
})

test("a blob whose name or type no header can hold is downloaded all the same", async () => {
  const { path } = await newBucket()
  for (const [index, named] of [
    { filename: "日本\n.svg" },
    { mime_type: "a/b\u0000" },
    { mime_type: "é/ü" },
  ].entries()) {
    const data = { base64: Buffer.from(`<svg>${index}</svg>`).toString("base64"), ...named }
    const body = { blobs: [{ property: "picture", type: "image", data }] }
    const { body: created } = await appliance.call("POST", `${path}/objects`, { body })
    const { body: object } = await appliance.call(
      "GET",
      `${path}/objects/${created.object_id}?return_presigned_urls=true`,
    )
    const download = await appliance.call("GET", object.blobs[0].properties.presigned_url, { key: null })
    expect([download.status, download.text]).toEqual([200, `<svg>${index}</svg>`])
    expect(download.headers.get("content-disposition")).toStartWith("attachment")
  }
})

test("a blob is downloaded by its signed URL as an attachment, whole or in a range, and by no other URL", async () => {
  const { path } = await newBucket()
  const { body: created } = await appliance.call("POST", `${path}/objects`, { body: { blobs: [picture] } })
  const { body: object } = await appliance.call(
    "GET",
    `${path}/objects/${created.object_id}?return_presigned_urls=true`,
  )
  const url = String(object.blobs[0].properties.presigned_url)
  const response = await fetch(url)
  expect(Buffer.from(await response.arrayBuffer())).toEqual(PNG)
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "image/png",
    "content-length": String(PNG.byteLength),
    "content-disposition": "attachment; filename*=UTF-8''%C3%9Cn%C3%AF%20%27dot%27.png",
    "x-content-type-options": "nosniff",
  })
  const part = await fetch(url, { headers: { Range: "bytes=1-3" } })
  expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([
    206,
    "PNG",
    `bytes 1-3/${PNG.byteLength}`,
  ])
  expect((await fetch(url, { headers: { Range: "bytes=999-" } })).status).toBe(416)
  const forged = [
    url.replace(/signature=./, "signature=x"),
    url.replace(/expires=\d+/, "expires=9999999999"),
    url.split("?")[0] ?? "",
  ]
  for (const other of forged) {
    const refused = await fetch(other)
    expect([refused.status, JSON.parse(await refused.text()).error.type]).toEqual([403, "ForbiddenError"])
  }
  await appliance.call("DELETE", `${path}/objects/${created.object_id}`)
  expect((await fetch(url)).status).toBe(404)
})

test("an upload goes reserve, signed PUT, confirm; a forged URL, a wrong ETag and a repeated DELETE are refused", async () => {
  const { id: bucketId, path } = await newBucket()
  const upload = await reserve(path)
  const put = (url: string, body: Uint8Array<ArrayBuffer>) =>
    fetch(url, { method: "PUT", body, headers: { "Content-Type": "image/png" } })
  const bytes = new Uint8Array(PNG)
  expect((await put(upload.url.replace(/signature=./, "signature=x"), bytes)).status).toBe(403)
  expect((await appliance.call("POST", `${upload.path}/confirm`)).status).toBe(400)
  const stored = await put(upload.url, bytes)
  const etag = stored.headers.get("etag") ?? ""
  expect([stored.status, etag]).toEqual([200, `"${createHash("md5").update(PNG).digest("hex")}"`])
  expect((await appliance.call("POST", `${upload.path}/confirm`, { body: { etag: "wrong" } })).status).toBe(400)
  const confirmed = await appliance.call("POST", `${upload.path}/confirm`, { body: { etag } })
  expect(confirmed.body).toMatchObject({ status: "COMPLETED", upload_id: upload.id })
  const { body: object } = await appliance.call("GET", `${path}/objects/${confirmed.body.object_id}`)
  expect(object.blobs[0].properties.url).toBe(`s3://${bucketId}/${createHash("sha256").update(PNG).digest("hex")}`)
  expect((await appliance.call("DELETE", upload.path)).status).toBe(400)
  const listed = await appliance.call("POST", `${path}/uploads/list`, { body: { filters: { status: "COMPLETED" } } })
  expect(listed.body).toMatchObject({ results: [{ upload_id: upload.id }], stats: { total_uploads: 1 } })
  const given = await reserve(path)
  expect((await appliance.call("DELETE", given.path)).status).toBe(204)
  expect((await appliance.call("DELETE", given.path)).status).toBe(404)
  expect((await put(given.url, bytes)).status).toBe(404)
})

test("a PUT over the limit answers 413, one that breaks off leaves nothing, and the earlier bytes stay", async () => {
  const { id: bucketId, path } = await newBucket()
  const upload = await reserve(path)
  expect((await fetch(upload.url, { method: "PUT", body: new Uint8Array(PNG) })).status).toBe(200)
  const large = await fetch(upload.url, { method: "PUT", body: new Uint8Array(4 * 1024 * 1024 + 1) })
  expect([large.status, JSON.parse(await large.text()).error.details.limit_bytes]).toEqual([413, 4 * 1024 * 1024])
  await breakOff(upload.url)
  await eventually(async () => filesBelow(bucketId).every((name) => !name.endsWith(".partial")))
  expect(filesBelow(bucketId)).toEqual([createHash("sha256").update(PNG).digest("hex")])
  expect((await appliance.call("POST", `${upload.path}/confirm`)).body).toMatchObject({
    file_size_bytes: PNG.byteLength,
  })
})

/** Announces 100,000 bytes, sends 1,000, waits until they are on disk, and hangs up. */
async function breakOff(url: string): Promise<void> {
  const { hostname, port, pathname, search } = new URL(url)
  const socket = connect(Number(port), hostname)
  const closed = new Promise((resolve) => socket.once("close", resolve))
  socket.on("error", () => {})
  socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${"x".repeat(1000)}`)
  await Bun.sleep(200)
  socket.destroy()
  await closed
}

test("what a SIGKILL left without a row is gone after the next start, and what was answered is there", async () => {
  const { id: bucketId, path } = await newBucket()
  const { body: object } = await appliance.call("POST", `${path}/objects`, { body: { blobs: [picture] } })
  const upload = await reserve(path)
  const { hostname, port, pathname, search } = new URL(upload.url)
  const socket = connect(Number(port), hostname)
  socket.on("error", () => {})
  socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${"x".repeat(1000)}`)
  await eventually(async () => filesBelow(bucketId).some((name) => name.endsWith(".partial")))
  await appliance.kill()
  socket.destroy()
  await appliance.start()
  await eventually(async () => filesBelow(bucketId).every((name) => !name.endsWith(".partial")))
  expect((await appliance.call("GET", `${path}/objects/${object.object_id}`)).body).toEqual(object)
  expect(filesBelow(bucketId)).toHaveLength(1)
}, 180_000)

test("deleting a bucket answers its task, which completes when nothing is left", async () => {
  const { id, path } = await newBucket()
  await appliance.call("POST", `${path}/objects`, { body: { blobs: [picture] } })
  const { body: removal } = await appliance.call("DELETE", path)
  expect(removal).toMatchObject({ status: "PENDING", bucket_id: id, object_count: 1 })
  expect((await appliance.call("GET", path)).status).toBe(404)
  const task = await eventually(async () => {
    const { body } = await appliance.call("GET", `/v1/tasks/${removal.task_id}`)
    return body.status === "COMPLETED" && body
  })
  expect(task).toMatchObject({ task_type: "api_buckets_delete", status: "COMPLETED" })
  expect(filesBelow(id)).toEqual([])
})
