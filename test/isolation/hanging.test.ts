import { expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { textPlugin, upload } from "../support/plugins.ts"

test("the author of a plugin that hangs is told where it does, and which setting ended it", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_DEADLINE_SECONDS: "2" } })
  const call = `def waits_for_ever():
    while True:
        time.sleep(1)
waits_for_ever()`
  expect((await upload(appliance, textPlugin({ name: "hangs", call }), { name: "hangs" })).status).toBe(200)
  const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "texts", bucket_schema: { properties: { text: { type: "text" } } } },
  })
  await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/objects`, {
    body: { blobs: [{ property: "text", type: "text", data: "a text" }] },
  })
  const { body: collection } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "texts",
      source: { type: "bucket", bucket_ids: [bucket.bucket_id] },
      feature_extractor: { feature_extractor_name: "hangs", version: "1.0.0" },
    },
  })
  const { body } = await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/batches/trigger`, {
    body: { collection_ids: [collection.collection_id] },
  })
  await waitForBatch(appliance, bucket.bucket_id, body.batch_id)
  const errors = await appliance.call(
    "GET",
    `/v1/buckets/${bucket.bucket_id}/batches/${body.batch_id}/failed-documents`,
  )
  const [failed] = errors.body.failed_documents
  expect(failed.error).toContain("showed no progress within 2000 ms (MIXPEEK_PARTITION_DEADLINE_SECONDS)")
  expect(failed.traceback).toMatch(/processors\/core\.py, line \d+, in waits_for_ever/)
  expect(failed.error_type).toBe("resource")
})
