import type { Parameters } from "./parameters.ts"

/**
 * A value of a document as SQL sees it, by the path that a caller gave: either a text column of the part, or JSON inside
 * `fields` or `source`. Paths reach SQL as bound parameters only.
 */
export interface Field {
  /** The columns of a part that are read. */
  readonly column: string
  readonly kind: "text" | "json"
  readonly sql: string
}

/** What stands at the root of a document beside a plugin's fields, and over them (collections/documents.ts, `model`). */
const ROOT_COLUMNS: ReadonlyMap<string, string> = new Map([
  ["document_id", "document_id"],
  ["collection_id", "collection_id"],
  ["object_id", "object_id"],
  ["root_object_id", "object_id"],
  ["created_at", "created_at"],
  ["feature_extractor_id", "plugin_id"],
  ["feature_extractor_version", "version"],
])

const INTERNAL_COLUMNS: ReadonlyMap<string, string> = new Map([
  ["document_id", "document_id"],
  ["collection_id", "collection_id"],
  ["created_at", "created_at"],
  ["updated_at", "created_at"],
  ["lineage.root_object_id", "object_id"],
  ["processing.plugin_id", "plugin_id"],
  ["processing.feature_extractor_name", "name"],
  ["processing.feature_extractor_version", "version"],
])

/** A plugin id is `<name>_<major>_<minor>_<patch>` (identifiers.ts). */
const OF_PLUGIN_ID: ReadonlyMap<string, string> = new Map([
  ["name", "regexp_replace(plugin_id, '(_[0-9]+){3}$', '')"],
  ["version", "replace(regexp_extract(plugin_id, '[0-9]+_[0-9]+_[0-9]+$'), '_', '.')"],
])

/** Parts of `_internal` that a document's source block holds elsewhere. */
const INTERNAL_SOURCE: readonly (readonly [string, string])[] = [
  ["lineage.root_bucket_id", "bucket_id"],
  ["lineage.source_document_id", "document_id"],
  ["lineage.source_collection_id", "collection_id"],
  ["lineage.chain", "chain"],
  ["source_blobs", "blobs"],
  ["mime_type", "blobs.0.details.mime_type"],
  ["size_bytes", "blobs.0.details.size_bytes"],
  ["content_hash", "blobs.0.details.hash"],
]

const INTERNAL = "_internal."

/** What a document was made of: its source block names a document where that was one. */
const FROM_DOCUMENT = "json_extract(source, '/document_id') IS NOT NULL"
const DIRECT_SOURCE: ReadonlyMap<string, { readonly column: string; readonly sql: string }> = new Map([
  ["source_type", { column: "source", sql: `CASE WHEN ${FROM_DOCUMENT} THEN 'collection' ELSE 'bucket' END` }],
  ["source_object_id", { column: "source", sql: `CASE WHEN ${FROM_DOCUMENT} THEN NULL ELSE object_id END` }],
])

/** `path` is dotted; a part that is a number also counts into a list, from 0. */
export function fieldAt(path: string, parameters: Parameters): Field {
  const column = path.startsWith(INTERNAL) ? INTERNAL_COLUMNS.get(path.slice(INTERNAL.length)) : ROOT_COLUMNS.get(path)
  const derived = column === undefined ? undefined : OF_PLUGIN_ID.get(column)
  if (derived !== undefined) return { column: "plugin_id", kind: "text", sql: derived }
  if (column !== undefined) return { column, kind: "text", sql: column }
  const direct = DIRECT_SOURCE.get(
    path.startsWith(`${INTERNAL}lineage.`) ? path.slice(`${INTERNAL}lineage.`.length) : path,
  )
  if (direct !== undefined) return { column: direct.column, kind: "text", sql: direct.sql }
  if (path === "source_document_id" || path === "source_collection_id") {
    return json("source", path.slice("source_".length), parameters)
  }
  if (path === "root_bucket_id") return json("source", "bucket_id", parameters)
  if (path === "source_blobs" || path === "document_blobs") return json("source", "blobs", parameters)
  if (!path.startsWith(INTERNAL)) return json("fields", path, parameters)
  const inner = path.slice(INTERNAL.length)
  const moved = INTERNAL_SOURCE.find(([from]) => inner === from || inner.startsWith(`${from}.`))
  return json("source", moved === undefined ? inner : moved[1] + inner.slice(moved[0].length), parameters)
}

function json(column: "fields" | "source", path: string, parameters: Parameters): Field {
  // JSON Pointer: a key may hold anything, and nothing in it is a wildcard.
  const pointer = path
    .split(".")
    .map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("")
  return { column, kind: "json", sql: `json_extract(${column}, ${parameters.text(pointer)})` }
}
