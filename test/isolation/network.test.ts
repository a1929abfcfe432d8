/** What steps of resource type API may reach, from the setting of a namespace to the bytes on the wire; all others nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { REACHED } from "../support/isolation.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"

const CALL = `import urllib.error, urllib.request
def ask(url):
    try:
        return urllib.request.urlopen(url, timeout=10).read().decode()
    except urllib.error.HTTPError as error:
        return str(error)
batch['label'] = [ask(url) for url in batch['text']]
batch['caller_embedding'] = [[0.0] * 4] * len(batch)
return batch`

/** The same plugin with its steps of another resource type. */
function caller(name: string, resource: "CPU" | "API"): PluginFiles {
  const files = textPlugin({ name, call: CALL.replaceAll("caller", name) })
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [
      path,
      text.replaceAll("ResourceType.CPU", `ResourceType.${resource}`),
    ]),
  )
}

describe.skipIf(REACHED !== "full" && REACHED !== "standard")("plugins of a namespace", () => {
  const asked: string[] = []
  const outside = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(new URL(request.url).pathname)
      return new Response(`answer to ${new URL(request.url).pathname}`)
    },
  })
  const here = `127.0.0.1:${outside.port}`
  let appliance: TestAppliance

  beforeAll(async () => {
    appliance = await startTestAppliance()
  })
  afterAll(async () => {
    await appliance[Symbol.asyncDispose]()
    await outside.stop(true)
  })

  async function collection(name: string, resource: "CPU" | "API", urls: readonly string[]) {
    const answer = await upload(appliance, caller(name, resource), { name })
    if (answer.status !== 200) throw new Error(answer.text)
    const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
      body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
    })
    for (const data of urls) {
      await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/objects`, {
        body: { blobs: [{ property: "text", type: "text", data }] },
      })
    }
    const { body } = await appliance.call("POST", "/v1/collections", {
      body: {
        collection_name: name,
        source: { type: "bucket", bucket_ids: [bucket.bucket_id] },
        feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
      },
    })
    return { bucketId: bucket.bucket_id, collectionId: body.collection_id }
  }

  async function run({ bucketId, collectionId }: { bucketId: string; collectionId: string }) {
    const { body } = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
      body: { collection_ids: [collectionId] },
    })
    const batch = await waitForBatch(appliance, bucketId, body.batch_id)
    const documents = await appliance.call("POST", `/v1/collections/${collectionId}/documents/list`, { body: {} })
    const errors = await appliance.call("GET", `/v1/buckets/${bucketId}/batches/${body.batch_id}/failed-documents`)
    return {
      batch,
      labels: documents.body.results.map(({ label }: { label: string }) => label).sort(),
      errors: errors.body.failed_documents.map(({ error }: { error: string }) => error),
    }
  }

  test("reach from API steps what an administrator listed, by the proxy, and what was taken off no more", async () => {
    const place = await collection("api_caller", "API", [`http://${here}/listed`, "http://169.254.169.254/latest"])
    const nothing = await run(place)
    expect(nothing.labels.every((label: string) => label.includes("403: The sandbox refused network access"))).toBe(
      true,
    )
    expect(asked).toEqual([])

    const listed = await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
    expect(listed.body.egress_allowlist).toEqual([here])
    const reached = await run(place)
    expect(reached.batch.isolation_facts.network).toBe(REACHED === "full" ? "proxy-netns" : "proxy-port")
    expect(reached.labels).toEqual([
      expect.stringContaining("The sandbox refused network access (169.254.169.254:80)"),
      "answer to /listed",
    ])
    expect(asked).toEqual(["/listed"])

    await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [] } })
    const again = await run(place)
    expect(again.labels.some((label: string) => label.startsWith("answer"))).toBe(false)
    expect(asked).toEqual(["/listed"])
  })

  test("get no network in steps of another type, whatever is listed", async () => {
    await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
    const { batch, errors } = await run(await collection("cpu_caller", "CPU", [`http://${here}/cpu`]))
    expect(batch.isolation_facts.network).toBe("denied")
    expect(errors[0]).toContain("The sandbox refused network access")
    expect(errors[0]).toContain("resource type API")
    expect(asked).not.toContain("/cpu")
  })

  test.each([["http://a.example"], ["a b"], ["10.0.0.0/99"], ["a.example:99999"]])(
    "are not given %p",
    async (entry) => {
      const answer = await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [entry] } })
      expect(answer.status).toBe(422)
    },
  )

  test("are not given more by a key that is not an administrator's", async () => {
    const made = await appliance.call("POST", "/v1/organizations/users/dev@example.com/api-keys", {
      body: { name: "writer", permissions: ["read", "write"] },
    })
    const answer = await appliance.call("PATCH", "/v1/namespaces/default", {
      body: { egress_allowlist: ["evil.example"] },
      key: made.body.key,
    })
    expect(answer.status).toBe(403)
  })
})
