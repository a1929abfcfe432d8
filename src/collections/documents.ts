import { join } from "node:path"
import { downloadUrl, type SignUrl } from "../buckets/object-answer.ts"
import { assetUrl } from "../buckets/stored-blob.ts"
import type { DocumentModel, ListDocuments, ListDocumentsResponse } from "../contract/documents.ts"
import { type Page, paginationOf } from "../contract/pagination.ts"
import type { Documents, PartRef, StoredDocument } from "../documents/process.ts"
import { notFound } from "../errors.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  documents: Pick<Documents, "list" | "get">
  dataDir: string
  signUrl: SignUrl
  now: () => Date
}

export function collectionDocuments({ metadata, documents, dataDir, signUrl, now }: Deps) {
  /**
   * A signed URL of a file of the document's own bucket; null for an address elsewhere. An address is what somebody wrote
   * into an object: signing one that names another bucket would hand out a file that is not theirs.
   */
  const presign: Presign = (url, bucketId) => {
    const prefix = assetUrl(bucketId, "")
    const sha256 = url.startsWith(prefix) ? url.slice(prefix.length) : ""
    return /^[0-9a-f]{64}$/.test(sha256) ? downloadUrl(signUrl, bucketId, sha256, now()) : null
  }
  const find = (namespace: Namespace, identifier: string): CollectionRow => {
    const row = metadata.read.collections.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("collection", identifier)
    return row
  }
  const partsOf = (collectionId: string): PartRef[] =>
    metadata.read.parts.ofCollection(collectionId).map((part) => ({
      part_id: part.part_id,
      path: join(dataDir, part.file),
      ...(part.dead_file === null ? {} : { dead_file: join(dataDir, part.dead_file) }),
      features: JSON.parse(part.features),
      rows: part.document_rows,
    }))

  return {
    async list(
      namespace: Namespace,
      identifier: string,
      request: Partial<ListDocuments>,
      page: Page,
    ): Promise<ListDocumentsResponse> {
      const { collection_id: collectionId } = find(namespace, identifier)
      const answer = await documents.list({
        parts: partsOf(collectionId),
        filters: request.filters ?? null,
        sort: request.sort ?? null,
        search: request.search ?? null,
        caseSensitive: request.case_sensitive ?? false,
        select: request.select ?? null,
        limit: page.limit,
        offset: page.offset,
        cursor: page.cursor,
        includeTotal: page.includeTotal,
        returnVectors: request.return_vectors ?? false,
        groupBy: request.group_by ?? null,
      })
      const signed = request.return_presigned_urls === true || request.return_url === true
      const shape = (document: StoredDocument) => model(namespace, collectionId, document, signed ? presign : null)
      const pagination = paginationOf(page, answer.total ?? null, answer.next_cursor ?? null)
      if (request.group_by == null) return { results: answer.documents.map(shape), pagination }
      return {
        groups: (answer.groups ?? []).map((group) => ({ ...group, documents: group.documents.map(shape) })),
        group_by_field: request.group_by,
        pagination,
      }
    },

    async get(
      namespace: Namespace,
      identifier: string,
      documentId: string,
      options: { returnVectors: boolean; presigned: boolean },
    ): Promise<DocumentModel> {
      const { collection_id: collectionId } = find(namespace, identifier)
      const document = await documents.get({
        parts: partsOf(collectionId),
        documentId,
        returnVectors: options.returnVectors,
      })
      if (document === null) throw notFound("document", documentId)
      return model(namespace, collectionId, document, options.presigned ? presign : null)
    },
  }
}

type Presign = (url: string, bucketId: string) => string | null

export type CollectionDocuments = ReturnType<typeof collectionDocuments>

const BLOB_TYPES: readonly (readonly [RegExp, "video" | "image" | "audio" | "text" | "pdf"])[] = [
  [/^video\//, "video"],
  [/^image\//, "image"],
  [/^audio\//, "audio"],
  [/^text\//, "text"],
  [/^application\/pdf$/, "pdf"],
]

interface SourceBlob {
  blob_id?: string
  property?: string
  url?: string
  details?: { filename?: string | null; size_bytes?: number | null; mime_type?: string | null; hash?: string | null }
}

/**
 * Feature fields at the root; what the appliance itself says of a document stands over a plugin's field of the same name.
 * Lineage is given at the root and under `_internal`, as the two generations of the docs have it (api.md §4.3).
 */
function model(
  namespace: Namespace,
  collectionId: string,
  document: StoredDocument,
  presign: Presign | null,
): DocumentModel {
  const source = document.source as { bucket_id?: string; blobs?: SourceBlob[] }
  const blobs = (source.blobs ?? []).filter((blob) => typeof blob.url === "string")
  const references = blobs.map((blob) => blobReference(blob, source.bucket_id ?? "", presign))
  const primary = source.blobs?.[0]?.details
  const lineage = {
    root_object_id: document.object_id,
    root_bucket_id: source.bucket_id ?? null,
    source_type: "bucket",
    source_object_id: document.object_id,
  }
  return {
    ...document.fields,
    ...document.vectors,
    document_id: document.document_id,
    collection_id: collectionId,
    object_id: document.object_id,
    ...lineage,
    source_blobs: references,
    document_blobs: references,
    created_at: document.created_at,
    _internal: {
      internal_id: namespace.internalId,
      namespace_id: namespace.namespaceId,
      document_id: document.document_id,
      collection_id: collectionId,
      created_at: document.created_at,
      updated_at: document.created_at,
      lineage: { ...lineage, path: `${source.bucket_id ?? ""}/${document.object_id}`, chain: [] },
      processing: { plugin_id: document.plugin_id, output_index: document.output_index },
      source_blobs: source.blobs ?? [],
      source_details: [{ type: "bucket", source_id: source.bucket_id ?? "" }],
      mime_type: primary?.mime_type ?? null,
      size_bytes: primary?.size_bytes ?? null,
      content_hash: primary?.hash ?? null,
    },
  }
}

function blobReference(blob: SourceBlob, bucketId: string, presign: Presign | null) {
  const url = blob.url ?? ""
  const mime = blob.details?.mime_type ?? ""
  const signed = presign === null ? null : presign(url, bucketId)
  return {
    field: blob.property ?? "",
    role: "source" as const,
    type: BLOB_TYPES.find(([pattern]) => pattern.test(mime))?.[1] ?? ("other" as const),
    url,
    ...(blob.details?.filename == null ? {} : { filename: blob.details.filename }),
    ...(blob.details?.size_bytes == null ? {} : { size_bytes: blob.details.size_bytes }),
    ...(mime === "" ? {} : { content_type: mime }),
    ...(blob.details?.hash == null ? {} : { checksum: blob.details.hash }),
    ...(blob.blob_id === undefined ? {} : { source_blob_id: blob.blob_id }),
    ...(signed === null ? {} : { presigned_url: signed }),
  }
}
