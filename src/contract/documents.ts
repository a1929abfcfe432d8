import { z } from "@hono/zod-openapi"
import { ListBody, Pagination } from "./pagination.ts"

export const ListDocuments = ListBody.extend({
  return_url: z.boolean().nullish(),
  return_presigned_urls: z.boolean().nullish(),
  return_vectors: z.boolean().nullish(),
  group_by: z.string().min(1).max(256).nullish(),
  select: z.array(z.string().min(1).max(256)).max(200).nullish(),
}).openapi("ListDocumentsRequest")
export type ListDocuments = z.output<typeof ListDocuments>

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
