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
  ["source_object_id", "object_id"],
  ["created_at", "created_at"],
])

const INTERNAL_COLUMNS: ReadonlyMap<string, string> = new Map([
  ["document_id", "document_id"],
  ["collection_id", "collection_id"],
  ["created_at", "created_at"],
  ["updated_at", "created_at"],
  ["lineage.root_object_id", "object_id"],
  ["lineage.source_object_id", "object_id"],
  ["processing.plugin_id", "plugin_id"],
])

/** Parts of `_internal` that a document's source block holds elsewhere. */
const INTERNAL_SOURCE: readonly (readonly [string, string])[] = [
  ["lineage.root_bucket_id", "bucket_id"],
  ["source_blobs", "blobs"],
  ["mime_type", "blobs.0.details.mime_type"],
  ["size_bytes", "blobs.0.details.size_bytes"],
  ["content_hash", "blobs.0.details.hash"],
]

const INTERNAL = "_internal."

/** `path` is dotted; a part that is a number also counts into a list, from 0. */
export function fieldAt(path: string, parameters: Parameters): Field {
  const column = path.startsWith(INTERNAL) ? INTERNAL_COLUMNS.get(path.slice(INTERNAL.length)) : ROOT_COLUMNS.get(path)
  if (column !== undefined) return { column, kind: "text", sql: column }
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
