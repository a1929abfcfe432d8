/** Buckets of texts, collections over them and batches, on a real appliance. */
import { expect } from "bun:test"
import { eventually, type TestAppliance } from "../support/appliance.ts"

export async function bucketWith(appliance: TestAppliance, texts: readonly string[]): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `b_${crypto.randomUUID()}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts.slice(at, at + 100).map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
    const loaded = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, { body: { objects } })
    expect(loaded.body.succeeded_count).toBe(objects.length)
  }
  return body.bucket_id
}

export async function collectionOver(appliance: TestAppliance, bucket: string, extractor: string): Promise<string> {
  const { status, body, text } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `c_${crypto.randomUUID().replaceAll("-", "_")}`,
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: extractor, version: "1.0.0" },
    },
  })
  if (status !== 200) throw new Error(text)
  return body.collection_id
}

/** Answers the batch's path. */
export async function trigger(
  appliance: TestAppliance,
  bucket: string,
  collection: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const { status, body, text } = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
    body: { collection_ids: [collection], ...more },
  })
  if (status !== 200) throw new Error(text)
  return `/v1/buckets/${bucket}/batches/${body.batch_id}`
}

/** The batch once `holds` of it. */
export function batchOnce(
  appliance: TestAppliance,
  path: string,
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says
  holds: (batch: any) => boolean,
  deadlineMs = 60_000,
) {
  return eventually(async () => {
    const { body } = await appliance.call("GET", path)
    return holds(body) ? body : null
  }, deadlineMs)
}

/** In, done, failed, skipped; the sum holds for a batch that has ended. */
export function counts(batch: { rows_in: number; rows_done: number; rows_failed: number; rows_skipped: number }) {
  return [batch.rows_in, batch.rows_done, batch.rows_failed, batch.rows_skipped]
}

export const words = (rows: number) => Array.from({ length: rows }, (_, index) => `text number ${index}`)
