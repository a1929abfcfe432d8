import { expect, test } from "bun:test"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { removeDataDirectory, startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { REACHED } from "../support/isolation.ts"
import { textPlugin, upload } from "../support/plugins.ts"

test.skipIf(REACHED !== "full" && REACHED !== "standard")(
  "without Landlock no plugin code runs, everybody is told why, and what was submitted runs where it can be confined",
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-refused-"))
    try {
      let bucketId = ""
      let collectionId = ""
      {
        await using appliance = await startTestAppliance({ dataDir })
        expect((await upload(appliance, textPlugin({ name: "waiting" }), { name: "waiting" })).status).toBe(200)
        const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
          body: { bucket_name: "texts", bucket_schema: { properties: { text: { type: "text" } } } },
        })
        bucketId = bucket.bucket_id
        await appliance.call("POST", `/v1/buckets/${bucketId}/objects`, {
          body: { blobs: [{ property: "text", type: "text", data: "a text" }] },
        })
        const { body: collection } = await appliance.call("POST", "/v1/collections", {
          body: {
            collection_name: "texts",
            source: { type: "bucket", bucket_ids: [bucketId] },
            feature_extractor: { feature_extractor_name: "waiting", version: "1.0.0" },
          },
        })
        collectionId = collection.collection_id
      }
      let batchId = ""
      {
        await using appliance = await startTestAppliance({ dataDir, environment: { MIXPEEK_LANDLOCK_ABI: "0" } })
        const why = /isolates it at level 'reduced', and the minimum is 'standard'.*no Landlock/
        const refused = await upload(appliance, textPlugin({ name: "another" }), { name: "another" })
        expect(refused.status).toBe(503)
        expect(refused.body.error.message).toMatch(why)
        const { body: health } = await appliance.call("GET", "/v1/health", { key: null })
        expect(health.status).toBe("DEGRADED")
        expect(JSON.stringify(health)).toMatch(why)
        const { body: batch } = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
          body: { collection_ids: [collectionId] },
        })
        batchId = batch.batch_id
        const { body: waiting } = await appliance.call("GET", `/v1/buckets/${bucketId}/batches/${batchId}`)
        expect(waiting).toMatchObject({ rows_done: 0, rows_failed: 0, isolation: null })
      }
      await using appliance = await startTestAppliance({ dataDir })
      expect(await waitForBatch(appliance, bucketId, batchId)).toMatchObject({ status: "COMPLETED", rows_done: 1 })
    } finally {
      removeDataDirectory(dataDir)
    }
  },
)
