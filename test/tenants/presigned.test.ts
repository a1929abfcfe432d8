/** A signed URL is a credential for one thing: this method, this key, at most so many bytes, until then, and once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { textPlugin, zip } from "../support/plugins.ts"

let appliance: TestAppliance
let bucketId: string

beforeAll(async () => {
  appliance = await startTestAppliance()
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: {
      bucket_name: "files",
      bucket_schema: { properties: { text: { type: "text" }, picture: { type: "image" } } },
    },
  })
  bucketId = body.bucket_id
})
afterAll(() => appliance[Symbol.asyncDispose]())

const reserveFile = async (size?: number) => {
  const { body } = await appliance.call("POST", `/v1/buckets/${bucketId}/uploads`, {
    body: {
      filename: "a.txt",
      content_type: "text/plain",
      blob_property: "text",
      skip_duplicates: false,
      ...(size === undefined ? {} : { file_size_bytes: size }),
    },
  })
  return body
}
const reservePlugin = async (size?: number) => {
  const { body } = await appliance.call("POST", `/v1/namespaces/${appliance.namespaceId}/plugins/uploads`, {
    body: {
      name: `plugin_${crypto.randomUUID().slice(0, 8)}`,
      version: "1.0.0",
      ...(size === undefined ? {} : { file_size_bytes: size }),
    },
  })
  return body
}
const put = (url: string, raw: string | Uint8Array<ArrayBuffer> = "some bytes") =>
  appliance.call("PUT", url, { key: null, raw })
const changed = (url: string, change: (query: URLSearchParams, url: URL) => void) => {
  const parsed = new URL(url)
  change(parsed.searchParams, parsed)
  return parsed.href
}

describe.each([
  ["a file", reserveFile],
  ["a plugin", reservePlugin],
] as const)("the URL for %s", (_, reserve) => {
  test("is refused with anything in it changed", async () => {
    const { presigned_url: url } = await reserve(1000)
    const { presigned_url: other } = await reserve(1000)
    const otherPath = new URL(other).pathname
    for (const forged of [
      changed(url, (query) => query.delete("signature")),
      changed(url, (query) => query.delete("expires")),
      changed(url, (query) => query.delete("size")),
      changed(url, (query) => query.set("size", "1001")),
      changed(url, (query) => query.set("size", "01000")),
      changed(url, (query) => query.set("expires", String(Number(query.get("expires")) + 1))),
      changed(url, (query) => query.set("signature", "0".repeat(64))),
      changed(url, (query) => query.set("signature", (query.get("signature") ?? "").toUpperCase())),
      changed(url, (query) => query.set("signature", "")),
      changed(url, (_, target) => {
        target.pathname = otherPath
      }),
    ]) {
      const answer = await put(forged)
      expect([forged, answer.status]).toEqual([forged, 403])
      expect(answer.body.error.type).toBe("ForbiddenError")
    }
    expect((await put(url)).status).toBe(200)
  })

  test("takes as many bytes as were announced and no more, told in advance or not", async () => {
    const { presigned_url: url } = await reserve(10)
    expect((await put(url, "x".repeat(11))).status).toBe(413)
    const chunked = await fetch(url, {
      method: "PUT",
      body: new ReadableStream({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode("xxxxxxxxxxxxxxxx"))
          controller.close()
        },
      }),
    })
    expect(chunked.status).toBe(413)
    expect((await put(url, "x".repeat(10))).status).toBe(200)
  })

  test("is not for another method", async () => {
    const { presigned_url: url } = await reserve()
    for (const method of ["GET", "POST", "DELETE", "PATCH"]) {
      const answer = await appliance.call(method, url, { key: null })
      expect(answer.status).toBeGreaterThanOrEqual(401)
      expect(answer.status).toBeLessThan(500)
    }
  })
})

test("a URL takes nothing more once its file is confirmed", async () => {
  const { presigned_url: url, upload_id: id } = await reserveFile()
  expect((await put(url, "first")).status).toBe(200)
  expect((await put(url, "before it is confirmed")).status).toBe(200)
  const confirmed = await appliance.call("POST", `/v1/buckets/${bucketId}/uploads/${id}/confirm`, { body: {} })
  expect(confirmed.status).toBe(200)
  const again = await put(url, "afterwards")
  expect(again.status).toBe(400)
  expect(again.body.error.message).toContain("COMPLETED")
})

test("a URL takes nothing more once its plugin is confirmed", async () => {
  const name = "confirmed_once"
  const { body } = await appliance.call("POST", `/v1/namespaces/${appliance.namespaceId}/plugins/uploads`, {
    body: { name, version: "1.0.0" },
  })
  const archive = await zip(textPlugin({ name }))
  expect((await put(body.presigned_url, archive)).status).toBe(200)
  const route = `/v1/namespaces/${appliance.namespaceId}/plugins/uploads/${body.upload_id}/confirm`
  expect((await appliance.call("POST", route, { body: {} })).status).toBe(200)
  expect((await put(body.presigned_url, archive)).status).toBe(409)
})

test("a download's URL is for its own file", async () => {
  const { body: object } = await appliance.call("POST", `/v1/buckets/${bucketId}/objects`, {
    body: {
      blobs: [
        {
          property: "picture",
          type: "image",
          data: `data:image/png;base64,${Buffer.from("no picture").toString("base64")}`,
        },
      ],
    },
  })
  const { body } = await appliance.call(
    "GET",
    `/v1/buckets/${bucketId}/objects/${object.object_id}?return_presigned_urls=true`,
  )
  const url: string = body.blobs[0].properties.presigned_url
  expect((await appliance.call("GET", url, { key: null })).status).toBe(200)
  const other = changed(url, (_, target) => {
    target.pathname = target.pathname.replace(/[0-9a-f]{64}$/, "0".repeat(64))
  })
  expect((await appliance.call("GET", other, { key: null })).status).toBe(403)
})
