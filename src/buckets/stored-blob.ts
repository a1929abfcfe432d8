import type { FieldType } from "../contract/buckets.ts"

/**
 * One blob as an object's `blobs` column holds it (a JSON list of these). Exactly one of the three is there: `data` (the
 * value itself), `sha256` with `url` (bytes in this appliance), `url` alone (an address of the user's, kept as it came).
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

/** The address of a stored file, as plugins get it. */
export function assetUrl(bucketId: string, sha256: string): string {
  return `s3://${bucketId}/${sha256}`
}
