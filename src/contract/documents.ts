import { z } from "@hono/zod-openapi"
import { Filters, FlagQuery, ListBody, Pagination, SearchQuery, Sort } from "./pagination.ts"

export const ListDocuments = ListBody.extend({
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
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: "custom", message: "not JSON" })
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
