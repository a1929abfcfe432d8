import { afterAll, beforeAll, expect, test } from "bun:test"
import { Validator } from "@seriousme/openapi-schema-validator"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

test("/openapi.json is valid OpenAPI 3.1", async () => {
  const { body } = await appliance.call("GET", "/openapi.json", { key: null })
  expect(body.openapi).toStartWith("3.1")
  const { valid, errors } = await new Validator().validate(body)
  expect(errors ?? []).toEqual([])
  expect(valid).toBe(true)
})

test("operations of the public API that are not built yet answer 501, never 404", async () => {
  for (const [method, path] of [
    ["POST", "/v1/retrievers"],
    ["GET", "/v1/retrievers/stages"],
    ["GET", "/v1/organizations/secrets"],
    ["POST", "/v1/models/uploads"],
    ["GET", "/v1/namespaces/default/plugins/available"],
    ["GET", "/v1/namespaces/default/models"],
  ] as const) {
    const answer = await appliance.call(method, path)
    expect([path, answer.status, answer.body.error.type]).toEqual([path, 501, "NotEnabledError"])
  }
})
