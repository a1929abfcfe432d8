/** The writes of objects inside a transaction. `countWritten` ends each: the bucket's counts move with its objects. */
import type { UniqueKeyPolicy } from "../contract/buckets.ts"
import { ApplianceError } from "../errors.ts"
import { newId } from "../identifiers.ts"
import type { ObjectRow } from "../metadata/objects.ts"
import type { Transaction } from "../metadata/open.ts"
import { type BlobColumns, storedBlobs } from "../metadata/stored-blobs.ts"
import type { QuotaBook } from "../organizations/quotas.ts"
import type { Draft, OpenBucket } from "./object-drafts.ts"

export type NewRow = Omit<ObjectRow, "seq">

export type Written =
  | {
      readonly kind: "created" | "updated"
      readonly row: NewRow
      /** Files that this object no longer names. */
      readonly released: readonly string[]
      readonly addedBytes: number
    }
  /** An object with the same blobs was there already, and the request asked not to repeat it. */
  | { readonly kind: "existing"; readonly row: NewRow }
  | { readonly kind: "refused"; readonly error: ApplianceError }

interface Choice {
  readonly policy: UniqueKeyPolicy
  readonly skipDuplicates: boolean
}

/** Writes nothing when it answers `existing` or `refused`. */
export function writeObject(tx: Transaction, bucket: OpenBucket, draft: Draft, choice: Choice, at: string): Written {
  const same =
    draft.uniqueValue === null ? undefined : tx.read.objects.byUniqueValue(bucket.bucketId, draft.uniqueValue)
  if (same !== undefined) {
    if (choice.policy === "insert") return { kind: "refused", error: duplicate(bucket, same.object_id) }
    return rewriteObject(tx, bucket, same, draft, at)
  }
  if (choice.policy === "update") {
    const message = `No object with this unique key (${bucket.uniqueKey?.fields.join(", ")}) exists.`
    return {
      kind: "refused",
      error: new ApplianceError("NotFoundError", message, { details: { resource: "object", id: null } }),
    }
  }
  if (choice.skipDuplicates && draft.contentHash !== null) {
    const existing = tx.read.objects.byContent(bucket.bucketId, draft.contentHash)
    if (existing !== undefined) return { kind: "existing", row: existing }
  }
  const row: NewRow = {
    object_id: newId("obj"),
    bucket_id: bucket.bucketId,
    ...columns(draft),
    status: "DRAFT",
    error: null,
    created_at: at,
    updated_at: at,
  }
  tx.write.objects.insert(row, draft.files)
  return { kind: "created", row, released: [], addedBytes: draft.sizeBytes }
}

/** Gives a stored object new content. */
export function rewriteObject(
  tx: Transaction,
  bucket: OpenBucket,
  stored: ObjectRow,
  draft: Draft,
  at: string,
): Written {
  if (draft.uniqueValue !== null && draft.uniqueValue !== stored.unique_value) {
    const other = tx.read.objects.byUniqueValue(bucket.bucketId, draft.uniqueValue)
    if (other !== undefined) return { kind: "refused", error: duplicate(bucket, other.object_id) }
  }
  const { seq: _, ...rest } = stored
  const row: NewRow = { ...rest, ...columns(draft), ...unchangedBlobs(stored, draft.blobs), updated_at: at }
  const files = draft.files
  const released = tx.read.objects.files(stored.object_id).filter((sha256) => !files.includes(sha256))
  tx.write.objects.update(row, files)
  return { kind: "updated", row, released, addedBytes: draft.sizeBytes - stored.size_bytes }
}

/** The same blobs sent again keep their ids: then the object is not changed, and nothing is processed again for it. */
function unchangedBlobs(stored: BlobColumns, sent: BlobColumns): BlobColumns {
  const content = (blobs: BlobColumns) => JSON.stringify(storedBlobs(blobs).map(({ blob_id: _, ...blob }) => blob))
  if (content(stored) !== content(sent)) return sent
  const { blobs, blob_kinds, blob_values, blob_rest } = stored
  return { blobs, blob_kinds, blob_values, blob_rest }
}

/** One update of the bucket's row for all that a transaction wrote into it. @throws QuotaExceededError: nothing is kept */
export function countWritten(
  tx: Transaction,
  quotas: Pick<QuotaBook, "demandRoom">,
  bucket: OpenBucket,
  written: readonly Written[],
  at: string,
): void {
  const changed = written.flatMap((one) => (one.kind === "created" || one.kind === "updated" ? [one] : []))
  if (changed.length === 0) return
  const objects = changed.filter((one) => one.kind === "created").length
  const bytes = changed.reduce((sum, one) => sum + one.addedBytes, 0)
  quotas.demandRoom(tx.read, bucket.namespaceId, { objects, bytes })
  tx.write.buckets.count(bucket.bucketId, objects, bytes, at)
}

function columns(draft: Draft) {
  return {
    key_prefix: draft.keyPrefix,
    fields: draft.fields,
    ...draft.blobs,
    unique_value: draft.uniqueValue,
    content_hash: draft.contentHash,
    size_bytes: draft.sizeBytes,
  }
}

function duplicate(bucket: OpenBucket, objectId: string): ApplianceError {
  return new ApplianceError(
    "AlreadyExistsError",
    `An object with this unique key (${bucket.uniqueKey?.fields.join(", ")}) exists: ${objectId}.`,
    { details: { resource: "object", id: objectId } },
  )
}
