import type { Db } from "./open.ts"

export interface BucketUploadRow {
  upload_id: string
  bucket_id: string
  filename: string
  content_type: string
  file_size_bytes: number | null
  presigned_url_expiration: number
  metadata: string
  create_object_on_confirm: number
  object_metadata: string | null
  blob_property: string
  blob_type: string
  file_hash: string | null
  skip_duplicates: number
  status: "PENDING" | "PROCESSING" | "COMPLETED" | "FAILED"
  etag: string | null
  received_bytes: number | null
  sha256: string | null
  object_id: string | null
  message: string | null
  expires_at: string
  created_at: string
  completed_at: string | null
}

export interface UploadTotals {
  status: string
  uploads: number
  bytes: number
}

export function bucketUploadReader(db: Db) {
  const get = db.prepare<[string, string], BucketUploadRow>(
    "SELECT * FROM bucket_uploads WHERE bucket_id = ? AND upload_id = ?",
  )
  const byId = db.prepare<[string], BucketUploadRow>("SELECT * FROM bucket_uploads WHERE upload_id = ?")
  const list = db.prepare<[string], BucketUploadRow>(
    "SELECT * FROM bucket_uploads WHERE bucket_id = ? ORDER BY created_at DESC, upload_id LIMIT 10000",
  )
  const totals = db.prepare<[string], UploadTotals>(
    `SELECT status, count(*) AS uploads, coalesce(sum(coalesce(received_bytes, file_size_bytes)), 0) AS bytes
     FROM bucket_uploads WHERE bucket_id = ? GROUP BY status`,
  )
  const completed = db.prepare<[string, string], BucketUploadRow>(
    `SELECT * FROM bucket_uploads WHERE bucket_id = ? AND sha256 = ? AND status = 'COMPLETED'
     ORDER BY created_at, upload_id LIMIT 1`,
  )
  const holds = db.prepare<[string, string], { found: 1 }>(
    `SELECT 1 AS found FROM bucket_uploads
     WHERE bucket_id = ? AND sha256 = ? AND object_id IS NULL AND status <> 'FAILED' LIMIT 1`,
  )
  const expired = db.prepare<[string, number], BucketUploadRow>(
    "SELECT * FROM bucket_uploads WHERE status = 'PENDING' AND expires_at < ? ORDER BY expires_at LIMIT ?",
  )
  return {
    get: (bucketId: string, uploadId: string) => get.get(bucketId, uploadId),
    byId: (uploadId: string) => byId.get(uploadId),
    /** The newest 10,000: as far as an offset reaches (api.md §0.3). */
    list: (bucketId: string) => list.all(bucketId),
    totals: (bucketId: string) => totals.all(bucketId),
    /** The first completed upload of these bytes. */
    completed: (bucketId: string, sha256: string) => completed.get(bucketId, sha256),
    /** True while an upload, and no object yet, keeps these bytes. */
    holds: (bucketId: string, sha256: string) => holds.get(bucketId, sha256) !== undefined,
    expired: (before: string, limit: number) => expired.all(before, limit),
  }
}

export function bucketUploadWriter(db: Db) {
  const insert = db.prepare<BucketUploadRow>(
    `INSERT INTO bucket_uploads (upload_id, bucket_id, filename, content_type, file_size_bytes, presigned_url_expiration,
       metadata, create_object_on_confirm, object_metadata, blob_property, blob_type, file_hash, skip_duplicates, status,
       etag, received_bytes, sha256, object_id, message, expires_at, created_at, completed_at)
     VALUES (@upload_id, @bucket_id, @filename, @content_type, @file_size_bytes, @presigned_url_expiration, @metadata,
       @create_object_on_confirm, @object_metadata, @blob_property, @blob_type, @file_hash, @skip_duplicates, @status,
       @etag, @received_bytes, @sha256, @object_id, @message, @expires_at, @created_at, @completed_at)`,
  )
  const receive = db.prepare<[string, number, string, string]>(
    `UPDATE bucket_uploads SET etag = ?, received_bytes = ?, sha256 = ?
     WHERE upload_id = ? AND status = 'PENDING'
       AND bucket_id IN (SELECT bucket_id FROM buckets WHERE deleted_at IS NULL)`,
  )
  const complete = db.prepare<[string | null, string | null, string, string, string]>(
    `UPDATE bucket_uploads SET status = 'COMPLETED', object_id = ?, message = ?, completed_at = ?
     WHERE upload_id = ? AND status = 'PENDING' AND sha256 = ?`,
  )
  const adopt = db.prepare<[string, string]>(
    "UPDATE bucket_uploads SET object_id = ? WHERE upload_id = ? AND object_id IS NULL",
  )
  const expire = db.prepare<[string, string]>(
    "UPDATE bucket_uploads SET status = 'FAILED', message = ? WHERE upload_id = ? AND status = 'PENDING'",
  )
  const remove = db.prepare<[string]>("DELETE FROM bucket_uploads WHERE upload_id = ? AND status <> 'COMPLETED'")
  const sweep = db.prepare<[string, number]>(
    "DELETE FROM bucket_uploads WHERE upload_id IN (SELECT upload_id FROM bucket_uploads WHERE bucket_id = ? LIMIT ?)",
  )
  return {
    insert: (row: BucketUploadRow) => void insert.run(row),
    /** False when the upload is no longer waiting for bytes or its bucket is gone. */
    receive: (uploadId: string, etag: string, bytes: number, sha256: string) =>
      receive.run(etag, bytes, sha256, uploadId).changes === 1,
    /** False when it was completed, removed or given other bytes meanwhile. */
    complete: (uploadId: string, sha256: string, objectId: string | null, message: string | null, at: string) =>
      complete.run(objectId, message, at, uploadId, sha256).changes === 1,
    /** The bytes belong to an object from now on and go with it. */
    adopt: (uploadId: string, objectId: string) => void adopt.run(objectId, uploadId),
    expire: (uploadId: string, message: string) => expire.run(message, uploadId).changes === 1,
    /** False when it was completed meanwhile. */
    remove: (uploadId: string) => remove.run(uploadId).changes === 1,
    /** Removes up to `limit` uploads of a bucket and tells how many. */
    sweep: (bucketId: string, limit: number) => sweep.run(bucketId, limit).changes,
  }
}
