/** Batches on a real appliance, from their trigger to what they count. */
import { eventually, type TestAppliance } from "../support/appliance.ts"

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
