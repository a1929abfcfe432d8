import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFile } from "node:fs/promises"
import { documentId } from "../../src/batches/document-id.ts"
import { writeDead } from "../../src/documents/part-files.ts"
import type { PartRef, RowPlan, WriteRowsRequest } from "../../src/documents/process.ts"
import { IDENTITY, startTestDocuments, type TestDocuments } from "./support.ts"

let t: TestDocuments
beforeAll(async () => {
  t = await startTestDocuments()
})
afterAll(() => t[Symbol.asyncDispose]())

const PLAN: RowPlan = {
  collection_id: "col_2",
  plugin_id: "measure_1_0_0",
  plugin_version: "1.0.0",
  code_hash: "def",
  inputs: [{ name: "text", path: null, fallback: null, mime_pattern: null }],
  mime_of_type: { image: "image/*" },
  mime_patterns: [],
  passthrough: [],
  include_all_source_fields: false,
  named: [],
}

async function written(parts: readonly PartRef[], change: Partial<WriteRowsRequest> = {}, plan: Partial<RowPlan> = {}) {
  let first = 0
  const sources = parts.map((part) => {
    const source = { part, first_ordinal: first }
    first += part.rows
    return source
  })
  const input = t.spool("input.jsonl")
  const lineage = t.spool("lineage.jsonl")
  const request = { sources, first_ordinal: 0, end_ordinal: first, filters: [], input, lineage, ...change }
  const answer = await t.documents.writeRows({ ...request, plan: { ...PLAN, ...plan } })
  const lines = async (path: string) => (await readFile(path, "utf8")).split("\n").filter(Boolean)
  return {
    answer,
    rows: (await lines(input)).map((line) => JSON.parse(line)),
    lineage: (await lines(lineage)).map((line) => {
      const [, , , passthrough = "", source = ""] = line.split("\t")
      return { passthrough: JSON.parse(passthrough), source: JSON.parse(source) }
    }),
    file: lineage,
  }
}

const ids = async (part: PartRef) =>
  (await t.documents.list({ parts: [{ ...part, dead_file: null }], limit: 1000 })).documents.map(
    (document) => document.document_id,
  )

async function withDead(part: PartRef, positions: readonly number[]): Promise<PartRef> {
  const dead = `${part.path}.${crypto.randomUUID()}.dead`
  await writeDead(dead, Uint32Array.from(positions))
  return { ...part, dead_file: dead }
}

describe("documents as rows", () => {
  test("keep their ordinals over parts, without the dead and those that the filters leave out", async () => {
    const one = await withDead(await t.part([{ text: "a" }, { text: "b" }, { text: "c" }], { name: "rows_one" }), [1])
    const two = await t.part([{ text: "d" }, { text: "e" }, { text: "f" }], { name: "rows_two" })
    const all = await written([one, two])
    expect(all.rows.map((row) => [row.__row, row.text, row.data, row.mime_type])).toEqual([
      [0, "a", "a", "text/plain"],
      [2, "c", "c", "text/plain"],
      [3, "d", "d", "text/plain"],
      [4, "e", "e", "text/plain"],
      [5, "f", "f", "text/plain"],
    ])
    const [, , third] = await ids(one)
    expect(all.rows[1].document_id).toBe(documentId("col_2", third ?? "", "1.0.0", "def", 0))
    expect(all.answer).toMatchObject({ ordinals: [0, 2, 3, 4, 5], failed: [] })
    expect(all.answer.document_ids[1]).toBe(third ?? "")
    const some = await written([one, two], {
      first_ordinal: 1,
      end_ordinal: 5,
      filters: [{ text: "e" }, { field: "text", operator: "ne", value: "d" }],
    })
    expect(some.answer.ordinals).toEqual([4])
    const asked = await written([one, two], { ordinals: [1, 3, 5], first_ordinal: 1, end_ordinal: 6 })
    expect(asked.answer.ordinals).toEqual([3, 5])
    expect((await written([])).answer.ordinals).toEqual([])
  })

  test("pass fields through, and make the part whose ids and lineage name the document that was read", async () => {
    const files = [
      { blob_id: "blb", property: "file", type: "image", url: "s3://bkt_1/x", details: { mime_type: "image/png" } },
    ]
    const part = await t.part([{ text: "a", n: 12345678901234567n.toString(), 'odd "k"': [1], keep: null }, {}], {
      name: "rows_lineage",
      source: () => ({ bucket_id: "bkt_1", key_prefix: "k", blobs: files }),
    })
    const passthrough = [
      { source_path: "n", target_path: "number", required: false },
      { source_path: "file", target_path: "text", required: false },
      { source_path: "none", target_path: "none", default: { a: 1 }, required: false },
    ]
    const named = ["n", "number", "file", "text", "none"]
    const { rows, lineage, file } = await written([part], {}, { passthrough, include_all_source_fields: true, named })
    expect(rows[1]).toMatchObject({
      __row: 1,
      text: null,
      data: "s3://bkt_1/x",
      mime_type: "image/png",
      blob_id: "blb",
    })
    expect(lineage[0]?.passthrough).toEqual({
      'odd "k"': [1],
      keep: null,
      number: "12345678901234567",
      text: "s3://bkt_1/x",
      none: { a: 1 },
    })
    // What the second document lacks is left out.
    expect(lineage[1]?.passthrough).toEqual({ text: "s3://bkt_1/x", none: { a: 1 } })
    const alone = await written([part], {}, { passthrough: passthrough.slice(0, 1), named: ["n", "number"] })
    expect(alone.lineage.map((line) => line.passthrough)).toEqual([{ number: "12345678901234567" }, {}])
    const [first] = await ids(part)
    const source = { bucket_id: "bkt_1", key_prefix: "k", blobs: files }
    const step = { collection_id: IDENTITY.collection_id, document_id: first, feature_extractor_id: IDENTITY.plugin_id }
    expect(lineage[0]?.source).toMatchObject({ ...source, document_id: first, chain: [step] })

    const scalars = await t.writeScalars([
      { row: 0, fields: "{}" },
      { row: 0, output_index: 1, fields: "{}" },
      { row: 1, fields: "{}" },
    ])
    const next = t.request(file, scalars, { identity: { ...IDENTITY, collection_id: "col_2" } })
    expect(await t.documents.writePart(next)).toMatchObject({ ok: true, rows_out: 3 })
    const made = { part_id: "rows_next", path: next.part, features: [], rows: 3 }
    const { documents } = await t.documents.list({ parts: [made], limit: 10 })
    expect(documents[1]?.document_id).toBe(documentId("col_2", first ?? "", "1.0.0", "abc", 1))
    expect(documents[1]).toMatchObject({ object_id: "obj_0000", source: { document_id: first } })
    // One step further the chain has both, the object's own first.
    const further = await written([made])
    expect(further.lineage[0]?.source.chain).toMatchObject([step, { collection_id: "col_2" }])
    expect(Object.keys(further.lineage[0]?.source)).toHaveLength(6)
  })

  test("are about a file whose type says what no byte told", async () => {
    const blob = { blob_id: "blb", property: "picture", type: "image", url: "https://elsewhere/x", details: {} }
    const part = await t.part([{ text: "a" }], {
      name: "rows_types",
      source: () => ({ bucket_id: "bkt_1", blobs: [blob] }),
    })
    const inputs = [{ name: "image", path: null, fallback: null, mime_pattern: "^image/" }]
    const { rows } = await written([part], {}, { inputs })
    expect(rows[0]).toMatchObject({ image: blob.url, data: blob.url, mime_type: "image/*", blob_property: "picture" })
  })

  test("fail where a required field is missing, and stand on one line whatever a plugin wrote", async () => {
    const lineage = await t.writeLineage([
      { row: 0, object_id: "a" },
      { row: 1, object_id: "b" },
      { row: 2, object_id: "c" },
    ])
    const scalars = await t.writeScalars([
      { row: 0, fields: '{\n "text":\r\n "x\\ny",\n "__row": 9, "object_id": "forged"\n}' },
      { row: 1, fields: "{ \n }" },
      { row: 2, fields: '{"text": 5, "quote\'s": "\\u0001"}' },
    ])
    const request = t.request(lineage, scalars)
    expect(await t.documents.writePart(request)).toMatchObject({ ok: true })
    const part = { part_id: "rows_lines", path: request.part, features: [], rows: 3 }
    const all = await written([part])
    expect(all.rows.map((row) => [row.__row, row.object_id, row.text, row.data])).toEqual([
      [0, "a", "x\ny", "x\ny"],
      [1, "b", null, null],
      [2, "c", 5, null],
    ])
    const required = [{ source_path: "text", target_path: "text", required: true }]
    const { answer } = await written([part], {}, { passthrough: required })
    expect(answer.ordinals).toEqual([0, 2])
    expect(answer.failed).toEqual([
      expect.objectContaining({ ordinal: 1, object_id: "b", message: expect.stringContaining("'text'") }),
    ])
  })
})

test("what was made of documents is replaced with them, dies with them, and is born dead when they have died meanwhile", async () => {
  const lines = ["x", "y", "z"].map((object_id, row) => ({ row, object_id }))
  const cut = [
    { row: 0, fields: '{"text":"a"}' },
    { row: 0, output_index: 1, fields: '{"text":"b"}' },
    { row: 1, fields: '{"text":"c"}' },
    { row: 2, fields: '{"text":"d"}' },
  ]
  const chunked = t.request(await t.writeLineage(lines), await t.writeScalars(cut))
  expect(await t.documents.writePart(chunked)).toMatchObject({ ok: true, rows_out: 4 })
  const above = { part_id: "above", path: chunked.part, features: [], rows: 4 }
  const below = async (name: string) => {
    const { file } = await written([above])
    const scalars = await t.writeScalars([0, 1, 2, 3].map((row) => ({ row, fields: "{}" })))
    const request = t.request(file, scalars, { identity: { ...IDENTITY, collection_id: name } })
    const answer = await t.documents.writePart(request)
    if (!answer.ok) throw new Error(answer.reason)
    return { lineage: file, part: { part_id: name, path: request.part, features: [], rows: 4 } }
  }
  const old = (await below("old_below")).part
  // Row 1 lives no more; row 0 is done again, row 2 was done again and failed, row 3 is not asked.
  const now = await withDead(above, [1])
  const asked = await written([now], { end_ordinal: 3 })
  const request = {
    parts: [old],
    lineage: asked.file,
    failed_rows: [2],
    chain: {
      sources: [{ part: now, first_ordinal: 0 }],
      first_ordinal: 0,
      end_ordinal: 3,
      living: [now],
      beside: [] as PartRef[],
    },
  }
  const living = async (found: { part_id: string; dead_file: string }[], part: PartRef) =>
    (
      await t.documents.list({
        parts: [{ ...part, dead_file: found.find(({ part_id }) => part_id === part.part_id)?.dead_file ?? null }],
        limit: 10,
      })
    ).documents.map((document) => document.object_id)
  expect(await living(await t.documents.findSuperseded(request), old)).toEqual(["y", "z"])
  // Of what another version made the orphan goes alone.
  const beside = await t.documents.findSuperseded({ ...request, parts: [], chain: { ...request.chain, beside: [old] } })
  expect(await living(beside, old)).toEqual(["x", "y", "z"])
  // A filter that leaves the row out leaves its document, and takes the orphan of the same object all the same.
  const { file: nothing } = await written([now], { end_ordinal: 3, filters: [{ text: "none" }] })
  const partial = await t.documents.findSuperseded({ ...request, lineage: nothing, failed_rows: [] })
  expect(await living(partial, old)).toEqual(["x", "y", "z"])
  const fresh = await below("fresh_below")
  const stale = await t.documents.findSuperseded({
    parts: [old],
    lineage: fresh.lineage,
    stale_rows: [0, 3],
    own: fresh.part,
    chain: { ...request.chain, end_ordinal: 4 },
  })
  expect(await living(stale, fresh.part)).toEqual(["x", "y"])
  // What was made of the stale rows before is another run's to replace.
  expect(await living(stale, old)).toEqual(["x", "z"])
})
