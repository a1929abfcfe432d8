import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { expectEnvelope } from "../support/envelope.ts"
import { REACHED } from "../support/isolation.ts"
import { textPlugin, upload } from "../support/plugins.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

describe("the error envelope", () => {
  test("an unknown route answers 404 in the envelope", async () => {
    expectEnvelope(await appliance.call("GET", "/v1/nothing/here"), 404, "NotFoundError")
    expectEnvelope(await appliance.call("GET", "/elsewhere", { key: null }), 404, "NotFoundError")
  })

  test.each([
    ["/v1//buckets", "/v1/buckets"],
    ["/v1/buckets/", "/v1/buckets"],
    ["/v1/v1/buckets", "/v1/buckets"],
    ["/buckets", "/v1/buckets"],
    ["/namespaces/default/plugins/", "/v1/namespaces/default/plugins"],
  ])("a path of a client with another base URL, %s, is answered with what was meant", async (path, meant) => {
    const answer = await appliance.call("GET", path)
    expect(answer.status).toBe(404)
    expect(answer.body.error.message).toContain(`Did you mean ${meant}?`)
    expect((await appliance.call("GET", "/v1/nothing/here/")).body.error.message).not.toContain("mean")
  })

  test("a known route with another method answers 405 and says which are allowed", async () => {
    const answer = await appliance.call("DELETE", "/v1/buckets")
    expectEnvelope(answer, 405, "MethodNotAllowedError")
    expect(answer.headers.get("allow")).toContain("POST")
  })

  test("no key, a malformed header, and an unknown key answer 401", async () => {
    for (const headers of [
      {},
      { Authorization: "Basic abc" },
      { Authorization: "Bearer sk_unknown" },
      { Authorization: "Bearer" },
    ]) {
      expectEnvelope(await appliance.call("GET", "/v1/namespaces", { key: null, headers }), 401, "UnauthorizedError")
    }
  })

  test("a body that is not JSON answers 400, and deep nesting does not reach a parser", async () => {
    expectEnvelope(await appliance.call("POST", "/v1/buckets", { raw: "{" }), 400, "BadRequestError")
    expectEnvelope(await appliance.call("POST", "/v1/buckets", { raw: "[".repeat(100_000) }), 400, "BadRequestError")
    expectEnvelope(
      await appliance.call("POST", "/v1/buckets", { raw: new Uint8Array([0x22, 0xff, 0x22]) }),
      400,
      "BadRequestError",
    )
  })

  test("a number that no double holds answers 400 and is not stored as null", async () => {
    const created = await appliance.call("POST", "/v1/buckets", {
      body: { bucket_name: "large numbers", bucket_schema: { properties: { num: { type: "number" } } } },
    })
    const put = (number: string) =>
      appliance.call("POST", `/v1/buckets/${created.body.bucket_id}/objects`, { raw: `{"a":{"num":${number}},"b":1}` })
    for (const number of ["1e999", "-1E+400", `1${"0".repeat(309)}`, "[1e308,1e309]", `1${"0".repeat(250)}e99`]) {
      const answer = await put(number)
      expectEnvelope(answer, 400, "BadRequestError")
      expect(answer.text).toContain("a number that is too large")
    }
    for (const number of ["1e308", "1e-999", '"1e999"', '"1e999,"']) expect((await put(number)).status).toBe(200)
  })

  test("a whole number of more than 64 bits answers 400 and says where, unless it is a double's digits", async () => {
    const created = await appliance.call("POST", "/v1/buckets", {
      body: { bucket_name: "whole numbers", bucket_schema: { properties: { num: { type: "number" } } } },
    })
    const objects = `/v1/buckets/${created.body.bucket_id}/objects`
    const put = (number: string) => appliance.call("POST", objects, { raw: `{"a":[0,{"num":${number}}],"b":1}` })
    for (const number of ["18446744073709551617", "-9223372036854775809", "123456789012345678901234567890"]) {
      const answer = await put(number)
      expectEnvelope(answer, 400, "BadRequestError")
      expect(answer.text).toContain("a whole number of more than 64 bits at 'a.1.num'")
    }
    for (const number of ["18446744073709551615", "-9223372036854775808", "100000000000000000000", '"1e999"']) {
      const answer = await put(number)
      expect(answer.status).toBe(200)
      expect(answer.text).toContain(`"num":${number}`)
    }
  })

  const LONE = "\\ud800"
  test.each([
    [
      "a bucket's metadata",
      "POST",
      "/v1/buckets",
      `{"bucket_name":"half","metadata":{"a":["x","${LONE}y"]}}`,
      "metadata.a.1",
    ],
    ["a key", "POST", "/v1/buckets", `{"bucket_name":"half","metadata":{"a":{"\\udC00":1}}}`, "metadata.a."],
    ["halves in the wrong order", "POST", "/v1/buckets", `{"bucket_name":"half \\udc00\\ud800"}`, "bucket_name"],
    ["a half before a whole", "POST", "/v1/buckets", `{"bucket_name":"half \\uD83D\\uD83D\\uDE00"}`, "bucket_name"],
    ["a filter", "POST", "/v1/namespaces/list", `{"filters":{"name":"${LONE}"}}`, "filters.name"],
    ["a collection's change", "PATCH", "/v1/collections/col_none", `{"metadata":{"a":"${LONE}"}}`, "metadata.a"],
    ["inputs", "POST", "/v1/inference", `{"inference_name":"x_1_0_0","inputs":{"text":"${LONE}"}}`, "inputs.text"],
  ])("half a surrogate pair in %s answers 400 and says where", async (_, method, path, raw, where) => {
    const answer = await appliance.call(method, path, { raw })
    expectEnvelope(answer, 400, "BadRequestError")
    expect(answer.text).toContain(`half a surrogate pair at '${where}`)
  })

  test.each([
    ["a bucket's schema", `{"bucket_name":"p","bucket_schema":{"properties":{"__proto__":{"type":"text"}}}}`],
    ["metadata, by an escape", `{"bucket_name":"p","metadata":{"a":[{"\\u005f_proto__":1}]}}`],
  ])("a key '__proto__' in %s answers 400 and says where", async (_, raw) => {
    const answer = await appliance.call("POST", "/v1/buckets", { raw })
    expectEnvelope(answer, 400, "BadRequestError")
    expect(answer.text).toMatch(/a key '__proto__' at '(bucket_schema\.properties|metadata\.a\.0)\.__proto__'/)
    const value = await appliance.call("POST", "/v1/buckets", { body: { bucket_name: "__proto__" } })
    expect(value.text).not.toContain("a key '__proto__'")
  })

  test("whole pairs, and a backslash before the letter u, are what they were", async () => {
    const raw = `{"bucket_name":"pairs","bucket_schema":{"properties":{}},"metadata":{"a":"\\ud83d\\uDE00","b":"\\\\ud800","\\ud83d\\ude00":"\\u00e4\\\\\\ud83d\\ude00"}}`
    const { status, body } = await appliance.call("POST", "/v1/buckets", { raw })
    expect(status).toBe(200)
    expect(body.metadata).toEqual({ a: "😀", b: "\\ud800", "😀": "ä\\😀" })
  })

  test("an empty body answers 422 naming what is missing", async () => {
    const answer = await appliance.call("POST", "/v1/buckets", { headers: { "Content-Type": "application/json" } })
    expectEnvelope(answer, 422, "ValidationError")
    expect(answer.body.error.details.validation_errors[0].location[0]).toBe("body")
  })

  test("a list with a JSON content type and no body works, as the SDK sends it", async () => {
    const answer = await appliance.call("POST", "/v1/namespaces/list", {
      headers: { "Content-Type": "application/json" },
    })
    expect(answer.status).toBe(200)
  })

  test("JSON that curl calls a form is taken as JSON; a form is refused", async () => {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" }
    const taken = await appliance.call("POST", "/v1/namespaces/list", { headers, raw: '{"limit": 1}' })
    expect(taken.status).toBe(200)
    const refused = await appliance.call("POST", "/v1/namespaces/list", {
      headers: { "Content-Type": "text/xml" },
      raw: "<a/>",
    })
    expectEnvelope(refused, 415, "UnsupportedMediaTypeError")
  })

  test("a body over its route's limit answers 413, announced or chunked", async () => {
    const large = "x".repeat(1024 * 1024 + 1)
    expectEnvelope(await appliance.call("POST", "/v1/collections", { raw: large }), 413, "PayloadTooLargeError")
    const chunked = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 3; part++) controller.enqueue(new TextEncoder().encode("x".repeat(512 * 1024)))
        controller.close()
      },
    })
    expectEnvelope(await appliance.call("POST", "/v1/collections", { raw: chunked }), 413, "PayloadTooLargeError")
  })

  test("every answer carries a request id that the log has too", async () => {
    const answer = await appliance.call("GET", "/v1/health")
    const id = answer.headers.get("x-request-id")
    expect(id).toMatch(/^req_/)
    await eventually(async () => (appliance.log().includes(String(id)) ? true : null))
  })
})

describe("what no route is asked with", () => {
  /** Raw, as no client would send it; the connection ends with the answer. */
  async function exchange(request: string): Promise<string> {
    const { port, hostname } = new URL(appliance.url)
    const socket = connect(Number(port), hostname)
    let answer = ""
    socket.on("data", (chunk) => {
      answer += String(chunk)
    })
    socket.write(request)
    await new Promise((resolve) => socket.once("close", resolve))
    return answer
  }

  test("a Host that is no host answers 400 in the envelope, and nothing of the program", async () => {
    for (const host of ["[", "a b/../..:99999"]) {
      const answer = await exchange(`GET /v1/health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(answer).toStartWith("HTTP/1.1 400")
      expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({
        success: false,
        status: 400,
        error: { type: "BadRequestError" },
      })
      expect(answer.length).toBeLessThan(1000)
    }
  })

  test("another method on a signed address is 405", async () => {
    const answer = await appliance.call("PUT", `/v1/presigned/blobs/bkt_1/${"a".repeat(64)}`, { key: null, raw: "x" })
    expectEnvelope(answer, 405, "MethodNotAllowedError")
  })
})

describe("what is served without a key", () => {
  test("health tells the isolation level and liveness answers", async () => {
    const health = await appliance.call("GET", "/v1/health?deep=true", { key: null })
    expect(health.status).toBe(200)
    expect(health.body.status).toBe("OK")
    expect(health.body.meta).toMatchObject({ isolation: REACHED, isolation_facts: {}, isolation_missing: [] })
    expect((await appliance.call("GET", "/v1/health/liveness", { key: null })).status).toBe(200)
  })

  test("the documentation page loads nothing from elsewhere", async () => {
    const page = await appliance.call("GET", "/docs", { key: null })
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'")
    for (const [, address = ""] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect(address).toMatch(/^(\/docs\/|data:)/)
      if (address.startsWith("/")) expect((await appliance.call("GET", address, { key: null })).status).toBe(200)
    }
  })
})

describe("slow requests", () => {
  test("a PUT that pauses for 15 seconds in the middle is taken whole", async () => {
    const reserved = await appliance.call("POST", "/v1/namespaces/default/plugins/uploads", {
      body: { name: "slow_put", version: "1.0.0" },
    })
    const target = new URL(reserved.body.presigned_url)
    const socket = connect(Number(target.port), target.hostname)
    let answer = ""
    socket.on("data", (chunk) => {
      answer += String(chunk)
    })
    socket.write(
      `PUT ${target.pathname}${target.search} HTTP/1.1\r\nHost: ${target.host}\r\nConnection: close\r\nContent-Length: 10\r\n\r\n01234`,
    )
    await Bun.sleep(15_000)
    socket.write("56789")
    await new Promise((resolve) => socket.once("close", resolve))
    expect(answer).toStartWith("HTTP/1.1 200")
    // md5 of 0123456789
    expect(answer).toContain('"781e5e245d69b566979b86e28d23f2c7"')
  }, 180_000)

  test("a confirm that takes 15 seconds in the plugin's manifest answers", async () => {
    const files = textPlugin({ name: "slow_manifest", manifestExtra: "import time\ntime.sleep(15)" })
    const answer = await upload(appliance, files, { name: "slow_manifest" })
    expect(answer.status).toBe(200)
  }, 180_000)

  test("a 400 MB archive is streamed to disk and its MD5 is answered", async () => {
    const reserved = await appliance.call("POST", "/v1/namespaces/default/plugins/uploads", {
      body: { name: "large_put", version: "1.0.0" },
    })
    const megabyte = new Uint8Array(1024 * 1024).fill(7)
    let left = 400
    const hash = new Bun.CryptoHasher("md5")
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- === 0) return controller.close()
        hash.update(megabyte)
        controller.enqueue(megabyte)
      },
    })
    const answer = await appliance.call("PUT", reserved.body.presigned_url, { key: null, raw: body })
    expect(answer.status).toBe(200)
    expect(answer.headers.get("etag")).toBe(`"${hash.digest("hex")}"`)
  }, 600_000)
})
