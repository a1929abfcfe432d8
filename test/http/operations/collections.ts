import { expect } from "bun:test"
import { badRequest, conflict, type Entry, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { collectionBody, type Fixtures, fresh, freshCollection, freshMovedCollection } from "./fixtures.ts"

const path = "/v1/collections"
const one = `${path}/{collection_identifier}`
const ours = ({ ours }: Fixtures) => ({ path: { collection_identifier: ours.collectionId } })
const ofFresh = async (f: Fixtures) => ({ path: { collection_identifier: await freshCollection(f) } })
const unknown = notFound("an unknown collection", { path: { collection_identifier: "col_unknown" } })
const longId = invalid("an over-long id", { path: { collection_identifier: LONG } })
const model = ({ ours }: Fixtures) => ({
  input_schema: { properties: expect.any(Object) },
  output_schema: { properties: { label: { type: "string" } } },
  feature_extractor: {
    feature_extractor_name: ours.pluginName,
    version: "1.0.0",
    feature_extractor_id: ours.pluginId,
  },
  source: { type: "bucket", bucket_ids: [ours.bucketId] },
  vector_indexes: [{ feature_uri: `mixpeek://${ours.pluginName}@1.0.0/${ours.pluginName}_embedding` }],
  enabled: expect.any(Boolean),
})
const listed = ({ ours }: Fixtures) => ({
  results: expect.arrayContaining([expect.objectContaining({ collection_id: ours.collectionId })]),
  pagination: expect.any(Object),
  total_count: expect.any(Number),
})
const withBody = (f: Fixtures, body: object) => ({ body: { ...collectionBody(f.ours, fresh("collection")), ...body } })

export const collections: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: (f) => withBody(f, { enabled: false, description: f.ours.mark }),
    answers: {
      what: "the collection with its computed schema",
      body: (f) => ({ ...model(f), collection_id: expect.stringMatching(/^col_/), description: f.ours.mark }),
    },
    refuses: [
      invalid("no source", (f) => withBody(f, { source: undefined })),
      invalid("no extractor", (f) => withBody(f, { feature_extractor: undefined })),
      invalid("two extractors", (f) => {
        const { feature_extractor: one } = collectionBody(f.ours, "a")
        return withBody(f, { feature_extractor: undefined, feature_extractors: [one, one] })
      }),
      invalid("a parameter out of its bounds", (f) => {
        const { feature_extractor: one } = collectionBody(f.ours, "a")
        return withBody(f, { feature_extractor: { ...one, parameters: { threshold: 2 } } })
      }),
      notFound("an unknown bucket", (f) => withBody(f, { source: { type: "bucket", bucket_ids: ["bkt_unknown"] } })),
      notFound("an unknown source collection", (f) =>
        withBody(f, { source: { type: "collection", collection_ids: ["col_unknown"] } }),
      ),
      invalid("a collection that reads itself", (f) =>
        withBody(f, { collection_name: "reads itself", source: { type: "collection", collection_id: "reads itself" } }),
      ),
      notFound("an unknown extractor", (f) =>
        withBody(f, { feature_extractor: { feature_extractor_name: "unknown", version: "1.0.0" } }),
      ),
      conflict("a taken name", (f) => withBody(f, { collection_name: f.ours.collectionName })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: () => ({ query: "limit=1000" }),
    answers: { what: "collections", body: listed },
    refuses: [invalid("a limit of 0", { query: "limit=0" })],
    foreign: OWN,
    malformed: [invalid("an over-long cursor", { query: `cursor=${LONG}` })],
  },
  {
    operation: `POST ${path}/list`,
    request: ({ ours }) => ({ body: { search: ours.collectionName } }),
    answers: { what: "the collections that were searched for", body: listed },
    refuses: [
      invalid("a page of 0", { body: { page: 0 } }),
      invalid("a filter that is no object", { body: { filters: ["a"] } }),
    ],
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: `GET ${one}`,
    request: ({ ours }) => ({ path: { collection_identifier: ours.collectionName } }),
    answers: {
      what: "the collection, by name too",
      body: (f) => ({ ...model(f), collection_id: f.ours.collectionId }),
    },
    refuses: [unknown],
    foreign: HIDDEN,
    malformed: [longId],
  },
  {
    operation: `PATCH ${one}`,
    request: async (f) => ({ ...(await ofFresh(f)), body: { description: f.ours.mark, metadata: { note: 1 } } }),
    answers: {
      what: "the changed collection",
      body: (f, call) => ({
        ...model(f),
        collection_id: call.path?.collection_identifier,
        description: f.ours.mark,
        metadata: { note: 1 },
      }),
    },
    refuses: [
      unknown,
      invalid("a name that is too short", { body: { collection_name: "a" } }),
      invalid("another source", { body: { source: { type: "collection", collection_id: "col_other" } } }),
      notFound("an unknown version", { body: { feature_extractor: { version: "9.9.9" } } }),
      conflict("a taken name", ({ ours }) => ({ body: { collection_name: ours.collectionName } })),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `GET ${one}/features`,
    request: ours,
    answers: {
      what: "the vector features",
      body: ({ ours: { pluginName } }) => ({
        features: [
          {
            feature_address: `mixpeek://${pluginName}@1.0.0/${pluginName}_embedding`,
            feature_uri: `mixpeek://${pluginName}@1.0.0/${pluginName}_embedding`,
            feature_extractor_name: pluginName,
            version: "1.0.0",
            vector_index: { type: "dense", dimensions: 4 },
          },
        ],
      }),
    },
    refuses: [unknown],
    foreign: HIDDEN,
    malformed: [longId],
  },
  {
    operation: `DELETE ${one}/features`,
    request: async (f) => ({
      path: { collection_identifier: await freshMovedCollection(f) },
      query: "version=1.0.0",
    }),
    answers: {
      what: "the version and how many of its documents are gone",
      body: (_, call) => ({
        success: true,
        collection_id: call.path?.collection_identifier,
        version: "1.0.0",
        feature_extractor_id: "moving_extractor_1_0_0",
        documents_removed: 1,
        message: expect.any(String),
      }),
    },
    refuses: [
      unknown,
      badRequest("the current version", { query: "version=1.1.0" }),
      notFound("a version without documents", { query: "version=3.0.0" }),
      invalid("no version", { query: "" }),
    ],
    foreign: HIDDEN,
    malformed: [longId, invalid("what is no version", { query: "version=newest" })],
  },
  {
    operation: `POST ${one}/trigger`,
    request: (f) => ({ ...ours(f), body: { object_ids: [f.ours.objectId] } }),
    answers: {
      what: "202 with the batch and its task",
      status: 202,
      body: ({ ours }) => ({
        batch_id: expect.stringMatching(/^btch_/),
        task_id: expect.any(String),
        collection_id: ours.collectionId,
        total_tiers: 1,
        message: expect.any(String),
      }),
    },
    refuses: [
      unknown,
      notFound("an unknown bucket", { body: { include_buckets: ["bkt_unknown"] } }),
      notFound("an unknown object", { body: { object_ids: ["obj_unknown"] } }),
      invalid("a filter with an unknown operator", {
        body: { source_filters: { field: "a", operator: "near", value: 1 } },
      }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `DELETE ${one}`,
    request: ofFresh,
    answers: {
      what: "success, and the collection is gone",
      body: (_, call) => ({ success: true, collection_id: call.path?.collection_identifier }),
      check: async (_, { appliance, ours }, call) => {
        const address = `/v1/collections/${call.path?.collection_identifier}`
        expect((await appliance.call("GET", address, { namespace: ours.namespaceId })).status).toBe(404)
      },
    },
    refuses: [unknown, longId],
    foreign: HIDDEN,
    malformed: "none",
  },
]
