/**
 * What becomes of a stored object in a collection: whether it is a row (python-surface.md §3.1), by which plan one is made of
 * it, and what its documents take over. Pure: no I/O.
 */
import type { ExtractorConfig, InputMapping } from "../collections/extractor.ts"
import { namedFields, payloadPath } from "../collections/extractor.ts"
import { type Filter, matches, valueAt } from "../filtering.ts"
import type { StoredBlob } from "../metadata/stored-blobs.ts"
import type { Manifest, ObjectPlan } from "../workers/protocol.ts"

export interface SourceObject {
  readonly object_id: string
  readonly bucket_id: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly blobs: readonly StoredBlob[]
}

export interface InputPlan {
  readonly collectionId: string
  readonly pluginId: string
  readonly pluginVersion: string
  readonly codeHash: string
  readonly inputs: readonly string[]
  readonly inputTypes: readonly string[]
  readonly mappings: ReadonlyMap<string, InputMapping>
  readonly config: Pick<ExtractorConfig, "field_passthrough" | "include_all_source_fields">
  readonly sourceFilter: Filter | null
}

/** Whether an object becomes a row, and what its documents take over from it. */
export type Passed =
  | { readonly kind: "row"; readonly passthrough: Record<string, unknown> }
  | { readonly kind: "skipped" }
  | { readonly kind: "failed"; readonly message: string }

/** Columns that describe a row; plugins read them, they are never stored as document fields. */
const SYSTEM_COLUMNS = new Set([
  "__row",
  "data",
  "document_id",
  "object_id",
  "blob_id",
  "collection_id",
  "feature_extractor_id",
  "blob_property",
  "blob_type",
  "mime_type",
  "size_bytes",
  "source_url",
])

/** A blob of which no byte and no name told anything (an address, say) is what its type says. */
export const MIME_OF_TYPE: Readonly<Partial<Record<string, string>>> = {
  text: "text/plain",
  image: "image/*",
  audio: "audio/*",
  video: "video/*",
  pdf: "application/pdf",
}

/** Field names that say a kind of blob (python-surface.md §3.1). */
export const TYPE_NAMES: Readonly<Record<string, RegExp>> = {
  text: /^text\//,
  image: /^image\//,
  video: /^video\//,
  audio: /^audio\//,
  pdf: /^application\/pdf$/,
  document: /^(application\/pdf|text\/.*)$/,
}

export function inputPlan(
  collectionId: string,
  config: ExtractorConfig,
  manifest: Manifest,
  codeHash: string,
  sourceFilter: Filter | null,
): InputPlan {
  const properties = manifest.input_schema?.properties
  const declared = typeof properties === "object" && properties !== null ? Object.keys(properties) : []
  const mappings = new Map<string, InputMapping>()
  for (const [key, path] of Object.entries(manifest.input_mappings ?? {})) {
    if (typeof path === "string") {
      mappings.set(key, { input_key: key, source_type: "payload", path: payloadPath(path), override: null })
    }
  }
  for (const mapping of config.input_mappings) mappings.set(mapping.input_key, mapping)
  return {
    collectionId,
    pluginId: config.feature_extractor_id,
    pluginVersion: config.version,
    codeHash,
    inputs: [...new Set([...declared, ...mappings.keys()])],
    inputTypes: manifest.supported_input_types,
    mappings,
    config,
    sourceFilter,
  }
}

/** True when every object that is there becomes a row, and its documents take over nothing of it. */
export function takesAll({ config, sourceFilter }: InputPlan): boolean {
  return sourceFilter === null && !config.include_all_source_fields && config.field_passthrough.length === 0
}

export function passedThrough(plan: InputPlan, object: SourceObject): Passed {
  const record = objectRecord(object)
  if (plan.sourceFilter !== null && !matches(plan.sourceFilter, record)) return { kind: "skipped" }
  const { include_all_source_fields: all, field_passthrough: entries } = plan.config
  const passthrough: Record<string, unknown> = all ? { ...record } : {}
  if (all) for (const name of namedFields(entries)) delete passthrough[name]
  for (const { source_path, target_path, default: fallback, required } of entries) {
    const value = valueAt(record, source_path) ?? fallback
    if (required && (value === null || value === undefined)) {
      return { kind: "failed", message: `The object has no '${source_path}', which field_passthrough requires.` }
    }
    if (value !== null && value !== undefined) passthrough[target_path] = value
  }
  return { kind: "row", passthrough }
}

/**
 * The row that the worker makes of an object (`plugin_worker/object_rows.py`; a test holds the two together), for whom wants
 * to show one. `documentId` is the id of its first output.
 */
export function prepareRow(plan: InputPlan, object: SourceObject, documentId: string): Record<string, unknown> {
  const record = objectRecord(object)
  const primary = primaryBlob(plan, object)
  const row: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(record)) if (!SYSTEM_COLUMNS.has(name)) row[name] = value
  for (const input of plan.inputs) {
    if (!SYSTEM_COLUMNS.has(input)) row[input] = inputValue(plan, object, record, input) ?? null
  }
  row.document_id = documentId
  row.object_id = object.object_id
  row.collection_id = plan.collectionId
  row.feature_extractor_id = plan.pluginId
  row.blob_id = primary?.blob_id ?? null
  row.blob_property = primary?.property ?? null
  row.blob_type = primary?.type ?? null
  // Of the blob that the row is about: it decides which steps handle the row.
  row.mime_type = primary === null ? null : mimeOf(primary)
  row.size_bytes = primary === null || isInline(primary) ? 0 : (primary.details.size_bytes ?? 0)
  row.data = primary === null ? null : blobValue(primary)
  // Text in a field of the object, without a blob: as good as an inline text blob.
  const field =
    primary === null ? plan.inputs.map((input) => row[input]).find((value) => typeof value === "string") : null
  if (field != null) {
    row.data = field
    row.blob_type = "text"
    row.mime_type = "text/plain"
  }
  row.source_url = primary?.url ?? null
  return row
}

/** By what the worker makes rows of objects. */
export function objectPlan(plan: InputPlan): ObjectPlan {
  return {
    collection_id: plan.collectionId,
    plugin_id: plan.pluginId,
    plugin_version: plan.pluginVersion,
    code_hash: plan.codeHash,
    inputs: [...plan.inputs],
    input_types: [...plan.inputTypes],
    mappings: Object.fromEntries(
      [...plan.mappings].map(([input, { source_type, path, override }]) => [input, { source_type, path, override }]),
    ),
  }
}

/** User fields and blob values under their names, as mappings and filters address them. */
function objectRecord(object: SourceObject): Record<string, unknown> {
  const record: Record<string, unknown> = { ...object.fields }
  for (const blob of object.blobs) record[blob.property] ??= blobValue(blob)
  return record
}

function inputValue(plan: InputPlan, object: SourceObject, record: Record<string, unknown>, input: string): unknown {
  const mapping = plan.mappings.get(input)
  if (mapping?.source_type === "literal") return mapping.override
  // Who says where an input comes from does not want another blob in its place.
  if (mapping?.path != null) return valueAt(record, mapping.path) ?? mapping.override ?? null
  if (record[input] !== undefined && record[input] !== null) return record[input]
  const pattern = TYPE_NAMES[input]
  if (pattern !== undefined) {
    const typed = object.blobs.find((blob) => fits(blob, input, pattern))
    return typed === undefined ? null : blobValue(typed)
  }
  const fitting = plan.inputs.length === 1 ? fittingBlob(plan, object) : null
  return fitting === null ? null : blobValue(fitting)
}

/** A text input takes text, never the reference of a file that calls itself text. */
function fits(blob: StoredBlob, type: string, pattern: RegExp): boolean {
  return pattern.test(mimeOf(blob) ?? "") && (type !== "text" || isInline(blob))
}

/** As the bytes or the sender said. `type` stays what the schema calls it, and decides only where nothing else does. */
function mimeOf(blob: StoredBlob): string | null {
  const { mime_type: mime } = blob.details
  return mime === null || mime === "application/octet-stream" ? (MIME_OF_TYPE[blob.type] ?? mime) : mime
}

/** The blob that an input maps to, in schema order; else the first of a supported type; else the first. */
function primaryBlob(plan: InputPlan, object: SourceObject): StoredBlob | null {
  for (const input of plan.inputs) {
    const property = plan.mappings.get(input)?.path ?? input
    const mapped = object.blobs.find((blob) => blob.property === property)
    if (mapped !== undefined) return mapped
  }
  return fittingBlob(plan, object) ?? object.blobs[0] ?? null
}

function fittingBlob(plan: InputPlan, object: SourceObject): StoredBlob | null {
  const types = plan.inputTypes.flatMap((type) => {
    const pattern = TYPE_NAMES[type]
    return pattern === undefined ? [] : [{ type, pattern }]
  })
  return object.blobs.find((blob) => types.some(({ type, pattern }) => fits(blob, type, pattern))) ?? null
}

function isInline(blob: StoredBlob): boolean {
  return blob.url === undefined || blob.url === null
}

/** Inline content as it is; bytes as their asset URL, never the bytes. */
function blobValue(blob: StoredBlob): unknown {
  return blob.url ?? blob.data ?? null
}
