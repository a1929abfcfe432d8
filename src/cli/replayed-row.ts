/** A failed row of a batch as the server has it: its error, what the plugin was given, and the blobs that it names. */
import { createHash } from "node:crypto"
import { mkdir, rename } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"
import type { ApiClient } from "./api-client.ts"
import { CommandFailed } from "./command-failed.ts"

const Batch = z.object({ bucket_id: z.string() })
const RowError = z.object({
  object_id: z.string(),
  collection_id: z.string(),
  row: z.int(),
  error: z.string(),
  error_type: z.string(),
  exception: z.string(),
  traceback: z.string().nullable(),
  plugin_version: z.string().nullable(),
  code_hash: z.string().nullable(),
  input_bytes: z.int().nullable(),
  input: z.record(z.string(), z.unknown()).nullable(),
})
export type RowError = z.infer<typeof RowError>
const Errors = z.object({ failed_documents: z.array(RowError) })
const Collection = z.object({
  feature_extractor: z.object({
    parameters: z.record(z.string(), z.unknown()).nullish(),
    params: z.record(z.string(), z.unknown()).nullish(),
  }),
})
const Blobs = z.object({
  blobs: z.array(
    z.object({
      // An inline blob has none.
      properties: z.looseObject({ url: z.unknown().optional() }),
      presigned_url: z.string().optional(),
    }),
  ),
})

const ASSET_URL = /s3:\/\/([A-Za-z0-9_-]{1,128})\/([0-9a-f]{64})/g

export interface RowNamed {
  readonly batch: string
  readonly row: number
  readonly bucket?: string
  readonly collection?: string
}

export interface FailedRow {
  readonly error: RowError
  readonly input: Record<string, unknown>
  readonly parameters: Record<string, unknown>
}

/** @throws CommandFailed when the row has no error, more than one, or no input that was kept */
export async function failedRow(client: ApiClient, { batch, row, bucket, collection }: RowNamed): Promise<FailedRow> {
  const id = encodeURIComponent(batch)
  const bucketId = bucket ?? (await client.get(Batch, `/batches/${id}`)).bucket_id
  const query = new URLSearchParams({ row: String(row), include_input: "true" })
  if (collection !== undefined) query.set("collection_id", collection)
  const path = `/buckets/${encodeURIComponent(bucketId)}/batches/${id}/failed-documents?${query}`
  const { failed_documents: errors } = await client.get(Errors, path)
  const [error, ...others] = errors
  if (error === undefined) {
    const where = collection === undefined ? batch : `${batch} in collection '${collection}'`
    throw new CommandFailed(`Row ${row} of ${where} has not failed, or a retry has run it again since.`)
  }
  if (others.length > 0) {
    const names = errors.map((other) => other.collection_id).join(", ")
    throw new CommandFailed(`Row ${row} of ${batch} failed in several collections: --collection names one of ${names}.`)
  }
  if (error.input === null) {
    const why =
      error.input_bytes === null
        ? "the plugin was given none, or its object has changed since"
        : `it has ${error.input_bytes} bytes, more than is kept`
    const instead = `'mixpeek plugin test --sample-data FILE' runs what you put together of object ${error.object_id}.`
    throw new CommandFailed(`The input of row ${row} is not on the server: ${why}. ${instead}`)
  }
  const { feature_extractor: extractor } = await client.get(
    Collection,
    `/collections/${encodeURIComponent(error.collection_id)}`,
  )
  const { extractor_type: _, ...parameters } = { ...extractor.params, ...extractor.parameters }
  return { error, input: error.input, parameters }
}

/** Fetches the blobs that the input names, as a worker finds them: `<root>/<2 hex>/<sha256>`. Answers the roots by bucket. */
export async function fetchAssets(
  client: ApiClient,
  { error, input }: FailedRow,
  directory: string,
): Promise<Record<string, string>> {
  const wanted = new Map([...JSON.stringify(input).matchAll(ASSET_URL)].map((match) => [match[0], match]))
  const roots: Record<string, string> = {}
  for (const [url, [, bucketId = "", sha256 = ""]] of wanted) {
    const object = `/buckets/${bucketId}/objects/${encodeURIComponent(error.object_id)}?return_presigned_urls=true`
    const { blobs } = await client.get(Blobs, object)
    const from = blobs.find((blob) => blob.properties.url === url)?.presigned_url
    if (from === undefined) throw new CommandFailed(`Object ${error.object_id} has no blob ${url} any more.`)
    const root = join(directory, bucketId)
    roots[bucketId] = root
    const folder = join(root, sha256.slice(0, 2))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const partial = join(folder, `${sha256}.partial`)
    const hash = createHash("sha256")
    await client.download(from, partial, (chunk) => hash.update(chunk))
    if (hash.digest("hex") !== sha256) throw new CommandFailed(`What the server gives for ${url} has another SHA-256.`)
    await rename(partial, join(folder, sha256))
  }
  return roots
}
