import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import type { PartRef, StoredDocument } from "../../src/documents/process.ts"
import { ApplianceError } from "../../src/errors.ts"
import { matches, parseFilter } from "../../src/filtering.ts"
import { startTestDocuments, type TestDocuments } from "./support.ts"

const FIELDS: Record<string, unknown>[] = [
  {},
  { s: null, n: null, b: null, l: null, o: null },
  { s: "Alpha", n: 1, b: true, l: ["red", "Green"], o: { a: { b: 5 } }, d: "2026-01-01T00:00:00Z" },
  { s: "alpha beta", n: 1.5, b: false, l: [], o: { a: {} }, d: "2026-02-01T00:00:00Z" },
  { s: "", n: -3, l: [1, "1", true, null, ["red"]], o: { a: { b: "5" } }, d: "2025-12-31T23:59:59Z" },
  { s: "1", n: "1", b: "true", l: "red", o: [{ a: 1 }, "x"], d: 20260101 },
  { s: '100%_\\ "quoted" it\'s', n: 9007199254740991, l: [[1]], o: "text" },
  { s: "ÄÖ übergroß", n: 1e300, l: [{ a: 1 }], o: { "a.b": 1, "~": 2, "/": 3 } },
  { s: ["Alpha", "gamma"], n: [1, 2], b: [true], o: { a: { b: [5, 6] } } },
  { s: "line\nbreak\ttab", n: 0, l: ["'; DROP TABLE output; --"], "'": "quote", "$.x": "dollar" },
  { s: "zeta", n: -0.5, metadata: { k: "v", deep: { er: [1, { x: null }] } } },
  { n: 9007199254740993n, l: [9007199254740994n, -9007199254740993n, 18446744073709551615n] },
  { n: 9007199254740992n, l: [18446744073709551614n, 10n ** 30n] },
  { n: -9007199254740993n, l: 18446744073709551614n },
]

setDefaultTimeout(30_000)

let t: TestDocuments
let part: PartRef
let all: StoredDocument[]
beforeAll(async () => {
  t = await startTestDocuments()
  part = await t.part(FIELDS, {
    source: (index) => ({
      bucket_id: `bkt_${index % 3}`,
      blobs: [{ property: "text", details: { mime_type: "text/plain", size_bytes: index } }],
    }),
  })
  all = (await t.documents.list({ parts: [part], limit: 100 })).documents
})
afterAll(() => t[Symbol.asyncDispose]())

/** The document as filters see it, for the evaluation in plain JavaScript. */
function record(document: StoredDocument): Record<string, unknown> {
  const source = document.source as { bucket_id: string; blobs: { details: Record<string, unknown> }[] }
  return {
    ...document.fields,
    document_id: document.document_id,
    object_id: document.object_id,
    root_object_id: document.object_id,
    root_bucket_id: source.bucket_id,
    created_at: document.created_at,
    _internal: {
      ...source,
      document_id: document.document_id,
      created_at: document.created_at,
      lineage: { root_object_id: document.object_id, root_bucket_id: source.bucket_id },
      mime_type: source.blobs[0]?.details.mime_type,
      size_bytes: source.blobs[0]?.details.size_bytes,
    },
  }
}

async function passing(filters: unknown): Promise<number[]> {
  const { documents } = await t.documents.list({ parts: [part], filters, limit: 100 })
  const ids = documents.map((document) => document.document_id)
  expect(await t.documents.count({ parts: [part], filters })).toBe(ids.length)
  return all.flatMap((document, index) => (ids.includes(document.document_id) ? [index] : []))
}

const VALUES = [
  null,
  true,
  false,
  0,
  1,
  1.5,
  -3,
  5,
  1e300,
  "",
  "1",
  "true",
  "alpha",
  "Alpha",
  "red",
  "5",
  "%",
  "_",
  "\\",
  "ä",
  "'",
  "\n",
  "2026-01-01T00:00:00Z",
]
const PATHS = [
  "s",
  "n",
  "b",
  "l",
  "o",
  "o.a",
  "o.a.b",
  "l.0",
  "d",
  "missing",
  "missing.path",
  "metadata.k",
  "metadata.deep.er",
  "o.~",
  "o./",
  "'",
  "object_id",
  "document_id",
  "root_bucket_id",
  "_internal.size_bytes",
  "_internal.mime_type",
  "_internal.bucket_id",
  "_internal.lineage.root_object_id",
  "_internal.created_at",
  "created_at",
]
const SCALAR = ["eq", "ne", "contains"]
const TEXT = ["starts_with", "ends_with", "text", "phrase", "words"]
const ORDER = ["gt", "lt", "gte", "lte"]

/** Every path and every value in both kinds of case, but not each with each: that takes minutes, and has been run once. */
function sampled(values: readonly unknown[]) {
  const combinations = [false, true].flatMap((caseSensitive) =>
    PATHS.flatMap((field) => values.map((value) => ({ field, value, caseSensitive }))),
  )
  return combinations.filter((_, index) => index % 7 === 0 || values.length < 4)
}

/** What is wrong with one condition; null when nothing is. */
async function check(field: string, operator: string, value: unknown, caseSensitive: boolean): Promise<string | null> {
  const filters = {
    AND: [{ field, operator, ...(value === undefined ? {} : { value }) }],
    case_sensitive: caseSensitive,
  }
  const filter = parseFilter(filters)
  const expected = all.filter((document) => matches(filter, record(document))).map((document) => document.object_id)
  const { documents } = await t.documents.list({ parts: [part], filters, limit: 100 })
  const got = documents.map((document) => document.object_id)
  return Bun.deepEquals(got, expected) ? null : `${JSON.stringify(filters)}: ${got} instead of ${expected}`
}

describe("each operator passes what plain JavaScript passes", () => {
  const operators: readonly (readonly [string, readonly unknown[]])[] = [
    ...SCALAR.map((operator) => [operator, VALUES] as const),
    ...TEXT.map((operator) => [operator, VALUES.filter((value) => typeof value === "string")] as const),
    ...ORDER.map(
      (operator) =>
        [operator, VALUES.filter((value) => ["string", "number", "bigint"].includes(typeof value))] as const,
    ),
    ...["in", "nin"].map(
      (operator) =>
        [
          operator,
          [
            [],
            ["ALPHA", 1],
            [null],
            [true, "red"],
            [1, 1.5, -3],
            [9007199254740993n, 1, 18446744073709551615n],
            Array.from({ length: 60 }, (_, index) => 9007199254740993n + BigInt(3 * index)),
            Array.from({ length: 60 }, (_, index) => `x${index}`).concat("alpha", "red", "bkt_1", "obj_0003"),
            Array.from({ length: 60 }, (_, index) => index),
          ],
        ] as const,
    ),
    ...["exists", "is_null"].map((operator) => [operator, [true, false, undefined]] as const),
  ]
  test.each(operators)(
    "%s",
    async (operator, values) => {
      const problems = await Promise.all(
        sampled(values).map(({ field, value, caseSensitive }) => check(field, operator, value, caseSensitive)),
      )
      expect(problems.filter((problem) => problem !== null)).toEqual([])
    },
    30_000,
  )
})

test("whole numbers past 53 bits are compared digit by digit, in lists too, with every operator", async () => {
  const values = [
    9007199254740992,
    9007199254740993n,
    -9007199254740993n,
    -9007199254740992,
    18446744073709551614n,
    18446744073709551615n,
    10n ** 30n,
  ]
  const problems: (string | null)[] = []
  for (const field of ["n", "l"]) {
    for (const operator of [...ORDER, "eq", "ne"]) {
      for (const value of values) problems.push(await check(field, operator, value, false))
    }
  }
  expect(problems.filter((problem) => problem !== null)).toEqual([])
  expect(await passing({ n: 9007199254740993n })).toEqual([11])
  expect(await passing({ l: 18446744073709551614n })).toEqual([12, 13])
})

test.each([
  ["^al", [2, 3, 8]],
  ["a$", [2, 3, 8, 10]],
  ["^Alpha$", [2, 8]],
  ["\\d+%", [6]],
  ["(a+)+$", [2, 3, 8, 10]],
  ["", [2, 3, 4, 5, 6, 7, 8, 9, 10]],
])("regex %p passes by RE2, letters folded", async (value, expected) => {
  expect(await passing({ field: "s", operator: "regex", value })).toEqual(expected)
})

test.each<[string, unknown]>([
  ["a shorthand map is an AND of equals", { s: "alpha", n: 1 }],
  ["NOT keeps documents that lack the field", { NOT: [{ field: "n", operator: "gt", value: 0 }] }],
  ["NOT takes none of the listed", { NOT: [{ s: "alpha" }, { field: "n", operator: "lt", value: 0 }] }],
  [
    "OR beside AND and NOT must all hold",
    { AND: [{ field: "s", operator: "exists" }], OR: [{ n: 1 }, { n: -3 }], NOT: [{ b: true }] },
  ],
  [
    "trees nest",
    { OR: [{ AND: [{ s: "zeta" }, { NOT: [{ n: 5 }] }] }, { OR: [{ NOT: [{ field: "s", operator: "exists" }] }] }] },
  ],
  ["NOT of NOT", { NOT: [{ NOT: [{ s: "alpha" }] }] }],
  [
    "an inner case_sensitive counts for its part",
    { OR: [{ AND: [{ s: "alpha" }], case_sensitive: true }, { s: "ZETA" }] },
  ],
  ["an empty tree passes everything", { AND: [] }],
  ["an empty map passes everything", {}],
])("%s", async (_, filters) => {
  const filter = parseFilter(filters)
  const expected = all.flatMap((document, index) => (matches(filter, record(document)) ? [index] : []))
  expect(await passing(filters)).toEqual(expected)
})

test.each<[string, unknown]>([
  ["an unknown operator", { field: "s", operator: "like", value: "x" }],
  ["a condition without a value", { field: "s", operator: "eq" }],
  ["an object as a value", { field: "s", operator: "eq", value: { a: 1 } }],
  ["a list where one value belongs", { field: "s", operator: "gt", value: [1] }],
  ["a value where a list belongs", { field: "s", operator: "in", value: "x" }],
  ["an empty path", { field: "", operator: "eq", value: 1 }],
  ["a path with an empty part", { field: "a..b", operator: "eq", value: 1 }],
  ["AND that is no list", { AND: {} }],
  ["a list as a filter", [{ s: "x" }]],
  ["a regular expression that is broken", { field: "s", operator: "regex", value: "(" }],
  ["a regular expression with a backreference", { field: "s", operator: "regex", value: "(a)\\1" }],
  [
    "a regular expression that grows beyond bounds",
    { field: "s", operator: "regex", value: "((a{1000}){1000}){1000}" },
  ],
  ["too many conditions", { AND: Array.from({ length: 1000 }, () => ({ s: "x" })) }],
  ["too deep a tree", Array.from({ length: 100 }).reduce((inner) => ({ NOT: [inner] }), { s: "x" })],
])("%s is the caller's error, with details", async (_, filters) => {
  const error = await t.documents.count({ parts: [part], filters }).then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ApplianceError)
  expect(error).toMatchObject({ type: "ValidationError", details: { validation_errors: [{ type: "filter" }] } })
})

test("search finds words in the id and in string values at any depth, never in keys", async () => {
  const searching = async (search: string, caseSensitive = false) => {
    const { documents } = await t.documents.list({ parts: [part], search, caseSensitive, limit: 100 })
    expect(await t.documents.count({ parts: [part], search, caseSensitive })).toBe(documents.length)
    return all.flatMap((document, index) =>
      documents.some((found) => found.document_id === document.document_id) ? [index] : [],
    )
  }
  expect(await searching("ALPHA")).toEqual([2, 3, 8])
  expect(await searching("alpha", true)).toEqual([3])
  expect(await searching("al*beta")).toEqual([3])
  expect(await searching("beta*al")).toEqual([])
  expect(await searching("%_\\")).toEqual([6])
  expect(await searching('"quoted"')).toEqual([6])
  expect(await searching("line\nbreak")).toEqual([9])
  expect(await searching("gamma")).toEqual([8])
  expect(await searching("metadata")).toEqual([])
  expect(await searching("übergroß")).toEqual([7])
  expect(await searching(all[4]?.document_id ?? "?")).toEqual([4])
  expect((await searching("*")).length).toBe(all.length)
})

test("a filter that runs longer than the deadline is ended, and the next one is answered", async () => {
  await using slow = await startTestDocuments({ queryDeadlineMs: 50 })
  const words = "lorem ipsum dolor sit amet ".repeat(200)
  const parts = [await slow.part(Array.from({ length: 4000 }, (_, n) => ({ n, words })))]
  const pattern = { field: "words", operator: "regex", value: "(.*a){1,20}(.*z){3}" }
  await expect(
    slow.documents.count({ parts, filters: { AND: Array.from({ length: 8 }, () => pattern) } }),
  ).rejects.toMatchObject({ type: "TimeoutError" })
  expect(await slow.documents.count({ parts })).toBe(4000)
})
