import { z } from "@hono/zod-openapi"
import { FlagQuery, ListBody, Pagination } from "./pagination.ts"

const FreeObject = z.record(z.string(), z.unknown())
const Sha256 = z.string().regex(/^[a-f0-9]{64}$/, "64 lower-case hex digits")

/** Limits of api.md §3.3. */
export const CreateBucketUpload = z
  .object({
    filename: z
      .string()
      .min(1)
      .max(255)
      // A name, not a path; control characters would end up in headers.
      .refine((name) => !/[/\\\p{Cc}]/u.test(name) && name !== "." && name !== "..", "a file name without path parts"),
    content_type: z
      .string()
      .max(255)
      .regex(/^[a-zA-Z0-9!#$&^_.+-]+\/[a-zA-Z0-9!#$&^_.+-]+(\s*;\s*[\x20-\x7e]+)?$/, "a MIME type such as image/png"),
    file_size_bytes: z.int().min(1).nullish(),
    presigned_url_expiration: z.int().min(60).max(86_400).default(3600),
    metadata: FreeObject.nullish(),
    create_object_on_confirm: z.boolean().default(true),
    object_metadata: FreeObject.nullish(),
    blob_property: z
      .string()
      .max(100)
      .regex(/^[a-zA-Z0-9_]+$/, "letters, digits and underscore")
      .nullish(),
    blob_type: z.string().min(1).max(32).nullish(),
    file_hash: Sha256.nullish().openapi({ description: "SHA-256 of the file" }),
    skip_duplicates: z.boolean().default(true),
  })
  .openapi("CreateUploadRequest")
export type CreateBucketUpload = z.output<typeof CreateBucketUpload>

export const BucketUploadModel = z
  .object({
    upload_id: z.string(),
    bucket_id: z.string(),
    filename: z.string(),
    content_type: z.string(),
    file_size_bytes: z.int().nullable(),
    presigned_url: z.string().nullable(),
    presigned_url_expiration: z.int(),
    s3_key: z.string(),
    status: z.string(),
    metadata: FreeObject,
    create_object_on_confirm: z.boolean(),
    object_metadata: FreeObject.nullable(),
    blob_property: z.string(),
    blob_type: z.string(),
    file_hash: z.string().nullable(),
    skip_duplicates: z.boolean(),
    is_duplicate: z.boolean(),
    duplicate_of_upload_id: z.string().nullable(),
    skipped_unique_key: z.boolean(),
    existing_object_id: z.string().nullable(),
    message: z.string().nullable(),
    created_at: z.string(),
    expires_at: z.string(),
    completed_at: z.string().nullable(),
    verified_at: z.string().nullable(),
    etag: z.string().nullable(),
    object_id: z.string().nullable(),
    task_id: z.string().nullable(),
  })
  .openapi("UploadResponse")
export type BucketUploadModel = z.output<typeof BucketUploadModel>

export const ConfirmBucketUpload = z
  .object({ etag: z.string().max(128).nullish(), file_size_bytes: z.int().min(1).nullish() })
  .openapi("ConfirmUploadRequest")
export type ConfirmBucketUpload = z.output<typeof ConfirmBucketUpload>

export const ConfirmedBucketUpload = z
  .object({
    upload_id: z.string(),
    status: z.literal("COMPLETED"),
    etag: z.string().nullable(),
    file_size_bytes: z.int().nullable(),
    file_hash: z.string().nullable(),
    verified_at: z.string().nullable(),
    completed_at: z.string().nullable(),
    object_id: z.string().nullable(),
    task_id: z.string().nullable(),
    message: z.string().nullable(),
  })
  .openapi("ConfirmUploadResponse")
export type ConfirmedBucketUpload = z.output<typeof ConfirmedBucketUpload>

/** `async` is taken and changes nothing: a confirm only compares and inserts, so it answers COMPLETED at once. */
export const ConfirmQuery = z.object({ async: FlagQuery.optional() })
export const GetUploadQuery = z.object({ return_presigned_urls: FlagQuery.optional() })
/** The bytes of a removed upload go with it; the appliance has no other place that would keep them. */
export const RemoveUploadQuery = z.object({ delete_s3_object: FlagQuery.optional() })

export const ListBucketUploads = ListBody.extend({ return_presigned_urls: z.boolean().nullish() }).openapi(
  "ListUploadsRequest",
)
export type ListBucketUploads = z.output<typeof ListBucketUploads>

export const ListBucketUploadsResponse = z
  .object({
    results: z.array(BucketUploadModel),
    pagination: Pagination,
    stats: z.object({
      total_uploads: z.int(),
      total_size_bytes: z.int(),
      uploads_by_status: z.record(z.string(), z.int()),
      avg_file_size_bytes: z.number(),
      unique_buckets: z.int(),
    }),
  })
  .openapi("ListUploadsResponse")
export type ListBucketUploadsResponse = z.output<typeof ListBucketUploadsResponse>
