import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { nothing, openDomain, PNG, page, places, refusal } from "./support.ts"

test("a bucket is found by id and by name, with json and binary fields answered as object", () => {
  using domain = openDomain()
  const schema = {
    properties: { body: { type: "TEXT", required: true }, extra: { type: "json" }, raw: { type: "binary" } },
  }
  const bucket = domain.buckets.create(domain.namespace, { name: "catalog", schema, metadata: { team: "a" } }, nothing)
  expect(bucket.bucket_schema.properties).toEqual({
    body: { type: "text", required: true },
    extra: { type: "object", required: false },
    raw: { type: "object", required: false },
  })
  expect(domain.buckets.get(domain.namespace, "catalog")).toEqual(bucket)
  expect(domain.buckets.get(domain.namespace, bucket.bucket_id)).toEqual(bucket)
  expect(bucket).toMatchObject({ object_count: 0, total_size_bytes: 0, status: "ACTIVE", unique_key: null })
})

test("a schema names every field that it cannot have", async () => {
  using domain = openDomain()
  const schema = {
    properties: { a: { type: "nothing" }, b: { type: "array", items: { type: "odd" } }, c: { type: "text" } },
  }
  const error = await refusal(() => domain.bucket({ bucket_schema: schema }))
  expect(error.type).toBe("ValidationError")
  expect(places(error)).toEqual(["body.bucket_schema.properties.a.type", "body.bucket_schema.properties.b.items.type"])
  expect(places(await refusal(() => domain.bucket({ bucket_schema: null })))).toEqual(["body.bucket_schema"])
  expect(places(await refusal(() => domain.bucket({ bucket_name: null })))).toEqual(["body.bucket_name"])
  const key = { fields: ["missing"] }
  expect(places(await refusal(() => domain.bucket({ unique_key: key })))).toEqual(["body.unique_key.fields.0"])
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`f${index}`, { type: "text" }]))
  expect((await refusal(() => domain.bucket({ bucket_schema: { properties: many } }))).message).toContain("200")
})

test("a name is taken once per namespace and free again after deletion", async () => {
  using domain = openDomain()
  const first = domain.bucket({ bucket_name: "docs" })
  const error = await refusal(() => domain.bucket({ bucket_name: "docs" }))
  expect(error.type).toBe("AlreadyExistsError")
  expect(error.details).toEqual({ resource: "bucket", id: first.bucket_id })
  domain.buckets.remove(domain.namespace, "docs")
  expect(domain.bucket({ bucket_name: "docs" }).bucket_id).not.toBe(first.bucket_id)
})

test("another organization's namespace does not find the bucket by id or name", async () => {
  using domain = openDomain()
  const bucket = domain.bucket({ bucket_name: "private" })
  const stranger = domain.stranger()
  for (const identifier of [bucket.bucket_id, "private"]) {
    for (const act of [
      () => domain.buckets.get(stranger, identifier),
      () => domain.buckets.remove(stranger, identifier),
      () => domain.buckets.update(stranger, identifier, {}, "merge"),
      () => domain.objects.list(stranger, identifier, page(), {}),
      () => domain.uploads.list(stranger, identifier, false),
    ]) {
      expect((await refusal(act)).type).toBe("NotFoundError")
    }
  }
})

test("PUT replaces metadata, PATCH adds to it, and the schema stays", async () => {
  using domain = openDomain()
  const bucket = domain.bucket({ metadata: { a: 1 }, description: "old" })
  const merged = domain.buckets.update(domain.namespace, bucket.bucket_id, { metadata: { b: 2 } }, "merge")
  expect(merged).toMatchObject({ metadata: { a: 1, b: 2 }, description: "old" })
  const replaced = domain.buckets.update(
    domain.namespace,
    bucket.bucket_id,
    { metadata: { c: 3 }, bucket_name: "renamed", description: null, bucket_schema: bucket.bucket_schema },
    "replace",
  )
  expect(replaced).toMatchObject({ metadata: { c: 3 }, bucket_name: "renamed", description: null })
  const other = { properties: { content: { type: "integer" } } }
  const error = await refusal(() =>
    domain.buckets.update(domain.namespace, "renamed", { bucket_schema: other }, "merge"),
  )
  expect(error.type).toBe("ValidationError")
})

test("a deleted bucket is invisible at once and swept in bounded slices, its files and task last", async () => {
  using domain = openDomain()
  const bucket = domain.bucket()
  const data = { base64: PNG.toString("base64") }
  for (let index = 0; index < 25; index++) {
    const blobs = [
      { property: "content", type: "text", data: `text ${index}` },
      { property: "picture", type: "image", data },
    ]
    await domain.objects.create(domain.namespace, bucket.bucket_id, { blobs }, { autoProcess: false }, nothing)
  }
  const directory = domain.blobs.directory(domain.namespace, bucket.bucket_id)
  const removal = domain.buckets.remove(domain.namespace, bucket.bucket_name)
  expect(removal).toMatchObject({ status: "PENDING", bucket_id: bucket.bucket_id, object_count: 25 })
  expect(domain.removed).toEqual([bucket.bucket_id])
  expect((await refusal(() => domain.buckets.get(domain.namespace, bucket.bucket_id))).type).toBe("NotFoundError")
  const task = () => domain.metadata.read.tasks.get(domain.namespace.internalId, null, removal.task_id)
  expect(task()).toMatchObject({ task_type: "api_buckets_delete", status: "PENDING" })

  const left: boolean[] = []
  while (await domain.buckets.sweepBucket(bucket.bucket_id, 10)) {
    left.push(existsSync(directory))
    expect(task()?.status).toBe("PENDING")
  }
  expect(left).toEqual([true, true])
  expect(existsSync(directory)).toBe(false)
  expect(task()?.status).toBe("COMPLETED")
  expect(domain.buckets.removed()).toEqual([])
  expect(await domain.buckets.sweepBucket(bucket.bucket_id, 10)).toBe(false)
})

test("buckets of a removed namespace are swept without a task of their own", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const blobs = [{ property: "picture", type: "image", data: { base64: PNG.toString("base64") } }]
  await domain.objects.create(domain.namespace, bucketId, { blobs }, { autoProcess: false }, nothing)
  const { internalId, namespaceId } = domain.namespace
  domain.metadata.transact((tx) =>
    tx.write.organizations.removeNamespace(internalId, namespaceId, "2026-01-10T12:00:00.000Z"),
  )
  expect(domain.buckets.removed().map((place) => place.bucket_id)).toEqual([bucketId])
  while (await domain.buckets.sweepBucket(bucketId, 1)) {}
  expect(domain.buckets.removed()).toEqual([])
  expect(domain.blobPaths()).toEqual([])
  domain.metadata.transact((tx) => tx.write.buckets.eraseAll(namespaceId))
  expect(domain.metadata.read.buckets.place(bucketId)).toBeUndefined()
})
