import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { CreateBucketUpload } from "../../src/contract/bucket-uploads.ts"
import { nothing, openDomain, PNG, places, refusal, streamOf, UPLOAD_BYTES } from "./support.ts"

type Domain = ReturnType<typeof openDomain>

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex")

const reserve = (domain: Domain, bucketId: string, request: Record<string, unknown> = {}) =>
  domain.uploads.create(
    domain.namespace,
    bucketId,
    CreateBucketUpload.parse({ filename: "dot.png", content_type: "image/png", blob_property: "picture", ...request }),
    nothing,
  )
const send = (domain: Domain, uploadId: string, ...chunks: (Uint8Array | Error)[]) =>
  domain.uploads.receive(uploadId, streamOf(...chunks), { announced: null })
const confirm = (domain: Domain, bucketId: string, uploadId: string, request = {}) =>
  domain.uploads.confirm(domain.namespace, bucketId, uploadId, request)

test("an upload is reserved with a signed PUT, received in chunks, and confirmed into an object", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const upload = reserve(domain, bucketId, { object_metadata: { a: 1 }, file_size_bytes: PNG.byteLength })
  expect(upload).toMatchObject({ status: "PENDING", blob_property: "picture", blob_type: "image", is_duplicate: false })
  expect(upload.presigned_url).toStartWith(`http://127.0.0.1:8080/v1/presigned/objects/${upload.upload_id}?expires=`)
  expect(upload.expires_at).toBe("2026-01-10T13:00:00.000Z")

  const { etag } = await send(domain, upload.upload_id, PNG.subarray(0, 20), PNG.subarray(20, 21), PNG.subarray(21))
  expect(etag).toBe(md5(PNG))
  const confirmed = await confirm(domain, bucketId, upload.upload_id, {
    etag: `"${etag}"`,
    file_size_bytes: PNG.byteLength,
  })
  expect(confirmed).toMatchObject({
    status: "COMPLETED",
    etag,
    file_size_bytes: PNG.byteLength,
    file_hash: sha256(PNG),
  })

  const object = domain.objects.get(domain.namespace, bucketId, confirmed.object_id ?? "", true)
  expect(object.metadata).toEqual({ a: 1 })
  expect(object.blobs?.[0]).toMatchObject({
    property: "picture",
    type: "image",
    details: { filename: "dot.png", mime_type: "image/png", size_bytes: PNG.byteLength, hash: sha256(PNG) },
  })
  expect(String(object.blobs?.[0]?.properties.presigned_url)).toContain(
    `/v1/presigned/blobs/${bucketId}/${sha256(PNG)}?expires=`,
  )
  const download = await domain.files.open(bucketId, sha256(PNG))
  expect(new Uint8Array(await download.file.arrayBuffer())).toEqual(new Uint8Array(PNG))
  expect(download).toMatchObject({ mimeType: "image/png", filename: "dot.png" })
  expect(await confirm(domain, bucketId, upload.upload_id)).toEqual(confirmed)
  expect(domain.buckets.get(domain.namespace, bucketId)).toMatchObject({
    object_count: 1,
    total_size_bytes: PNG.byteLength,
  })
})

test("a text file becomes an inline text, and its bytes go", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const upload = reserve(domain, bucketId, { filename: "content.txt", content_type: "text/plain", blob_property: null })
  expect(upload).toMatchObject({ blob_property: "content", blob_type: "text" })
  await send(domain, upload.upload_id, Buffer.from("grüße"))
  const { object_id: id } = await confirm(domain, bucketId, upload.upload_id)
  const object = domain.objects.get(domain.namespace, bucketId, id ?? "", false)
  expect(object.blobs?.[0]).toMatchObject({
    properties: { data: "grüße" },
    details: { filename: "content.txt", size_bytes: 7 },
  })
  expect(domain.blobPaths()).toEqual([])
})

test("an upload is typed by its bytes: a PDF that calls itself a picture, and one that calls itself text", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  for (const request of [{}, { filename: "content.txt", content_type: "text/plain", blob_property: null }]) {
    const pdf = Buffer.from(`%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\n% ${crypto.randomUUID()}\n`)
    const upload = reserve(domain, bucketId, request)
    await send(domain, upload.upload_id, pdf)
    const { object_id: id } = await confirm(domain, bucketId, upload.upload_id)
    const [blob] = domain.objects.get(domain.namespace, bucketId, id ?? "", false).blobs ?? []
    expect(blob).toMatchObject({ type: upload.blob_type, details: { mime_type: "application/pdf" } })
    expect(blob?.properties.url).toBe(`s3://${bucketId}/${sha256(pdf)}`)
  }
})

test("a text file keeps the kind of text that it was declared; one with control characters stays a file", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const mimeOf = async (bytes: Buffer, content_type: string, filename: string) => {
    const upload = reserve(domain, bucketId, { filename, content_type, blob_property: "content" })
    await send(domain, upload.upload_id, bytes)
    const { object_id: id } = await confirm(domain, bucketId, upload.upload_id)
    const [blob] = domain.objects.get(domain.namespace, bucketId, id ?? "", false).blobs ?? []
    return [blob?.details.mime_type, blob?.properties.data ?? "a file"]
  }
  expect(await mimeOf(Buffer.from("a,b"), "text/csv", "a.csv")).toEqual(["text/csv", "a,b"])
  expect(await mimeOf(Buffer.from("a\0b"), "text/csv", "a.csv")).toEqual(["application/octet-stream", "a file"])
})

test("an upload that could not become a blob is refused when it is reserved", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const place = async (request: Record<string, unknown>) =>
    places(await refusal(() => reserve(domain, bucketId, request)))
  expect(await place({ blob_property: "other" })).toEqual(["body.blob_property"])
  expect(await place({ blob_property: "content" })).toEqual(["body.blob_property"])
  expect(await place({ blob_type: "drawing" })).toEqual(["body.blob_type"])
  expect((await refusal(() => reserve(domain, bucketId, { file_size_bytes: UPLOAD_BYTES + 1 }))).type).toBe(
    "PayloadTooLargeError",
  )
  for (const wrong of [
    { filename: "../x" },
    { filename: "" },
    { content_type: "png" },
    { presigned_url_expiration: 59 },
    { presigned_url_expiration: 86_401 },
    { file_hash: "abc" },
    { file_size_bytes: 0 },
  ]) {
    const request = { filename: "a.png", content_type: "image/png", ...wrong }
    expect(CreateBucketUpload.safeParse(request).success).toBe(false)
  }
})

test("a body that breaks off, is too large, empty, or not as long as announced leaves nothing new", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { upload_id: id } = reserve(domain, bucketId)
  await send(domain, id, PNG)
  const before = domain.blobPaths()
  expect((await refusal(() => send(domain, id, Buffer.from("half"), new Error("gone")))).type).toBe("BadRequestError")
  const large = await refusal(() => send(domain, id, Buffer.alloc(UPLOAD_BYTES), Buffer.alloc(1)))
  expect([large.type, large.details?.limit_bytes]).toEqual(["PayloadTooLargeError", UPLOAD_BYTES])
  expect((await refusal(() => send(domain, id))).type).toBe("BadRequestError")
  expect((await refusal(() => domain.uploads.receive(id, null, { announced: null }))).type).toBe("BadRequestError")
  const short = await refusal(() => domain.uploads.receive(id, streamOf(Buffer.from("short")), { announced: 6 }))
  expect(short.message).toContain("5 of 6 bytes")
  expect(domain.blobPaths()).toEqual(before)
  expect(await confirm(domain, bucketId, id)).toMatchObject({ file_hash: sha256(PNG) })
})

test("a second body replaces the first, whose bytes go", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { upload_id: id } = reserve(domain, bucketId)
  await send(domain, id, Buffer.from("first"))
  await send(domain, id, PNG)
  expect(domain.blobPaths()).toHaveLength(1)
  expect((await confirm(domain, bucketId, id)).file_hash).toBe(sha256(PNG))
  expect((await refusal(() => send(domain, id, PNG))).message).toContain("COMPLETED")
})

test("confirm refuses other bytes than were announced", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { upload_id: id } = reserve(domain, bucketId, { file_hash: "0".repeat(64) })
  expect((await refusal(() => confirm(domain, bucketId, id))).message).toContain("No file has come")
  await send(domain, id, PNG)
  for (const [request, text] of [
    [{ etag: "0".repeat(32) }, "ETag"],
    [{ file_size_bytes: 3 }, "bytes"],
    [{}, "SHA-256"],
  ] as const) {
    const error = await refusal(() => confirm(domain, bucketId, id, request))
    expect(error.type).toBe("BadRequestError")
    expect(error.message).toContain(text)
  }
  const sized = reserve(domain, bucketId, { file_size_bytes: 5 })
  await send(domain, sized.upload_id, PNG)
  expect((await refusal(() => confirm(domain, bucketId, sized.upload_id))).message).toContain("not 5")
})

test("the same file again is known before it is sent when its hash is given, and when it is confirmed otherwise", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const first = reserve(domain, bucketId)
  await send(domain, first.upload_id, PNG)
  const { object_id: objectId } = await confirm(domain, bucketId, first.upload_id)
  const known = reserve(domain, bucketId, { file_hash: sha256(PNG) })
  expect(known).toMatchObject({
    is_duplicate: true,
    duplicate_of_upload_id: first.upload_id,
    existing_object_id: objectId,
    presigned_url: null,
    status: "COMPLETED",
  })
  const second = reserve(domain, bucketId)
  await send(domain, second.upload_id, PNG)
  expect((await confirm(domain, bucketId, second.upload_id)).object_id).toBe(objectId)
  const third = reserve(domain, bucketId, { skip_duplicates: false })
  await send(domain, third.upload_id, PNG)
  expect((await confirm(domain, bucketId, third.upload_id)).object_id).not.toBe(objectId)
  expect(domain.buckets.get(domain.namespace, bucketId).object_count).toBe(2)
  domain.objects.remove(domain.namespace, bucketId, objectId ?? "")
  expect(domain.blobPaths()).toHaveLength(1)
})

test("a file confirmed without an object becomes a blob by its upload_id, and goes with that object", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { upload_id: id } = reserve(domain, bucketId, { create_object_on_confirm: false })
  const blobs = [{ property: "picture", type: "image", upload_id: id }]
  const create = () => domain.objects.create(domain.namespace, bucketId, { blobs }, { autoProcess: false }, nothing)
  await send(domain, id, PNG)
  expect(places(await refusal(create))).toEqual(["body.blobs.0.upload_id"])
  expect(await confirm(domain, bucketId, id)).toMatchObject({ status: "COMPLETED", object_id: null })
  const object = await create()
  expect(object.blobs?.[0]?.details).toMatchObject({ filename: "dot.png", hash: sha256(PNG) })
  domain.objects.remove(domain.namespace, bucketId, object.object_id)
  expect(domain.blobPaths()).toEqual([])
  expect(places(await refusal(create))).toEqual(["body.blobs.0.upload_id"])
})

test("an upload is given up with its bytes, unless it is completed", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const [open, done] = [reserve(domain, bucketId), reserve(domain, bucketId)]
  await send(domain, open.upload_id, Buffer.from("never wanted"))
  await send(domain, done.upload_id, PNG)
  await confirm(domain, bucketId, done.upload_id)
  domain.uploads.remove(domain.namespace, bucketId, open.upload_id)
  expect(domain.blobPaths()).toHaveLength(1)
  expect((await refusal(() => domain.uploads.get(domain.namespace, bucketId, open.upload_id, false))).type).toBe(
    "NotFoundError",
  )
  expect((await refusal(() => domain.uploads.remove(domain.namespace, bucketId, done.upload_id))).type).toBe(
    "BadRequestError",
  )
  expect((await refusal(() => send(domain, open.upload_id, PNG))).type).toBe("NotFoundError")
})

test("a list tells totals by status and signs URLs only when asked", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const [open, done] = [reserve(domain, bucketId, { file_size_bytes: 30 }), reserve(domain, bucketId)]
  await send(domain, done.upload_id, PNG)
  await confirm(domain, bucketId, done.upload_id)
  const { results, stats } = domain.uploads.list(domain.namespace, bucketId, false)
  expect(results.map((upload) => upload.presigned_url)).toEqual([null, null])
  expect(stats).toEqual({
    total_uploads: 2,
    total_size_bytes: 30 + PNG.byteLength,
    uploads_by_status: { COMPLETED: 1, PENDING: 1 },
    avg_file_size_bytes: (30 + PNG.byteLength) / 2,
    unique_buckets: 1,
  })
  const url = (id: string) => domain.uploads.get(domain.namespace, bucketId, id, true).presigned_url
  expect(url(open.upload_id)).toContain("/v1/presigned/objects/")
  expect(url(done.upload_id)).toContain("/v1/presigned/blobs/")
})

test("what nobody confirmed is given up a day after its URL ended", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const { upload_id: id } = reserve(domain, bucketId)
  await send(domain, id, PNG)
  domain.clock.now = new Date("2026-01-11T12:59:00Z")
  expect(domain.uploads.expire(100)).toBe(0)
  expect(domain.uploads.get(domain.namespace, bucketId, id, true).presigned_url).toBeNull()
  domain.clock.now = new Date("2026-01-11T13:01:00Z")
  expect(domain.uploads.expire(100)).toBe(1)
  expect(domain.blobPaths()).toEqual([])
  expect((await refusal(() => confirm(domain, bucketId, id))).message).toContain("Not confirmed")
})
