import type { Db } from "./open.ts"

export interface BucketRow {
  bucket_id: string
  namespace_id: string
  bucket_name: string
  description: string | null
  bucket_schema: string
  unique_key: string | null
  metadata: string
  object_count: number
  total_size_bytes: number
  last_upload_at: string | null
  created_at: string
  updated_at: string
}

/** Where a bucket's files are, and whether it is still visible. */
export interface BucketPlace {
  bucket_id: string
  namespace_id: string
  internal_id: string
  org_id: string
  removal_task_id: string | null
  deleted_at: string | null
  swept_at: string | null
}

const COLUMNS = `bucket_id, namespace_id, bucket_name, description, bucket_schema, unique_key, metadata, object_count,
  total_size_bytes, last_upload_at, created_at, updated_at`

const PLACE = `SELECT b.bucket_id, b.namespace_id, n.internal_id, o.org_id, b.removal_task_id, b.swept_at,
    coalesce(b.deleted_at, n.deleted_at) AS deleted_at
  FROM buckets b JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id)`

export function bucketReader(db: Db) {
  const get = db.prepare<{ namespaceId: string; identifier: string }, BucketRow>(
    `SELECT ${COLUMNS} FROM buckets
     WHERE (bucket_id = @identifier OR (namespace_id = @namespaceId AND bucket_name = @identifier AND deleted_at IS NULL))
       AND namespace_id = @namespaceId AND deleted_at IS NULL
     ORDER BY bucket_id = @identifier DESC LIMIT 1`,
  )
  const list = db.prepare<[string], BucketRow>(
    `SELECT ${COLUMNS} FROM buckets WHERE namespace_id = ? AND deleted_at IS NULL ORDER BY created_at, bucket_id`,
  )
  const place = db.prepare<[string], BucketPlace>(`${PLACE} WHERE b.bucket_id = ?`)
  const removals = db.prepare<[string], { removals: number }>("SELECT removals FROM buckets WHERE bucket_id = ?")
  const removed = db.prepare<[], BucketPlace>(
    `${PLACE} WHERE coalesce(b.deleted_at, n.deleted_at) IS NOT NULL AND b.swept_at IS NULL`,
  )
  return {
    /** By id or name; an id wins over another bucket's name. */
    get: (namespaceId: string, identifier: string) => get.get({ namespaceId, identifier }),
    list: (namespaceId: string) => list.all(namespaceId),
    /** Removed buckets too; `deleted_at` is also set when the bucket's namespace was removed. */
    place: (bucketId: string) => place.get(bucketId),
    /** How many of its objects were deleted one by one. */
    removals: (bucketId: string) => removals.get(bucketId)?.removals ?? 0,
    /** Deleted ones, and those of deleted namespaces, that still wait to be swept. */
    removed: () => removed.all(),
  }
}

export function bucketWriter(db: Db) {
  const insert = db.prepare<BucketRow>(
    `INSERT INTO buckets (${COLUMNS}) VALUES (@bucket_id, @namespace_id, @bucket_name, @description, @bucket_schema,
       @unique_key, @metadata, @object_count, @total_size_bytes, @last_upload_at, @created_at, @updated_at)`,
  )
  const update = db.prepare<BucketRow>(
    `UPDATE buckets SET bucket_name = @bucket_name, description = @description, metadata = @metadata,
       updated_at = @updated_at
     WHERE bucket_id = @bucket_id AND deleted_at IS NULL`,
  )
  const count = db.prepare<[number, number, string | null, string]>(
    `UPDATE buckets SET object_count = object_count + ?, total_size_bytes = total_size_bytes + ?,
       last_upload_at = coalesce(?, last_upload_at)
     WHERE bucket_id = ?`,
  )
  const countRemoved = db.prepare<[number, string]>(
    `UPDATE buckets SET object_count = object_count - 1, total_size_bytes = total_size_bytes - ?, removals = removals + 1
     WHERE bucket_id = ?`,
  )
  const remove = db.prepare<[string, string | null, string]>(
    "UPDATE buckets SET deleted_at = ?, removal_task_id = ? WHERE bucket_id = ? AND deleted_at IS NULL",
  )
  const swept = db.prepare<{ at: string; bucketId: string }>(
    "UPDATE buckets SET swept_at = @at, deleted_at = coalesce(deleted_at, @at) WHERE bucket_id = @bucketId",
  )
  const eraseAll = db.prepare<[string]>("DELETE FROM buckets WHERE namespace_id = ? AND swept_at IS NOT NULL")
  return {
    insert: (row: BucketRow) => void insert.run(row),
    /** Name, description and metadata; counts have their own statement. False when the bucket is gone. */
    update: (row: BucketRow) => update.run(row).changes === 1,
    /** Moves the counts by what this transaction adds or removes; `uploadedAt` null leaves `last_upload_at`. */
    count: (bucketId: string, objects: number, bytes: number, uploadedAt: string | null) =>
      void count.run(objects, bytes, uploadedAt, bucketId),
    /** One object of so many bytes was deleted. */
    countRemoved: (bucketId: string, bytes: number) => void countRemoved.run(bytes, bucketId),
    /** False when another request removed it first. */
    remove: (bucketId: string, at: string, taskId: string | null) => remove.run(at, taskId, bucketId).changes === 1,
    /** Its objects, uploads and files are gone. The row stays as long as batches and collections name it. */
    swept: (bucketId: string, at: string) => void swept.run({ at, bucketId }),
    /** Rows of a removed namespace, once its buckets are swept and nothing refers to them. */
    eraseAll: (namespaceId: string) => void eraseAll.run(namespaceId),
  }
}
