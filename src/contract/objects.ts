import { z } from "@hono/zod-openapi"
import { FieldType, UniqueKeyPolicy } from "./buckets.ts"
import { FlagQuery, ListBody, Pagination } from "./pagination.ts"

/** Largest bulk create (api.md §3.2). */
export const MAX_OBJECTS = 100

const FreeObject = z.record(z.string(), z.unknown())
const KeyPrefix = z.string().max(1024)

export const CreateBlob = z
  .object({
    property: z.string().min(1).max(100).openapi({ description: "A property of the bucket's schema" }),
    type: z.string().min(1).max(32).openapi({ description: "A field type, in any case; json and binary mean object" }),
    data: z.unknown().optional().openapi({
      description:
        "Text, number, boolean, list or object as it is; bytes as a data URL or {base64, mime_type?, filename?}; an http(s) or s3 address, or {url}, for a file type. An address is kept as a reference: the appliance makes no outside request, so it is not mirrored, whatever canonicalize_source says.",
    }),
    upload_id: z
      .string()
      .max(128)
      .regex(/^upl_[a-zA-Z0-9_-]+$/)
      .nullish(),
    key_prefix: KeyPrefix.nullish(),
    metadata: FreeObject.nullish(),
    canonicalize_source: z.boolean().nullish(),
    force_remirror: z.boolean().nullish(),
  })
  .openapi("CreateBlobRequest")
export type CreateBlob = z.output<typeof CreateBlob>

const Blobs = z.array(CreateBlob).max(100)

/** Any other key is a field of the user's. */
export const CreateObject = z
  .looseObject({
    key_prefix: KeyPrefix.nullish(),
    blobs: Blobs.nullish(),
    metadata: FreeObject.nullish(),
    skip_duplicates: z.boolean().nullish().openapi({
      description: "An object of the bucket with the same blobs is answered instead of making another",
    }),
    canonicalize_source: z.boolean().nullish(),
    force_remirror: z.boolean().nullish(),
  })
  .openapi("CreateObjectRequest")
export type CreateObject = z.output<typeof CreateObject>

/** Entries are checked one by one: what is wrong with one is told in `failed`, and the others are created. */
export const CreateObjects = z
  .object({
    objects: z
      .array(z.unknown().openapi({ type: "object" }))
      .min(1)
      .max(MAX_OBJECTS),
  })
  .openapi("CreateObjectsBatchRequest")

/** Gives a new list of blobs, metadata or any field of the user's; what is not named stays. */
export const ReplaceObject = CreateObject.openapi("UpdateObjectRequest")
/** The same as a merge: objects are merged key by key, null removes, blobs replace those of their property. */
export const PatchObject = CreateObject.openapi("PatchObjectRequest")

export const CreateObjectQuery = z.object({ policy: UniqueKeyPolicy.optional(), auto_process: FlagQuery.optional() })
export const GetObjectQuery = z.object({
  return_presigned_urls: FlagQuery.optional(),
  return_url: FlagQuery.optional(),
})

export const BlobModel = z
  .looseObject({
    blob_id: z.string(),
    property: z.string(),
    key_prefix: z.string().nullable(),
    type: FieldType,
    properties: FreeObject,
    details: z.object({
      filename: z.string().nullable(),
      size_bytes: z.int().nullable(),
      mime_type: z.string().nullable(),
      hash: z.string().nullable(),
    }),
  })
  .openapi("BlobModel")
export type BlobModel = z.output<typeof BlobModel>

const AutoProcessError = z.string().optional().openapi({
  description: "With auto_process: why no batch was started over what was created",
})

/** The user's fields stand at the root beside these. With `select`, only the two ids are sure to be there. */
export const ObjectModel = z
  .looseObject({
    object_id: z.string(),
    bucket_id: z.string(),
    key_prefix: z.string().nullish(),
    blobs: z.array(BlobModel).optional(),
    source_details: z.array(z.object({ type: z.literal("bucket"), source_id: z.string() })).optional(),
    status: z.string().optional(),
    error: z.string().nullish(),
    created_at: z.string().optional(),
    updated_at: z.string().optional(),
    auto_process_error: AutoProcessError,
  })
  .openapi("ObjectResponse")
export type ObjectModel = z.output<typeof ObjectModel>

export const CreateObjectsResponse = z
  .object({
    succeeded: z.array(ObjectModel),
    failed: z.array(
      z.looseObject({
        object_index: z.int(),
        error: z.string(),
        error_type: z.string(),
      }),
    ),
    total_requested: z.int(),
    succeeded_count: z.int(),
    failed_count: z.int(),
    auto_process_error: AutoProcessError,
  })
  .openapi("CreateObjectsBatchResponse")
export type CreateObjectsResponse = z.output<typeof CreateObjectsResponse>

export const ListObjects = ListBody.extend({
  select: z.array(z.string().min(1).max(256)).max(200).nullish(),
  return_presigned_urls: z.boolean().nullish(),
  return_url: z.boolean().nullish(),
}).openapi("ListObjectsRequest")
export type ListObjects = z.output<typeof ListObjects>

export const ListObjectsResponse = z
  .object({
    results: z.array(ObjectModel),
    pagination: Pagination,
    stats: z.object({ total_objects: z.int() }).optional(),
  })
  .openapi("ListObjectsResponse")
export type ListObjectsResponse = z.output<typeof ListObjectsResponse>
