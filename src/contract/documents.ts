import { z } from "@hono/zod-openapi"
import { ApplianceError } from "../errors.ts"
import { parseSent } from "../sent-json.ts"
import { Filters, FlagQuery, ListBody, Pagination, PagingQuery, SearchQuery, Sort } from "./pagination.ts"

/** Which version's documents are listed (extension, api.md §4.1). */
const Version = z.string().min(1).max(32).openapi({
  description:
    "A version such as `1.0.0`, `current`, or `all`. When nothing is said, each object counts once: as the current version made it, else as an older one did.",
})

export const ListDocuments = ListBody.extend({
  version: Version.nullish(),
  return_url: z.boolean().nullish(),
  return_presigned_urls: z.boolean().nullish(),
  return_vectors: z.boolean().nullish(),
  group_by: z.string().min(1).max(256).nullish(),
  select: z.array(z.string().min(1).max(256)).max(200).nullish(),
}).openapi("ListDocumentsRequest")
export type ListDocuments = z.output<typeof ListDocuments>

const json = z
  .string()
  .max(65_536)
  .transform((text, context) => {
    try {
      return parseSent(text, "It")
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof ApplianceError ? error.message : "not JSON" })
      return z.NEVER
    }
  })

const SortText = z
  .string()
  .regex(/^[^:{}]+(:(asc|desc))?$/)
  .transform((text) => {
    const [field, direction] = text.split(":")
    return { field, direction }
  })

export const DocumentFlags = z.object({
  return_presigned_urls: FlagQuery.optional(),
  return_vectors: FlagQuery.optional(),
})

export const ListDocumentsQuery = SearchQuery.extend({
  ...DocumentFlags.shape,
  version: Version.optional(),
  filters: json.pipe(Filters).optional().openapi({ type: "string", description: "Filters as JSON" }),
  sort: z
    .union([SortText, json])
    .pipe(Sort)
    .optional()
    .openapi({ type: "string", description: "`field:desc`, or an object as JSON" }),
})
export type ListDocumentsQuery = z.output<typeof ListDocumentsQuery>

const BlobRef = z.looseObject({
  field: z.string(),
  role: z.enum(["source", "processed", "thumbnail", "artifact", "aux"]),
  type: z.enum(["video", "image", "audio", "text", "pdf", "other"]),
  url: z.string(),
})

/** User and feature fields stand at the root beside these. */
export const DocumentModel = z
  .looseObject({
    document_id: z.string(),
    collection_id: z.string(),
    document_blobs: z.array(BlobRef).optional(),
    _internal: z.looseObject({}).optional(),
  })
  .openapi("DocumentResponse")
export type DocumentModel = z.output<typeof DocumentModel>

export const ListDocumentsResponse = z
  .object({
    results: z.array(DocumentModel).optional(),
    groups: z.array(z.object({ group_key: z.unknown(), documents: z.array(DocumentModel), count: z.int() })).optional(),
    group_by_field: z.string().optional(),
    pagination: Pagination,
  })
  .openapi("ListDocumentsResponse")
export type ListDocumentsResponse = z.output<typeof ListDocumentsResponse>

const LineageStep = z.object({
  collection_id: z.string(),
  feature_extractor_id: z.string(),
  document_id: z.string(),
  timestamp: z.string(),
})

export const DocumentLineage = z
  .looseObject({
    document_id: z.string(),
    collection_id: z.string(),
    feature_extractor_id: z.string(),
    created_at: z.string(),
    root_object_id: z.string(),
    root_bucket_id: z.string().nullable(),
    source_type: z.enum(["bucket", "collection"]),
    source_object_id: z.string().nullable(),
    source_document_id: z.string().nullable(),
    source_collection_id: z.string().nullable(),
    path: z.string().openapi({ description: "bucket/object, then collection/document for each step" }),
    chain: z
      .array(LineageStep)
      .openapi({ description: "Documents between the object and this one, the object's first" }),
    lineage: z.looseObject({ lineage_chain: z.array(LineageStep) }),
    depth: z.int(),
    total_steps: z.int(),
    children: z
      .array(z.object({ document_id: z.string(), collection_id: z.string(), feature_extractor_id: z.string() }))
      .openapi({ description: "Up to 100 documents that were made of this one" }),
    child_count: z.int(),
  })
  .openapi("DocumentLineage")
export type DocumentLineage = z.output<typeof DocumentLineage>

/** One value or a list of them, under either spelling. */
const CollectionIds = z
  .union([z.array(z.string().min(1).max(128)).max(100), z.string().min(1).max(128)])
  .transform((ids) => (typeof ids === "string" ? [ids] : ids))
  .optional()

export const ObjectDocumentsQuery = PagingQuery.extend({
  collection_ids: CollectionIds,
  "collection_ids[]": CollectionIds,
})

export const ObjectDocuments = z
  .looseObject({
    object_id: z.string(),
    bucket_id: z.string().nullable(),
    results: z.array(DocumentModel),
    total_count: z.int(),
    pagination: Pagination,
  })
  .openapi("ObjectDocuments")
export type ObjectDocuments = z.output<typeof ObjectDocuments>
