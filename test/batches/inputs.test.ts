import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { documentId } from "../../src/batches/document-id.ts"
import {
  inputPlan,
  objectPlan,
  passedThrough,
  prepareRow,
  type SourceObject,
  takesAll,
} from "../../src/batches/inputs.ts"
import type { ExtractorConfig } from "../../src/collections/extractor.ts"
import { parseFilter } from "../../src/filtering.ts"
import { blobColumns, type StoredBlob } from "../../src/metadata/stored-blobs.ts"
import { Manifest } from "../../src/workers/protocol.ts"
import { seededRandom, testSeed } from "../support/random.ts"

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

/** As src/metadata/partition-rows.ts writes it. */
function lineOf({ object_id, fields, blobs }: SourceObject, ordinal: number): string {
  const { blob_kinds, blob_values } = blobColumns(blobs)
  return `${[ordinal, object_id, JSON.stringify(fields), blob_kinds, blob_values].join("\t")}\n`
}

function rowOf(blobs: StoredBlob[], config: Partial<ExtractorConfig> = {}, fields: Record<string, unknown> = {}) {
  const plan = inputPlan("col_1", { ...CONFIG, ...config }, MANIFEST, "hash", null)
  return prepareRow(plan, { object_id: "obj_1", bucket_id: "bkt_1", fields, blobs }, "doc_1")
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

const planOf = (config: Partial<ExtractorConfig>, filter: Parameters<typeof inputPlan>[4] = null) =>
  inputPlan("col_1", { ...CONFIG, ...config }, MANIFEST, "hash", filter)
const objectOf = (fields: Record<string, unknown>, blobs: StoredBlob[] = []) => ({
  object_id: "obj_1",
  bucket_id: "bkt_1",
  fields,
  blobs,
})

describe("what becomes of an object", () => {
  test("its documents take over what the configuration names, blob values by their property, and defaults", () => {
    const plan = planOf({
      field_passthrough: [
        { source_path: "note", target_path: "note", default: null, required: false },
        { source_path: "a.b", target_path: "deep", default: null, required: false },
        { source_path: "none", target_path: "none", default: 3, required: true },
      ],
    })
    const object = objectOf({ a: { b: 1 } }, [blob("note", "text/plain", { data: "words" })])
    expect(passedThrough(plan, object)).toEqual({ kind: "row", passthrough: { note: "words", deep: 1, none: 3 } })
    expect(takesAll(plan)).toBe(false)
    expect(takesAll(planOf({}))).toBe(true)
  })

  test("its documents take over all fields, a renamed one under its new name alone, and leave out what is missing", () => {
    const entry = (source_path: string, target_path: string) => ({
      source_path,
      target_path,
      default: null,
      required: false,
    })
    const fields = { a: 1, b: 2, meta: { deep: 3 } }
    const passed = (...entries: ReturnType<typeof entry>[]) =>
      passedThrough(planOf({ field_passthrough: entries, include_all_source_fields: true }), objectOf(fields))
    expect(passed(entry("a", "x"), entry("meta.deep", "deep"), entry("none", "other"))).toEqual({
      kind: "row",
      passthrough: { b: 2, meta: { deep: 3 }, x: 1, deep: 3 },
    })
    expect(passed(entry("a", "b"), entry("b", "a"))).toMatchObject({ passthrough: { a: 2, b: 1, meta: { deep: 3 } } })
    expect(passed(entry("a", "a"), entry("a", "x"))).toMatchObject({ passthrough: { a: 1, b: 2, x: 1 } })
    expect(passedThrough(planOf({ field_passthrough: [entry("none", "none")] }), objectOf(fields))).toEqual({
      kind: "row",
      passthrough: {},
    })
  })

  test("without a required field it fails, with the field's name", () => {
    const passthrough = { source_path: "note", target_path: "note", default: null, required: true }
    expect(passedThrough(planOf({ field_passthrough: [passthrough] }), objectOf({}))).toEqual({
      kind: "failed",
      message: "The object has no 'note', which field_passthrough requires.",
    })
  })

  test("it is skipped when the source filter leaves it out", () => {
    const plan = planOf({}, parseFilter({ field: "kind", operator: "eq", value: "a" }))
    expect(passedThrough(plan, objectOf({ kind: "b" })).kind).toBe("skipped")
    expect(passedThrough(plan, objectOf({ kind: "a" })).kind).toBe("row")
  })
})

test("the row that is shown of an object is the row that the worker makes of it", async () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const choose = <T>(from: readonly T[]): T => from[random.below(from.length)] as T
  const names = ["text", "image", "note", "pdf", "data", "object_id", "a"]
  const content = () =>
    choose([{ data: "words" }, { data: "" }, { url: "s3://bkt_1/abc" }, { data: 7 as unknown as string }])
  const someBlob = () =>
    blob(
      choose(names),
      choose(["text/plain", "image/png", "application/pdf", "text/csv", "application/octet-stream"]),
      content(),
    )
  const value = () => choose<unknown>([null, "a field", 3, { b: ["x", { c: "deep" }] }, ["list"], true])
  const mapping = (input: string) =>
    choose([
      {
        input_key: input,
        source_type: "payload" as const,
        path: choose(["a.b.1.c", "a.b.9", "note", "none"]),
        override: null,
      },
      { input_key: input, source_type: "payload" as const, path: "none.at.all", override: "given" },
      { input_key: input, source_type: "literal" as const, path: null, override: choose<unknown>([1, null, "always"]) },
    ])
  const cases = Array.from({ length: 300 }, (_, index) => {
    const inputs = choose([["text"], ["image"], ["text", "image"], ["document", "pdf"], ["words"], []])
    const manifest = Manifest.parse({
      ...MANIFEST,
      input_schema: { type: "object", properties: Object.fromEntries(inputs.map((input) => [input, {}])) },
      supported_input_types: choose([["text"], ["image", "pdf"], ["video", "multimodal"], []]),
    })
    const mappings = inputs.filter(() => choose([true, false, false])).map(mapping)
    const plan = inputPlan("col_1", { ...CONFIG, input_mappings: mappings }, manifest, "hash", null)
    const objects = Array.from({ length: choose([1, 2, 5]) }, (__, at) => ({
      ...objectOf(Object.fromEntries(names.filter(() => choose([true, false, false])).map((name) => [name, value()]))),
      object_id: `obj_${index}_${at}`,
      blobs: Array.from({ length: choose([0, 1, 1, 2, 3]) }, someBlob),
    }))
    return { plan, objects }
  })
  const script = `import json, sys
sys.path.insert(0, sys.argv[1])
from plugin_worker.object_rows import InputPlan, ObjectRows, StoredObjects
for case in json.load(sys.stdin):
    row_ids, objects = StoredObjects.read([line.encode() for line in case["lines"]], json.loads)
    columns = ObjectRows(InputPlan.parse(case["plan"])).columns(objects)
    print(json.dumps([{name: values[at] for name, values in columns.items()} for at in range(len(row_ids))]))
`
  const child = Bun.spawn(["python3", "-c", script, join(import.meta.dir, "../../src/python")], {
    stdin: new Blob([
      JSON.stringify(cases.map(({ plan, objects }) => ({ plan: objectPlan(plan), lines: objects.map(lineOf) }))),
    ]),
    stdout: "pipe",
    stderr: "inherit",
  })
  const made = (await new Response(child.stdout).text()).trimEnd().split("\n")
  for (const [index, { plan, objects }] of cases.entries()) {
    const rows: Record<string, unknown>[] = JSON.parse(made[index] ?? "null")
    for (const [at, object] of objects.entries()) {
      const id = documentId(plan.collectionId, object.object_id, plan.pluginVersion, plan.codeHash, 0)
      const shown = prepareRow(plan, object, id)
      const missing = Object.fromEntries(Object.keys(rows[at] ?? {}).map((name) => [name, null]))
      // A column that another row of the frame has is null here.
      expect(rows[at], `seed ${seed}, case ${index}`).toEqual({ ...missing, ...shown })
    }
  }
})
