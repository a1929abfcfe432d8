import { expect } from "bun:test"
import { conflict, type Entry, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { type Fixtures, fresh, freshBucket, SCHEMA } from "./fixtures.ts"

const path = "/v1/buckets"
const one = `${path}/{bucket_identifier}`
const unknown = notFound("an unknown bucket", { path: { bucket_identifier: "bkt_unknown" } })
const longId = invalid("an over-long id", { path: { bucket_identifier: LONG } })
const ofFresh = async (f: Fixtures) => ({ path: { bucket_identifier: await freshBucket(f) } })
const listed = ({ ours }: Fixtures) => ({
  results: expect.arrayContaining([
    expect.objectContaining({
      bucket_id: ours.bucketId,
      bucket_name: ours.bucketName,
      object_count: expect.any(Number),
      total_size_bytes: expect.any(Number),
    }),
  ]),
  total_count: expect.any(Number),
  pagination: expect.any(Object),
})
const change = (method: "PUT" | "PATCH"): Entry => ({
  operation: `${method} ${one}`,
  request: async (f) => ({ ...(await ofFresh(f)), body: { description: f.ours.mark, metadata: { note: 1 } } }),
  answers: {
    what: "the changed bucket",
    body: ({ ours }, call) => ({
      bucket_id: call.path?.bucket_identifier,
      description: ours.mark,
      metadata: { note: 1 },
      object_count: 0,
      total_size_bytes: 0,
    }),
  },
  refuses: [
    unknown,
    invalid("another schema", { body: { bucket_schema: { properties: { other: { type: "text" } } } } }),
    invalid("a name that is a path", { body: { bucket_name: "../other" } }),
    conflict("a taken name", ({ ours }) => ({ body: { bucket_name: ours.bucketName } })),
  ],
  foreign: HIDDEN,
  malformed: "json",
})

export const buckets: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: ({ ours }) => ({
      body: { bucket_name: fresh("bucket"), description: ours.mark, bucket_schema: SCHEMA, metadata: { note: 1 } },
    }),
    answers: {
      what: "the bucket",
      body: ({ ours }) => ({
        bucket_id: expect.stringMatching(/^bkt_/),
        bucket_name: expect.any(String),
        description: ours.mark,
        bucket_schema: SCHEMA,
        metadata: { note: 1 },
        object_count: 0,
        total_size_bytes: 0,
        status: "ACTIVE",
      }),
    },
    refuses: [
      invalid("no name", { body: { bucket_schema: SCHEMA } }),
      invalid("no schema", { body: { bucket_name: "schemaless" } }),
      invalid("an unknown field type", {
        body: { bucket_name: "odd", bucket_schema: { properties: { a: { type: "hologram" } } } },
      }),
      invalid("a unique key over no field of the schema", {
        body: { bucket_name: "odd", bucket_schema: SCHEMA, unique_key: { fields: ["other"] } },
      }),
      conflict("a taken name", ({ ours }) => ({ body: { bucket_name: ours.bucketName, bucket_schema: SCHEMA } })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: () => ({ query: "limit=1000&offset=0" }),
    answers: { what: "buckets", body: listed },
    refuses: [
      invalid("a limit of 0", { query: "limit=0" }),
      invalid("an offset over 10000", { query: "offset=10001" }),
    ],
    foreign: OWN,
    malformed: [invalid("an over-long cursor", { query: `cursor=${LONG}` })],
  },
  {
    operation: `POST ${path}/list`,
    request: ({ ours }) => ({ body: { search: ours.bucketName, filters: { bucket_name: ours.bucketName } } }),
    answers: { what: "the buckets that were searched for", body: listed },
    refuses: [
      invalid("a limit over 1000", { body: { limit: 1001 } }),
      invalid("a sort without a field", { body: { sort: { direction: "asc" } } }),
      invalid("a filter with an unknown operator", {
        body: { filters: { field: "bucket_name", operator: "near", value: 1 } },
      }),
    ],
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: `GET ${one}`,
    request: ({ ours }) => ({ path: { bucket_identifier: ours.bucketName } }),
    answers: {
      what: "the bucket, by name too",
      body: ({ ours }) => ({
        bucket_id: ours.bucketId,
        bucket_name: ours.bucketName,
        object_count: expect.any(Number),
      }),
    },
    refuses: [unknown],
    foreign: HIDDEN,
    malformed: [longId],
  },
  change("PUT"),
  change("PATCH"),
  {
    operation: `DELETE ${one}`,
    request: ofFresh,
    answers: {
      what: "the task of the removal, and the bucket is gone",
      body: (_, call) => ({
        task_id: expect.any(String),
        status: "PENDING",
        bucket_id: call.path?.bucket_identifier,
        object_count: 0,
      }),
      check: async (_, { appliance, ours }, call) => {
        const address = `/v1/buckets/${call.path?.bucket_identifier}`
        expect((await appliance.call("GET", address, { namespace: ours.namespaceId })).status).toBe(404)
      },
    },
    refuses: [unknown, longId],
    foreign: HIDDEN,
    malformed: "none",
  },
]
