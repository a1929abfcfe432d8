/** A plugin that makes several rows of a text, one that reads them, and collections over one another. */
import { expect } from "bun:test"
import type { TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"

/** One output for every word of a text, with its place. */
export const CHUNKER = `rows = [
    {**row, "chunk": word, "place": place}
    for row in batch.to_dict("records")
    for place, word in enumerate((row["text"] or "").split())
]
if any(row["chunk"] == "unchunkable" for row in rows):
    raise ValueError("a text that cannot be chunked")
out = pd.DataFrame(rows)
out["chunker_embedding"] = [[float(len(row["chunk"]))] * 4 for row in rows]
return out`

export const MEASURE = `if "unmeasurable" in batch["text"].tolist():
    raise ValueError("a chunk that cannot be measured")
batch["measure_embedding"] = [[float(len(t))] * 4 for t in batch["text"].tolist()]
batch["letters"] = [len(t) for t in batch["text"].tolist()]
batch["same"] = [d == t for d, t in zip(batch["data"].tolist(), batch["text"].tolist())]
return batch`

/** Of a collection over words: a plugin that reads each as its text. */
export const perWord = (name: string) => ({
  feature_extractor_name: name,
  input_mappings: { text: "chunk" },
  field_passthrough: ["chunk"],
})

export interface Site {
  readonly appliance: TestAppliance
  bucket(texts: readonly string[]): Promise<string>
  over(source: Record<string, unknown>, extractor: Record<string, unknown>): Promise<string>
  run(bucket: string, body?: Record<string, unknown>): Promise<Batch>
  // biome-ignore lint/suspicious/noExplicitAny: documents have whatever fields their plugin made
  documents(collection: string, body?: Record<string, unknown>): Promise<any[]>
}
// biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says and asserts on it
export type Batch = any

let count = 0

export function site(appliance: TestAppliance): Site {
  return {
    appliance,
    async bucket(texts) {
      const { body } = await appliance.call("POST", "/v1/buckets", {
        body: { bucket_name: `bucket_${++count}`, bucket_schema: { properties: { text: { type: "text" } } } },
      })
      for (let at = 0; at < texts.length; at += 100) {
        const objects = texts.slice(at, at + 100).map((text) => ({ text, blobs: [] }))
        const loaded = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, {
          body: { objects },
        })
        if (loaded.body.succeeded_count !== objects.length) throw new Error(loaded.text)
      }
      return body.bucket_id
    },
    async over(source, extractor) {
      const created = await appliance.call("POST", "/v1/collections", {
        body: {
          collection_name: `collection_${++count}`,
          source,
          feature_extractor: { version: "1.0.0", ...extractor },
        },
      })
      if (created.status !== 200) throw new Error(created.text)
      return created.body.collection_id
    },
    async run(bucket, body = {}) {
      const started = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body })
      if (started.status !== 200) throw new Error(started.text)
      return waitForBatch(appliance, bucket, started.body.batch_id)
    },
    async documents(collection, body = {}) {
      const listed = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
        body: { limit: 1000, ...body },
      })
      if (listed.status !== 200) throw new Error(listed.text)
      return listed.body.results
    },
  }
}

export const chunks = { feature_extractor_name: "chunker", include_all_source_fields: true }
export const perChunk = { feature_extractor_name: "measure", input_mappings: { text: "chunk" } }
export const of = (collection: string) => ({ type: "collection", collection_id: collection })
export const inBucket = (bucket: string) => ({ type: "bucket", bucket_ids: [bucket] })

export async function publishBoth(appliance: TestAppliance): Promise<void> {
  await published(appliance, { name: "chunker", call: CHUNKER })
  await published(appliance, { name: "measure", call: MEASURE })
}

export function counts(part: Batch) {
  expect(part.rows_in).toBe(part.rows_done + part.rows_failed + part.rows_skipped)
  return [part.rows_in, part.rows_done, part.rows_failed, part.rows_skipped]
}

export const jobs = (batch: Batch) => batch.tier_tasks.map((tier: Batch) => counts(tier.extractor_jobs[0]))
