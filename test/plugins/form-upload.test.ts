import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { expectEnvelope } from "../support/envelope.ts"
import { textPlugin, zip } from "../support/plugins.ts"

let appliance: TestAppliance
let base: string

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_ARCHIVE_MB: "1" } })
  base = `/v1/namespaces/${appliance.namespaceId}/plugins`
})
afterAll(() => appliance[Symbol.asyncDispose]())

test("a plugin can be uploaded as a form in one request, its fields after the file", async () => {
  const files = textPlugin({ name: "form_extractor" })
  const form = new FormData()
  form.append("file", new File([await zip(files)], "form_extractor.zip"))
  form.append("name", "form_extractor")
  form.append("version", "v1")
  form.append("description", "By form")
  const answer = await appliance.call("POST", base, { raw: form })
  expect(answer).toMatchObject({
    status: 200,
    body: {
      success: true,
      plugin_id: "form_extractor_1_0_0",
      validation_status: "passed",
      deployment_status: "not_deployed",
      feature_uri: "mixpeek://form_extractor@1.0.0",
      s3_archive_url: expect.stringContaining("plugin_custom/form_extractor_1_0_0/"),
    },
  })
  expectEnvelope(await appliance.call("POST", base, { raw: form }), 409, "AlreadyExistsError")
})

test("a form that is not valid, not whole or too large is refused with its own status", async () => {
  const named = (name: string, file = new Uint8Array(10)) => {
    const form = new FormData()
    form.append("name", name)
    form.append("version", "1.0.0")
    form.append("file", new File([file], "plugin.zip"))
    return form
  }
  const without = new FormData()
  without.append("name", "form_extractor_2")
  expectEnvelope(await appliance.call("POST", base, { raw: without }), 422, "ValidationError")
  expectEnvelope(await appliance.call("POST", base, { raw: named("no") }), 422, "ValidationError")
  expectEnvelope(await appliance.call("POST", base, { raw: named("not_an_archive") }), 400, "BadRequestError")
  expectEnvelope(
    await appliance.call("POST", base, { raw: named("large_form", new Uint8Array(3_000_000)) }),
    413,
    "PayloadTooLargeError",
  )
  expectEnvelope(await appliance.call("POST", base, { body: { name: "x" } }), 415, "UnsupportedMediaTypeError")
  const headers = { "Content-Type": "multipart/form-data; boundary=b" }
  expectEnvelope(await appliance.call("POST", base, { headers, raw: "--b\r\nnothing" }), 400, "BadRequestError")
})
