import { expect } from "bun:test"
import { conflict, type Entry, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { type Fixtures, fresh, freshNamespace } from "./fixtures.ts"

const path = "/v1/namespaces"
const one = `${path}/{namespace_identifier}`
const unknown = notFound("an unknown namespace", { path: { namespace_identifier: "ns_unknown" } })
const ofFresh = async (f: Fixtures) => ({ path: { namespace_identifier: await freshNamespace(f) } })
const listed = ({ ours }: Fixtures) => ({
  results: expect.arrayContaining([expect.objectContaining({ namespace_id: ours.namespaceId })]),
  pagination: expect.any(Object),
  total_count: expect.any(Number),
})
const change = (method: "PATCH" | "PUT"): Entry => ({
  operation: `${method} ${one}`,
  request: async (f) => ({ ...(await ofFresh(f)), body: { description: f.ours.mark } }),
  answers: {
    what: "the changed namespace",
    body: ({ ours }, call) => ({ namespace_id: call.path?.namespace_identifier, description: ours.mark }),
  },
  refuses: [
    unknown,
    invalid("a name that is too short", { body: { namespace_name: "a" } }),
    conflict("a taken name", { body: { namespace_name: "default" } }),
  ],
  foreign: HIDDEN,
  malformed: "json",
})

export const namespaces: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: () => ({ body: { namespace_name: fresh("namespace"), description: "new" } }),
    answers: {
      what: "the namespace",
      body: () => ({
        namespace_id: expect.stringMatching(/^ns_/),
        namespace_name: expect.any(String),
        description: "new",
        feature_extractors: [],
        bucket_count: 0,
      }),
    },
    refuses: [
      invalid("no name", { body: {} }),
      invalid("a name that is a path", { body: { namespace_name: "../other" } }),
      conflict("a taken name", { body: { namespace_name: "default" } }),
    ],
    // A new namespace is the caller's own, and its name may be in use elsewhere.
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: () => ({ query: "limit=1000" }),
    answers: { what: "namespaces", body: listed },
    refuses: [invalid("a limit of 0", { query: "limit=0" }), invalid("a limit of 1001", { query: "limit=1001" })],
    foreign: OWN,
    malformed: [invalid("an over-long cursor", { query: `cursor=${LONG}` })],
  },
  {
    operation: `POST ${path}/list`,
    request: () => ({ body: { limit: 1000, sort: { field: "namespace_name" } } }),
    answers: { what: "namespaces", body: listed },
    refuses: [
      invalid("an offset below 0", { body: { offset: -1 } }),
      invalid("a filter with an unknown operator", {
        body: { filters: { field: "namespace_name", operator: "near", value: 1 } },
      }),
    ],
    foreign: OWN,
    malformed: "json",
  },
  {
    operation: `GET ${one}`,
    request: ({ ours }) => ({ path: { namespace_identifier: ours.namespaceId } }),
    answers: {
      what: "the namespace with its counts",
      body: ({ ours }) => ({
        namespace_id: ours.namespaceId,
        namespace_name: "default",
        object_count: expect.any(Number),
      }),
    },
    refuses: [unknown],
    foreign: HIDDEN,
    malformed: [invalid("an over-long id", { path: { namespace_identifier: LONG } })],
  },
  change("PATCH"),
  change("PUT"),
  {
    operation: `DELETE ${one}`,
    request: ofFresh,
    answers: {
      what: "the task of the removal, and the namespace is gone",
      body: () => ({ task_id: expect.any(String), success: true }),
      check: async (_, { appliance }, call) => {
        const gone = await appliance.call("GET", `/v1/namespaces/${call.path?.namespace_identifier}`)
        expect(gone.status).toBe(404)
      },
    },
    refuses: [unknown, invalid("an over-long id", { path: { namespace_identifier: LONG } })],
    foreign: HIDDEN,
    malformed: "none",
  },
]
