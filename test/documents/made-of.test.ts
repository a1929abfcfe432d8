import { afterAll, beforeAll, expect, test } from "bun:test"
import { readDead } from "../../src/documents/part-files.ts"
import type { PartRef } from "../../src/documents/process.ts"
import { startTestDocuments, type TestDocuments } from "./support.ts"

let t: TestDocuments
beforeAll(async () => {
  t = await startTestDocuments()
})
afterAll(() => t[Symbol.asyncDispose]())

const fields = (count: number) => Array.from({ length: count }, (_, index) => ({ index }))

async function documentIds(part: PartRef): Promise<string[]> {
  const rows = await t.sql(`SELECT document_id FROM read_parquet('${part.path}.parquet', file_row_number = true)
    ORDER BY file_row_number`)
  return rows.map((row) => String(row.document_id))
}

/** By part: positions that are dead in the file that was answered. */
async function dead(found: Awaited<ReturnType<TestDocuments["documents"]["findMadeOf"]>>) {
  const positions: Record<string, number[]> = {}
  for (const { part_id: id, dead_file: file, dead_rows: rows } of found) {
    positions[id] = [...(await readDead(file))]
    expect(positions[id]?.length).toBe(rows)
  }
  return positions
}

test("what was made of documents that go is found in each of many parts, whole parts and those newly dead apart", async () => {
  const [one, other] = [await t.part(fields(4), { name: "one" }), await t.part(fields(4), { name: "other" })]
  const [ofOne, ofOther] = [await documentIds(one), await documentIds(other)]
  const made = async (name: string, sources: readonly (string | undefined)[]) =>
    t.part(fields(sources.length), { name, source: (index) => ({ document_id: sources[index] }) })
  const mixed = await made("mixed", [ofOther[0], ofOne[1], ofOther[2], ofOne[3], ofOne[1]])
  const apart = await made("apart", ["doc_x", ofOther[1], ofOther[3]])
  const parts = Array.from({ length: 1001 }, (_, index) => ({
    ...(index % 2 === 0 ? mixed : apart),
    part_id: `part_${index}`,
  }))
  const all = await dead(await t.documents.findMadeOf({ parts, gone: [{ part: one }] }))
  expect(Object.keys(all)).toEqual(parts.filter((_, index) => index % 2 === 0).map((part) => part.part_id))
  expect(new Set(Object.values(all).map(String))).toEqual(new Set(["1,3,4"]))
  // What was dead before stays, and counts as gone only where it goes now.
  const [first] = await t.documents.findMadeOf({ parts: [mixed], gone: [{ part: one }] })
  const before = { ...mixed, dead_file: first?.dead_file }
  const [second] = await t.documents.findMadeOf({ parts: [before], gone: [{ part: one }, { part: other }] })
  expect([...(await readDead(second?.dead_file ?? ""))]).toEqual([0, 1, 2, 3, 4])
  const ofMixed = await documentIds(mixed)
  const last = await made("last", ofMixed)
  const newly = { part: before, dead_file: second?.dead_file ?? null }
  expect(await dead(await t.documents.findMadeOf({ parts: [last, apart], gone: [newly, { part: other }] }))).toEqual({
    last: [0, 2],
    apart: [1, 2],
  })
  expect(await t.documents.findMadeOf({ parts: [apart], gone: [{ part: one }] })).toEqual([])
})
