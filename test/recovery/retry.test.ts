import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { join } from "node:path"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { documentIds, waitForBatch } from "../support/batch.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"

const NAME = "slowly_fixed"
const failing = (raises: string, before = "") => `${before}
for text in batch["text"].tolist():
    if ${raises}:
        raise ValueError(text)
batch["${NAME}_embedding"] = [[1.0] * 4] * len(batch)
return batch`

test("kill -9 in the middle of a retry, then a start, ends it with every row accounted for and none twice", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await published(appliance, { name: NAME, call: failing("'bad' in text") })
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "texts", bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucketId: string = bucket.body.bucket_id
  // Every second row fails: 600, as two partitions of the retry.
  for (let at = 0; at < 1200; at += 100) {
    const objects = Array.from({ length: 100 }, (_, index) => ({
      blobs: [{ property: "text", type: "text", data: `${at + index} ${index % 2 === 0 ? "bad" : "good"}` }],
    }))
    await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "retried",
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: NAME, version: "1.0.0" },
    },
  })
  const batch = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, { body: {} })
  const path = `/v1/buckets/${bucketId}/batches/${batch.body.batch_id}`
  const first = await waitForBatch(appliance, bucketId, batch.body.batch_id)
  expect([first.rows_done, first.rows_failed]).toEqual([600, 600])

  await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/${NAME}_1_0_0`)
  const fixed = textPlugin({ name: NAME, call: failing("text == '100 bad'", "time.sleep(0.1)") })
  expect((await upload(appliance, fixed, { name: NAME })).status).toBe(200)
  const retried = await appliance.call("POST", `${path}/retry`)
  expect(retried.body.retried_rows).toBe(600)
  // At once, and again with a part of it committed.
  await appliance.kill()
  await appliance.start()
  await eventually(async () => (await appliance.call("GET", path)).body.rows_done > 600)
  await appliance.kill()
  await appliance.start()

  const ended = await waitForBatch(appliance, bucketId, batch.body.batch_id)
  expect(ended).toMatchObject({ rows_in: 1200, rows_done: 1199, rows_failed: 1, rows_skipped: 0, retry_count: 1 })
  const errors = await appliance.call("GET", `${path}/failed-documents`)
  expect(errors.body.failed_documents).toMatchObject([{ row: 100, error: "100 bad", retry_count: 1 }])
  const ids = await documentIds(appliance, collection.body.collection_id)
  expect(ids).toHaveLength(1199)
  expect(new Set(ids).size).toBe(1199)
  using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
  expect(database.query("SELECT count(*) AS open FROM retried_rows WHERE open_in IS NOT NULL").get()).toEqual({
    open: 0,
  })
}, 600_000)
