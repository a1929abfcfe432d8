import { afterAll, beforeAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { dirname } from "node:path"
import { CREATED_AT, IDENTITY, startTestDocuments, type TestDocuments } from "./support.ts"

let t: TestDocuments
beforeAll(async () => {
  t = await startTestDocuments()
})
afterAll(() => t[Symbol.asyncDispose]())

test("a part answers its documents with fields, source and vectors under the id that identity gives", async () => {
  const lineage = await t.writeLineage([
    { row: 3, object_id: "obj_a", passthrough: { title: "A" }, source: { bucket_id: "bkt_1", blobs: [] } },
    { row: 7, object_id: "obj_b" },
    { row: 9, object_id: "obj_c" },
  ])
  const scalars = await t.writeScalars([
    { row: 3, fields: '{"words": 2}' },
    { row: 3, output_index: 1, fields: '{"words": 3}', missing_vectors: ["embedding"] },
    { row: 9, fields: "{}" },
  ])
  const path = await t.writeVectors([
    [1, 2],
    [0, 0],
    [0.5, -4],
  ])
  const request = t.request(lineage, scalars, {
    vectors: [{ feature_name: "embedding", embedding_dim: 2, path }],
    failed_rows: [7],
  })
  const answer = await t.documents.writePart(request)
  expect(answer).toMatchObject({ ok: true, rows_out: 3, rows_done: 2 })

  const part = {
    part_id: "part_1",
    path: request.part,
    features: [{ feature_name: "embedding", embedding_dim: 2, file_index: 0 }],
    rows: 3,
  }
  const { documents, next_cursor, total } = await t.documents.list({
    parts: [part],
    limit: 10,
    includeTotal: true,
    returnVectors: true,
  })
  expect(next_cursor).toBeUndefined()
  expect(total).toBe(3)
  const id = (object: string, index: number) =>
    `doc_${createHash("sha256")
      .update([IDENTITY.collection_id, object, IDENTITY.plugin_version, IDENTITY.code_hash, index].join("\n"))
      .digest("hex")
      .slice(0, 24)}`
  const common = { collection_id: IDENTITY.collection_id, plugin_id: IDENTITY.plugin_id, created_at: CREATED_AT }
  const source = { bucket_id: "bkt_1", blobs: [] }
  expect(documents).toEqual([
    {
      ...common,
      document_id: id("obj_a", 0),
      object_id: "obj_a",
      output_index: 0,
      fields: { title: "A", words: 2 },
      source,
      vectors: { embedding: [1, 2] },
    },
    {
      ...common,
      document_id: id("obj_a", 1),
      object_id: "obj_a",
      output_index: 1,
      fields: { title: "A", words: 3 },
      source,
      vectors: {},
    },
    {
      ...common,
      document_id: id("obj_c", 0),
      object_id: "obj_c",
      output_index: 0,
      fields: {},
      source: { bucket_id: "bkt_1" },
      vectors: { embedding: [0.5, -4] },
    },
  ])
  const found = await t.documents.get({ parts: [part], documentId: id("obj_a", 1) })
  expect(found?.fields).toEqual({ title: "A", words: 3 })
  expect(found?.vectors).toBeUndefined()
  expect(await t.documents.get({ parts: [part], documentId: "doc_none" })).toBeNull()
})

test("a plugin's fields stand over passthrough key by key, and its null and its nested objects replace", async () => {
  const passthrough = { "a/b~c": 1, nested: { kept: true }, gone: "x", "": "empty", $: 1, ü: '\u0001"\\\t\r\n\u2028' }
  const lineage = await t.writeLineage([
    { row: 0, object_id: "o", passthrough },
    { row: 1, object_id: "p", passthrough },
    { row: 2, object_id: "q", passthrough },
    { row: 3, object_id: "r" },
  ])
  const scalars = await t.writeScalars([
    { row: 0, fields: JSON.stringify({ nested: { own: 1 }, gone: null, more: [1] }) },
    { row: 1, fields: ' \n{ "more" : "only" }\t' },
    { row: 2, fields: " { } " },
    { row: 3, fields: '{ "a":  1 }' },
  ])
  const request = t.request(lineage, scalars)
  expect(await t.documents.writePart(request)).toMatchObject({ ok: true })
  const { documents } = await t.documents.list({
    parts: [{ part_id: "p", path: request.part, features: [], rows: 4 }],
    limit: 10,
  })
  expect(documents.map((document) => document.fields)).toEqual([
    { ...passthrough, nested: { own: 1 }, gone: null, more: [1] },
    { ...passthrough, more: "only" },
    passthrough,
    { a: 1 },
  ])
})

test("documents become rows and their lineage, whatever stands between a plugin's tokens", async () => {
  const first = t.request(
    await t.writeLineage([{ row: 0, object_id: "obj_a" }]),
    await t.writeScalars([{ row: 0, fields: '{\t"a" :\n[1,\r\t2] }' }]),
  )
  expect(await t.documents.writePart(first)).toMatchObject({ ok: true })
  const part = { part_id: "p", path: first.part, features: [], rows: 1 }
  const [document] = (await t.documents.list({ parts: [part], limit: 1 })).documents
  const input = t.spool("input.jsonl")
  const lineage = t.spool("lineage.tsv")
  const { collection_id, plugin_id, plugin_version, code_hash } = IDENTITY
  const written = await t.documents.writeRows({
    sources: [{ part, first_ordinal: 7 }],
    first_ordinal: 7,
    end_ordinal: 8,
    filters: [],
    plan: {
      ...{ collection_id, plugin_id, plugin_version, code_hash },
      ...{
        inputs: [],
        mime_of_type: {},
        mime_patterns: [],
        passthrough: [],
        include_all_source_fields: true,
        named: [],
      },
    },
    input,
    lineage,
  })
  expect(written).toMatchObject({ ordinals: [7], object_ids: ["obj_a"], document_ids: [document?.document_id] })
  const next = t.request(lineage, await t.writeScalars([{ row: 7, fields: '{"b":3}' }]))
  expect(await t.documents.writePart(next)).toMatchObject({ ok: true, rows_done: 1 })
  const { documents } = await t.documents.list({ parts: [{ ...part, path: next.part }], limit: 1 })
  expect(documents[0]).toMatchObject({ object_id: "obj_a", fields: { a: [1, 2], b: 3 } })
  expect(documents[0]?.source).toMatchObject({ document_id: document?.document_id })
})

interface Made {
  readonly row: number
  readonly outputs: readonly string[]
  readonly passthrough?: Record<string, unknown>
}

const N = 2500
const each = (outputs: (row: number) => string[], passthrough?: (row: number) => Record<string, unknown>): Made[] =>
  Array.from({ length: N }, (_, row) => ({
    row,
    outputs: outputs(row),
    ...(passthrough === undefined ? {} : { passthrough: passthrough(row) }),
  }))

test.each<[string, readonly Made[]]>([
  ["nothing is passed through", each((row) => [`{"n":${row}}`])],
  [
    "what is passed through has other names",
    each(
      (row) => [`{"n":${row},"ü":"}"}`],
      (row) => ({ é: `{${row}`, o: { p: 1 } }),
    ),
  ],
  [
    "it has a name of the fields",
    each(
      (row) => [`{"n":${row}}`],
      (row) => ({ n: -row, o: row }),
    ),
  ],
  [
    "the fields have all its names",
    each(
      (row) => [`{"n":${row},"o":null}`],
      (row) => ({ o: row, n: 1 }),
    ),
  ],
  [
    "some rows have it and some not",
    each(
      (row) => [`{"n":${row}}`],
      (row) => (row % 2 === 0 ? {} : { o: row }),
    ),
  ],
  [
    "some fields are empty",
    each(
      (row) => [row % 2 === 0 ? "{}" : `{"n":${row}}`],
      (row) => ({ o: row }),
    ),
  ],
  [
    "fields stand between spaces",
    each(
      (row) => [row === 7 ? ` {"n":${row} }\n` : `{"n":${row}}`],
      (row) => ({ o: row }),
    ),
  ],
  ["text looks like what is no JSON", each((row) => [`{"n":${row},"t":"[nan, 1,]"}`])],
  [
    "rows failed",
    each(
      (row) => (row % 100 === 3 ? [] : [`{"n":${row}}`]),
      (row) => ({ o: row }),
    ),
  ],
  ["rows have several outputs", each((row) => Array.from({ length: row % 4 }, (_, at) => `{"n":${row},"at":${at}}`))],
  [
    "rows are large",
    each(
      (row) => [`{"n":${row},"t":"${"x".repeat(row % 3000)}"}`],
      (row) => ({ n: 0, o: row }),
    ),
  ],
])("documents are the fields over what is passed through when %s", async (_, made) => {
  const lineage = await t.writeLineage(
    made.map(({ row, passthrough }) => ({
      row: row + 5,
      object_id: `obj_${row}`,
      ...(passthrough && { passthrough }),
    })),
  )
  const outputs = made.flatMap(({ row, outputs: texts, passthrough }) =>
    texts.map((fields, output_index) => ({ row: row + 5, output_index, fields, passthrough })),
  )
  const path = await t.writeVectors(outputs.map(({ row, output_index }) => [row, output_index]))
  const request = t.request(lineage, await t.writeScalars(outputs), {
    vectors: [{ feature_name: "e", embedding_dim: 2, path }],
    failed_rows: made.flatMap(({ row, outputs: texts }) => (texts.length === 0 ? [row + 5] : [])),
  })
  expect(await t.documents.writePart(request)).toMatchObject({ ok: true, rows_out: outputs.length })
  const [{ documents } = { documents: [] }] = await t.sql(
    `SELECT list({"row": "row", output_index: output_index, object_id: object_id, fields: fields} ORDER BY file_row_number) AS documents
     FROM read_parquet('${request.part}.parquet', file_row_number = true)`,
  )
  const written = (documents as { row: bigint; fields: string }[]).map((document) => ({
    ...document,
    row: Number(document.row),
    fields: JSON.parse(document.fields),
  }))
  expect(written).toEqual(
    outputs.map(({ row, output_index, fields, passthrough }) => ({
      ...{ row, output_index, object_id: `obj_${row - 5}` },
      fields: { ...passthrough, ...JSON.parse(fields) },
    })),
  )
  const vectors = new Float32Array(await Bun.file(`${request.part}.0.f32`).arrayBuffer())
  expect([...vectors]).toEqual(outputs.flatMap(({ row, output_index }) => [row, output_index]))
})

test("the same request written twice leaves the same bytes and no other file", async () => {
  const rows = Array.from({ length: 5000 }, (_, row) => row)
  const lineage = await t.writeLineage(rows.map((row) => ({ row, object_id: `o${row}` })))
  const scalars = await t.writeScalars(
    rows.map((row) => ({ row, fields: JSON.stringify({ row, text: `t${row} `.repeat(200) }) })),
  )
  const path = await t.writeVectors(rows.map((row) => [row, -row]))
  const request = t.request(lineage, scalars, { vectors: [{ feature_name: "e", embedding_dim: 2, path }] })
  const first = await t.documents.writePart(request)
  const bytes = [await readFile(`${request.part}.parquet`), await readFile(`${request.part}.0.f32`)]
  expect(await t.documents.writePart(request)).toEqual(first)
  expect([await readFile(`${request.part}.parquet`), await readFile(`${request.part}.0.f32`)]).toEqual(bytes)
  const names = await readdir(dirname(request.part))
  expect(names.filter((name) => name.includes("partial"))).toEqual([])
  expect(first).toMatchObject({ ok: true, bytes: bytes.reduce((sum, file) => sum + file.byteLength, 0) })
})

test("every row group has filters by which an id of a document or an object is found", async () => {
  const rows = Array.from({ length: 5000 }, (_, row) => row)
  const lineage = await t.writeLineage(rows.map((row) => ({ row, object_id: `obj_${String(row).padStart(16, "0")}` })))
  const request = t.request(lineage, await t.writeScalars(rows.map((row) => ({ row, fields: `{"n":${row}}` }))))
  expect(await t.documents.writePart(request)).toMatchObject({ ok: true })
  const groups = await t.sql(
    `SELECT path_in_schema AS name, count(*)::INTEGER AS groups, count(bloom_filter_offset)::INTEGER AS filters
     FROM parquet_metadata('${request.part}.parquet') WHERE path_in_schema IN ('document_id', 'object_id') GROUP BY 1 ORDER BY 1`,
  )
  expect(groups).toEqual([
    { name: "document_id", groups: 3, filters: 3 },
    { name: "object_id", groups: 3, filters: 3 },
  ])
})

test("a partition whose rows all failed makes no part", async () => {
  const lineage = await t.writeLineage([{ row: 0, object_id: "o" }])
  const scalars = await t.writeScalars([])
  const request = t.request(lineage, scalars, { failed_rows: [0] })
  expect(await t.documents.writePart(request)).toEqual({ ok: true, rows_out: 0, rows_done: 0, bytes: 0 })
  expect(await Bun.file(`${request.part}.parquet`).exists()).toBe(false)
})

test("documents of done objects become dead in older parts and are gone from every answer", async () => {
  const old = await t.part([{ n: 0 }, { n: 1 }, { n: 2 }], { name: "old", objects: ["x", "y", "z"] })
  const lineage = await t.writeLineage([
    { row: 5, object_id: "y" },
    { row: 6, object_id: "z" },
    { row: 7, object_id: "elsewhere" },
  ])
  const [superseded, ...more] = await t.documents.findSuperseded({ parts: [old], lineage, failed_rows: [6] })
  expect(more).toEqual([])
  expect(superseded).toMatchObject({ part_id: "old", dead_rows: 1 })
  const dead = { ...old, dead_file: superseded?.dead_file }
  expect(await t.documents.findSuperseded({ parts: [dead], lineage, failed_rows: [6] })).toEqual([])

  const [further] = await t.documents.findSuperseded({ parts: [dead], lineage })
  expect(further?.dead_rows).toBe(2)
  const deader = { ...old, dead_file: further?.dead_file }
  for (const [part, left] of [
    [old, [0, 1, 2]],
    [dead, [0, 2]],
    [deader, [0]],
  ] as const) {
    expect(await t.documents.count({ parts: [part] })).toBe(left.length)
    expect(await t.documents.count({ parts: [part], filters: { field: "n", operator: "gte", value: 0 } })).toBe(
      left.length,
    )
    for (const request of [
      {},
      { sort: { field: "n", direction: "asc" as const } },
      { filters: { NOT: [{ n: 99 }] } },
    ]) {
      const page = await t.documents.list({ parts: [part], limit: 10, includeTotal: true, ...request })
      expect(page.documents.map((document) => document.fields.n)).toEqual([...left])
      expect(page.total).toBe(left.length)
    }
  }
  const y = (await t.documents.list({ parts: [old], limit: 10 })).documents[1]?.document_id ?? ""
  expect(await t.documents.get({ parts: [old], documentId: y })).not.toBeNull()
  expect(await t.documents.get({ parts: [dead], documentId: y })).toBeNull()
})

test("a part of many slices is in the order of its rows, whatever the number of threads", async () => {
  for (const threads of [1, 2, 3]) {
    await using documents = await startTestDocuments({ threads })
    const part = await documents.part(
      Array.from({ length: 12_500 }, (_, position) => ({ position, padding: "x".repeat(1500) })),
      { vectors: Array.from({ length: 12_500 }, (_, position) => [position]) },
    )
    for (const offset of [0, 2000, 6300, 9990]) {
      const page = await documents.documents.list({ parts: [part], limit: 100, offset, returnVectors: true })
      expect(page.documents.map(({ fields }) => fields.position)).toEqual(
        Array.from({ length: 100 }, (_, index) => offset + index),
      )
      expect(page.documents.map(({ vectors }) => vectors?.embedding?.[0])).toEqual(
        Array.from({ length: 100 }, (_, index) => offset + index),
      )
    }
  }
}, 180_000)
