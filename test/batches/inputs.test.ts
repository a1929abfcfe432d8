import { describe, expect, test } from "bun:test"
import { inputPlan, prepareRow } from "../../src/batches/inputs.ts"
import type { StoredBlob } from "../../src/buckets/stored-blob.ts"
import type { ExtractorConfig } from "../../src/collections/extractor.ts"
import { Manifest } from "../../src/workers/protocol.ts"

const MANIFEST = Manifest.parse({
  feature_extractor_name: "reader",
  version: "1.0.0",
  input_schema: { type: "object", properties: { text: { type: "string" } } },
  supported_input_types: ["text"],
  features: [],
  dependencies: [],
})

const CONFIG: ExtractorConfig = {
  feature_extractor_name: "reader",
  version: "1.0.0",
  feature_extractor_id: "reader_1_0_0",
  parameters: {},
  params: {},
  input_mappings: [],
  field_passthrough: [],
  include_all_source_fields: false,
}

function blob(property: string, mime: string, content: { data: string } | { url: string }): StoredBlob {
  return {
    blob_id: `blob_${property}`,
    property,
    key_prefix: null,
    type: mime.startsWith("text/") ? "text" : "image",
    metadata: {},
    details: { filename: null, size_bytes: 4, mime_type: mime, hash: null },
    ...content,
  }
}

function rowOf(blobs: StoredBlob[], config: Partial<ExtractorConfig> = {}, fields: Record<string, unknown> = {}) {
  const plan = inputPlan("col_1", { ...CONFIG, ...config }, MANIFEST, "hash", null)
  const object = { ordinal: 0, object_id: "obj_1", bucket_id: "bkt_1", key_prefix: null, fields, blobs }
  const prepared = prepareRow(plan, object, "doc_1")
  if (prepared.kind !== "row") throw new Error(prepared.kind)
  return prepared.row
}

const mapped = (path: string) => ({
  input_mappings: [{ input_key: "text", source_type: "payload" as const, path, override: null }],
})

describe("what an input column gets", () => {
  test("the blob of its name, in the column and as data", () => {
    const row = rowOf([blob("text", "text/plain", { data: "words" })])
    expect(row).toMatchObject({ text: "words", data: "words", mime_type: "text/plain", blob_property: "text" })
  })

  test("the only input takes a text blob of another name", () => {
    expect(rowOf([blob("note", "text/plain", { data: "words" })])).toMatchObject({ text: "words", data: "words" })
  })

  test("with a mapping, an absent property is null and no other blob takes its place", () => {
    expect(rowOf([blob("note", "text/plain", { data: "words" })], mapped("body")).text).toBeNull()
  })

  test("a text input never gets the reference of a file, whatever the file calls itself", () => {
    const row = rowOf([blob("image", "text/plain", { url: "s3://bkt_1/abc" })])
    expect(row.text).toBeNull()
    expect(rowOf([blob("image", "image/png", { url: "s3://bkt_1/abc" })]).text).toBeNull()
  })

  test("a field of the object is as good as a text blob", () => {
    const row = rowOf([], {}, { text: "words in a field" })
    expect(row).toMatchObject({ text: "words in a field", data: "words in a field", mime_type: "text/plain" })
  })

  test("a literal mapping gives its value", () => {
    const literal = { input_key: "text", source_type: "literal" as const, path: null, override: "always this" }
    expect(rowOf([blob("text", "text/plain", { data: "words" })], { input_mappings: [literal] }).text).toBe(
      "always this",
    )
  })

  test("the MIME type of the blob it is about decides, not the type that the schema calls it; that only where nothing else does", () => {
    const typed = (mime: string | null, type: StoredBlob["type"]) => {
      const { details, ...rest } = blob("file", "image/png", { url: "s3://bkt_1/abc" })
      return rowOf([{ ...rest, type, details: { ...details, mime_type: mime } }])
    }
    expect(typed("application/pdf", "image")).toMatchObject({ mime_type: "application/pdf", blob_type: "image" })
    expect(typed(null, "image").mime_type).toBe("image/*")
    expect(typed("application/octet-stream", "pdf").mime_type).toBe("application/pdf")
    expect(typed("application/octet-stream", "object").mime_type).toBe("application/octet-stream")
    expect(typed(null, "object").mime_type).toBeNull()
  })

  test("of several blobs the one that an input maps to is what the row is about", () => {
    const blobs = [blob("note", "text/plain", { data: "words" }), blob("scan", "image/png", { url: "s3://bkt_1/abc" })]
    expect(rowOf(blobs, mapped("scan"))).toMatchObject({ mime_type: "image/png", blob_property: "scan" })
    expect(rowOf(blobs, mapped("note"))).toMatchObject({ mime_type: "text/plain", blob_property: "note" })
  })

  test("a user's field never takes the place of what the appliance says of the row", () => {
    const row = rowOf([blob("text", "text/plain", { data: "words" })], {}, { document_id: "mine", object_id: "mine" })
    expect(row).toMatchObject({ document_id: "doc_1", object_id: "obj_1" })
  })
})
