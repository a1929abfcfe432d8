import type { BucketUploadModel, ListBucketUploadsResponse } from "../contract/bucket-uploads.ts"
import { parseExactly } from "../exact-json.ts"
import type { BucketUploadRow, UploadTotals } from "../metadata/bucket-uploads.ts"
import type { Namespace } from "../organizations/namespaces.ts"

interface Extra {
  readonly presignedUrl: string | null
  /** The completed upload that has the announced file already. */
  readonly duplicateOf: BucketUploadRow | null
}

export function uploadAnswer(
  namespace: Namespace,
  row: BucketUploadRow,
  { presignedUrl, duplicateOf }: Extra,
): BucketUploadModel {
  return {
    upload_id: row.upload_id,
    bucket_id: row.bucket_id,
    filename: row.filename,
    content_type: row.content_type,
    file_size_bytes: row.received_bytes ?? row.file_size_bytes,
    presigned_url: presignedUrl,
    presigned_url_expiration: row.presigned_url_expiration,
    s3_key: `${namespace.namespaceId}/${row.bucket_id}/${row.upload_id}/${row.filename}`,
    status: row.status,
    metadata: parseExactly(row.metadata),
    create_object_on_confirm: row.create_object_on_confirm === 1,
    object_metadata: row.object_metadata === null ? null : parseExactly(row.object_metadata),
    blob_property: row.blob_property,
    blob_type: row.blob_type,
    file_hash: row.sha256 ?? row.file_hash,
    skip_duplicates: row.skip_duplicates === 1,
    is_duplicate: duplicateOf !== null,
    duplicate_of_upload_id: duplicateOf?.upload_id ?? null,
    skipped_unique_key: false,
    existing_object_id: duplicateOf?.object_id ?? null,
    message: duplicateOf === null ? row.message : `This file was uploaded before as ${duplicateOf.upload_id}.`,
    created_at: row.created_at,
    expires_at: row.expires_at,
    completed_at: row.completed_at,
    verified_at: row.completed_at,
    etag: row.etag,
    object_id: row.object_id,
    task_id: null,
  }
}

export function uploadTotals(totals: readonly UploadTotals[]): ListBucketUploadsResponse["stats"] {
  const uploads = totals.reduce((sum, row) => sum + row.uploads, 0)
  const bytes = totals.reduce((sum, row) => sum + row.bytes, 0)
  return {
    total_uploads: uploads,
    total_size_bytes: bytes,
    uploads_by_status: Object.fromEntries(totals.map((row) => [row.status, row.uploads])),
    avg_file_size_bytes: uploads === 0 ? 0 : bytes / uploads,
    unique_buckets: uploads === 0 ? 0 : 1,
  }
}
