import { expect, test } from "bun:test"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { textPlugin, upload } from "../support/plugins.ts"
import { descendants, runs } from "../support/processes.ts"

const HANGS = `import time
def hang():
    while True:
        time.sleep(1)
hang()`

test.skipIf(process.platform !== "linux")(
  "kill -9 of the appliance leaves no launcher, no worker, no proxy and no other process of it alive",
  async () => {
    await using appliance = await startTestAppliance({
      environment: { MIXPEEK_WORKERS: "2", MIXPEEK_EGRESS_ALLOWLIST: "example.com" },
    })
    for (const [name, resource] of [
      ["hangs_alone", "CPU"],
      ["hangs_outside", "API"],
    ] as const) {
      const files = textPlugin({ name, call: HANGS })
      const changed = Object.fromEntries(
        Object.entries(files).map(([path, text]) => [
          path,
          text.replace("ResourceType.CPU", `ResourceType.${resource}`),
        ]),
      )
      expect((await upload(appliance, changed, { name })).status).toBe(200)
      const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
        body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
      })
      await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/objects`, {
        body: { blobs: [{ property: "text", type: "text", data: "a text" }] },
      })
      const { body: collection } = await appliance.call("POST", "/v1/collections", {
        body: {
          collection_name: name,
          source: { type: "bucket", bucket_ids: [bucket.bucket_id] },
          feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
        },
      })
      await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/batches/trigger`, {
        body: { collection_ids: [collection.collection_id] },
      })
    }
    // Documents, launcher, two workers and the proxy of one of them.
    const family = await eventually(async () => {
      const found = descendants(appliance.pid)
      return found.length >= 5 ? found : null
    }, 180_000)
    await appliance.kill()
    await eventually(async () => (family.some(runs) ? null : true), 10_000)
    expect(family.filter(runs)).toEqual([])
  },
)
