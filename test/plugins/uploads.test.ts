import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { zip } from "./packing.ts"
import { ARCHIVE_BYTES, inPieces, refusal, testPlugins } from "./support.ts"

test("a reservation names where the bytes will lie and when the URL ends, to the second", async () => {
  await using parts = testPlugins()
  const answer = parts.reserve("my_extractor", "v1")
  expect(answer).toEqual({
    upload_id: expect.stringMatching(/^plu_[a-z0-9]{16}$/),
    presigned_url: `signed:PUT:plugins/${answer.upload_id}`,
    expires_at: "2026-01-10T13:00:00.000Z",
    s3_key: `org_testtesttest/ns_testtesttest/plugin_custom/my_extractor_1_0_0/${answer.upload_id}`,
    namespace_id: "ns_testtesttest",
    name: "my_extractor",
    version: "1.0.0",
  })
})

test.each([
  ["v1", "1.0.0"],
  ["1.0", "1.0.0"],
  ["v2.1", "2.1.0"],
  ["01.2.3", "1.2.3"],
])("version %s is reserved as %s", async (written, normalized) => {
  await using parts = testPlugins()
  expect(parts.reserve("my_extractor", written).version).toBe(normalized)
})

test.each(["", "1.0.0.0", "one", "1.0.0-beta", "../1"])("version '%s' is refused as not valid", async (version) => {
  await using parts = testPlugins()
  expect(await refusal(() => parts.reserve("my_extractor", version))).toMatchObject({ type: "ValidationError" })
})

test("a declared size over the archive limit is refused at the reservation", async () => {
  await using parts = testPlugins()
  const error = await refusal(() => parts.reserve("my_extractor", "1.0.0", { file_size_bytes: ARCHIVE_BYTES + 1 }))
  expect(error.type).toBe("ValidationError")
})

test("a registered version cannot be reserved again, another namespace can have it", async () => {
  await using parts = testPlugins()
  await parts.publish("my_extractor")
  const error = await refusal(() => parts.reserve("my_extractor", "v1.0"))
  expect(error).toMatchObject({
    type: "AlreadyExistsError",
    beside: { detail: "Plugin my_extractor@1.0.0 already exists in this namespace" },
  })
  const other = parts.uploads.reserve(parts.elsewhere, { name: "my_extractor", version: "1.0.0" }, () => undefined)
  expect(other.namespace_id).toBe("ns_elsewhere000")
})

test("the ETag is the MD5 of the bytes, and the bytes lie under the upload's key", async () => {
  await using parts = testPlugins()
  const { upload_id: id, s3_key: key } = parts.reserve("my_extractor")
  const bytes = await zip({ "a.txt": "a".repeat(5000) })
  const { etag } = await parts.put(id, bytes)
  expect(etag).toBe(createHash("md5").update(bytes).digest("hex"))
  expect(await parts.files()).toEqual([key])
})

test("bytes over the limit are refused, announced or not, and nothing is left", async () => {
  await using parts = testPlugins()
  const { upload_id: id } = parts.reserve("my_extractor")
  const bytes = new Uint8Array(ARCHIVE_BYTES + 1)
  for (const announcedBytes of [bytes.byteLength, null]) {
    const chunks = inPieces(bytes, 100_000)
    expect((await refusal(parts.uploads.receive(id, { chunks, announcedBytes }))).type).toBe("PayloadTooLargeError")
  }
  expect(await parts.files()).toEqual([])
})

test("a sender that goes away leaves the earlier bytes of its upload as they were", async () => {
  await using parts = testPlugins()
  const { upload_id: id, s3_key: key } = parts.reserve("my_extractor")
  const { etag } = await parts.put(id, await zip({ "a.txt": "first" }))
  async function* broken() {
    yield new Uint8Array(10)
    throw new Error("connection reset")
  }
  const failures = [
    await refusal(parts.uploads.receive(id, { chunks: broken(), announcedBytes: null })),
    await refusal(parts.uploads.receive(id, { chunks: inPieces(new Uint8Array(10)), announcedBytes: 20 })),
    await refusal(parts.uploads.receive(id, { chunks: inPieces(new Uint8Array(0)), announcedBytes: null })),
  ]
  expect(failures.map((failure) => failure.type)).toEqual(["BadRequestError", "BadRequestError", "BadRequestError"])
  expect(await parts.files()).toEqual([key])
  const kept = await Bun.file(`${parts.dataDir}/archives/${key}`).bytes()
  expect(createHash("md5").update(kept).digest("hex")).toBe(etag)
})

test("bytes for an unknown upload are refused, and for a confirmed one", async () => {
  await using parts = testPlugins()
  expect((await refusal(parts.put("plu_unknown", new Uint8Array(1)))).type).toBe("NotFoundError")
  const { upload_id: id } = await parts.publish("my_extractor")
  expect((await refusal(parts.put(id, new Uint8Array(1)))).type).toBe("AlreadyExistsError")
})
