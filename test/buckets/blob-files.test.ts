import { expect, test } from "bun:test"
import { mkdirSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { byteRange } from "../../src/http/byte-range.ts"
import { nothing, openDomain, PNG, refusal } from "./support.ts"

const picture = (bytes: Uint8Array) => ({
  blobs: [{ property: "picture", type: "image", data: { base64: Buffer.from(bytes).toString("base64") } }],
})

test("a file that landed before a crash, without its row, is swept at the next start; named files stay", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  await domain.objects.create(domain.namespace, bucketId, picture(PNG), { autoProcess: false }, nothing)
  const [named] = domain.blobPaths()
  {
    using hold = domain.blobs.hold()
    await domain.blobs.land(domain.namespace, bucketId, Buffer.from("landed, then killed"), hold)
  }
  const directory = domain.blobs.directory(domain.namespace, bucketId)
  mkdirSync(join(directory, "incoming"), { recursive: true })
  const old = join(directory, "incoming", "x.partial")
  writeFileSync(old, "half")
  utimesSync(old, new Date(0), new Date(0))
  writeFileSync(join(directory, "incoming", "running.partial"), "half")
  const strange = join(directory, "..", "bkt_unknown", "aa")
  mkdirSync(strange, { recursive: true })
  writeFileSync(join(strange, "b".repeat(64)), "x")

  expect(await domain.files.sweepBlobs(new Date(Date.now() - 60_000))).toBe(3)
  expect(domain.blobPaths()).toEqual(
    [String(named), join(directory, "incoming", "running.partial").slice(domain.dataDir.length + 1)].sort(),
  )
})

test("a sweep beside a running create takes nothing that the create is about to name", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  using hold = domain.blobs.hold()
  const bytes = Buffer.from("about to be named")
  const sha256 = await domain.blobs.land(domain.namespace, bucketId, bytes, hold)
  expect(await domain.files.sweepBlobs(new Date())).toBe(0)
  domain.files.release(domain.namespace, bucketId, [sha256])
  expect(domain.blobPaths()).toHaveLength(1)
  hold[Symbol.dispose]()
  expect(await domain.files.sweepBlobs(new Date())).toBe(1)
})

test("a request that is refused after its bytes landed leaves no file", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const request = { blobs: [...picture(PNG).blobs, { property: "other", type: "text", data: "x" }] }
  await refusal(() => domain.objects.create(domain.namespace, bucketId, request, { autoProcess: false }, nothing))
  expect(domain.blobPaths()).toEqual([])
})

test("many writers of the same bytes land one file and all succeed", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const create = () => domain.objects.create(domain.namespace, bucketId, picture(PNG), { autoProcess: false }, nothing)
  const all = await Promise.all(Array.from({ length: 12 }, create))
  expect(new Set(all.map((object) => object.object_id)).size).toBe(12)
  expect(domain.blobPaths()).toHaveLength(1)
})

test("a file damaged to another length is written again by the next create of its bytes", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const create = () => domain.objects.create(domain.namespace, bucketId, picture(PNG), { autoProcess: false }, nothing)
  const object = await create()
  const hash = String(object.blobs?.[0]?.details.hash)
  writeFileSync(domain.blobs.path(domain.namespace, bucketId, hash), "torn")
  await create()
  expect((await domain.files.open(bucketId, hash)).bytes).toBe(PNG.byteLength)
})

test("a download is not found for an unknown hash or a deleted bucket", async () => {
  using domain = openDomain()
  const { bucket_id: bucketId } = domain.bucket()
  const object = await domain.objects.create(domain.namespace, bucketId, picture(PNG), { autoProcess: false }, nothing)
  const hash = String(object.blobs?.[0]?.details.hash)
  expect((await refusal(() => domain.files.open(bucketId, "0".repeat(64)))).type).toBe("NotFoundError")
  domain.buckets.remove(domain.namespace, bucketId)
  expect((await refusal(() => domain.files.open(bucketId, hash))).type).toBe("NotFoundError")
})

test("a range is one, is whole when it is none, and is refused past the end", () => {
  expect(byteRange("bytes=0-9", 100)).toEqual({ first: 0, last: 9 })
  expect(byteRange("bytes=90-", 100)).toEqual({ first: 90, last: 99 })
  expect(byteRange("bytes=-5", 100)).toEqual({ first: 95, last: 99 })
  expect(byteRange("bytes=50-1000", 100)).toEqual({ first: 50, last: 99 })
  for (const header of [undefined, "", "bytes=", "bytes=5-4", "bytes=0-1,3-4", "lines=0-1"]) {
    expect(byteRange(header, 100)).toBe("whole")
  }
  expect(byteRange("bytes=100-", 100)).toBe("unsatisfiable")
  expect(byteRange("bytes=-0", 100)).toBe("unsatisfiable")
})
