import type { BlobModel, ObjectModel } from "../contract/objects.ts"
import { parseExactly } from "../exact-json.ts"
import { isRecord } from "../is-record.ts"
import type { ObjectRow } from "../metadata/objects.ts"
import { type StoredBlob, storedBlobs } from "../metadata/stored-blobs.ts"
import type { SignedAccess } from "../presigned-urls.ts"

/** How long a download URL in an answer works. */
const DOWNLOAD_MS = 3600 * 1000

export type SignUrl = (access: SignedAccess) => string

/** Signs a download of one file of a bucket. */
export function downloadUrl(signUrl: SignUrl, bucketId: string, sha256: string, now: Date): string {
  const expiresAt = new Date(now.getTime() + DOWNLOAD_MS)
  return signUrl({ method: "GET", path: `blobs/${bucketId}/${sha256}`, expiresAt })
}

/** `presign` is null when the answer is to carry no download URLs. */
export function objectAnswer(row: Omit<ObjectRow, "seq">, presign: ((sha256: string) => string) | null): ObjectModel {
  const blobs = storedBlobs(row)
  const fields: Record<string, unknown> = parseExactly(row.fields)
  return {
    ...fields,
    object_id: row.object_id,
    bucket_id: row.bucket_id,
    key_prefix: row.key_prefix,
    blobs: blobs.map((blob) => blobAnswer(blob, presign)),
    source_details: [{ type: "bucket", source_id: row.bucket_id }],
    status: row.status,
    error: row.error,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

function blobAnswer(blob: StoredBlob, presign: ((sha256: string) => string) | null): BlobModel {
  const presigned = blob.sha256 === undefined || presign === null ? {} : { presigned_url: presign(blob.sha256) }
  return {
    blob_id: blob.blob_id,
    property: blob.property,
    key_prefix: blob.key_prefix,
    type: blob.type,
    properties: {
      ...(blob.data === undefined ? {} : { data: blob.data }),
      ...(blob.url === undefined ? {} : { url: blob.url }),
      ...(Object.keys(blob.metadata).length === 0 ? {} : { metadata: blob.metadata }),
      ...presigned,
    },
    ...presigned,
    details: {
      filename: blob.details.filename,
      size_bytes: blob.details.size_bytes,
      mime_type: blob.details.mime_type,
      hash: blob.details.hash,
    },
  }
}

/** Keeps the named dotted paths; both ids stay, since the SDK reads no object without them. */
export function selectFields(answer: ObjectModel, paths: readonly string[]): ObjectModel {
  const selected: ObjectModel = { object_id: answer.object_id, bucket_id: answer.bucket_id }
  for (const path of paths) copyPath(answer, selected, path.split("."))
  return selected
}

function copyPath(
  from: Readonly<Record<string, unknown>>,
  to: Record<string, unknown>,
  [head, ...rest]: readonly string[],
): void {
  if (head === undefined || head === "__proto__" || !Object.hasOwn(from, head)) return
  const value = from[head]
  // A path into a list would need its own shape; the list is given whole.
  if (rest.length === 0 || !isRecord(value)) {
    to[head] = value
    return
  }
  const inner = to[head]
  const target: Record<string, unknown> = isRecord(inner) && inner !== value ? inner : {}
  to[head] = target
  copyPath(value, target, rest)
}
