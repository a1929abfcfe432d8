import { expect } from "bun:test"
import { type Entry, HIDDEN, invalid, LONG, notFound, wrongMethod } from "./entry.ts"

const path = "/v1/namespaces/{namespace_id}/extractors"
const publicPath = "/v1/collections/features/extractors"
/** None is built in yet: that is the good answer, of the contract's shape, until one is. */
const BUILTIN = "text_extractor_v1"
const PUBLIC = { is: "public", because: "what every namespace has is no secret (api.md §7)" } as const
const unknownNamespace = notFound("an unknown namespace", { path: { namespace_id: "ns_unknown" } })

export const extractors: readonly Entry[] = [
  {
    operation: `GET ${path}`,
    request: ({ ours }) => ({ path: { namespace_id: ours.namespaceId }, query: "source=all" }),
    answers: {
      what: "builtin and own extractors",
      body: ({ ours }) => ({
        success: true,
        extractors: expect.arrayContaining([
          expect.objectContaining({ feature_extractor_id: ours.pluginId, source: "custom" }),
        ]),
        total: expect.any(Number),
        namespace_id: ours.namespaceId,
        builtin_count: expect.any(Number),
        custom_count: expect.any(Number),
      }),
    },
    refuses: [unknownNamespace, invalid("an unknown source", { query: "source=elsewhere" })],
    foreign: HIDDEN,
    malformed: [invalid("an over-long namespace", { path: { namespace_id: LONG } })],
  },
  {
    operation: `GET ${path}/{extractor_id}`,
    request: ({ ours }) => ({ path: { namespace_id: ours.namespaceId, extractor_id: ours.pluginId } }),
    answers: {
      what: "a plugin as extractor",
      body: ({ ours }) => ({
        feature_extractor_name: ours.pluginName,
        version: "1.0.0",
        feature_extractor_id: ours.pluginId,
        source: "custom",
        description: expect.any(String),
        input_schema: expect.any(Object),
        output_schema: expect.any(Object),
      }),
    },
    refuses: [unknownNamespace, notFound("an unknown extractor", { path: { extractor_id: "unknown_1_0_0" } })],
    foreign: HIDDEN,
    malformed: [invalid("an over-long extractor", { path: { extractor_id: LONG } })],
  },
  {
    operation: `GET ${publicPath}`,
    request: () => ({}),
    answers: { what: "a list", check: ({ body }) => expect(body).toBeArray() },
    refuses: [wrongMethod("a PUT", { method: "PUT" })],
    foreign: PUBLIC,
    malformed: [invalid("an over-long id", { url: `${publicPath}/${LONG}` })],
  },
  {
    operation: `GET ${publicPath}/{feature_extractor_id}`,
    request: () => ({ path: { feature_extractor_id: BUILTIN } }),
    answers: {
      what: "that no extractor is built in",
      status: 404,
      body: () => ({ error: { type: "NotFoundError", details: { resource: "extractor", id: BUILTIN } } }),
    },
    refuses: [notFound("an unknown extractor", { path: { feature_extractor_id: "unknown_v1" } })],
    foreign: PUBLIC,
    malformed: [invalid("an over-long id", { path: { feature_extractor_id: LONG } })],
  },
]
