/** A stored document as it is answered. */
import type { DocumentModel } from "../contract/documents.ts"
import type { StoredDocument } from "../documents/process.ts"
import { pluginOf } from "../identifiers.ts"
import type { Namespace } from "../organizations/namespaces.ts"

export type Presign = (url: string, bucketId: string) => string | null

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

/** What a document keeps of where it comes from, as it is stored (batches/inputs.ts, documents/row-json.ts). */
interface Source {
  bucket_id?: string
  blobs?: SourceBlob[]
  /** Of a document that was made of another: which one. */
  document_id?: string
  collection_id?: string
  /** The documents between the object and this one, the object's first. */
  chain?: LineageStep[]
}

export interface LineageStep {
  collection_id: string
  feature_extractor_id: string
  document_id: string
  timestamp: string
}

/** The object is at the root whatever the number of steps. `path` names every one of them. */
export function lineageOf(document: StoredDocument) {
  const source: Source = document.source
  const chained = source.document_id !== undefined
  const chain = source.chain ?? []
  return {
    root_object_id: document.object_id,
    root_bucket_id: source.bucket_id ?? null,
    source_type: chained ? ("collection" as const) : ("bucket" as const),
    source_object_id: chained ? null : document.object_id,
    source_document_id: source.document_id ?? null,
    source_collection_id: source.collection_id ?? null,
    path: [
      `${source.bucket_id ?? ""}/${document.object_id}`,
      ...chain.map((step) => `${step.collection_id}/${step.document_id}`),
    ].join("/"),
    chain,
  }
}

/** The same once more, as the public SDK reads it: this document is the last step of its own chain. */
export function tracedLineage(document: StoredDocument) {
  const { path: _, chain, ...lineage } = lineageOf(document)
  const { collection_id, plugin_id: feature_extractor_id, document_id, created_at: timestamp } = document
  const lineage_chain = [...chain, { collection_id, feature_extractor_id, document_id, timestamp }]
  return { lineage: { ...lineage, lineage_chain }, depth: lineage_chain.length, total_steps: lineage_chain.length }
}

/**
 * Feature fields at the root; what the appliance itself says of a document stands over a plugin's field of the same name.
 * Lineage is given at the root and under `_internal`, as the two generations of the docs have it (api.md §4.3).
 */
export function documentModel(namespace: Namespace, document: StoredDocument, presign: Presign | null): DocumentModel {
  const source: Source = document.source
  const blobs = (source.blobs ?? []).filter((blob) => typeof blob.url === "string")
  const references = blobs.map((blob) => blobReference(blob, source.bucket_id ?? "", presign))
  const primary = source.blobs?.[0]?.details
  const { path, chain, ...lineage } = lineageOf(document)
  const { name, version } = pluginOf(document.plugin_id)
  return {
    ...document.fields,
    ...document.vectors,
    document_id: document.document_id,
    collection_id: document.collection_id,
    object_id: document.object_id,
    ...lineage,
    source_blobs: references,
    document_blobs: references,
    created_at: document.created_at,
    feature_extractor_id: document.plugin_id,
    feature_extractor_version: version,
    _internal: {
      internal_id: namespace.internalId,
      namespace_id: namespace.namespaceId,
      document_id: document.document_id,
      collection_id: document.collection_id,
      created_at: document.created_at,
      updated_at: document.created_at,
      lineage: { ...lineage, path, chain },
      processing: {
        plugin_id: document.plugin_id,
        feature_extractor_name: name,
        feature_extractor_version: version,
        output_index: document.output_index,
      },
      source_blobs: source.blobs ?? [],
      source_details: [
        { type: "bucket", source_id: source.bucket_id ?? "" },
        ...chain.map((step) => ({ type: "collection", source_id: step.collection_id })),
      ],
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
