import { expect, test } from "bun:test"
import type { CreateObject } from "../../src/contract/objects.ts"
import { nothing, openDomain, PNG, page, places, refusal } from "./support.ts"

type Domain = ReturnType<typeof openDomain>

const create = (
  domain: Domain,
  bucketId: string,
  request: CreateObject,
  options: Partial<Parameters<Domain["objects"]["create"]>[3]> = {},
) => domain.objects.create(domain.namespace, bucketId, request, { autoProcess: false, ...options }, nothing)
const text = (data: unknown, property = "content") => ({ property, type: "text", data })
const counts = (domain: Domain, bucketId: string) => {
  const { object_count: objects, total_size_bytes: bytes } = domain.buckets.get(domain.namespace, bucketId)
  return { objects, bytes }
}

test("an inline text keeps its value, its size, its hash, and the user's fields beside it", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const created = await create(domain, bucketId, {
    key_prefix: "/a",
    blobs: [{ ...text("héllo"), metadata: { lang: "fr" } }],
    metadata: { category: "x" },
    sku: 7,
  })
  expect(created).toMatchObject({
    bucket_id: bucketId,
    key_prefix: "/a",
    status: "DRAFT",
    sku: 7,
    metadata: { category: "x" },
    source_details: [{ type: "bucket", source_id: bucketId }],
  })
  expect(created.blobs?.[0]).toMatchObject({
    property: "content",
    type: "text",
    properties: { data: "héllo", metadata: { lang: "fr" } },
    details: { size_bytes: 6, mime_type: "text/plain", filename: null },
  })
  expect(domain.objects.get(domain.namespace, bucketId, created.object_id, false)).toEqual(created)
  expect(counts(domain, bucketId)).toEqual({ objects: 1, bytes: 6 })
})

test("a text that is an address stays a text; a file type takes it as a reference", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const address = "https://cdn.example.com/a/hero.jpg?x=1"
  const created = await create(domain, bucketId, {
    blobs: [text(address), { property: "picture", type: "IMAGE", data: address }],
  })
  expect(created.blobs?.[0]?.properties).toEqual({ data: address })
  expect(created.blobs?.[1]).toMatchObject({
    type: "image",
    properties: { url: address },
    details: { filename: "hero.jpg", mime_type: "image/jpeg", size_bytes: null, hash: null },
  })
})

const base64 = PNG.toString("base64")
for (const [form, data] of [
  ["{base64}", { base64, mime_type: "application/octet-stream", filename: "dot.png" }],
  ["a data URL", `data:image/jpeg;base64,${base64}`],
  ["bare base64 of a known kind", base64],
] as const) {
  test(`bytes given as ${form} become one file under their hash, typed by their first bytes`, async () => {
    using domain = openDomain()
    const { bucket_id: bucketId } = domain.bucket()
    const created = await create(domain, bucketId, { blobs: [{ property: "picture", type: "image", data }] })
    const details = created.blobs?.[0]?.details
    const hash = new Bun.CryptoHasher("sha256").update(PNG).digest("hex")
    expect(details).toMatchObject({ mime_type: "image/png", size_bytes: PNG.byteLength, hash })
    expect(created.blobs?.[0]?.properties.url).toBe(`s3://${bucketId}/${hash}`)
    const { orgId, namespaceId } = domain.namespace
    expect(domain.blobPaths()).toEqual([`blobs/${orgId}/${namespaceId}/${bucketId}/${hash.slice(0, 2)}/${hash}`])
  })
}

test("bytes for a text field are its text and keep the kind of text that was declared; what is no text is refused", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const given = (bytes: string, mime_type?: string) => ({
    property: "content",
    type: "text",
    data: { base64: btoa(bytes), ...(mime_type === undefined ? {} : { mime_type, filename: "a.csv" }) },
  })
  const created = await create(domain, bucketId, { blobs: [given("a,b", "text/csv"), given("words")] })
  expect(
    created.blobs?.map(({ properties, details }) => [properties.data, details.mime_type, details.filename]),
  ).toEqual([
    ["a,b", "text/csv", "a.csv"],
    ["words", "text/plain", null],
  ])
  for (const [bytes, why] of [
    ["%PDF-1.4 and so on", "is application/pdf, not text"],
    ["a\0b", "is not text"],
    ["\xff\xd8\xff\xe0\0\x10JFIF", "is image/jpeg, not text"],
    ["gr\xfc\xdfe", "is not UTF-8 text"],
  ] as const) {
    const error = await refusal(() => create(domain, bucketId, { blobs: [given(bytes, "text/plain")] }))
    expect(error.message).toContain(why)
  }
})

test("numbers, lists and objects are kept as they are for fields that take them", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const created = await create(domain, bucketId, {
    blobs: [
      { property: "price", type: "number", data: 4.5 },
      { property: "anything", type: "json", data: { url: "x", more: [1, null] } },
      { property: "anything", type: "array", data: [1, 2] },
    ],
  })
  expect(created.blobs?.map((blob) => blob.properties.data)).toEqual([4.5, { url: "x", more: [1, null] }, [1, 2]])
})

for (const [why, blob, place] of [
  ["a property that the schema does not have", { property: "other", type: "text", data: "x" }, "property"],
  ["a type that is none", { property: "content", type: "picture", data: "x" }, "type"],
  ["a type that the schema does not say", { property: "content", type: "image", data: "x" }, "type"],
  ["neither data nor upload_id", { property: "content", type: "text" }, "data"],
  ["both data and upload_id", { property: "content", type: "text", data: "x", upload_id: "upl_x" }, "data"],
  ["an upload that does not exist", { property: "content", type: "text", upload_id: "upl_none" }, "upload_id"],
  ["a file that is neither address nor bytes", { property: "picture", type: "image", data: "hello" }, "data"],
  ["base64 that is none", { property: "picture", type: "image", data: { base64: "***" } }, "data"],
  ["an address of a strange kind", { property: "picture", type: "image", data: { url: "file:///etc/passwd" } }, "data"],
  ["a string for a number", { property: "price", type: "number", data: "4" }, "data"],
  ["a file of this bucket that is not there", { property: "picture", type: "image", data: "OWN" }, "data"],
] as const) {
  test(`a blob with ${why} is refused with its place`, async () => {
    using domain = openDomain()
    const { bucket_id: bucketId } = domain.bucket()
    const given = "data" in blob && blob.data === "OWN" ? { ...blob, data: `s3://${bucketId}/${"a".repeat(64)}` } : blob
    const error = await refusal(() => create(domain, bucketId, { blobs: [text("fine"), given] }))
    expect(error.type).toBe("ValidationError")
    expect(places(error)).toEqual([`body.blobs.1.${place}`])
    expect(counts(domain, bucketId)).toEqual({ objects: 0, bytes: 0 })
  })
}

test("required fields, field types, enums and defaults of the schema hold, and the answer's names are not fields", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket({
    bucket_schema: {
      properties: {
        title: { type: "string", required: true },
        size: { type: "integer" },
        color: { type: "string", enum: ["red", "blue"] },
        kind: { type: "string", default: "plain" },
        when: { type: "datetime" },
      },
    },
  })
  const refused = async (request: CreateObject) => places(await refusal(() => create(domain, bucketId, request)))
  expect(await refused({})).toEqual(["body.title"])
  expect(await refused({ title: 4, size: 1.5, color: "green", when: "soon" })).toEqual([
    "body.title",
    "body.size",
    "body.color",
    "body.when",
  ])
  expect(await refused({ title: "x", status: "new" })).toEqual(["body.status"])
  expect(await create(domain, bucketId, { title: "x", color: "red" })).toMatchObject({ title: "x", kind: "plain" })
  expect(await create(domain, bucketId, { metadata: { title: "x" } })).toMatchObject({ metadata: { title: "x" } })
  expect(await create(domain, bucketId, { blobs: [{ property: "title", type: "text", data: "x" }] })).toMatchObject({
    kind: "plain",
  })
})

test("an object whose inline content is over 4 MiB is refused", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const error = await refusal(() => create(domain, bucketId, { blobs: [text("x".repeat(4 * 1024 * 1024))] }))
  expect(error.type).toBe("ValidationError")
})

test("bulk creates what is right and tells what is wrong, in one transaction", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const requests = [
    { blobs: [text("one")] },
    "no object",
    { blobs: [text("two", "missing")] },
    { blobs: { property: "content" } },
    { blobs: [{ property: "picture", type: "image", data: { base64 } }] },
  ]
  let remembered: object | null = null
  const answer = await domain.objects.createMany(
    domain.namespace,
    bucketId,
    requests,
    { autoProcess: true },
    (_, answered) => {
      remembered = answered
    },
  )
  expect(answer).toMatchObject({ total_requested: 5, succeeded_count: 2, failed_count: 3 })
  expect(answer.failed.map((entry) => [entry.object_index, entry.error_type])).toEqual([
    [1, "ValidationError"],
    [2, "ValidationError"],
    [3, "ValidationError"],
  ])
  expect(remembered as object | null).toEqual(answer)
  expect(counts(domain, bucketId)).toEqual({ objects: 2, bytes: 3 + PNG.byteLength })
  expect(domain.started).toEqual([{ bucketId, objectIds: answer.succeeded.map((object) => object.object_id) }])
})

test("auto_process hands new objects over after they are there, and tells why no batch could start", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { object_id: id } = await create(domain, bucketId, { blobs: [text("x")] }, { autoProcess: true })
  expect(domain.started).toEqual([{ bucketId, objectIds: [id] }])
  using refusing = openDomain({ refuseBatches: true })
  const bucket = refusing.bucket()
  const created = await create(refusing, bucket.bucket_id, { blobs: [text("x")] }, { autoProcess: true })
  expect(created.auto_process_error).toContain("No enabled collection")
  expect(counts(refusing, bucket.bucket_id).objects).toBe(1)
})

test("a unique key inserts once, updates what is there, upserts either way, and needs a policy", async () => {
  using domain = openDomain()
  const schema = { properties: { sku: { type: "string" }, content: { type: "text" } } }
  const { bucket_id: bucketId } = domain.bucket({ bucket_schema: schema, unique_key: { fields: ["sku"] } })
  const put = (sku: string, data: string, policy?: "insert" | "update" | "upsert") =>
    create(domain, bucketId, { sku, blobs: [text(data)] }, { policy })
  expect((await refusal(() => put("a", "1"))).type).toBe("BadRequestError")
  const first = await put("a", "first", "insert")
  const again = await refusal(() => put("a", "2", "insert"))
  expect([again.type, again.details?.id]).toEqual(["AlreadyExistsError", first.object_id])
  expect((await refusal(() => put("b", "2", "update"))).type).toBe("NotFoundError")
  const updated = await put("a", "second value", "update")
  expect(updated.object_id).toBe(first.object_id)
  expect(updated.blobs?.[0]?.properties.data).toBe("second value")
  const upserted = [await put("a", "3", "upsert"), await put("b", "4", "upsert")]
  expect(upserted.map((object) => object.object_id === first.object_id)).toEqual([true, false])
  expect(counts(domain, bucketId)).toEqual({ objects: 2, bytes: 2 })
  const missing = await refusal(() => create(domain, bucketId, { blobs: [text("x")] }, { policy: "insert" }))
  expect(places(missing)).toEqual(["body.sku"])
  const plain = domain.bucket()
  expect((await refusal(() => create(domain, plain.bucket_id, {}, { policy: "upsert" }))).type).toBe("BadRequestError")
})

test("the bucket's default policy holds for bulk, and two entries of one call with the same key clash", async () => {
  using domain = openDomain()
  const schema = { properties: { sku: { type: "string" } } }
  const insert = domain.bucket({ bucket_schema: schema, unique_key: { fields: ["sku"], default_policy: "insert" } })
  const requests = [{ sku: "a" }, { sku: "a" }, { sku: "b" }]
  const many = (bucketId: string) =>
    domain.objects.createMany(domain.namespace, bucketId, requests, { autoProcess: false }, nothing)
  expect((await many(insert.bucket_id)).failed).toMatchObject([{ object_index: 1, error_type: "AlreadyExistsError" }])
  const upsert = domain.bucket({ bucket_schema: schema, unique_key: { fields: ["sku"], default_policy: "upsert" } })
  expect((await many(upsert.bucket_id)).failed_count).toBe(0)
  expect(counts(domain, upsert.bucket_id).objects).toBe(2)
})

test("skip_duplicates answers the object that has the same blobs", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const first = await create(domain, bucketId, { blobs: [text("same")] })
  const second = await create(domain, bucketId, { blobs: [text("same")], skip_duplicates: true }, { autoProcess: true })
  expect(second.object_id).toBe(first.object_id)
  expect(domain.started).toEqual([])
  expect((await create(domain, bucketId, { blobs: [text("same")] })).object_id).not.toBe(first.object_id)
})

test("PUT replaces what it names, PATCH merges deeply, and counts follow", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { object_id: id } = await create(domain, bucketId, {
    key_prefix: "/a",
    blobs: [text("four"), { property: "picture", type: "image", data: { base64 } }],
    metadata: { a: { x: 1, y: 2 }, b: 1 },
    note: "n",
  })
  const patched = await domain.objects.patch(domain.namespace, bucketId, id, {
    metadata: { a: { y: null, z: 3 } },
    note: null,
    blobs: [text("longer text")],
  })
  expect(patched.metadata).toEqual({ a: { x: 1, z: 3 }, b: 1 })
  expect(patched).not.toHaveProperty("note")
  expect(patched.key_prefix).toBe("/a")
  expect(patched.blobs?.map((blob) => blob.property).sort()).toEqual(["content", "picture"])
  expect(counts(domain, bucketId)).toEqual({ objects: 1, bytes: 11 + PNG.byteLength })
  const replaced = await domain.objects.replace(domain.namespace, bucketId, id, {
    metadata: { c: 1 },
    blobs: [text("end")],
    key_prefix: null,
  })
  expect(replaced).toMatchObject({ metadata: { c: 1 }, key_prefix: null })
  expect(replaced.blobs).toHaveLength(1)
  expect(counts(domain, bucketId)).toEqual({ objects: 1, bytes: 3 })
  expect(domain.blobPaths()).toEqual([])
})

test("deleting an object leaves no trace, but keeps a file that another object has", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const blobs = [{ property: "picture", type: "image", data: { base64 } }]
  const first = await create(domain, bucketId, { blobs })
  const second = await create(domain, bucketId, { blobs })
  const copied = await create(domain, bucketId, {
    blobs: [{ property: "picture", type: "image", data: String(first.blobs?.[0]?.properties.url) }],
  })
  expect(domain.blobPaths()).toHaveLength(1)
  for (const object of [first, second]) {
    domain.objects.remove(domain.namespace, bucketId, object.object_id)
    expect(domain.blobPaths()).toHaveLength(1)
  }
  domain.objects.remove(domain.namespace, bucketId, copied.object_id)
  expect(domain.blobPaths()).toEqual([])
  expect(counts(domain, bucketId)).toEqual({ objects: 0, bytes: 0 })
  expect((await refusal(() => domain.objects.get(domain.namespace, bucketId, first.object_id, false))).type).toBe(
    "NotFoundError",
  )
  expect((await refusal(() => domain.objects.remove(domain.namespace, bucketId, first.object_id))).type).toBe(
    "NotFoundError",
  )
})

test("an object of another bucket is not found under this one", async () => {
  using domain = openDomain()
  const [mine, other] = [domain.bucket(), domain.bucket()]
  const object = await create(domain, other.bucket_id, { blobs: [text("x")] })
  for (const act of [
    () => domain.objects.get(domain.namespace, mine.bucket_id, object.object_id, false),
    () => domain.objects.patch(domain.namespace, mine.bucket_id, object.object_id, {}),
    () => domain.objects.remove(domain.namespace, mine.bucket_id, object.object_id),
  ]) {
    expect((await refusal(act)).type).toBe("NotFoundError")
  }
})

test("bulk calls of 100 take milliseconds and hold no memory", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const call = async (round: number) => {
    const requests = Array.from({ length: 100 }, (_, index) => ({
      blobs: [text(`${round} ${index} ${"lorem ipsum ".repeat(20)}`)],
      metadata: { round },
    }))
    await domain.objects.createMany(domain.namespace, bucketId, requests, { autoProcess: false }, nothing)
  }
  for (let round = 0; round < 20; round++) await call(round)
  const started = performance.now()
  for (let round = 20; round < 60; round++) await call(round)
  expect((performance.now() - started) / 40).toBeLessThan(60)
  expect(counts(domain, bucketId).objects).toBe(6000)
  expect((await domain.objects.list(domain.namespace, bucketId, page({ limit: 1000 }), {})).results).toHaveLength(1000)
})

test("a member named like something every object inherits is missing when it was not given", async () => {
  using domain = openDomain()
  const nested = { type: "object", properties: { constructor: { type: "text" } } }
  const { bucket_id: bucketId } = domain.bucket({ bucket_schema: { properties: { n: nested } } })
  expect(await create(domain, bucketId, { n: {} })).toMatchObject({ n: {} })
})
