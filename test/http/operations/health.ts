import { REACHED } from "../../support/isolation.ts"
import { type Entry, invalid, LONG, notFound, unauthorized, wrongMethod } from "./entry.ts"

const PUBLIC = { is: "public", because: "a probe has no key" } as const

export const health: readonly Entry[] = [
  {
    operation: "GET /v1/health",
    request: () => ({ query: "deep=true&metrics=true" }),
    answers: {
      what: "OK with the six parts and the isolation",
      body: () => ({
        status: "OK",
        data: { cache: true, metadata: true, vector_store: true, object_storage: true, task_queue: true },
        meta: { isolation: REACHED },
      }),
    },
    refuses: [invalid("a flag that is none", { query: "deep=perhaps" }), wrongMethod("a POST", { method: "POST" })],
    foreign: PUBLIC,
    malformed: [invalid("an over-long flag", { query: `deep=${LONG}` })],
  },
  {
    operation: "GET /v1/health/deep",
    request: () => ({}),
    answers: { what: "OK after asking the child processes", body: () => ({ status: "OK", data: { metadata: true } }) },
    refuses: [wrongMethod("a POST", { method: "POST" })],
    foreign: PUBLIC,
    malformed: [invalid("an over-long flag", { query: `deep=${LONG}` })],
  },
  {
    operation: "GET /ready",
    request: () => ({}),
    answers: { what: "ready", body: () => ({ ready: true, deployments: { failing: 0 } }) },
    refuses: [wrongMethod("a POST", { method: "POST" })],
    foreign: PUBLIC,
    malformed: [notFound("an over-long address", { url: `/ready/${LONG}` })],
  },
  {
    operation: "GET /v1/health/liveness",
    request: () => ({}),
    answers: { what: "alive", body: () => ({ status: "alive" }) },
    refuses: [wrongMethod("a DELETE", { method: "DELETE" })],
    foreign: PUBLIC,
    malformed: [notFound("an over-long address", { url: `/v1/health/liveness/${LONG}` })],
  },
]

export const organization: readonly Entry[] = [
  {
    operation: "GET /v1/organizations",
    request: () => ({}),
    answers: {
      what: "this key's organization",
      body: ({ ours }) => ({ organization_id: ours.organizationId, organization_name: "default" }),
    },
    refuses: [unauthorized("no key", { key: null }), wrongMethod("a DELETE", { method: "DELETE" })],
    foreign: {
      is: "own",
      check: ({ body }, { theirs }) => {
        if (body.organization_id !== theirs.organizationId) throw new Error("not their organization")
      },
    },
    malformed: [unauthorized("an over-long key", { key: LONG })],
  },
]
