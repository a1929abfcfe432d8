/** Idempotency-Key: asked again, a create route gives the same answer and makes nothing more. */
import { expect, test } from "bun:test"
import type { Answer } from "../../support/appliance.ts"
import { type Call, conflict, type Entry, expectRefused, invalid, send } from "./entry.ts"
import { type Fixtures, freshNamespace } from "./fixtures.ts"
import { TABLE } from "./table.ts"

type Counter = (f: Fixtures) => Promise<number>

const inBucket: Counter = async ({ ours }) => (await ours.make("GET", `/v1/buckets/${ours.bucketId}`)).body.object_count
const batchesOf: Counter = async ({ ours }) =>
  (await ours.make("POST", `/v1/buckets/${ours.bucketId}/batches/list`)).body.total_count
const totalOf =
  (path: string): Counter =>
  async ({ ours }) =>
    (await ours.make("GET", path)).body.total_count

/** Every route that takes the header, and how many of its things there are; null where no route tells. */
const CREATES: Readonly<Record<string, Counter | null>> = {
  "POST /v1/namespaces": totalOf("/v1/namespaces"),
  "POST /v1/namespaces/{namespace_id}/plugins/uploads": null,
  "POST /v1/buckets": totalOf("/v1/buckets"),
  "POST /v1/buckets/{bucket_identifier}/objects": inBucket,
  "POST /v1/buckets/{bucket_identifier}/objects/batch": inBucket,
  "POST /v1/buckets/{bucket_identifier}/uploads": async ({ ours }) =>
    (await ours.make("POST", `/v1/buckets/${ours.bucketId}/uploads/list`)).body.stats.total_uploads,
  "POST /v1/buckets/{bucket_identifier}/batches": batchesOf,
  "POST /v1/buckets/{bucket_identifier}/batches/trigger": batchesOf,
  "POST /v1/collections": totalOf("/v1/collections"),
  "POST /v1/collections/{collection_identifier}/trigger": batchesOf,
}

const withKey = (call: Call, key: string): Call => ({ ...call, headers: { ...call.headers, "Idempotency-Key": key } })
const isReplay = (answer: Answer) => answer.headers.get("idempotency-replayed") === "true"
const entryOf = (operation: string): Entry => {
  const entry = TABLE.find((candidate) => candidate.operation === operation)
  if (entry === undefined) throw new Error(`no entry ${operation}`)
  return entry
}

export function idempotencyTests(fixtures: () => Fixtures): void {
  test("the routes that take an Idempotency-Key are those that create", () => {
    const taking = Object.entries(fixtures().openapi.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { parameters }]) => parameters?.some((parameter) => parameter.name === "idempotency-key"))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    )
    expect(taking.sort()).toEqual(Object.keys(CREATES).sort())
  })

  for (const [operation, count] of Object.entries(CREATES)) {
    const entry = entryOf(operation)
    const status = entry.answers.status ?? 200

    test(`with an Idempotency-Key ${operation} makes one thing, however often and however much at once`, async () => {
      const f = fixtures()
      const before = await count?.(f)
      const call = withKey(await entry.request(f), crypto.randomUUID())
      const together = await Promise.all(Array.from({ length: 5 }, () => send(f, entry, call)))
      const [first] = together.filter((answer) => answer.status === status)
      expect(first?.status).toBe(status)
      for (const answer of together.filter((answer) => answer.status !== status)) {
        expectRefused(answer, conflict("while the first one runs", {}))
        expect(answer.headers.get("retry-after")).toBe("1")
      }
      const again = await send(f, entry, call)
      expect([again.status, isReplay(again)]).toEqual([status, true])
      const answers = [...together.filter((answer) => answer.status === status), again]
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
      if (count !== null && before !== undefined) expect(await count(f)).toBe(before + 1)
    })

    test(`the Idempotency-Key of another request is refused by ${operation}`, async () => {
      const f = fixtures()
      const call = withKey(await entry.request(f), crypto.randomUUID())
      expect((await send(f, entry, call)).status).toBe(status)
      const made = await count?.(f)
      const other = { ...(call.body as object), metadata: { other: true } }
      expectRefused(await send(f, entry, { ...call, body: other }), invalid("another body", {}))
      if (count !== null) expect(await count(f)).toBe(made ?? -1)
    })
  }

  test("an Idempotency-Key is the namespace's own, and one of another route is refused", async () => {
    const f = fixtures()
    const key = crypto.randomUUID()
    const buckets = entryOf("POST /v1/buckets")
    const call = withKey(await buckets.request(f), key)
    const made = await send(f, buckets, call)
    const theirs = await send(f, buckets, { ...call, key: f.theirs.key, namespace: f.theirs.namespaceId })
    const besides = await send(f, buckets, { ...call, namespace: await freshNamespace(f) })
    for (const other of [theirs, besides]) {
      expect([other.status, isReplay(other)]).toEqual([200, false])
      expect(other.body.bucket_id).not.toBe(made.body.bucket_id)
    }
    const byName = await send(f, buckets, { ...call, namespace: f.ours.namespaceName })
    expect([byName.body.bucket_id, isReplay(byName)]).toEqual([made.body.bucket_id, true])
    const collections = entryOf("POST /v1/collections")
    const elsewhere = await send(f, collections, withKey(await collections.request(f), key))
    expectRefused(elsewhere, invalid("another route", {}))
  })

  test("an Idempotency-Key that is too long is refused; a request that failed may be corrected under the same key", async () => {
    const f = fixtures()
    const entry = entryOf("POST /v1/buckets")
    const call = await entry.request(f)
    expectRefused(await send(f, entry, withKey(call, "k".repeat(256))), invalid("an over-long key", {}))
    const key = crypto.randomUUID()
    expect((await send(f, entry, withKey({ ...call, body: {} }, key))).status).toBe(422)
    expect((await send(f, entry, withKey(call, key))).status).toBe(200)
  })

  test("a secret and a whole archive are made once without it: the same name again answers 409", async () => {
    const f = fixtures()
    for (const operation of [
      "POST /v1/organizations/users/{user_email}/api-keys",
      "POST /v1/namespaces/{namespace_id}/plugins",
    ]) {
      const entry = entryOf(operation)
      const call = withKey(await entry.request(f), crypto.randomUUID())
      expect((await send(f, entry, call)).status).toBe(200)
      expectRefused(await send(f, entry, call), conflict("again", {}))
    }
  })
}
