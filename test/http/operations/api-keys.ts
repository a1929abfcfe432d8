import { expect } from "bun:test"
import { conflict, type Entry, forbidden, HIDDEN, invalid, LONG, notFound, OWN } from "./entry.ts"
import { type Fixtures, fresh, freshKey } from "./fixtures.ts"

const path = "/v1/organizations/users/{user_email}/api-keys"
const one = `${path}/{key_name}`
const ofKey = async (f: Fixtures) => ({ path: { user_email: f.ours.email, key_name: await freshKey(f) } })
const unknownKey = notFound("an unknown key", { path: { key_name: "nobody's" } })
const noEmail = invalid("what is no e-mail address", { path: { user_email: "nobody" } })
const firstKey = { user_email: "admin@localhost", key_name: "admin-key" }
const adminKey = forbidden("the first key, which is protected", { path: firstKey })
const longName = invalid("an over-long name", { path: { key_name: LONG } })
const opens = async ({ appliance }: Fixtures, key: string, status: number) =>
  expect((await appliance.call("GET", "/v1/namespaces", { key })).status).toBe(status)

export const apiKeys: readonly Entry[] = [
  {
    operation: `POST ${path}`,
    request: ({ ours }) => ({
      path: { user_email: ours.email },
      body: { name: fresh("key"), permissions: ["read", "write"] },
    }),
    answers: {
      what: "the key, which opens at once",
      body: ({ ours }) => ({
        key: expect.stringMatching(/^sk_/),
        key_id: expect.any(String),
        key_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        internal_id: expect.any(String),
        user_id: ours.email,
        permissions: ["read", "write"],
        status: "active",
      }),
      check: ({ body }, f) => opens(f, body.key, 200),
    },
    refuses: [
      noEmail,
      invalid("no name", { body: {} }),
      invalid("an unknown permission", { body: { name: "a", permissions: ["everything"] } }),
      invalid("an end in the past", { body: { name: "a", expires_at: "2001-01-01T00:00:00Z" } }),
      conflict("a taken name", ({ ours }) => ({ body: { name: ours.keyName } })),
    ],
    // E-mail addresses are free: theirs may have a user of the same address, who is another.
    foreign: {
      is: "own",
      check: ({ body }, { theirs }) => expect(body.organization_id).toBe(theirs.organizationId),
    },
    malformed: "json",
  },
  {
    operation: `GET ${path}`,
    request: ({ ours }) => ({ path: { user_email: ours.email }, query: "include_revoked=true" }),
    answers: {
      what: "a user's keys, never the keys themselves",
      body: ({ ours }) => ({ results: expect.arrayContaining([expect.objectContaining({ name: ours.keyName })]) }),
      check: ({ text }) => expect(text).not.toMatch(/"key":/),
    },
    refuses: [noEmail, invalid("a flag that is none", { query: "include_revoked=perhaps" })],
    foreign: OWN,
    malformed: [invalid("an over-long address", { path: { user_email: `${LONG}@example.org` } })],
  },
  {
    operation: `PATCH ${one}`,
    request: async (f) => ({ ...(await ofKey(f)), body: { description: f.ours.mark, permissions: ["read"] } }),
    answers: {
      what: "the changed key",
      body: ({ ours }, call) => ({
        name: call.path?.key_name,
        description: ours.mark,
        permissions: ["read"],
        key_hash: expect.any(String),
        user_id: ours.email,
      }),
    },
    refuses: [
      unknownKey,
      invalid("an over-long description", { body: { description: LONG } }),
      conflict("another key's name", ({ ours }) => ({ body: { name: ours.keyName } })),
      adminKey,
      forbidden("an end for the first key, after which nobody could get in", {
        path: firstKey,
        body: { expires_at: "2999-01-01T00:00:00Z" },
      }),
      forbidden("a scope for the first key, which could then manage none", {
        path: firstKey,
        body: { scopes: [{ resource_type: "inference", resource_id: "any" }] },
      }),
    ],
    foreign: HIDDEN,
    malformed: "json",
  },
  {
    operation: `DELETE ${one}`,
    request: ofKey,
    answers: {
      what: "success, and the key opens nothing any more",
      body: () => ({ success: true, message: expect.any(String) }),
      check: async (_, f) => {
        const { body } = await f.ours.make("POST", `/v1/organizations/users/${f.ours.email}/api-keys`, {
          name: fresh("key"),
        })
        await opens(f, body.key, 200)
        await f.ours.make("DELETE", `/v1/organizations/users/${f.ours.email}/api-keys/${body.name}`)
        await opens(f, body.key, 401)
      },
    },
    refuses: [unknownKey, adminKey, longName],
    foreign: HIDDEN,
    malformed: "none",
  },
  {
    operation: `POST ${one}/rotate`,
    request: ofKey,
    answers: {
      what: "a new key under the same name",
      body: (_, call) => ({ key: expect.stringMatching(/^sk_/), name: call.path?.key_name, status: "active" }),
      check: ({ body }, f) => opens(f, body.key, 200),
    },
    refuses: [unknownKey, adminKey, longName],
    foreign: HIDDEN,
    malformed: "none",
  },
]
