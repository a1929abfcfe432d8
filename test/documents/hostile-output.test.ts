import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { link, mkdir, readdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { WritePartRequest } from "../../src/documents/process.ts"
import { reasonOf, startTestDocuments, type TestDocuments } from "./support.ts"

setDefaultTimeout(30_000)

let t: TestDocuments
let lineage: string
beforeAll(async () => {
  t = await startTestDocuments()
  lineage = await t.writeLineage([0, 1, 2].map((row) => ({ row, object_id: `o${row}` })))
})
afterAll(() => t[Symbol.asyncDispose]())

const good = [0, 1, 2].map((row) => ({ row, fields: '{"a":1}' }))

/** A Parquet file of a SELECT, as hostile as SQL can make it. */
async function parquet(select: string): Promise<string> {
  const path = t.spool("scalars.parquet")
  await t.sql(`COPY (${select}) TO '${path}' (FORMAT parquet)`)
  return path
}

async function refused(scalars: string, change: Partial<WritePartRequest> = {}): Promise<string> {
  const request = t.request(lineage, scalars, change)
  const reason = reasonOf(await t.documents.writePart(request))
  const left = await readdir(join(t.directory, "documents")).catch(() => [])
  expect(left).toEqual([])
  return reason
}

const ROW = (row: string, index: string, fields = "'{}'", missing = "[]::VARCHAR[]") =>
  `SELECT ${row}::BIGINT AS row, ${index}::INTEGER AS output_index, ${fields} AS fields, ${missing} AS missing_vectors`
const ALL = `${ROW("0", "0")} UNION ALL ${ROW("1", "0")}`

describe("a Parquet file is refused", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      "without a column",
      "SELECT 0::BIGINT AS row, 0::INTEGER AS output_index, '{}' AS fields",
      /no column 'missing_vectors'/,
    ],
    ["with a column of another type", ROW("0", "0").replace("BIGINT", "VARCHAR"), /Column 'row' .* BIGINT/],
    ["with fields of another type", ROW("0", "0", "{'a': 1}"), /Column 'fields'/],
    ["with a further column", `SELECT *, 1 AS more FROM (${ROW("0", "0")})`, /do not belong/],
    ["with a column of the name we count rows by", `SELECT *, 1 AS file_row_number FROM (${ROW("0", "0")})`, /read/],
    ["with a row that was not asked", `${ALL} UNION ALL ${ROW("5", "0")}`, /row 5\) answers a row that was not asked/],
    ["with a negative row", `${ROW("-1", "0")} UNION ALL ${ALL}`, /not asked/],
    ["with a row left out", ALL, /Row 2 has neither an output nor an error/],
    ["with a row twice", `${ALL} UNION ALL ${ROW("1", "0")} UNION ALL ${ROW("2", "0")}`, /row 1\) is there twice/],
    ["out of order", `${ROW("1", "0")} UNION ALL ${ROW("0", "0")} UNION ALL ${ROW("2", "0")}`, /out of order/],
    ["with an index that starts at 1", `${ALL} UNION ALL ${ROW("2", "1")}`, /count from 0/],
    ["with a gap in the index", `${ALL} UNION ALL ${ROW("2", "0")} UNION ALL ${ROW("2", "2")}`, /count from 0/],
    ["with a null row", `${ALL} UNION ALL ${ROW("NULL", "0")}`, /holds a null/],
    ["with null fields", `${ALL} UNION ALL ${ROW("2", "0", "NULL::VARCHAR")}`, /holds a null/],
    ["with fields that are no JSON", `${ALL} UNION ALL ${ROW("2", "0", "'{'")}`, /row 2 are no valid JSON/],
    ["with fields that are a list", `${ALL} UNION ALL ${ROW("2", "0", "'[]'")}`, /no valid JSON object/],
    ["with fields that are two objects", `${ALL} UNION ALL ${ROW("2", "0", "'{}{}'")}`, /no valid JSON/],
    ["with NaN in JSON", `${ALL} UNION ALL ${ROW("2", "0", `'{"a": NaN}'`)}`, /no valid JSON/],
    ["with infinity in JSON", `${ALL} UNION ALL ${ROW("2", "0", `'{"a":[1,-iNf]}'`)}`, /no valid JSON/],
    ["with a comma too many", `${ALL} UNION ALL ${ROW("2", "0", `'{"a":[1, ],"b":1}'`)}`, /no valid JSON/],
    ["with a comma too many at the end", `${ALL} UNION ALL ${ROW("2", "0", `'{"a":1,}'`)}`, /no valid JSON/],
    ["with a lone surrogate", `${ALL} UNION ALL ${ROW("2", "0", `'{"a":"\\ud800"}'`)}`, /no valid JSON/],
    ["with a key twice", `${ALL} UNION ALL ${ROW("2", "0", `'{"a":1,"a":2}'`)}`, /name a key twice/],
    [
      "with fields beyond 1 MiB",
      `${ALL} UNION ALL ${ROW("2", "0", `'{"a":"' || repeat('x', 1048576) || '"}'`)}`,
      /at most 1048576/,
    ],
    [
      "with JSON nested too deep",
      `${ALL} UNION ALL ${ROW("2", "0", `'{"a":' || repeat('[', 64) || repeat(']', 64) || '}'`)}`,
      /deeper than 64/,
    ],
    [
      "with a bomb of nesting",
      `${ALL} UNION ALL ${ROW("2", "0", `'{"a":' || repeat('[', 500000) || repeat(']', 500000) || '}'`)}`,
      /deeper than 64/,
    ],
    ["with nesting that never ends", `${ALL} UNION ALL ${ROW("2", "0", `repeat('{"a":', 200000)`)}`, /no valid JSON/],
    [
      "with a missing vector that is no feature",
      `${ALL} UNION ALL ${ROW("2", "0", "'{}'", "['other']")}`,
      /no feature/,
    ],
    ["with a missing vector of null", `${ALL} UNION ALL ${ROW("2", "0", "'{}'", "[NULL]::VARCHAR[]")}`, /no feature/],
  ]
  test.each(cases)("%s", async (_, select, reason) => {
    expect(await refused(await parquet(select))).toMatch(reason)
  })

  test("with an answer for a row that is reported as failed", async () => {
    expect(await refused(await t.writeScalars(good), { failed_rows: [1] })).toMatch(/row 1\) .* failed/)
  })
  test("with a failed row that was not asked", async () => {
    expect(await refused(await t.writeScalars(good), { failed_rows: [77] })).toMatch(/Row 77/)
  })
  test("with more rows than the limit", async () => {
    const scalars = await parquet(ROW("0", "i").replace("SELECT", "SELECT").concat(" FROM range(5000) t(i)"))
    expect(await refused(scalars, { limits: { rows_out: 100 } })).toMatch(/more than 100 outputs/)
  })
  test("that unpacks to gigabytes", async () => {
    const scalars = await parquet(`${ROW("0", "i", `'{"a":"' || repeat('x', 1000000) || '"}'`)} FROM range(3000) t(i)`)
    expect(Bun.file(scalars).size).toBeLessThan(20_000_000)
    expect(await refused(scalars)).toMatch(/at most 33554432/)
  })
  test.each([
    ["one again and again", `(SELECT string_agg('"":1', ',') FROM range(150000))`, /name a key twice/],
    [
      "a hundred thousand, one of them twice",
      `(SELECT string_agg('"' || least(k, 99998) || '":1', ',') FROM range(100000) r(k))`,
      /name a key twice/,
    ],
  ])("with very many keys: %s", async (_, keys, reason) => {
    const rows = Array.from({ length: 25 }, (_row, row) => ({ row, object_id: `o${row}` }))
    const many = await t.writeLineage(rows)
    const scalars = await parquet(`${ROW("i", "0", `'{' || ${keys} || ',"i":' || i || '}'`)} FROM range(25) t(i)`)
    expect(reasonOf(await t.documents.writePart(t.request(many, scalars)))).toMatch(reason)
  })
  test("that is larger than the limit", async () => {
    expect(await refused(await t.writeScalars(good), { limits: { scalars_bytes: 10 } })).toMatch(/at most 10/)
  })
})

describe("what is no Parquet file is refused", () => {
  test.each([
    ["nothing", ""],
    ["words", "this is no parquet file, but it has some length to it"],
    ["magic bytes around garbage", `PAR1${"garbage ".repeat(50)}\xff\xff\xff\x7fPAR1`],
  ])("%s", async (_, text) => {
    const path = t.spool("scalars.parquet")
    await writeFile(path, Buffer.from(text, "latin1"))
    expect(await refused(path)).toMatch(/cannot be read/)
  })
  test("a file cut in the middle, and one with bytes turned over", async () => {
    const cut = await t.writeScalars(good)
    await truncate(cut, Bun.file(cut).size - 20)
    expect(await refused(cut)).toMatch(/cannot be read/)
    const turned = await t.writeScalars(good)
    const bytes = await Bun.file(turned).bytes()
    for (let index = 4; index < bytes.length - 12; index += 3) bytes[index] = 255 - (bytes[index] ?? 0)
    await writeFile(turned, bytes)
    expect(await refused(turned)).toMatch(/cannot be read/)
  })
  test("a link, a second name, a directory, nothing at all", async () => {
    const real = await t.writeScalars(good)
    const linked = t.spool("scalars.parquet")
    await symlink(real, linked)
    expect(await refused(linked)).toMatch(/no regular file/)
    const second = t.spool("scalars.parquet")
    await link(real, second)
    expect(await refused(second)).toMatch(/no regular file/)
    const directory = t.spool("scalars.parquet")
    await mkdir(directory)
    expect(await refused(directory)).toMatch(/no regular file/)
    expect(await refused(t.spool("scalars.parquet"))).toMatch(/no regular file/)
  })
})

describe("vectors are refused", () => {
  const vectors = async (path: string) =>
    refused(await t.writeScalars(good), { vectors: [{ feature_name: "e", embedding_dim: 2, path }] })
  test("when there are too few or too many", async () => {
    expect(
      await vectors(
        await t.writeVectors([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toMatch(/16 bytes where 24/)
    expect(
      await vectors(
        await t.writeVectors([
          [1, 2],
          [3, 4],
          [5, 6],
          [7, 8],
        ]),
      ),
    ).toMatch(/32 bytes where 24/)
  })
  test.each([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["minus infinity", Number.NEGATIVE_INFINITY],
  ])("when one holds %s", async (_, number) => {
    expect(
      await vectors(
        await t.writeVectors([
          [1, 2],
          [3, 4],
          [5, number],
        ]),
      ),
    ).toMatch(/not finite/)
  })
  test("when one of very many is not finite, wherever it is", async () => {
    const rows = 1500
    const many = await t.writeLineage(Array.from({ length: rows }, (_, row) => ({ row, object_id: `o${row}` })))
    const scalars = await t.writeScalars(Array.from({ length: rows }, (_, row) => ({ row, fields: "{}" })))
    const numbers = new Float32Array(rows * 384).map((_, index) => (index % 2 === 0 ? 3.4e38 : -1e-40))
    const write = async () => {
      const path = t.spool("0.f32")
      await writeFile(path, new Uint8Array(numbers.buffer))
      return t.request(many, scalars, { vectors: [{ feature_name: "e", embedding_dim: 384, path }] })
    }
    for (const at of [0, 1, 262_143, 262_144, numbers.length - 1]) {
      const kept = numbers[at] ?? 0
      numbers[at] = Number.NaN
      expect(reasonOf(await t.documents.writePart(await write()))).toMatch(/not finite/)
      numbers[at] = kept
    }
    const request = await write()
    expect(await t.documents.writePart(request)).toMatchObject({ ok: true })
    expect(await Bun.file(`${request.part}.0.f32`).bytes()).toEqual(new Uint8Array(numbers.buffer))
    await rm(join(t.directory, "documents"), { recursive: true })
  })
  test("or taken as they were when they were checked, while the plugin goes on writing", async () => {
    const rows = 1500
    const many = await t.writeLineage(Array.from({ length: rows }, (_, row) => ({ row, object_id: `o${row}` })))
    const scalars = await t.writeScalars(Array.from({ length: rows }, (_, row) => ({ row, fields: "{}" })))
    const path = t.spool("0.f32")
    await writeFile(path, new Uint8Array(rows * 384 * 4))
    // Finite most of the time, so that some are taken.
    const script = `const { openSync, writeSync } = require("node:fs"); const file = openSync(process.argv[1], "r+")
      const bad = new Uint8Array([0, 0, 192, 127]), good = new Uint8Array(4)
      for (;;) for (let at = 0; at < ${rows * 384 * 4}; at += 65536) { writeSync(file, bad, 0, 4, at); writeSync(file, good, 0, 4, at) }`
    const plugin = Bun.spawn([process.execPath, "-e", script, path], { stderr: "inherit" })
    try {
      let taken = 0
      for (let attempt = 0; attempt < 40; attempt++) {
        const request = t.request(many, scalars, { vectors: [{ feature_name: "e", embedding_dim: 384, path }] })
        if (!(await t.documents.writePart(request)).ok) continue
        taken++
        const written = new Float32Array(await Bun.file(`${request.part}.0.f32`).arrayBuffer())
        expect(written.length).toBe(rows * 384)
        expect(written.every(Number.isFinite)).toBe(true)
      }
      expect(taken).toBeGreaterThan(0)
    } finally {
      plugin.kill("SIGKILL")
      await rm(join(t.directory, "documents"), { recursive: true, force: true })
    }
  })
  test("when the file has another size than it was seen with", async () => {
    const path = await t.writeVectors([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const change = { vectors: [{ feature_name: "e", embedding_dim: 2, path, bytes: 16 }] }
    expect(await refused(await t.writeScalars(good), change)).toMatch(/had 16 bytes before they had 24/)
  })
  test("when the file is a link or not there", async () => {
    const real = await t.writeVectors([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const linked = t.spool("0.f32")
    await symlink(real, linked)
    expect(await vectors(linked)).toMatch(/no regular file/)
    expect(await vectors(t.spool("0.f32"))).toMatch(/no regular file/)
  })
})

test("statistics that lie do not hide a row: what is checked is what was read", async () => {
  const scalars = await parquet(`${ROW("0", "0")} UNION ALL ${ROW("1", "0")} UNION ALL ${ROW("77", "0")}`)
  // 77 becomes 2 wherever the file states it as a statistic; the data page is compressed and stays.
  const bytes = await Bun.file(scalars).bytes()
  const needle = [77, 0, 0, 0, 0, 0, 0, 0]
  const footer = bytes.length - 8 - new DataView(bytes.buffer).getUint32(bytes.length - 8, true)
  let changed = 0
  for (let at = footer; at < bytes.length - 8; at++) {
    if (needle.every((byte, index) => bytes[at + index] === byte)) {
      bytes[at] = 2
      changed++
    }
  }
  expect(changed).toBeGreaterThan(0)
  await writeFile(scalars, bytes)
  expect(await refused(scalars)).toMatch(/not asked/)
})

test("a Parquet file of which the most is what it says of itself is refused before DuckDB reads that", async () => {
  const footer = 5 * 1024 ** 2
  const trailer = Buffer.from("\0\0\0\0PAR1")
  trailer.writeUInt32LE(footer)
  const scalars = t.spool("scalars.parquet")
  await writeFile(scalars, Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(footer), trailer]))
  expect(await refused(scalars)).toMatch(/5242880 bytes of footer/)
})

test("paths outside documents and spool are not opened", async () => {
  const outside = join(t.directory, "secrets.key")
  await rename(await t.writeScalars(good), outside)
  await expect(t.documents.writePart(t.request(lineage, outside))).rejects.toThrow(/not a place of documents/)
  const climbing = `${t.directory}/spool/../secrets.key`
  await expect(t.documents.writePart(t.request(lineage, climbing))).rejects.toThrow(/not a place of documents/)
  const part = { part_id: "p", path: outside.replace(".parquet", ""), features: [], rows: 1 }
  await expect(t.documents.list({ parts: [part], limit: 1 })).rejects.toThrow(/not a place of documents/)
})

test("what is only too much says so, and is taken in pieces", async () => {
  const passthrough = { text: "x".repeat(1_000_000) }
  const rows = Array.from({ length: 50 }, (_, row) => row)
  const asked = await t.writeLineage(rows.map((row) => ({ row, object_id: `o${row}`, passthrough })))
  const answers = async (some: readonly number[]) => {
    const scalars = await t.writeScalars(some.map((row) => ({ row, fields: "{}" })))
    const lines =
      some.length === rows.length
        ? asked
        : await t.writeLineage(some.map((row) => ({ row, object_id: `o${row}`, passthrough })))
    return t.documents.writePart(t.request(lines, scalars))
  }
  expect(await answers(rows)).toMatchObject({ ok: false, too_large: true })
  expect(await answers(rows.slice(0, 25))).toMatchObject({ ok: true, rows_out: 25 })
  expect(await t.documents.writePart(t.request(lineage, await t.writeScalars([])))).toMatchObject({
    ok: false,
    too_large: false,
  })
})
