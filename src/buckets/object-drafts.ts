/**
 * From a request to what an object will hold. Blobs come first, since their bytes must be on disk before a transaction
 * names them; the rest is checked against the bucket's schema without I/O, so that a change can be joined with the
 * stored object inside the transaction.
 */
import type { BlobStore, Hold } from "../archives/blobs.ts"
import type { BucketSchema, UniqueKey } from "../contract/buckets.ts"
import type { CreateBlob, CreateObject } from "../contract/objects.ts"
import { type FieldProblem, invalid } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { newId } from "../identifiers.ts"
import { isRecord } from "../is-record.ts"
import type { BucketUploadRow } from "../metadata/bucket-uploads.ts"
import type { BucketRow } from "../metadata/buckets.ts"
import { type BlobColumns, blobColumns, type StoredBlob } from "../metadata/stored-blobs.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { sha256 } from "../sha256.ts"
import { assetUrl } from "./asset-url.ts"
import { blobContent, inlineMime, textOf } from "./blob-data.ts"
import { HEAD_BYTES, mimeOfName, mimeType } from "./mime.ts"
import { fieldType, isTextType, type SchemaField, typesAgree, valueProblem } from "./schema.ts"
import { uniqueValue } from "./unique-key.ts"

/** Fields and inline values of one object, as JSON: rows travel through batches whole. Larger content is a file. */
const MAX_INLINE_BYTES = 4 * 1024 * 1024

/** Keys of a request that are no fields of the user's. */
const REQUEST_KEYS = new Set([
  "key_prefix",
  "blobs",
  "metadata",
  "skip_duplicates",
  "canonicalize_source",
  "force_remirror",
])
/** Keys of an answer that a field of the user's would hide. */
const ANSWER_KEYS = ["object_id", "bucket_id", "source_details", "status", "error", "created_at", "updated_at"] as const

/** A bucket with its JSON read. */
export interface OpenBucket {
  readonly bucketId: string
  readonly namespaceId: string
  readonly schema: BucketSchema
  readonly uniqueKey: UniqueKey | null
}

export interface Draft {
  readonly keyPrefix: string | null
  /** JSON, as the row holds it. */
  readonly fields: string
  readonly blobs: BlobColumns
  /** Hashes of the files that the blobs name. */
  readonly files: readonly string[]
  readonly uniqueValue: string | null
  readonly contentHash: string | null
  readonly sizeBytes: number
}

export interface DraftDeps {
  readonly blobs: BlobStore
  /** A completed upload of the bucket whose bytes may become a blob. */
  readonly findUpload: (bucketId: string, uploadId: string) => BucketUploadRow | undefined
  readonly holdsFile: (bucketId: string, sha256: string) => boolean
}

export function openBucket(row: BucketRow): OpenBucket {
  return {
    bucketId: row.bucket_id,
    namespaceId: row.namespace_id,
    schema: parseExactly(row.bucket_schema),
    uniqueKey: row.unique_key === null ? null : JSON.parse(row.unique_key),
  }
}

/** The user's own fields in a request: top-level keys that are not ours, and `metadata`. @throws ValidationError */
export function userFields(request: CreateObject): Record<string, unknown> {
  const taken = ANSWER_KEYS.filter((key) => key in request)
  if (taken.length > 0) {
    throw invalid(
      `${taken.join(", ")} cannot be a field at the top of an object; put it into metadata.`,
      taken.map((key) => ({ type: "reserved", location: ["body", key], message: "is a name of the answer's own" })),
    )
  }
  const fields = Object.fromEntries(
    Object.entries(request).filter(([key, value]) => !REQUEST_KEYS.has(key) && value !== undefined),
  )
  return request.metadata == null ? fields : { ...fields, metadata: request.metadata }
}

/**
 * Reads the blobs of a request and lands their bytes, held by `hold`.
 * @throws ValidationError with the place of every blob that is not one
 */
export async function prepareBlobs(
  deps: DraftDeps,
  namespace: Namespace,
  bucket: OpenBucket,
  requests: readonly CreateBlob[],
  hold: Hold,
): Promise<StoredBlob[]> {
  const problems: FieldProblem[] = []
  const stored: StoredBlob[] = []
  for (const [index, request] of requests.entries()) {
    const blob = await prepareBlob(deps, namespace, bucket, request, hold)
    if (typeof blob === "object" && "blob_id" in blob) stored.push(blob)
    else problems.push({ ...blob, location: ["body", "blobs", index, ...blob.location] })
  }
  const first = problems[0]
  if (first !== undefined) throw invalid(`Blob at ${first.location.slice(1).join(".")}: ${first.message}.`, problems)
  return stored
}

async function prepareBlob(
  deps: DraftDeps,
  namespace: Namespace,
  bucket: OpenBucket,
  request: CreateBlob,
  hold: Hold,
): Promise<StoredBlob | FieldProblem> {
  const wrong = (key: string, type: string, message: string): FieldProblem => ({ type, location: [key], message })
  const declared = Object.hasOwn(bucket.schema.properties, request.property)
    ? bucket.schema.properties[request.property]
    : undefined
  if (declared === undefined) {
    const known = Object.keys(bucket.schema.properties).slice(0, 20).join(", ") || "none"
    return wrong("property", "unknown_property", `'${request.property}' is not in the bucket's schema (${known})`)
  }
  const type = fieldType(request.type)
  if (type === null) return wrong("type", "enum", `'${request.type}' is not a field type`)
  if (!typesAgree(type, declared.type)) {
    return wrong("type", "type", `the schema says ${declared.type} for '${request.property}', not ${type}`)
  }
  const hasData = request.data !== undefined && request.data !== null
  const hasUpload = request.upload_id !== undefined && request.upload_id !== null
  if (hasData === hasUpload) return wrong("data", "one_of", "exactly one of data and upload_id is required")

  const base = {
    blob_id: newId("blob"),
    property: request.property,
    key_prefix: request.key_prefix ?? null,
    type,
    metadata: request.metadata ?? {},
  }
  const stored = async (sha256: string, bytes: number, claim: string | null, filename: string | null) => {
    const head = await deps.blobs.head(namespace, bucket.bucketId, sha256, HEAD_BYTES)
    const details = { filename, size_bytes: bytes, mime_type: await mimeType(head, claim, filename), hash: sha256 }
    return { ...base, sha256, url: assetUrl(bucket.bucketId, sha256), details }
  }
  if (request.upload_id != null) {
    const upload = deps.findUpload(bucket.bucketId, request.upload_id)
    if (upload === undefined || upload.sha256 === null) {
      return wrong("upload_id", "not_found", `'${request.upload_id}' is no completed upload of this bucket`)
    }
    const bytes = await heldSize(deps, namespace, bucket, upload.sha256, hold)
    if (bytes === null) return wrong("upload_id", "gone", `the bytes of '${request.upload_id}' went with its object`)
    if (isTextType(type) && bytes <= MAX_INLINE_BYTES / 2) {
      const read = await textOf(await deps.blobs.head(namespace, bucket.bucketId, upload.sha256, bytes))
      // What is no text stays a file, of the type that it is.
      if ("text" in read) {
        const details = { filename: upload.filename, mime_type: inlineMime(upload.content_type, upload.filename) }
        return { ...base, data: read.text, details: { ...inlineDetails(read.text), ...details } }
      }
    }
    return stored(upload.sha256, bytes, upload.content_type, upload.filename)
  }
  const content = await blobContent(request.data, type)
  switch (content.kind) {
    case "problem":
      return wrong("data", "data", content.message)
    case "value": {
      const problem = declared.type === "object" ? null : valueProblem(content.value, declared, ["data"])
      if (problem !== null) return problem
      const details = inlineDetails(content.value)
      return {
        ...base,
        data: content.value,
        details: {
          ...details,
          filename: content.filename ?? null,
          mime_type: content.mimeType ?? details.mime_type,
        },
      }
    }
    case "bytes": {
      const sha256 = await deps.blobs.land(namespace, bucket.bucketId, content.bytes, hold)
      return stored(sha256, content.bytes.byteLength, content.mimeType, content.filename)
    }
    case "address": {
      const filename = content.filename ?? nameInAddress(content.url)
      const own = ownFile(bucket.bucketId, content.url)
      if (own !== null) {
        const bytes = await heldSize(deps, namespace, bucket, own, hold)
        if (bytes === null || !deps.holdsFile(bucket.bucketId, own)) {
          return wrong("data", "not_found", "names a file that this bucket does not have")
        }
        return stored(own, bytes, content.mimeType, content.filename)
      }
      const mime = content.mimeType ?? mimeOfName(filename)
      return { ...base, url: content.url, details: { filename, size_bytes: null, mime_type: mime, hash: null } }
    }
    default:
      return content satisfies never
  }
}

async function heldSize(deps: DraftDeps, namespace: Namespace, bucket: OpenBucket, sha256: string, hold: Hold) {
  hold.add(namespace, bucket.bucketId, sha256)
  return deps.blobs.size(namespace, bucket.bucketId, sha256)
}

function inlineDetails(value: unknown): StoredBlob["details"] {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return {
    filename: null,
    size_bytes: Buffer.byteLength(text),
    mime_type: typeof value === "string" ? "text/plain" : "application/json",
    hash: sha256(text),
  }
}

/** A file of the same bucket, addressed as answers show it. */
function ownFile(bucketId: string, url: string): string | null {
  const prefix = assetUrl(bucketId, "")
  const name = url.startsWith(prefix) ? url.slice(prefix.length) : ""
  return /^[a-f0-9]{64}$/.test(name) ? name : null
}

function nameInAddress(url: string): string | null {
  const name = URL.canParse(url) ? (new URL(url).pathname.split("/").at(-1) ?? "") : ""
  return name === "" || name.length > 255 ? null : name
}

/** Checks an object as a whole against its bucket and fills defaults in. @throws ValidationError */
export function assembleDraft(
  bucket: OpenBucket,
  keyPrefix: string | null,
  given: Readonly<Record<string, unknown>>,
  blobs: readonly StoredBlob[],
): Draft {
  const fields: Record<string, unknown> = { ...given }
  const metadata = isRecord(fields.metadata) ? fields.metadata : {}
  const problems: FieldProblem[] = []
  for (const [name, field] of Object.entries(bucket.schema.properties)) {
    const problem = checkField(name, field, fields, metadata, blobs)
    if (problem !== null) problems.push(problem)
  }
  const first = problems[0]
  if (first !== undefined) {
    throw invalid(
      `The object does not fit the bucket's schema: ${first.location.slice(1).join(".")} ${first.message}.`,
      problems,
    )
  }
  const fieldsJson = JSON.stringify(fields)
  const inline = Buffer.byteLength(fieldsJson) + Buffer.byteLength(JSON.stringify(blobs))
  if (inline > MAX_INLINE_BYTES) {
    throw invalid(
      `The object's fields and inline values have ${inline} bytes; at most ${MAX_INLINE_BYTES} are taken. Send large content as a file.`,
      [{ type: "too_long", location: ["body"], message: `at most ${MAX_INLINE_BYTES} bytes inline` }],
    )
  }
  return {
    keyPrefix,
    fields: fieldsJson,
    blobs: blobColumns(blobs),
    files: [...new Set(blobs.flatMap((blob) => (blob.sha256 === undefined ? [] : [blob.sha256])))],
    uniqueValue: bucket.uniqueKey === null ? null : uniqueValue(bucket.uniqueKey, fields, blobs),
    contentHash: contentHash(blobs),
    sizeBytes: blobs.reduce((sum, blob) => sum + (blob.details.size_bytes ?? 0), 0),
  }
}

/** A property may be given as a blob, at the top or in `metadata`. */
function checkField(
  name: string,
  field: SchemaField,
  fields: Record<string, unknown>,
  metadata: Record<string, unknown>,
  blobs: readonly StoredBlob[],
): FieldProblem | null {
  if (blobs.some((blob) => blob.property === name)) return null
  const own = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (own !== undefined && own !== null) return valueProblem(own, field, ["body", name])
  if (Object.hasOwn(metadata, name) && metadata[name] !== null) return null
  if (field.default !== undefined && field.default !== null) {
    fields[name] = field.default
    return null
  }
  return field.required
    ? { type: "missing", location: ["body", name], message: "is required by the bucket's schema" }
    : null
}

/** The same for objects with the same blobs under the same properties, whatever their fields say. */
function contentHash(blobs: readonly StoredBlob[]): string | null {
  if (blobs.length === 0) return null
  const parts = blobs.map((blob) => `${blob.property}\n${blob.details.hash ?? blob.url ?? ""}`).sort()
  return sha256(parts.join("\n\n"))
}
