/** Batches over all of a bucket: its objects lie between another's, and some go while the batch waits. */
import { Database } from "bun:sqlite"
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "3", MIXPEEK_WORKERS: "1" } })
  await published(appliance, {
    name: "whole",
    call: `if any(text.startswith("die") for text in batch["text"]):
    raise SystemExit("a bad row")
batch["whole_embedding"] = [[1.0, 2.0, 3.0, 4.0] for _ in batch["text"]]
return batch`,
  })
})

afterAll(() => appliance[Symbol.asyncDispose]())

async function bucket(name: string): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  return body.bucket_id
}

async function object(bucketId: string, text: string): Promise<string> {
  const { body } = await appliance.call("POST", `/v1/buckets/${bucketId}/objects`, {
    body: { blobs: [{ property: "text", type: "text", data: text }] },
  })
  return body.object_id
}

test("each object of the bucket is a row once, by its place, whatever lies between and whatever goes meanwhile", async () => {
  const [ours, others] = [await bucket("ours"), await bucket("others")]
  const ids: string[] = []
  for (let at = 0; at < 12; at++) {
    ids.push(await object(ours, at === 7 ? "die here" : `text ${at}`))
    await object(others, `other ${at}`)
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "whole collection",
      source: { type: "bucket", bucket_ids: [ours] },
      feature_extractor: { feature_extractor_name: "whole", version: "1.0.0" },
    },
  })
  const { body: batch } = await appliance.call("POST", `/v1/buckets/${ours}/batches/trigger`, {
    body: { collection_ids: [collection.body.collection_id] },
  })
  await appliance.call("POST", `/v1/buckets/${ours}/batches/${batch.batch_id}/pause`)
  const gone = [ids[4], ids[11]]
  for (const id of gone) await appliance.call("DELETE", `/v1/buckets/${ours}/objects/${id}`)
  await appliance.call("POST", `/v1/buckets/${ours}/batches/${batch.batch_id}/resume`)
  const ended = await waitForBatch(appliance, ours, batch.batch_id)
  expect(ended.status).toBe("COMPLETED_WITH_ERRORS")
  expect(ended.rows_in).toBe(ended.rows_done + ended.rows_failed + ended.rows_skipped)
  expect(ended.rows_failed).toBe(1)

  const documents = await appliance.call("POST", `/v1/collections/${collection.body.collection_id}/documents/list`, {
    body: { limit: 100, select: ["object_id"] },
  })
  const made: string[] = documents.body.results.map((document: { object_id: string }) => document.object_id)
  expect(new Set(made).size).toBe(made.length)
  const kept = ids.filter((id) => !gone.includes(id) && id !== ids[7])
  expect(kept.filter((id) => !made.includes(id))).toEqual([])
  expect(made.filter((id) => !ids.includes(id))).toEqual([])

  const failed = await appliance.call(
    "GET",
    `/v1/buckets/${ours}/batches/${batch.batch_id}/failed-documents?include_input=true`,
  )
  expect(failed.body.failed_documents).toMatchObject([
    { object_id: String(ids[7]), exception: "SystemExit", input: { text: "die here", object_id: String(ids[7]) } },
  ])
  expect([6, 7]).toContain(failed.body.failed_documents[0].row)

  const retried = await appliance.call("POST", `/v1/buckets/${ours}/batches/${batch.batch_id}/retry`)
  expect(retried.body.retried_rows).toBe(1)
  const again = await waitForBatch(appliance, ours, batch.batch_id)
  expect([again.rows_failed, again.rows_in]).toEqual([1, ended.rows_in])
})

test("the first trigger of a collection lists nobody, the next one lists what is new and changed", async () => {
  const source = await bucket("triggered")
  const ids: string[] = []
  for (let at = 0; at < 5; at++) ids.push(await object(source, `text ${at}`))
  const { body } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "triggered collection",
      source: { type: "bucket", bucket_ids: [source] },
      feature_extractor: { feature_extractor_name: "whole", version: "1.0.0" },
    },
  })
  const triggered = async () => {
    const started = await appliance.call("POST", `/v1/collections/${body.collection_id}/trigger`)
    const ended = await waitForBatch(appliance, source, started.body.batch_id)
    using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
    const listed = database
      .query<{ object_id: string }, [string]>("SELECT object_id FROM batch_objects WHERE batch_id = ? ORDER BY ordinal")
      .all(ended.batch_id)
    return {
      rows: [ended.rows_in, ended.rows_done],
      objects: ended.object_ids,
      listed: listed.map((row) => row.object_id),
    }
  }
  expect(await triggered()).toEqual({ rows: [5, 5], objects: ids, listed: [] })
  const changed = { blobs: [{ property: "text", type: "text", data: "another text" }] }
  await appliance.call("PUT", `/v1/buckets/${source}/objects/${ids[2]}`, { body: changed })
  const again = [ids[2] ?? "", await object(source, "text 5")]
  expect(await triggered()).toEqual({ rows: [2, 2], objects: again, listed: again })
  expect(await triggered()).toEqual({ rows: [0, 0], objects: [], listed: [] })
})
