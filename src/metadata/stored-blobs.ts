/**
 * The blobs of an object as its row keeps them: what its documents keep of them, what a worker is given, and the rest, each in
 * a column of its own. SQLite puts rows of batches together from these as they are; taking one JSON text apart cost 4 us a row
 * there, and as much again in the worker.
 */
import type { FieldType } from "../contract/buckets.ts"
import { parseExactly } from "../exact-json.ts"

/**
 * One blob of an object. Exactly one of the three is there: `data` (the value itself), `sha256` with `url` (bytes in this
 * appliance), `url` alone (an address of the user's, kept as it came).
 */
export interface StoredBlob {
  readonly blob_id: string
  readonly property: string
  readonly key_prefix: string | null
  readonly type: FieldType
  /** Inline: a text, number, boolean, list or object. Never bytes. */
  readonly data?: unknown
  /** Bytes in `blobs/<org_id>/<ns_id>/<bucket_id>/<first two digits>/<sha256>`. */
  readonly sha256?: string
  /** `s3://<bucket_id>/<sha256>` when `sha256` is there (the worker opens it as that file); else http(s):// or s3://. */
  readonly url?: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly details: {
    readonly filename: string | null
    /** Bytes of the file, or of an inline value as UTF-8 text or JSON; null for an address. */
    readonly size_bytes: number | null
    readonly mime_type: string | null
    /** SHA-256 in hex, of the same bytes; null for an address. */
    readonly hash: string | null
  }
}

/** JSON, each aligned with the blobs. */
export interface BlobColumns {
  /** List of what documents keep of their sources: `blob_id`, `property`, `type`, `url`, `details`. */
  readonly blobs: string
  /** List of `[property, type, mime_type, inline]`: the same text for objects of the same shape. */
  readonly blob_kinds: string
  /** One flat list, three for each blob: `blob_id`, `size_bytes` (0 where unknown), `data` or else `url`. */
  readonly blob_values: string
  /** List of `key_prefix`, `metadata`, `sha256`; null where none of them says anything. */
  readonly blob_rest: string | null
}

const VALUES = 3

type Rest = Pick<StoredBlob, "key_prefix" | "metadata"> & { readonly sha256?: string | null }

export function blobColumns(blobs: readonly StoredBlob[]): BlobColumns {
  const plain = blobs.every(
    ({ key_prefix: prefix, metadata, sha256 }) =>
      prefix === null && sha256 === undefined && Object.keys(metadata).length === 0,
  )
  return {
    blobs: JSON.stringify(
      blobs.map(({ blob_id, property, type, url, details }) => ({ blob_id, property, type, url, details })),
    ),
    blob_kinds: JSON.stringify(
      blobs.map(({ property, type, url, details }) => [property, type, details.mime_type, url === undefined]),
    ),
    blob_values: JSON.stringify(
      blobs.flatMap(({ blob_id: id, data, url, details }): unknown[] => [id, details.size_bytes ?? 0, url ?? data]),
    ),
    blob_rest: plain
      ? null
      : JSON.stringify(blobs.map(({ key_prefix, metadata, sha256 }) => ({ key_prefix, metadata, sha256 }))),
  }
}

export function storedBlobs({
  blobs,
  blob_values: values,
  blob_rest: rest,
}: Omit<BlobColumns, "blob_kinds">): StoredBlob[] {
  const kept = JSON.parse(blobs) as Pick<StoredBlob, "blob_id" | "property" | "type" | "url" | "details">[]
  const contents = parseExactly<unknown[]>(values)
  const others = rest === null ? [] : parseExactly<Rest[]>(rest)
  return kept.map(({ blob_id, property, type, url, details }, index) => {
    const { key_prefix = null, metadata = {}, sha256 = null } = others[index] ?? {}
    return {
      blob_id,
      property,
      key_prefix,
      type,
      metadata,
      ...(url === undefined ? { data: contents[VALUES * index + VALUES - 1] } : { url }),
      ...(sha256 === null ? {} : { sha256 }),
      details,
    }
  })
}
