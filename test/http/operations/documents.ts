import { expect } from "bun:test"
import { type Entry, HIDDEN, invalid, LONG, notFound } from "./entry.ts"
import type { Fixtures } from "./fixtures.ts"

const path = "/v1/collections/{collection_identifier}/documents"
const ours = ({ ours }: Fixtures) => ({ path: { collection_identifier: ours.collectionId } })
const unknown = notFound("an unknown collection", { path: { collection_identifier: "col_unknown" } })
const document = ({ ours }: Fixtures) => ({
  document_id: ours.documentId,
  collection_id: ours.collectionId,
  root_object_id: ours.objectId,
  label: "long",
})
const listed = (f: Fixtures) => ({
  results: expect.arrayContaining([expect.objectContaining(document(f))]),
  pagination: expect.any(Object),
})

export const documents: readonly Entry[] = [
  {
    operation: `POST ${path}/list`,
    request: (f) => ({ ...ours(f), body: { filters: { object_id: f.ours.objectId }, limit: 10 } }),
    answers: {
      what: "the documents that were filtered for",
      body: listed,
      check: async (_, { ours }) => {
        // Names that every JavaScript object has are fields like any other.
        for (const name of ["__proto__", "constructor", "toString"]) {
          const list = (body: object) => ours.make("POST", `/v1/collections/${ours.collectionId}/documents/list`, body)
          await list({ sort: { field: name } })
          await list({ group_by: name })
          const found = await list({ filters: { field: name, operator: "eq", value: "a" }, select: [name] })
          expect(found.body.results).toEqual([])
        }
      },
    },
    refuses: [
      unknown,
      invalid("a limit over 1000", { body: { limit: 1001 } }),
      invalid("a filter with an unknown operator", { body: { filters: { field: "a", operator: "near", value: 1 } } }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: (f) => ({ ...ours(f), query: "limit=1000&include_total=true" }),
    answers: { what: "documents", body: listed },
    refuses: [unknown, invalid("a limit of 0", { query: "limit=0" })],
    foreign: HIDDEN,
    malformed: [
      invalid("an over-long collection", { path: { collection_identifier: LONG } }),
      invalid("a flag that is none", { query: "return_vectors=perhaps" }),
    ],
  },
  {
    operation: `GET ${path}/{document_id}`,
    request: ({ ours }) => ({
      path: { collection_identifier: ours.collectionId, document_id: ours.documentId },
      query: "return_vectors=true",
    }),
    answers: {
      what: "the document with its vector",
      body: (f) => ({
        ...document(f),
        [`${f.ours.pluginName}_embedding`]: expect.any(Array),
        document_blobs: expect.any(Array),
        _internal: { lineage: { root_object_id: f.ours.objectId } },
      }),
    },
    refuses: [unknown, notFound("an unknown document", { path: { document_id: "doc_unknown" } })],
    foreign: HIDDEN,
    malformed: [invalid("an over-long document", { path: { document_id: LONG } })],
  },
  {
    operation: `GET ${path}/{document_id}/lineage`,
    request: ({ ours }) => ({
      path: { collection_identifier: ours.collectionId, document_id: ours.documentId },
    }),
    answers: {
      what: "where the document comes from",
      body: ({ ours }) => ({
        document_id: ours.documentId,
        collection_id: ours.collectionId,
        root_object_id: ours.objectId,
        root_bucket_id: ours.bucketId,
        source_type: "bucket",
        source_object_id: ours.objectId,
        source_document_id: null,
        path: `${ours.bucketId}/${ours.objectId}`,
        chain: [],
        children: expect.any(Array),
        child_count: expect.any(Number),
      }),
    },
    refuses: [unknown, notFound("an unknown document", { path: { document_id: "doc_unknown" } })],
    foreign: HIDDEN,
    malformed: [invalid("an over-long document", { path: { document_id: LONG } })],
  },
  {
    operation: "GET /v1/objects/{object_identifier}/documents",
    request: ({ ours }) => ({
      path: { object_identifier: ours.objectId },
      query: `collection_ids=${ours.collectionId}&limit=10`,
    }),
    answers: {
      what: "the documents that were made of the object",
      body: (f) => ({
        object_id: f.ours.objectId,
        bucket_id: f.ours.bucketId,
        results: expect.arrayContaining([expect.objectContaining(document(f))]),
        total_count: expect.any(Number),
        pagination: expect.any(Object),
      }),
    },
    refuses: [
      notFound("an unknown object", { path: { object_identifier: "obj_unknown" } }),
      notFound("an unknown collection", { query: "collection_ids[]=col_unknown" }),
      invalid("a limit of 0", { query: "limit=0" }),
    ],
    foreign: HIDDEN,
    malformed: [invalid("an over-long object", { path: { object_identifier: LONG } })],
  },
]
