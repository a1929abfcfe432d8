import { assetUrl } from "../buckets/asset-url.ts"
import { downloadUrl, type SignUrl } from "../buckets/object-answer.ts"
import type {
  DocumentLineage,
  DocumentModel,
  ListDocuments,
  ListDocumentsResponse,
  ObjectDocuments,
} from "../contract/documents.ts"
import { type Page, paginationOf } from "../contract/pagination.ts"
import type { Documents, PartRef, StoredDocument } from "../documents/process.ts"
import { notFound } from "../errors.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { documentModel, lineageOf, type Presign, tracedLineage } from "./document-answer.ts"
import { partRef } from "./part-ref.ts"
import { documentView } from "./versions.ts"

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
    metadata.read.parts.ofCollection(collectionId).map((part) => partRef(dataDir, part))

  return {
    async list(
      namespace: Namespace,
      identifier: string,
      request: Partial<ListDocuments>,
      page: Page,
    ): Promise<ListDocumentsResponse> {
      const row = find(namespace, identifier)
      const answer = await documents.list({
        ...documentView(metadata.read, dataDir, row, request.version),
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
      const shape = (document: StoredDocument) => documentModel(namespace, document, signed ? presign : null)
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
      const row = find(namespace, identifier)
      const document = await documents.get({
        parts: partsOf(row.collection_id),
        documentId,
        returnVectors: options.returnVectors,
      })
      if (document === null) throw notFound("document", documentId)
      return documentModel(namespace, document, options.presigned ? presign : null)
    },

    /** Where a document comes from, and what was made of it in the collections that read its own. */
    async lineage(namespace: Namespace, identifier: string, documentId: string): Promise<DocumentLineage> {
      const { collection_id: collectionId } = find(namespace, identifier)
      const document = await documents.get({ parts: partsOf(collectionId), documentId })
      if (document === null) throw notFound("document", documentId)
      const parts = metadata.read.collections.readersOf(collectionId).flatMap((reader) => partsOf(reader.collection_id))
      const made = await documents.list({
        parts,
        // By the object first, letter by letter: that is what a part's row groups are told apart by.
        filters: {
          AND: [
            { field: "object_id", operator: "eq", value: document.object_id },
            { field: "source_document_id", operator: "eq", value: document.document_id },
          ],
          case_sensitive: true,
        },
        limit: MAX_CHILDREN,
        includeTotal: true,
      })
      const { source_type, source_object_id, source_document_id, source_collection_id, ...own } = lineageOf(document)
      return {
        document_id: document.document_id,
        collection_id: collectionId,
        feature_extractor_id: document.plugin_id,
        created_at: document.created_at,
        source_type,
        source_object_id,
        source_document_id,
        source_collection_id,
        ...own,
        ...tracedLineage(document),
        children: made.documents.map((child) => ({
          document_id: child.document_id,
          collection_id: child.collection_id,
          feature_extractor_id: child.plugin_id,
        })),
        child_count: made.total ?? made.documents.length,
      }
    },

    /** Everything that was made of an object, in all collections or in those named, oldest part first. */
    async ofObject(
      namespace: Namespace,
      objectId: string,
      collectionIdentifiers: readonly string[] | null,
      page: Page,
    ): Promise<ObjectDocuments> {
      const collections =
        collectionIdentifiers === null
          ? metadata.read.collections.list(namespace.namespaceId)
          : collectionIdentifiers.map((identifier) => find(namespace, identifier))
      const bucketId = metadata.read.objects.bucketOf(namespace.namespaceId, objectId)
      const ids = [...new Set(collections.map((collection) => collection.collection_id))]
      const found = await documents.list({
        parts: ids.flatMap(partsOf),
        filters: { AND: [{ field: "object_id", operator: "eq", value: objectId }], case_sensitive: true },
        limit: page.limit,
        offset: page.offset,
        cursor: page.cursor,
        includeTotal: true,
      })
      // What was made of a deleted object may still be there.
      if (bucketId === null && (found.total ?? 0) === 0) throw notFound("object", objectId)
      return {
        object_id: objectId,
        bucket_id: bucketId,
        results: found.documents.map((document) => documentModel(namespace, document, null)),
        total_count: found.total ?? found.documents.length,
        pagination: paginationOf(page, found.total ?? null, found.next_cursor ?? null),
      }
    },
  }
}

/** Of what was made of one document; the count says how many there are. */
const MAX_CHILDREN = 100

export type CollectionDocuments = ReturnType<typeof collectionDocuments>
