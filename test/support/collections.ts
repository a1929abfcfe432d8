/** Buckets of texts, collections over them, and what is asked of both. */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { eventually, type TestAppliance } from "./appliance.ts"
import { waitForBatch } from "./batch.ts"
import { published } from "./plugins.ts"

/**
 * Says what it read and which version it is. Processes of a text with `slow` take `slowSeconds`, one with `poison` fails.
 */
export function publishEcho(appliance: TestAppliance, name: string, version = "1.0.0", slowSeconds = 600) {
  return published(appliance, {
    name,
    version,
    call: `texts = batch["text"].fillna("").tolist()
if any("slow" in t for t in texts):
    time.sleep(${slowSeconds})
if any("poison" in t for t in texts):
    raise ValueError("poison")
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
batch["said"] = texts
batch["by"] = "${version}"
return batch`,
  })
}

const blobs = (text: string) => ({ blobs: [{ property: "text", type: "text", data: text }] })

export async function bucketOf(appliance: TestAppliance, texts: readonly string[]) {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `bucket ${crypto.randomUUID()}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucket: string = body.bucket_id
  return { bucket, ids: await addTexts(appliance, bucket, texts) }
}

/** Answers the objects' ids. */
export async function addTexts(appliance: TestAppliance, bucket: string, texts: readonly string[]): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts.slice(at, at + 100).map(blobs)
    const { body, text } = await appliance.call("POST", `/v1/buckets/${bucket}/objects/batch`, { body: { objects } })
    if (body.succeeded_count !== objects.length) throw new Error(text)
    ids.push(...body.succeeded.map((object: { object_id: string }) => object.object_id))
  }
  return ids
}

export async function rewrite(appliance: TestAppliance, bucket: string, object: string | undefined, text: string) {
  const answer = await appliance.call("PUT", `/v1/buckets/${bucket}/objects/${object}`, { body: blobs(text) })
  if (answer.status !== 200) throw new Error(answer.text)
}

export async function collectionOf(
  appliance: TestAppliance,
  bucket: string,
  name: string,
  extractor: Record<string, unknown> = {},
): Promise<string> {
  const { status, body, text } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `collection ${crypto.randomUUID()}`,
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0", ...extractor },
    },
  })
  if (status !== 200) throw new Error(text)
  return body.collection_id
}

/** Answers the batch's id, without a wait. */
export async function startTrigger(appliance: TestAppliance, collection: string, body: object = {}): Promise<string> {
  const answer = await appliance.call("POST", `/v1/collections/${collection}/trigger`, { body })
  if (answer.status !== 202) throw new Error(answer.text)
  return answer.body.batch_id
}

/** Until the rows of a partition are written for its worker. */
export async function rowsAreRead({ dataDir }: TestAppliance): Promise<void> {
  await eventually(async () => {
    const spool = join(dataDir, "spool")
    const lineages = readdirSync(spool)
      .filter((name) => /^\d+-\d+$/.test(name))
      .map((name) => join(spool, name, "lineage.tsv"))
    return lineages.some((file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0)
  })
}

/** The batch at its end. */
export async function trigger(appliance: TestAppliance, bucket: string, collection: string, body: object = {}) {
  return waitForBatch(appliance, bucket, await startTrigger(appliance, collection, body))
}

/** The documents' fields `said`, or several in one string, sorted. */
export async function said(
  appliance: TestAppliance,
  collection: string,
  body: object = {},
  fields: readonly string[] = ["said"],
): Promise<string[]> {
  const {
    status,
    body: listed,
    text,
  } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
    body: { limit: 1000, ...body },
  })
  if (status !== 200) throw new Error(text)
  return listed.results
    .map((document: Record<string, unknown>) => fields.map((field) => document[field]).join(" "))
    .sort()
}
