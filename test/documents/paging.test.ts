import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { rm } from "node:fs/promises"
import type { ListRequest, PartRef, StoredDocument } from "../../src/documents/process.ts"
import { startTestDocuments, type TestDocuments } from "./support.ts"

const VALUES: readonly unknown[] = [
  3,
  1,
  2,
  2,
  2,
  -1.5,
  1e308,
  "b",
  "a",
  "a",
  "",
  "Z",
  "ä",
  `${"x".repeat(200)}1`,
  `${"x".repeat(200)}0`,
  '\u0001\u0002\n"',
  true,
  false,
  null,
  undefined,
  [2],
  { a: 1 },
  "10",
  10,
]

/** A busy machine plans some hundred statements in that time. */
setDefaultTimeout(60_000)

let t: TestDocuments
let parts: PartRef[]
let all: StoredDocument[]
beforeAll(async () => {
  t = await startTestDocuments()
  parts = []
  for (let index = 0; index < 7; index++) {
    const documents = Array.from({ length: index === 3 ? 2300 : 5 + index }, (_, row) => ({
      value: VALUES[(row * 7 + index) % VALUES.length],
      n: index * 10_000 + row,
      even: row % 2 === 0,
      nested: { list: [row] },
    }))
    parts.push(
      await t.part(documents, { name: `part_${index}`, objects: documents.map((document) => `o${document.n}`) }),
    )
  }
  // A few rows of the second and of the fourth part are dead, and all of the fifth.
  const dead = [10_001, 10_002, 30_000, 32_299, ...Array.from({ length: 9 }, (_, row) => 40_000 + row)]
  const lineage = await t.writeLineage(dead.map((n, row) => ({ row, object_id: `o${n}` })))
  const superseded = await t.documents.findSuperseded({ parts, lineage })
  parts = parts.map((part) => ({
    ...part,
    dead_file: superseded.find((entry) => entry.part_id === part.part_id)?.dead_file ?? null,
  }))
  all = await walk({ limit: 1000 })
})
afterAll(() => t[Symbol.asyncDispose]())

async function walk(request: Omit<ListRequest, "parts">, of: readonly PartRef[] = parts): Promise<StoredDocument[]> {
  const found: StoredDocument[] = []
  let cursor: string | null = null
  for (let pages = 0; pages < 3000; pages++) {
    const page = await t.documents.list({ ...request, parts: [...of], cursor })
    found.push(...page.documents)
    expect(page.documents.length).toBeLessThanOrEqual(request.limit)
    if (page.next_cursor === undefined) return found
    expect(page.documents.length).toBeGreaterThan(0)
    expect(page.next_cursor.length).toBeLessThanOrEqual(1024)
    cursor = page.next_cursor
  }
  throw new Error("the pages do not end")
}

const ids = (documents: readonly StoredDocument[]) => documents.map((document) => document.document_id)

test("the default order is that of parts and rows, without the dead", () => {
  expect(all.length).toBe(5 + 6 + 7 + 2300 + 9 + 10 + 11 - 13)
  const numbers = all.map((document) => Number(document.fields.n))
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  expect(new Set(ids(all)).size).toBe(all.length)
})

describe("walking pages meets every document once, in one order", () => {
  const filters = { field: "even", operator: "eq", value: true }
  test.each([1, 50, 333])("by default order, pages of %d", async (limit) => {
    const few = limit === 1 ? parts.filter((part) => part.part_id !== "part_3") : parts
    expect(ids(await walk({ limit }, few))).toEqual(ids(await walk({ limit: 1000 }, few)))
    expect(ids(await walk({ limit, filters }, few))).toEqual(
      ids((await walk({ limit: 1000 }, few)).filter((document) => document.fields.even === true)),
    )
  })
  for (const direction of ["asc", "desc"] as const) {
    test.each(["value", "n", "document_id", "object_id", "created_at", "missing", "nested.list"])(
      `by %s ${direction}`,
      async (field) => {
        const sort = { field, direction }
        const walked = await walk({ limit: 333, sort })
        expect(ids(walked)).toEqual(ids([...(await walk({ limit: 1000, sort }))]))
        expect(ids(walked).toSorted()).toEqual(ids(all).toSorted())
        const few = parts.filter((part) => part.part_id !== "part_3")
        expect(ids(await walk({ limit: 3, sort, filters }, few))).toEqual(
          ids(await walk({ limit: 1000, sort, filters }, few)),
        )
      },
    )
  }
})

test("numbers come before strings before booleans before lists and objects, and what is missing comes last", async () => {
  const kind = (value: unknown) =>
    value === null || value === undefined
      ? "none"
      : Array.isArray(value)
        ? "other"
        : typeof value === "object"
          ? "other"
          : typeof value
  const kinds = (documents: readonly StoredDocument[]) =>
    documents.map((document) => kind(document.fields.value)).filter((name, index, list) => name !== list[index - 1])
  const ascending = await walk({ limit: 1000, sort: { field: "value", direction: "asc" } })
  const descending = await walk({ limit: 1000, sort: { field: "value", direction: "desc" } })
  expect(kinds(ascending)).toEqual(["number", "string", "boolean", "other", "none"])
  expect(kinds(descending)).toEqual(["other", "boolean", "string", "number", "none"])
  const numbers = ascending.map((document) => document.fields.value).filter((value) => typeof value === "number")
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
})

test("an offset leaves out as many documents as it says, in every order", async () => {
  for (const request of [{}, { filters: { even: true } }, { sort: { field: "n", direction: "desc" as const } }]) {
    const whole = (await t.documents.list({ parts, limit: 60, ...request })).documents
    const cut = (await t.documents.list({ parts, limit: 20, offset: 25, ...request })).documents
    expect(ids(cut)).toEqual(ids(whole.slice(25, 45)))
  }
  expect((await t.documents.list({ parts, limit: 5, offset: 9000 })).documents).toEqual([])
})

test("the total is that of the filter, whatever the page", async () => {
  const page = await t.documents.list({ parts, limit: 3, includeTotal: true })
  expect(page.total).toBe(all.length)
  const even = await t.documents.list({ parts, limit: 3, includeTotal: true, filters: { even: true } })
  expect(even.total).toBe(all.filter((document) => document.fields.even === true).length)
})

test("a part that goes away between two pages leaves no gap and no repetition", async () => {
  const first = await t.documents.list({ parts, limit: 8 })
  const stoodAt = parts[1]
  const rest = parts.filter((part) => part !== stoodAt)
  const next = await walk({ limit: 1000 }, rest)
  const second = await t.documents.list({ parts: rest, limit: 3, cursor: first.next_cursor ?? null })
  expect(ids(second.documents)).toEqual(ids(next.slice(5, 8)))
  await expect(
    t.documents.list({ parts: parts.slice(0, 1), limit: 3, cursor: first.next_cursor ?? null }),
  ).rejects.toMatchObject({ type: "ValidationError" })
})

test("a cursor that is none, or of another order, is the caller's error", async () => {
  const sorted = await t.documents.list({ parts, limit: 1, sort: { field: "n", direction: "asc" } })
  const plain = await t.documents.list({ parts, limit: 1 })
  const wrong: [Partial<ListRequest>, string | undefined][] = [
    [{}, "garbage"],
    [{}, ""],
    [{}, sorted.next_cursor],
    [{ sort: { field: "n", direction: "asc" } }, plain.next_cursor],
    [{ sort: { field: "n", direction: "desc" } }, sorted.next_cursor],
    [{ groupBy: "n" }, sorted.next_cursor],
    [{}, Buffer.from('{"o":"part","p":[],"i":1}\n').toString("base64url")],
  ]
  for (const [request, cursor] of wrong) {
    await expect(t.documents.list({ parts, limit: 1, ...request, cursor: cursor ?? null })).rejects.toMatchObject({
      type: "ValidationError",
      details: { validation_errors: [{ type: "cursor" }] },
    })
  }
})

test("select answers the paths that are there, in their nesting", async () => {
  const { documents } = await t.documents.list({
    parts,
    limit: 1,
    select: ["n", "nested.list", "nested.gone", "gone.x"],
  })
  expect(documents[0]?.fields).toEqual({ n: 0, nested: { list: [0] } })
  expect(documents[0]?.object_id).toBe("o0")
})

test("groups have each value's count and first documents, and their pages meet every group once", async () => {
  const groups: { group_key: unknown; count: number }[] = []
  let cursor: string | null = null
  do {
    const page = await t.documents.list({ parts, limit: 5, groupBy: "value", cursor, includeTotal: true })
    for (const group of page.groups ?? []) {
      groups.push(group)
      expect(group.documents.length).toBe(Math.min(group.count, 10))
      for (const document of group.documents) expect(document.fields.value ?? null).toEqual(group.group_key ?? null)
    }
    const members = all.map((document) => JSON.stringify(document.fields.value ?? null))
    expect(page.total).toBe(new Set(members).size)
    cursor = page.next_cursor ?? null
  } while (cursor !== null)
  const expected = Map.groupBy(all, (document) => JSON.stringify(document.fields.value ?? null))
  expect(new Map(groups.map((group) => [JSON.stringify(group.group_key), group.count]))).toEqual(
    new Map([...expected].map(([value, members]) => [value, members.length])),
  )
  expect(groups.length).toBe(expected.size)
  const sorted = await t.documents.list({ parts, limit: 1, groupBy: "even", sort: { field: "n", direction: "desc" } })
  const numbers = sorted.groups?.[0]?.documents.map((document) => Number(document.fields.n)) ?? []
  expect(numbers).toEqual(numbers.toSorted((a, b) => b - a))
})

test("a page of large documents ends early and goes on at the next", async () => {
  const text = "x".repeat(1_000_000)
  const large: PartRef[] = []
  for (let part = 0; part < 5; part++) {
    const documents = Array.from({ length: 18 }, (_, row) => ({ n: part * 18 + row, text }))
    large.push(await t.part(documents, { name: `large_${part}` }))
  }
  const first = await t.documents.list({ parts: large, limit: 1000 })
  expect(first.documents.length).toBeLessThan(90)
  const second = await t.documents.list({ parts: large, limit: 1000, cursor: first.next_cursor ?? null })
  const numbers = [...first.documents, ...second.documents].map((document) => document.fields.n)
  expect(numbers).toEqual(Array.from({ length: 90 }, (_, n) => n))
  const slim = await t.documents.list({
    parts: large,
    limit: 3,
    sort: { field: "n", direction: "desc" },
    select: ["n"],
  })
  expect(slim.documents.map((document) => document.fields)).toEqual([{ n: 89 }, { n: 88 }, { n: 87 }])
})

test("no parts answer nothing", async () => {
  expect(await t.documents.list({ parts: [], limit: 10, includeTotal: true })).toEqual({ documents: [], total: 0 })
  expect(await t.documents.list({ parts: [], limit: 10, sort: { field: "n", direction: "asc" } })).toEqual({
    documents: [],
  })
  expect(await t.documents.list({ parts: [], limit: 10, groupBy: "n" })).toEqual({ documents: [], groups: [] })
  expect(await t.documents.count({ parts: [], filters: { n: 1 } })).toBe(0)
  expect(await t.documents.get({ parts: [], documentId: "doc_1" })).toBeNull()
})

test("a part whose file is gone while it is asked for is a passing trouble, not a fault", async () => {
  const gone = await t.part([{ n: 1 }], { name: "gone" })
  await rm(`${gone.path}.parquet`)
  await expect(t.documents.list({ parts: [gone], limit: 1 })).rejects.toMatchObject({ type: "ServiceUnavailableError" })
})
