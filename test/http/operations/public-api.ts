import { expect, test } from "bun:test"
import type { Fixtures } from "./fixtures.ts"
import { PUBLIC_OPERATIONS } from "./public-operations.ts"
import { operationsOf } from "./table.ts"

/** What answers for a route that is not there: an unknown thing names itself in the details, an unknown route does not. */
const missing = (answer: { status: number; body: { error?: { details?: { resource?: string } } } | null }) =>
  answer.status === 405 || (answer.status === 404 && answer.body?.error?.details?.resource === undefined)

export function publicApiTests(fixtures: () => Fixtures): void {
  test("every operation of the public API is served, or answers 501 until it is", async () => {
    const { appliance, ours } = fixtures()
    const unserved: string[] = []
    for (const operation of PUBLIC_OPERATIONS) {
      const [method = "", template = ""] = operation.split(" ")
      const path = template.replace(/\{(\w+)\}/g, (_, name: string) =>
        name === "namespace_id" ? ours.namespaceId : name === "user_email" ? ours.email : `unknown_${name}`,
      )
      const answer = await appliance.call(method, path, { namespace: ours.namespaceId })
      if (missing(answer)) unserved.push(`${operation}: ${answer.status} ${answer.text}`)
      if (answer.status === 501) expect(answer.body.error.type).toBe("NotEnabledError")
      else if (answer.status >= 500) unserved.push(`${operation}: ${answer.status} ${answer.text}`)
    }
    expect(unserved).toEqual([])
  })

  test("a route that is served is public, an extension of ours, or a signed URL", () => {
    const shape = (operation: string) => operation.replace(/\{\w+\}/g, "{}")
    const known = new Set(PUBLIC_OPERATIONS.map(shape))
    const others = operationsOf(fixtures().openapi).filter((operation) => !known.has(shape(operation)))
    expect(others.sort()).toEqual([
      "DELETE /v1/collections/{collection_identifier}/features",
      "GET /ready",
      "GET /v1/health/deep",
      "GET /v1/namespaces/{namespace_id}/plugins/{plugin_id}/logs",
      "GET /v1/namespaces/{namespace_id}/plugins/{plugin_id}/revisions",
      "GET /v1/presigned/archives/{namespace_id}/{plugin_id}",
      "GET /v1/presigned/blobs/{bucket_id}/{sha256}",
      "POST /inference/{deployment_name}",
      "POST /v1/inference/{deployment_name}",
      "PUT /v1/presigned/objects/{upload_id}",
      "PUT /v1/presigned/plugins/{upload_id}",
    ])
  })

  test("a namespace in the path is that of the header; one that cannot be is 404, never a fault", async () => {
    const { appliance, ours, theirs } = fixtures()
    const named = await appliance.call("GET", `/v1/namespaces/${ours.namespaceId}/buckets/${ours.bucketName}`)
    expect([named.status, named.body.bucket_id]).toEqual([200, ours.bucketId])
    const over = await appliance.call("GET", `/v1/namespaces/${theirs.namespaceId}/buckets`, {
      namespace: ours.namespaceId,
    })
    expect(over.status).toBe(404)
    for (const odd of ["%E0%A4%A", "%0d%0aX-Injected:1", "%F0%9F%92%A9", "%00", "x".repeat(300)]) {
      const answer = await appliance.call("GET", `/v1/namespaces/${odd}/buckets`)
      expect([odd, String(answer.status)]).toEqual([odd, expect.stringMatching(/^4/)])
      expect(answer.body).toMatchObject({ success: false, status: answer.status })
    }
  })

  test("an address that cannot be decoded is 4xx on every route, never a fault", async () => {
    const { appliance, openapi, ours } = fixtures()
    for (const operation of operationsOf(openapi).filter((operation) => operation.includes("{"))) {
      const [method = "", template = ""] = operation.split(" ")
      for (const odd of ["%E0%A4%A", "%00", "%F0%9F%92%A9", "%2e%2e%2f"]) {
        const answer = await appliance.call(method, template.replace(/\{\w+\}/g, odd), { namespace: ours.namespaceId })
        expect([operation, odd, String(answer.status)]).toEqual([operation, odd, expect.stringMatching(/^4/)])
      }
    }
  })
}
