import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readdirSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { expectEnvelope } from "../support/envelope.ts"
import { type PluginFiles, textPlugin, upload, zip } from "../support/plugins.ts"

let appliance: TestAppliance
let base: string

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_ARCHIVE_MB: "1" } })
  base = `/v1/namespaces/${appliance.namespaceId}/plugins`
})
afterAll(() => appliance[Symbol.asyncDispose]())

async function publish(name: string, files: PluginFiles = textPlugin({ name })): Promise<string> {
  const answer = await upload(appliance, files, { name })
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 })
  return answer.body.plugin_id
}

async function reserve(name: string, more: object = {}) {
  return (await appliance.call("POST", `${base}/uploads`, { body: { name, version: "1.0.0", ...more } })).body
}

function put(url: string, bytes: Uint8Array<ArrayBuffer>) {
  return appliance.call("PUT", url, { key: null, raw: bytes })
}

test("the seed's sequence works: reserve, PUT without a key, confirm without a body, get, delete", async () => {
  const reserved = await appliance.call("POST", `${base}/uploads`, {
    body: { name: "seed_extractor", version: "1.0.0" },
  })
  expect(reserved.status).toBe(200)
  const { upload_id: uploadId, presigned_url: url } = reserved.body
  expect(reserved.body).toMatchObject({
    upload_id: expect.stringMatching(/^plu_/),
    presigned_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1\/presigned\/plugins\/plu_/),
    expires_at: expect.stringMatching(/Z$/),
    namespace_id: appliance.namespaceId,
    name: "seed_extractor",
    version: "1.0.0",
  })
  const bytes = await zip(textPlugin({ name: "seed_extractor" }), "seed_extractor/")
  const received = await appliance.call("PUT", url, {
    key: null,
    headers: { "Content-Type": "application/zip" },
    raw: bytes,
  })
  expect(received).toMatchObject({ status: 200, text: "" })
  expect(received.headers.get("etag")).toBe(`"${createHash("md5").update(bytes).digest("hex")}"`)
  const path = `${base}/uploads/${uploadId}/confirm`
  const confirmed = await appliance.call("POST", path)
  expect(confirmed).toMatchObject({
    status: 200,
    body: {
      success: true,
      plugin_id: "seed_extractor_1_0_0",
      validation_status: "passed",
      feature_uri: "mixpeek://seed_extractor@1.0.0",
      deployment_status: "not_deployed",
    },
  })
  expect((await appliance.call("POST", path)).body).toEqual(confirmed.body)

  const { body } = await appliance.call("GET", `${base}/seed_extractor_1_0_0`)
  expect(body.plugin.manifest).toMatchObject({
    feature_extractor_name: "seed_extractor",
    parameter_schema: { properties: { threshold: { default: 0.5, minimum: 0, maximum: 1 } } },
    features: [{ feature_name: "seed_extractor_embedding", embedding_dim: 4 }],
  })
  expect(await appliance.call("DELETE", `${base}/seed_extractor_1_0_0`)).toMatchObject({
    status: 200,
    body: { success: true, plugin_id: "seed_extractor_1_0_0", deployment_removed: false },
  })
  expectEnvelope(await appliance.call("GET", `${base}/seed_extractor_1_0_0`), 404, "NotFoundError")
})

test("a reservation that is not valid answers 422, for each field", async () => {
  for (const body of [
    {},
    { name: "ab", version: "1.0.0" },
    { name: "1abc", version: "1.0.0" },
    { name: "a-b-c", version: "1.0.0" },
    { name: "../../etc", version: "1.0.0" },
    { name: "a".repeat(65), version: "1.0.0" },
    { name: "my_extractor", version: "1.0.0.0" },
    { name: "my_extractor", version: "1.0.0", description: "x".repeat(501) },
    { name: "my_extractor", version: "1.0.0", file_size_bytes: 0 },
    { name: "my_extractor", version: "1.0.0", file_size_bytes: 1024 * 1024 + 1 },
    { name: "my_extractor", version: "1.0.0", presigned_url_expiration: 59 },
    { name: "my_extractor", version: "1.0.0", presigned_url_expiration: 86_401 },
  ]) {
    const answer = await appliance.call("POST", `${base}/uploads`, { body })
    expect({ body, status: answer.status }).toEqual({ body, status: 422 })
    expectEnvelope(answer, 422, "ValidationError")
  }
  expectEnvelope(await appliance.call("POST", `${base}/uploads`, { raw: "{" }), 400, "BadRequestError")
})

test("a reservation with an Idempotency-Key is made once", async () => {
  const request = { body: { name: "once_extractor", version: "1.0.0" }, headers: { "Idempotency-Key": "reserve-once" } }
  const first = await appliance.call("POST", `${base}/uploads`, request)
  const second = await appliance.call("POST", `${base}/uploads`, request)
  expect(second.body).toEqual(first.body)
  expect(second.headers.get("idempotency-replayed")).toBe("true")
})

test("a registered version answers 409 with detail beside the envelope", async () => {
  await publish("taken_extractor")
  const answer = await appliance.call("POST", `${base}/uploads`, { body: { name: "taken_extractor", version: "v1" } })
  expectEnvelope(answer, 409, "AlreadyExistsError")
  expect(answer.body.detail).toBe("Plugin taken_extractor@1.0.0 already exists in this namespace")
})

test("a signed URL lets PUT to its own upload only, and only as it was signed", async () => {
  const first = await reserve("signed_extractor")
  const second = await reserve("signed_extractor")
  const bytes = new Uint8Array(10)
  const { pathname, search, searchParams } = new URL(first.presigned_url)
  const longer = new URLSearchParams(searchParams)
  longer.set("expires", String(Number(searchParams.get("expires")) + 1000))
  for (const path of [
    pathname,
    `${pathname}?expires=${searchParams.get("expires")}`,
    `${pathname}?${longer}`,
    `${pathname}${search.slice(0, -1)}`,
    `${new URL(second.presigned_url).pathname}${search}`,
  ]) {
    expectEnvelope(await put(path, bytes), 403, "ForbiddenError")
  }
  expectEnvelope(await appliance.call("GET", `${pathname}${search}`, { key: null }), 405, "MethodNotAllowedError")
  expect((await put(first.presigned_url, bytes)).status).toBe(200)
})

test("bytes over the archive limit answer 413, an empty body 400, and leave nothing", async () => {
  const { presigned_url: url, upload_id: id } = await reserve("large_extractor")
  expectEnvelope(await put(url, new Uint8Array(1024 * 1024 + 1)), 413, "PayloadTooLargeError")
  expectEnvelope(await put(url, new Uint8Array()), 400, "BadRequestError")
  expectEnvelope(await appliance.call("POST", `${base}/uploads/${id}/confirm`), 404, "NotFoundError")
})

test("a client that disconnects in the middle of a PUT leaves the earlier bytes valid and no partial file", async () => {
  const { presigned_url: url, upload_id: id, s3_key: key } = await reserve("broken_extractor")
  await put(url, await zip(textPlugin({ name: "broken_extractor" })))
  const { hostname, port, pathname, search } = new URL(url)
  const directory = join(appliance.dataDir, "archives", key, "..")
  const socket = connect(Number(port), hostname)
  socket.write(
    `PUT ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 500000\r\n\r\n${"x".repeat(1000)}`,
  )
  await eventually(async () => readdirSync(directory).length === 2)
  socket.destroy()
  await eventually(async () => readdirSync(directory).length === 1)
  expect((await appliance.call("POST", `${base}/uploads/${id}/confirm`)).status).toBe(200)
})

test("a scan failure answers the seed's body beside the envelope", async () => {
  const files = { ...textPlugin({ name: "forbidden_extractor" }), "processors/extra.py": "x = 1\nimport subprocess\n" }
  const answer = await upload(appliance, files, { name: "forbidden_extractor" })
  expectEnvelope(answer, 400, "BadRequestError")
  const violation = {
    file: "processors/extra.py",
    line: 2,
    column: 0,
    message: "Forbidden import: subprocess",
    severity: "error",
  }
  expect(answer.body).toMatchObject({
    detail: "Security scan failed",
    violations: [violation],
    error: { details: { violations: [violation], rule_set: "seed-2026-01" } },
  })
})

test("a namespace's own rule set decides what its plugins may use, and is kept with them", async () => {
  const files = {
    ...textPlugin({ name: "reflecting" }),
    "processors/extra.py": "width = getattr(object, 'width', 0)\n",
  }
  expectEnvelope(await upload(appliance, files, { name: "reflecting" }), 400, "BadRequestError")

  const namespace = `/v1/namespaces/${appliance.namespaceId}`
  const unknown = await appliance.call("PATCH", namespace, { body: { plugin_rule_set: "anything-goes" } })
  expect(unknown.status).toBe(422)
  const changed = await appliance.call("PATCH", namespace, { body: { plugin_rule_set: "compat-2026-03" } })
  expect(changed.body.plugin_rule_set).toBe("compat-2026-03")
  const id = await publish("reflecting", files)
  expect((await appliance.call("GET", `${base}/${id}`)).body.plugin.security_scan_rules).toBe("compat-2026-03")

  const back = await appliance.call("PATCH", namespace, { body: { plugin_rule_set: null } })
  expect(back.body.plugin_rule_set).toBeNull()
  expectEnvelope(await upload(appliance, files, { name: "reflecting", version: "1.1.0" }), 400, "BadRequestError")
})

test("an exception in manifest.py reaches the author with their line, and no path of this machine", async () => {
  const files = textPlugin({ name: "raising_extractor", manifestExtra: "threshold = 1 / 0" })
  const answer = await upload(appliance, files, { name: "raising_extractor" })
  expectEnvelope(answer, 400, "BadRequestError")
  expect(answer.body.validation_errors).toEqual(["ZeroDivisionError: division by zero"])
  expect(answer.body.error.details.traceback).toContain("threshold = 1 / 0")
  expect(answer.body.error.details.traceback).toContain("manifest.py")
  expect(answer.text).not.toContain(appliance.dataDir)
})

test("a manifest that ends its worker is a bad request, and the appliance goes on", async () => {
  const files = textPlugin({ name: "dying_extractor", manifestExtra: "import os\nimport signal\nos.abort()" })
  const answer = await upload(appliance, files, { name: "dying_extractor" })
  expectEnvelope(answer, 400, "BadRequestError")
  expect((await appliance.call("GET", "/v1/health")).status).toBe(200)
})

test("a manifest that needs a package which is not there names it", async () => {
  const files = textPlugin({ name: "needing_extractor", manifestExtra: "import a_package_nobody_has" })
  const answer = await upload(appliance, files, { name: "needing_extractor" })
  expectEnvelope(answer, 400, "BadRequestError")
  expect(answer.body.validation_errors[0]).toContain("a_package_nobody_has")
})

test("a confirmation that is not valid answers 422, of an unknown upload 404", async () => {
  const { upload_id: id } = await reserve("odd_extractor")
  const path = `${base}/uploads/${id}/confirm`
  expectEnvelope(await appliance.call("POST", path, { body: { file_size_bytes: "many" } }), 422, "ValidationError")
  expectEnvelope(await appliance.call("POST", path, { raw: "[" }), 400, "BadRequestError")
  expectEnvelope(await appliance.call("POST", `${base}/uploads/plu_unknown/confirm`), 404, "NotFoundError")
})

test("the download URL gives the archive as it was uploaded, to whoever holds it", async () => {
  const files = textPlugin({ name: "loaded_extractor" })
  const id = await publish("loaded_extractor", files)
  const { body } = await appliance.call("GET", `${base}/${id}?return_presigned_urls=true`)
  const response = await fetch(body.presigned_download_url)
  expect(response.headers.get("content-type")).toBe("application/zip")
  const bytes = await response.bytes()
  expect(bytes.byteLength).toBe(body.plugin.archive_size_bytes)
  expect(body.plugin.s3_archive_url).toContain(createHash("sha256").update(bytes).digest("hex"))
  const forged = body.presigned_download_url.replace(id, "other_plugin_1_0_0")
  expectEnvelope(await appliance.call("GET", forged, { key: null }), 403, "ForbiddenError")
  expectEnvelope(await appliance.call("GET", `${base}/${id}?return_presigned_urls=maybe`), 422, "ValidationError")
})

test("deploy, status and undeploy of a batch-only plugin answer as the contract says", async () => {
  const id = await publish("batch_extractor")
  for (const query of ["", "?deployment_type=batch_only"]) {
    expect(await appliance.call("POST", `${base}/${id}/deploy${query}`)).toMatchObject({
      status: 200,
      body: { status: "deployed", deployment_type: "batch_only", message: expect.any(String) },
    })
  }
  expect((await appliance.call("GET", `${base}/${id}/status`)).body).toMatchObject({
    plugin_id: id,
    namespace_id: appliance.namespaceId,
    status: "NOT_DEPLOYED",
    realtime_enabled: false,
    deployed: false,
  })
  expect((await appliance.call("POST", `${base}/${id}/undeploy`)).body).toMatchObject({
    success: true,
    status: "NOT_DEPLOYED",
  })
  expectEnvelope(await appliance.call("POST", `${base}/${id}/rollback`), 400, "BadRequestError")
  expectEnvelope(await appliance.call("POST", `${base}/${id}/deploy?deployment_type=other`), 422, "ValidationError")
})

test("a plugin with realtime.py deploys as batch only when asked so, else its endpoint is queued", async () => {
  const realtime = "class RealtimeHandler:\n    def predict(self, request):\n        return {}\n"
  const id = await publish("live_extractor", { ...textPlugin({ name: "live_extractor" }), "realtime.py": realtime })
  expect((await appliance.call("POST", `${base}/${id}/deploy`)).body).toMatchObject({
    status: "queued",
    route_prefix: `/inference/custom_plugin_${appliance.namespaceId}_${id}`,
  })
  expect((await appliance.call("POST", `${base}/${id}/deploy?deployment_type=batch_only`)).status).toBe(200)
})

test("the listing and the extractor listing have the plugin; the public extractor list is empty", async () => {
  const id = await publish("listed_extractor")
  const list = await appliance.call("GET", base)
  expect(list.body).toMatchObject({
    success: true,
    namespace_id: appliance.namespaceId,
    total: list.body.plugins.length,
  })
  expect(list.body.plugins).toContainEqual(expect.objectContaining({ plugin_id: id, deployed: false }))
  const extractorsPath = `/v1/namespaces/${appliance.namespaceId}/extractors`
  const extractors = (await appliance.call("GET", `${extractorsPath}?source=custom`)).body
  expect(extractors).toMatchObject({ success: true, builtin_count: 0, custom_count: extractors.total })
  const { body } = await appliance.call("GET", `${extractorsPath}/${id}`)
  expect(extractors.extractors).toContainEqual(body)
  expect(body).toMatchObject({ default_parameters: { threshold: 0.5 }, supported_input_types: ["text"] })
  expectEnvelope(await appliance.call("GET", `${extractorsPath}/text_extractor_v1`), 404, "NotFoundError")
  expectEnvelope(await appliance.call("GET", `${extractorsPath}?source=hub`), 422, "ValidationError")
  const open = await appliance.call("GET", "/v1/collections/features/extractors", { key: null })
  expect(open).toMatchObject({ status: 200, body: [] })
  const one = await appliance.call("GET", "/v1/collections/features/extractors/text_extractor_v1", { key: null })
  expectEnvelope(one, 404, "NotFoundError")
})

test("another organization's key sees no plugin route of this namespace, and learns nothing", async () => {
  const id = await publish("private_extractor")
  const { upload_id: uploadId } = await reserve("private_extractor_2")
  for (const [method, path, body] of [
    ["GET", base],
    ["POST", `${base}/uploads`, { name: "private_extractor", version: "1.0.0" }],
    ["POST", `${base}/uploads/${uploadId}/confirm`],
    ["GET", `${base}/${id}`],
    ["POST", `${base}/${id}/deploy`],
    ["GET", `${base}/${id}/status`],
    ["POST", `${base}/${id}/undeploy`],
    ["POST", `${base}/${id}/rollback`],
    ["DELETE", `${base}/${id}`],
    ["GET", `/v1/namespaces/${appliance.namespaceId}/extractors`],
    ["GET", `/v1/namespaces/${appliance.namespaceId}/extractors/${id}`],
  ] as const) {
    const foreign = await appliance.call(method, path, {
      key: appliance.otherKey,
      ...(body === undefined ? {} : { body }),
    })
    expectEnvelope(foreign, 404, "NotFoundError")
    expect(foreign.text).not.toContain("private_extractor")
    expectEnvelope(await appliance.call(method, path, { key: null }), 401, "UnauthorizedError")
  }
  const form = new FormData()
  form.append("file", new File(["x"], "plugin.zip"))
  expectEnvelope(await appliance.call("POST", base, { raw: form, key: appliance.otherKey }), 404, "NotFoundError")
  expect((await appliance.call("GET", `${base}/${id}`)).status).toBe(200)
})

test("a key that may only read can list and get, and neither upload nor delete", async () => {
  const id = await publish("read_extractor")
  const created = await appliance.call("POST", "/v1/organizations/users/reader@example.com/api-keys", {
    body: { name: "reader", permissions: ["read"] },
  })
  const key = created.body.key
  expect((await appliance.call("GET", `${base}/${id}`, { key })).status).toBe(200)
  expectEnvelope(
    await appliance.call("POST", `${base}/uploads`, { key, body: { name: "x_y", version: "1" } }),
    403,
    "ForbiddenError",
  )
  expectEnvelope(await appliance.call("DELETE", `${base}/${id}`, { key }), 403, "ForbiddenError")
})

test("an appliance killed anywhere in a confirmation keeps what was put and what was confirmed, and nothing half done", async () => {
  const id = await publish("kept_extractor")
  for (const [index, delayMs] of [0, 60, 120, 200].entries()) {
    const name = `waiting_extractor_${index}`
    const { upload_id: uploadId, presigned_url: url } = await reserve(name)
    await put(url, await zip(textPlugin({ name })))
    const confirming = appliance.call("POST", `${base}/uploads/${uploadId}/confirm`).catch(() => null)
    await Bun.sleep(delayMs)
    await appliance.kill()
    await confirming
    await appliance.start()
    const left = readdirSync(join(appliance.dataDir, "archives"), { recursive: true, encoding: "utf8" })
    expect(left.filter((path) => path.includes(".partial"))).toEqual([])
    expect((await appliance.call("GET", `${base}/${id}`)).status).toBe(200)
    const confirmed = await appliance.call("POST", `${base}/uploads/${uploadId}/confirm`)
    expect({ status: confirmed.status, text: confirmed.text }).toMatchObject({ status: 200 })
  }
}, 180_000)
