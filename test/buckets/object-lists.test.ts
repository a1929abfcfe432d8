import { expect, test } from "bun:test"
import type { ListObjects } from "../../src/contract/objects.ts"
import { parseExactly } from "../../src/exact-json.ts"
import { matches, parseFilter } from "../../src/filtering.ts"
import { nothing, openDomain, page, refusal } from "./support.ts"

const OBJECTS = [
  { name: "Ärger", tags: ["a", "B"], price: 1, metadata: { deep: { x: "One" }, on: true } },
  { name: "banana", tags: [], price: 2.5, metadata: { deep: { x: null }, on: false } },
  { name: "Cherry pie", tags: ["b"], price: 10, metadata: { 'odd "key"': "q" } },
  { name: "date", price: "10", metadata: { deep: "text" } },
  { name: null, tags: null, extra: { nested: [{ y: 1 }] } },
  {},
]

async function filled() {
  const domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket({
    bucket_schema: { properties: { content: { type: "text" }, link: { type: "image" } } },
  })
  const requests = OBJECTS.map((object, index) => ({
    ...object,
    key_prefix: `/p/${index}`,
    blobs: [
      { property: "content", type: "text", data: `Body ${index}` },
      { property: "link", type: "image", data: `https://example.com/${index}.png` },
    ],
  }))
  const { ids, list } = await listed(domain, bucketId, requests)
  const positions = async (listing: Partial<ListObjects>) =>
    (await list(listing)).results.map((object) => ids.indexOf(object.object_id))
  return { domain, bucketId, ids, list, positions, [Symbol.dispose]: () => domain[Symbol.dispose]() }
}

type Requests = Parameters<ReturnType<typeof openDomain>["objects"]["createMany"]>[2]

/** These objects, created in this order, and the bucket's list of them. */
async function listed(domain: ReturnType<typeof openDomain>, bucketId: string, requests: Requests) {
  const { succeeded } = await domain.objects.createMany(
    domain.namespace,
    bucketId,
    requests,
    { autoProcess: false },
    nothing,
  )
  return {
    ids: succeeded.map((object) => object.object_id),
    list: (listing: Partial<ListObjects>, query: Parameters<typeof page>[0] = { limit: 100 }) =>
      domain.objects.list(domain.namespace, bucketId, page(query), listing),
  }
}

const FILTERS: readonly unknown[] = [
  { name: "banana" },
  { name: "ÄRGER" },
  { AND: [{ field: "name", value: "ärger" }], case_sensitive: true },
  { field: "name", operator: "ne", value: "banana" },
  { field: "name", operator: "eq", value: null },
  { field: "tags", value: "b" },
  { field: "tags", operator: "exists" },
  { field: "tags", operator: "is_null", value: true },
  { field: "tags", operator: "nin", value: ["a"] },
  { field: "tags", operator: "contains", value: "B" },
  { field: "name", operator: "contains", value: "AN" },
  { field: "price", operator: "gt", value: 1 },
  { field: "price", operator: "gte", value: "1" },
  { field: "price", operator: "lt", value: 10 },
  { field: "price", operator: "in", value: [1, "10", null, true] },
  { field: "metadata.on", value: true },
  { field: "metadata.on", value: 1 },
  { field: "metadata.deep.x", value: "one" },
  { field: "metadata.deep.x", operator: "exists", value: false },
  { field: "metadata.deep", value: "text" },
  { field: 'metadata.odd "key"', value: "q" },
  { field: "name", operator: "starts_with", value: "CH" },
  { field: "name", operator: "starts_with", value: "" },
  { field: "name", operator: "ends_with", value: "E" },
  { field: "name", operator: "text", value: "pie" },
  { field: "name", operator: "words", value: "pie cherry" },
  { field: "content", value: "body 3" },
  { field: "link", operator: "ends_with", value: "/2.png" },
  {
    OR: [{ name: "date" }, { field: "price", operator: "lte", value: 1 }],
    NOT: [{ field: "metadata.on", value: true }],
  },
  { NOT: [{ field: "name", operator: "exists" }] },
  { AND: [] },
]

test("every filter selects in SQL what the filter means over plain records", async () => {
  using bucket = await filled()
  const records = OBJECTS.map((object, index) => ({
    ...object,
    content: `Body ${index}`,
    link: `https://example.com/${index}.png`,
  }))
  for (const filters of FILTERS) {
    const filter = parseFilter(filters)
    const expected = records.flatMap((record, index) => (matches(filter, record) ? [index] : []))
    const got = await bucket.positions({ filters: filters as Record<string, unknown> })
    expect({ filters, got }).toEqual({ filters, got: expected })
    const slice = bucket.domain.metadata.read.objects.membershipSlice(bucket.bucketId, 0, 1_000_000, 100, filter)
    expect(slice.map((member) => bucket.ids.indexOf(member.object_id))).toEqual(expected)
  }
})

test("ids, columns and blobs can be filtered by; what is not offered is refused", async () => {
  using bucket = await filled()
  const { ids } = bucket
  expect(await bucket.positions({ filters: { object_id: ids[2] } })).toEqual([2])
  expect(
    await bucket.positions({ filters: { field: "object_id", operator: "in", value: [ids[4], ids[1], "obj_none"] } }),
  ).toEqual([1, 4])
  expect(await bucket.positions({ filters: { field: "key_prefix", operator: "ends_with", value: "/5" } })).toEqual([5])
  expect(await bucket.positions({ filters: { status: "draft" } })).toHaveLength(6)
  expect(await bucket.positions({ filters: { "blobs.properties.data": "body 1" } })).toEqual([1])
  expect(await bucket.positions({ filters: { field: "blobs.details.mime_type", value: "image/png" } })).toHaveLength(6)
  expect(await bucket.positions({ filters: { field: "blobs.details.nothing", operator: "exists" } })).toEqual([])
  for (const filters of [
    { field: "name", operator: "regex", value: "a+" },
    { field: "name", operator: "near", value: 1 },
  ]) {
    expect((await refusal(() => bucket.list({ filters }))).type).toBe("ValidationError")
  }
  expect((await refusal(() => bucket.list({ sort: { field: "blobs.type", direction: "asc" } }))).type).toBe(
    "ValidationError",
  )
})

/** Neighbours that are one double each; SQLite itself makes doubles of what is past 63 bits. */
const WHOLE = [
  9007199254740992,
  9007199254740993n,
  9007199254740994n,
  -9007199254740993n,
  9223372036854775807n,
  9223372036854775806n,
  18446744073709551615n,
  18446744073709551614n,
  -9223372036854775808n,
  1,
  1.5,
  1e300,
]

async function counted() {
  const domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const requests = WHOLE.map((n) => ({ n, metadata: { list: [n, "x"] } }))
  const own = await listed(domain, bucketId, requests)
  const list = async (...asked: Parameters<typeof own.list>) => {
    const { results, pagination } = await own.list(...asked)
    return { positions: results.map((object) => own.ids.indexOf(object.object_id)), pagination }
  }
  return { list, [Symbol.dispose]: () => domain[Symbol.dispose]() }
}

test("whole numbers past 53 bits are compared digit by digit; where SQLite cannot order them, the filter is refused", async () => {
  using bucket = await counted()
  const records = WHOLE.map((n) => ({ n, metadata: { list: [n, "x"] } })).map((record) =>
    parseExactly<Record<string, unknown>>(JSON.stringify(record)),
  )
  for (const field of ["n", "metadata.list"]) {
    for (const operator of ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]) {
      for (const value of WHOLE) {
        const wanted = ["in", "nin"].includes(operator) ? [value, 1.5] : value
        const filters = { field, operator, value: wanted }
        if (/^[gl]t/.test(operator) && value > 2n ** 63n && value < 1e21) {
          const { message } = await refusal(() => bucket.list({ filters }))
          expect(message).toContain("-9223372036854775808 to 9223372036854775807")
          continue
        }
        const filter = parseFilter(filters)
        const expected = records.flatMap((record, index) => (matches(filter, record) ? [index] : []))
        const got = (await bucket.list({ filters })).positions
        expect({ field, operator, value: String(value), got }).toEqual({
          field,
          operator,
          value: String(value),
          got: expected,
        })
      }
    }
  }
})

test("whole numbers past 53 bits are listed in their order, across pages too", async () => {
  using bucket = await counted()
  const order = [8, 3, 9, 10, 0, 1, 2, 5, 4, 7, 6, 11]
  expect((await bucket.list({ sort: { field: "n", direction: "asc" } })).positions).toEqual(order)
  for (const direction of ["asc", "desc"] as const) {
    const seen: number[] = []
    let cursor: string | undefined
    do {
      const listed = await bucket.list({ sort: { field: "n", direction } }, { limit: 2, cursor })
      seen.push(...listed.positions)
      cursor = listed.pagination.next_cursor ?? undefined
    } while (cursor !== undefined)
    expect(seen).toEqual(direction === "asc" ? order : order.toReversed())
  }
})

test("a value of a filter is never SQL", async () => {
  using bucket = await filled()
  for (const text of ["') OR 1=1 --", '"; DROP TABLE objects; --', "$.x", "'"]) {
    expect(await bucket.positions({ filters: { name: text } })).toEqual([])
    expect(await bucket.positions({ filters: { field: text.replaceAll(".", ""), value: "x" } })).toEqual([])
    expect(await bucket.positions({ search: text })).toEqual([])
    expect(await bucket.positions({ sort: { field: text.replaceAll(".", ""), direction: "asc" } })).toHaveLength(6)
  }
})

test("search goes over ids, prefixes, texts in fields and blobs, with a wildcard", async () => {
  using bucket = await filled()
  expect(await bucket.positions({ search: "CHERRY*pie" })).toEqual([2])
  expect(await bucket.positions({ search: "body 4" })).toEqual([4])
  expect(await bucket.positions({ search: "/p/3" })).toEqual([3])
  expect(await bucket.positions({ search: "one" })).toEqual([0])
  expect(await bucket.positions({ search: "one", case_sensitive: true })).toEqual([])
  expect(await bucket.positions({ search: String(bucket.ids[5]) })).toEqual([5])
})

test("pages by cursor go through all objects once in every order, nulls last", async () => {
  using bucket = await filled()
  const orders: (ListObjects["sort"] | null)[] = [
    null,
    { field: "name", direction: "asc" },
    { field: "name", direction: "desc" },
    { field: "price", direction: "asc" },
    { field: "price", direction: "desc" },
    { field: "key_prefix", direction: "desc" },
    { field: "content", direction: "desc" },
  ]
  for (const sort of orders) {
    const whole = await bucket.positions({ sort })
    expect([...whole].sort()).toEqual([0, 1, 2, 3, 4, 5])
    const paged: number[] = []
    let cursor: string | null = null
    do {
      const { results, pagination } = await bucket.list({ sort }, { limit: 2, cursor: cursor ?? undefined })
      paged.push(...results.map((object) => bucket.ids.indexOf(object.object_id)))
      cursor = pagination.next_cursor
    } while (cursor !== null)
    expect(paged).toEqual(whole)
  }
  expect(await bucket.positions({ sort: { field: "price", direction: "asc" } })).toEqual([0, 1, 2, 3, 4, 5])
  expect(await bucket.positions({ sort: { field: "price", direction: "desc" } })).toEqual([3, 2, 1, 0, 5, 4])
})

test("a cursor of another order is refused; an offset and a total are answered", async () => {
  using bucket = await filled()
  const { pagination } = await bucket.list({}, { limit: 2, offset: 2, include_total: true })
  expect(pagination).toMatchObject({ total: 6, total_pages: 3, page: 2, page_size: 2 })
  expect((await bucket.list({}, { limit: 2, offset: 4 })).pagination.next_cursor).toBeNull()
  const total = (await bucket.list({ filters: { name: "date" } }, { limit: 1, include_total: true })).pagination.total
  expect(total).toBe(1)
  const sort = { field: "name", direction: "asc" as const }
  for (const cursor of [pagination.next_cursor ?? "", "garbage", Buffer.from("[1,2,3,4]").toString("base64url")]) {
    expect((await refusal(() => bucket.list({ sort }, { limit: 2, cursor }))).type).toBe("ValidationError")
  }
})

test("select keeps the named paths and the ids", async () => {
  using bucket = await filled()
  const [first] = (await bucket.list({ select: ["name", "metadata.deep.x", "nothing"] }, { limit: 1 })).results
  expect(first).toEqual({
    object_id: String(bucket.ids[0]),
    bucket_id: bucket.bucketId,
    name: "Ärger",
    metadata: { deep: { x: "One" } },
  })
})

test("a page of large objects ends early and goes on by its cursor", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const large = { blobs: [{ property: "content", type: "text", data: "x".repeat(3 * 1024 * 1024) }] }
  const requests = Array.from({ length: 13 }, () => large)
  await domain.objects.createMany(domain.namespace, bucketId, requests, { autoProcess: false }, nothing)
  const first = await domain.objects.list(domain.namespace, bucketId, page({ limit: 100 }), {})
  expect(first.results.length).toBeLessThan(13)
  const cursor = first.pagination.next_cursor ?? ""
  const second = await domain.objects.list(domain.namespace, bucketId, page({ limit: 100, cursor }), {})
  expect(first.results.length + second.results.length).toBe(13)
})

test("a partition reads its members in order, and those that are gone are not there", async () => {
  using bucket = await filled()
  const { domain, bucketId, ids } = bucket
  const at = "2026-01-10T12:00:00.000Z"
  domain.metadata.transact((tx) => {
    tx.write.batches.insert({
      batch_id: "btch_x",
      namespace_id: domain.namespace.namespaceId,
      bucket_id: bucketId,
      type: "BUCKET",
      batch_name: null,
      status: "DRAFT",
      membership: "explicit",
      whole_bucket: 0,
      membership_filters: null,
      membership_limit: null,
      membership_next: 0,
      membership_end: null,
      object_count: 0,
      collection_ids: null,
      metadata: "{}",
      lifecycle_reason: null,
      suspended_from: null,
      failure_policy: null,
      priority: 0,
      max_concurrency: null,
      error: null,
      task_id: null,
      retry: 0,
      created_at: at,
      updated_at: at,
      submitted_at: null,
      finished_at: null,
    })
    tx.write.batches.addMembers("btch_x", 0, ids)
  })
  domain.objects.remove(domain.namespace, bucketId, String(ids[1]))
  const range = {
    batch_id: "btch_x",
    collection_id: "col_x",
    bucket_id: bucketId,
    retry: 0,
    first_ordinal: 1,
    end_ordinal: 4,
    after_seq: null,
    until_seq: null,
  }
  const { partitionRows } = domain.metadata.read
  const { rows, last_ordinal: last, input, lineage } = partitionRows.lines(range, 100)
  expect([rows, last]).toEqual([2, 3])
  const [first = [], second = []] = parsed(input)
  expect([first.slice(0, 2), second.slice(0, 2)]).toEqual([
    ["2", String(ids[2])],
    ["3", String(ids[3])],
  ])
  expect(JSON.parse(first[3] ?? "")[0]).toEqual(["content", "text", "text/plain", true])
  expect(JSON.parse(first[4] ?? "").slice(0, 3)).toEqual([expect.stringMatching(/^blob_/), 6, "Body 2"])
  const [row, objectId, document, passthrough, source = ""] =
    new TextDecoder().decode(lineage).split("\n")[0]?.split("\t") ?? []
  expect([row, objectId, document, passthrough]).toEqual(["2", String(ids[2]), "", "{}"])
  const [kept] = JSON.parse(source).blobs
  expect(Object.keys(kept).toSorted()).toEqual(["blob_id", "details", "property", "type"])
  // Of a whole bucket: as many ordinals as there were objects, and those that are left of them in the first ones.
  const whole = { ...range, first_ordinal: 10, end_ordinal: 15, after_seq: 0, until_seq: 5 }
  const living = ids.slice(0, 5).filter((id) => id !== ids[1])
  expect(partitionRows.objects(whole, 100).map((row) => [row.ordinal, row.object_id])).toEqual(
    living.map((id, at) => [10 + at, String(id)]),
  )
  const two = partitionRows.lines(whole, 2)
  expect([two.rows, two.last_ordinal, two.last_seq]).toEqual([2, 11, 3])
  expect(parsed(two.input).map(([ordinal]) => ordinal)).toEqual(["10", "11"])
  const rest = partitionRows.lines({ ...whole, first_ordinal: 12, after_seq: two.last_seq }, 100)
  expect(parsed(rest.input).map(([ordinal, objectId]) => [ordinal, objectId])).toEqual([
    ["12", String(living[2])],
    ["13", String(living[3])],
  ])
  expect(domain.metadata.read.objects.unknown(bucketId, ids)).toEqual([String(ids[1])])
  expect(domain.metadata.read.objects.lastSeq(bucketId)).toBe(6)
})

function parsed(lines: Uint8Array): string[][] {
  const text = new TextDecoder().decode(lines).trimEnd()
  return text.split("\n").map((line) => line.split("\t"))
}
