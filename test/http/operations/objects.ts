import { expect } from "bun:test"
import { type Entry, forbidden, HIDDEN, invalid, LONG, notFound } from "./entry.ts"
import { type Fixtures, fileText, fresh, freshObject, objectBody } from "./fixtures.ts"

const path = "/v1/buckets/{bucket_identifier}/objects"
const one = `${path}/{object_identifier}`
const inOurs = ({ ours }: Fixtures) => ({ path: { bucket_identifier: ours.bucketId } })
const ofOurs = ({ ours }: Fixtures) => ({
  path: { bucket_identifier: ours.bucketId, object_identifier: ours.objectId },
})
const ofFresh = async (f: Fixtures) => ({
  path: { bucket_identifier: f.ours.bucketId, object_identifier: await freshObject(f) },
})
const unknownBucket = notFound("an unknown bucket", { path: { bucket_identifier: "bkt_unknown" } })
const unknownObject = notFound("an unknown object", { path: { object_identifier: "obj_unknown" } })
const longBucket = invalid("an over-long bucket", { path: { bucket_identifier: LONG } })
const longObject = invalid("an over-long object", { path: { object_identifier: LONG } })
const notInSchema = invalid("a property that is not in the schema", {
  body: { blobs: [{ property: "other", type: "text", data: "a" }] },
})
const noBase64 = invalid("what is no base64", {
  body: { blobs: [{ property: "file", type: "image", data: { base64: "%%%" } }] },
})
const listed = ({ ours }: Fixtures) => ({
  results: expect.arrayContaining([expect.objectContaining({ object_id: ours.objectId, bucket_id: ours.bucketId })]),
  pagination: expect.any(Object),
})
const change = (method: "PUT" | "PATCH"): Entry => ({
  operation: `${method} ${one}`,
  request: async (f) => ({ ...(await ofFresh(f)), body: { metadata: { note: f.ours.mark } } }),
  answers: {
    what: "the changed object",
    body: ({ ours }, call) => ({
      object_id: call.path?.object_identifier,
      bucket_id: ours.bucketId,
      metadata: { note: ours.mark },
      blobs: [{ property: "text" }],
    }),
  },
  refuses: [unknownBucket, unknownObject, notInSchema, noBase64],
  foreign: HIDDEN,
  malformed: "json",
})

export const objects: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: (f) => ({ ...inOurs(f), body: { ...objectBody(f.ours.mark), metadata: { n: 1 }, label: "a" } }),
    answers: {
      what: "the object as DRAFT, with its fields",
      body: ({ ours }) => ({
        object_id: expect.stringMatching(/^obj_/),
        bucket_id: ours.bucketId,
        status: "DRAFT",
        label: "a",
        metadata: { n: 1 },
        blobs: [{ property: "text", type: "text" }],
        source_details: [{ type: "bucket", source_id: ours.bucketId }],
      }),
    },
    refuses: [
      unknownBucket,
      notInSchema,
      noBase64,
      invalid("blobs that are no list", { body: { blobs: { property: "text" } } }),
      invalid("an unknown policy", { query: "policy=replace" }),
      invalid("an unknown upload", {
        body: { blobs: [{ property: "file", type: "image", upload_id: "upl_unknown" }] },
      }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}/batch`,
    request: (f) => ({
      ...inOurs(f),
      body: { objects: [objectBody(fresh("text")), { blobs: [{ property: "other" }] }] },
    }),
    answers: {
      what: "what was created and what was not",
      body: () => ({
        succeeded: [{ object_id: expect.stringMatching(/^obj_/) }],
        failed: [{ object_index: 1, error: expect.any(String), error_type: expect.any(String) }],
        total_requested: 2,
        succeeded_count: 1,
        failed_count: 1,
      }),
    },
    refuses: [
      unknownBucket,
      invalid("no objects", { body: { objects: [] } }),
      invalid("101 objects", { body: { objects: Array.from({ length: 101 }, () => objectBody("a")) } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `POST ${path}/list`,
    request: (f) => ({ ...inOurs(f), body: { filters: { object_id: f.ours.objectId }, limit: 5 } }),
    answers: { what: "the objects that were filtered for", body: listed },
    refuses: [
      unknownBucket,
      invalid("a limit over 1000", { body: { limit: 1001 } }),
      invalid("a filter with an unknown operator", { body: { filters: { field: "a", operator: "near", value: 1 } } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: (f) => ({ ...inOurs(f), query: "limit=1000&include_total=true" }),
    answers: { what: "objects", body: listed },
    refuses: [unknownBucket, invalid("a limit of 0", { query: "limit=0" })],
    foreign: HIDDEN,
    malformed: [longBucket, invalid("a cursor that is none", { query: "cursor=%00%ff" })],
  },
  {
    operation: `GET ${one}`,
    request: (f) => ({ ...ofOurs(f), query: "return_presigned_urls=true" }),
    answers: {
      what: "the object with its blobs",
      body: ({ ours }) => ({
        object_id: ours.objectId,
        bucket_id: ours.bucketId,
        blobs: [{ property: "text", type: "text", properties: expect.any(Object), details: expect.any(Object) }],
      }),
    },
    refuses: [unknownBucket, unknownObject, invalid("a flag that is none", { query: "return_presigned_urls=perhaps" })],
    foreign: HIDDEN,
    malformed: [longObject],
  },
  change("PUT"),
  change("PATCH"),
  {
    operation: `DELETE ${one}`,
    request: ofFresh,
    answers: {
      what: "204 without a body, and the object is gone",
      status: 204,
      check: async ({ text }, { appliance, ours }, call) => {
        expect(text).toBe("")
        const address = `/v1/buckets/${ours.bucketId}/objects/${call.path?.object_identifier}`
        expect((await appliance.call("GET", address, { namespace: ours.namespaceId })).status).toBe(404)
      },
    },
    refuses: [unknownBucket, unknownObject, longObject],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: "GET /v1/presigned/blobs/{bucket_id}/{sha256}",
    request: ({ ours }) => ({
      path: { bucket_id: ours.bucketId, sha256: ours.blobSha256 },
      query: new URL(ours.blobUrl).search.slice(1),
      key: null,
    }),
    answers: {
      what: "the file's bytes, never as a page",
      check: ({ text, headers }, { ours }) => {
        expect(text).toBe(fileText(ours.mark))
        expect(headers.get("content-disposition")).toStartWith("attachment")
      },
    },
    refuses: [
      forbidden("another bucket under this signature", ({ theirs }) => ({ path: { bucket_id: theirs.bucketId } })),
      forbidden("another file under this signature", { path: { sha256: "0".repeat(64) } }),
      forbidden("no signature", { query: "" }),
      forbidden("a longer life than was signed", (_, { query = "" }) => ({
        query: query.replace(/expires=\d+/, "expires=9999999999"),
      })),
    ],
    foreign: { is: "public", because: "the signed URL is the credential" },
    malformed: [
      invalid("what is no hash", { path: { sha256: "..%2f..%2fadmin.key" } }),
      invalid("an over-long bucket", { path: { bucket_id: LONG } }),
      invalid("an over-long signature", { query: `signature=${LONG}` }),
    ],
  },
]
