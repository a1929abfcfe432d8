import { z } from "@hono/zod-openapi"
import { ListBody, Pagination } from "./pagination.ts"

/** Types of a bucket-schema field; the SDK refuses any other in an answer (api.md §3.1). */
export const FIELD_TYPES = [
  "string",
  "number",
  "integer",
  "float",
  "boolean",
  "object",
  "array",
  "date",
  "datetime",
  "text",
  "image",
  "audio",
  "video",
  "pdf",
  "excel",
] as const
export const FieldType = z.enum(FIELD_TYPES)
export type FieldType = z.output<typeof FieldType>

const FreeObject = z.record(z.string(), z.unknown())

const BucketName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, "letters, digits, space, dot, dash and underscore")

/** Nested `items` and `properties` are checked where the schema is read, in buckets/schema.ts. */
const FieldInput = z
  .looseObject({
    type: z
      .string()
      .max(32)
      .openapi({ description: `One of ${FIELD_TYPES.join(", ")}; json and binary mean object` }),
    required: z.boolean().nullish(),
    default: z.unknown().optional(),
    items: FreeObject.nullish(),
    properties: FreeObject.nullish(),
    enum: z.array(z.unknown()).max(1000).nullish(),
    description: z.string().max(2000).nullish(),
    examples: z.array(z.unknown()).max(100).nullish(),
  })
  .openapi("BucketSchemaField-Input")

const SchemaInput = z
  .object({ properties: z.record(z.string().min(1).max(100), FieldInput) })
  .openapi("BucketSchema-Input")
export type SchemaInput = z.output<typeof SchemaInput>

export const UniqueKeyPolicy = z.enum(["insert", "update", "upsert"])
export type UniqueKeyPolicy = z.output<typeof UniqueKeyPolicy>

export const UniqueKey = z
  .object({ fields: z.array(z.string().min(1).max(100)).min(1).max(16), default_policy: UniqueKeyPolicy.nullish() })
  .openapi("UniqueKeyConfig")
export type UniqueKey = z.output<typeof UniqueKey>

export const CreateBucket = z
  .object({
    bucket_name: BucketName.nullish(),
    name: BucketName.nullish().openapi({ description: "Alias of bucket_name" }),
    description: z.string().max(2000).nullish(),
    bucket_schema: SchemaInput.nullish(),
    schema: SchemaInput.nullish().openapi({ description: "Alias of bucket_schema" }),
    unique_key: UniqueKey.nullish(),
    metadata: FreeObject.nullish(),
  })
  .openapi("BucketCreateRequest")
export type CreateBucket = z.output<typeof CreateBucket>

/** A bucket's schema and unique key are fixed when it is created: objects were checked against them. */
export const UpdateBucket = z
  .object({
    bucket_name: BucketName.nullish(),
    name: BucketName.nullish().openapi({ description: "Alias of bucket_name" }),
    description: z.string().max(2000).nullish(),
    metadata: FreeObject.nullish(),
    bucket_schema: SchemaInput.nullish().openapi({ description: "Must equal the bucket's schema" }),
    schema: SchemaInput.nullish(),
  })
  .openapi("BucketUpdateRequest")
export type UpdateBucket = z.output<typeof UpdateBucket>

const Field = z.looseObject({ type: FieldType, required: z.boolean() }).openapi("BucketSchemaField")
export const BucketSchema = z.object({ properties: z.record(z.string(), Field) }).openapi("BucketSchema")
export type BucketSchema = z.output<typeof BucketSchema>

export const BucketModel = z
  .object({
    bucket_id: z.string(),
    bucket_name: z.string(),
    description: z.string().nullable(),
    bucket_schema: BucketSchema,
    unique_key: UniqueKey.nullable(),
    metadata: FreeObject,
    object_count: z.int(),
    total_size_bytes: z.int(),
    created_at: z.string(),
    updated_at: z.string(),
    last_upload_at: z.string().nullable(),
    status: z.literal("ACTIVE"),
    is_locked: z.boolean(),
  })
  .openapi("BucketResponse")
export type BucketModel = z.output<typeof BucketModel>

export const ListBuckets = ListBody.openapi("ListBucketsRequest")

export const ListBucketsResponse = z
  .object({
    results: z.array(BucketModel),
    total_count: z.int(),
    pagination: Pagination,
    stats: z.object({
      total_objects: z.int(),
      total_size_bytes: z.int(),
      avg_objects_per_bucket: z.number(),
      avg_size_per_bucket: z.number(),
    }),
  })
  .openapi("ListBucketsResponse")
export type ListBucketsResponse = z.output<typeof ListBucketsResponse>

export const BucketRemoval = z
  .looseObject({
    success: z.literal(true),
    task_id: z.string(),
    status: z.literal("PENDING"),
    bucket_id: z.string(),
    bucket_name: z.string(),
    object_count: z.int(),
    message: z.string(),
  })
  .openapi("BucketRemoval")
export type BucketRemoval = z.output<typeof BucketRemoval>
