import { expect } from "bun:test"
import { createHash } from "node:crypto"
import { badRequest, type Entry, forbidden, HIDDEN, invalid, LONG, notFound } from "./entry.ts"
import { type Fixtures, fresh, freshUpload, uploadBody } from "./fixtures.ts"

const path = "/v1/buckets/{bucket_identifier}/uploads"
const one = `${path}/{upload_id}`
const inOurs = ({ ours }: Fixtures) => ({ path: { bucket_identifier: ours.bucketId } })
const ofOurs = ({ ours }: Fixtures) => ({ path: { bucket_identifier: ours.bucketId, upload_id: ours.uploadId } })
const ofFresh = async (f: Fixtures) => ({
  path: { bucket_identifier: f.ours.bucketId, upload_id: await freshUpload(f) },
})
const unknownBucket = notFound("an unknown bucket", { path: { bucket_identifier: "bkt_unknown" } })
const unknownUpload = notFound("an unknown upload", { path: { upload_id: "upl_unknown" } })
const longUpload = invalid("an over-long id", { path: { upload_id: LONG } })
const model = (f: Fixtures) => ({
  bucket_id: f.ours.bucketId,
  filename: expect.any(String),
  content_type: "image/png",
  presigned_url_expiration: 3600,
  s3_key: expect.any(String),
  status: "PENDING",
  create_object_on_confirm: true,
  created_at: expect.any(String),
  expires_at: expect.any(String),
})

export const bucketUploads: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: (f) => ({ ...inOurs(f), body: uploadBody(f.ours.mark) }),
    answers: {
      what: "where to PUT the file",
      body: (f) => ({
        ...model(f),
        upload_id: expect.stringMatching(/^upl_[a-zA-Z0-9_-]+$/),
        presigned_url: expect.stringContaining("/v1/presigned/objects/upl_"),
      }),
    },
    refuses: [
      unknownBucket,
      invalid("no content type", { body: { filename: "a.png" } }),
      invalid("a file name that is a path", { body: { ...uploadBody("a"), filename: "../a.png" } }),
      invalid("a property that is not in the schema", { body: { ...uploadBody("a"), blob_property: "other" } }),
      invalid("a URL that lives for a week", { body: { ...uploadBody("a"), presigned_url_expiration: 604_800 } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}/list`,
    request: (f) => ({ ...inOurs(f), body: { filters: { status: "PENDING" }, limit: 1000 } }),
    answers: {
      what: "uploads with their stats",
      body: ({ ours }) => ({
        results: expect.arrayContaining([expect.objectContaining({ upload_id: ours.uploadId })]),
        pagination: expect.any(Object),
        stats: {
          total_uploads: expect.any(Number),
          total_size_bytes: expect.any(Number),
          uploads_by_status: expect.any(Object),
          avg_file_size_bytes: expect.any(Number),
          unique_buckets: 1,
        },
      }),
    },
    refuses: [unknownBucket, invalid("a limit over 1000", { body: { limit: 1001 } })],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${one}/confirm`,
    request: ofFresh,
    answers: {
      what: "COMPLETED with the object that was made",
      body: (_, call) => ({
        upload_id: call.path?.upload_id,
        status: "COMPLETED",
        etag: expect.stringMatching(/^[0-9a-f]{32}$/),
        object_id: expect.stringMatching(/^obj_/),
      }),
    },
    refuses: [
      unknownBucket,
      unknownUpload,
      badRequest("an upload whose bytes have not come", ({ ours }) => ({ path: { upload_id: ours.uploadId } })),
      badRequest("another ETag than that of the bytes", { body: { etag: "0".repeat(32) } }),
      badRequest("another size than that of the bytes", { body: { file_size_bytes: 1 } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${one}`,
    request: (f) => ({ ...ofOurs(f), query: "return_presigned_urls=true" }),
    answers: {
      what: "the upload and its URL",
      body: (f) => ({ ...model(f), upload_id: f.ours.uploadId, presigned_url: expect.any(String) }),
    },
    refuses: [unknownBucket, unknownUpload, invalid("a flag that is none", { query: "return_presigned_urls=perhaps" })],
    foreign: HIDDEN,
    malformed: [longUpload],
  },
  {
    operation: `DELETE ${one}`,
    request: ofFresh,
    answers: {
      what: "204, and the upload is gone",
      status: 204,
      check: async (_, { appliance, ours }, call) => {
        const address = `/v1/buckets/${ours.bucketId}/uploads/${call.path?.upload_id}`
        expect((await appliance.call("GET", address, { namespace: ours.namespaceId })).status).toBe(404)
      },
    },
    refuses: [
      unknownBucket,
      unknownUpload,
      badRequest("a completed upload", async (f) => {
        const upload = await freshUpload(f)
        await f.ours.make("POST", `/v1/buckets/${f.ours.bucketId}/uploads/${upload}/confirm`)
        return { path: { upload_id: upload } }
      }),
    ],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: "PUT /v1/presigned/objects/{upload_id}",
    request: async ({ ours }) => {
      const { body } = await ours.make("POST", `/v1/buckets/${ours.bucketId}/uploads`, uploadBody(fresh("upload")))
      const query = new URL(body.presigned_url).search.slice(1)
      return { path: { upload_id: body.upload_id }, query, key: null, raw: "a file" }
    },
    answers: {
      what: "the MD5 of the bytes as ETag",
      check: ({ headers }) => expect(headers.get("etag")).toBe(`"${createHash("md5").update("a file").digest("hex")}"`),
    },
    refuses: [
      forbidden("another upload under this signature", ({ theirs }) => ({ path: { upload_id: theirs.uploadId } })),
      forbidden("no signature", { query: "" }),
      forbidden("a longer life than was signed", (_, { query = "" }) => ({
        query: query.replace(/expires=\d+/, "expires=9999999999"),
      })),
    ],
    foreign: { is: "public", because: "the signed URL is the credential" },
    malformed: [longUpload, badRequest("no bytes", { raw: "" })],
  },
]
