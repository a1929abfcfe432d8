/**
 * Nobody learns of what is not theirs. Every operation of /openapi.json is asked with the id and the name of a thing of
 * another tenant wherever it can name one, and answers exactly as to an id of the same shape that never was. Good requests
 * come from the table of operations, so that a new operation is walked as soon as it is served.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Call, Entry } from "../http/operations/entry.ts"
import { send } from "../http/operations/entry.ts"
import { batchEnd, fileText } from "../http/operations/fixtures.ts"
import { TABLE } from "../http/operations/table.ts"
import { type Answer, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import {
  bodyFields,
  ghost,
  IN_BODY,
  IN_PATH,
  IN_QUERY,
  LOOKS_LIKE_A_THING,
  NO_THING,
  removal,
} from "./foreign-values.ts"
import { type Caller, inventory, type Tenants, tenants } from "./tenants.ts"

let appliance: TestAppliance
let all: Tenants
let before: Record<string, unknown>

beforeAll(async () => {
  appliance = await startTestAppliance()
  all = await tenants(appliance)
  before = await inventory(all)
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** One place of a request with one value of the victim's in it; `change` puts that value, or a ghost, there. */
interface Substitution {
  readonly what: string
  readonly values: readonly string[]
  readonly change: (good: Call, values: readonly string[]) => Call
  /** What a ghost is answered; null where it differs between routes. */
  readonly status: number | null
  /** A request that succeeds uses up what it names. */
  readonly anew: boolean
}

const OF_THE_ORGANIZATION = /^\/v1\/(organizations|tasks|namespaces(\/list|\/\{namespace_identifier\})?$)/
const CALLERS = [
  "another organization's key",
  "a key confined to another namespace",
  "the organization's key in another namespace",
]

/** What an operation says of itself in /openapi.json. */
function described({ home }: Caller, operation: string) {
  const [verb = "", path = ""] = operation.split(" ")
  const method = verb.toLowerCase()
  const parameters = home.openapi.paths[path]?.[method]?.parameters ?? []
  const named = (where: string) => parameters.filter((parameter) => parameter.in === where).map(({ name }) => name)
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name)
  return {
    path,
    inPath,
    inQuery: named("query"),
    inHeader: named("header"),
    inBody: bodyFields(home.openapi, path, method),
  }
}

function substitutions(caller: Caller, { operation, foreign }: Entry): Substitution[] {
  const { victim } = all
  const { path, inPath, inQuery, inHeader, inBody } = described(caller, operation)
  // The name of a deployment holds that of its namespace.
  const isNamespace = (name: string) => ["namespace_id", "namespace_identifier", "deployment_name"].includes(name)
  const foreignHere = inPath.filter((name) => !(caller.ofTheOrganization && isNamespace(name)))
  const absent = foreign.is === "public" ? null : 404
  const refused = path.startsWith("/v1/organizations/") ? null : absent
  const sole = foreignHere.flatMap((name) =>
    (IN_PATH[name]?.(victim, path) ?? []).map(
      (value): Substitution => ({
        what: `${name} ${value}`,
        values: [value],
        change: (good, [put = ""]) => ({ ...good, path: { ...good.path, [name]: put } }),
        status: refused,
        anew: false,
      }),
    ),
  )
  const together: Substitution = {
    what: "every parameter of the path",
    values: foreignHere.map((name) => IN_PATH[name]?.(victim, path)[0] ?? ""),
    change: (good, values) => ({
      ...good,
      path: { ...good.path, ...Object.fromEntries(foreignHere.map((name, index) => [name, values[index] ?? ""])) },
    }),
    status: refused,
    anew: false,
  }
  const header =
    caller.ofTheOrganization || !inHeader.includes("x-namespace") ? [] : [victim.namespaceId, victim.namespaceName]
  return [
    ...sole,
    ...(foreignHere.length > 1 ? [together] : []),
    ...header.flatMap((value): Substitution[] => [
      {
        what: `X-Namespace ${value}`,
        values: [value],
        change: (good, [put = ""]) => ({ ...good, namespace: put }),
        status: 404,
        anew: false,
      },
      {
        what: `${value} before the path`,
        values: [value],
        change: (good, [put = ""]) => ({ ...good, namespace: null, url: below(put, path, good) }),
        status: 404,
        anew: false,
      },
    ]),
    ...inQuery.flatMap((name) =>
      (IN_QUERY[name]?.(victim, path) ?? []).map(
        (value): Substitution => ({
          what: `${name}=${value}`,
          values: [value],
          change: (good, [put = ""]) => ({ ...good, query: `${name}=${encodeURIComponent(put)}` }),
          status: null,
          anew: true,
        }),
      ),
    ),
    ...inBody.flatMap((place) => {
      const field = IN_BODY[place]
      return (field?.values(victim, path) ?? []).map(
        (value): Substitution => ({
          what: `${place} ${value}`,
          values: [value],
          change: (good, [put = ""]) => {
            const body = (good.body ?? {}) as Record<string, unknown>
            return { ...good, body: { ...body, ...field?.put(put, body) } }
          },
          status: field?.status ?? null,
          anew: true,
        }),
      )
    }),
  ]
}

/** The newer address of the same route, with the namespace in it. */
function below(namespace: string, path: string, good: Call): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(good.path?.[name] ?? name))
  const query = good.query === undefined ? "" : `?${good.query}`
  return filled.replace("/v1/", `/v1/namespaces/${encodeURIComponent(namespace)}/`) + query
}

/** Of an answer: all but what differs between any two answers. `sent` is what the request named. */
function comparable({ status, headers, text }: Answer, sent: readonly string[]) {
  const unsent = sent.reduce((rest, value, index) => rest.replaceAll(value, `<${index}>`), text)
  const masked = unsent
    .replace(/\b(plu|ns|bkt|obj|blob|upl|col|btch|task|org|int|key|req)_[a-z0-9]{10,16}\b/g, "$1_")
    .replace(/\bsk_[a-z0-9]+/g, "sk_")
    .replace(/\b[0-9a-f]{64}\b/g, "hash")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "time")
    .replace(/expires=\d+/g, "expires=")
    .replace(/"duration_ms":[\d.]+/g, '"duration_ms":0')
    .replace(/([a-z])_\d+\b/g, "$1_n")
  const lasting = [...headers].filter(([name]) => !/^(date|content-length|x-request-id|x-ratelimit-.*)$/.test(name))
  return { status, masked, headers: Object.fromEntries(lasting) }
}

/** What an answer tells of the victim beside what was asked with. */
function leaks({ home }: Caller, { text }: Answer, sent: readonly string[]): string[] {
  const { make: _, key: __, ...told } = all.victim
  const secrets = Object.values(told).filter((value) => value !== home.ours.organizationId)
  // A plugin's id begins with its name.
  const unsent = secrets.filter((value) => !sent.some((put) => put.includes(value) || value.startsWith(put)))
  return unsent.filter((value) => text.includes(value))
}

const walked = (caller: Caller) =>
  TABLE.filter(
    ({ operation }) => !(caller.ofTheOrganization && OF_THE_ORGANIZATION.test(operation.split(" ")[1] ?? "")),
  )
const callerNamed = (who: string): Caller => {
  const caller = all.callers.find((candidate) => candidate.who === who)
  if (caller === undefined) throw new Error(`nobody is called ${who}`)
  return caller
}

test("every place of a request that can name a thing is walked", () => {
  const [caller] = all.callers
  if (caller === undefined) throw new Error("no caller")
  const served = Object.entries(caller.home.openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const unknown = served.flatMap((operation) => {
    const { inPath, inQuery, inBody } = described(caller, operation)
    const bodies = inBody.filter((place) => LOOKS_LIKE_A_THING.test(place) && !NO_THING.includes(place))
    return [
      ...(TABLE.some((entry) => entry.operation === operation) ? [] : [operation]),
      ...inPath.filter((name) => !(name in IN_PATH)).map((name) => `${operation}: ${name}`),
      ...inQuery
        .filter((name) => LOOKS_LIKE_A_THING.test(name) && !(name in IN_QUERY))
        .map((name) => `${operation}?${name}`),
      ...bodies.filter((place) => !(place in IN_BODY)).map((place) => `${operation}: ${place}`),
    ]
  })
  expect(unknown).toEqual([])
})

// First: afterwards things of the callers' own carry the victim's names.
for (const who of CALLERS) {
  test(`${who} finds nothing of the victim in any list`, async () => {
    const caller = callerNamed(who)
    for (const entry of walked(caller)) {
      if (!/^GET |\/list$/.test(entry.operation)) continue
      const answer = await send(caller.home, entry, { key: caller.key, ...(await entry.request(caller.home)) })
      expect({ place: entry.operation, leaks: leaks(caller, answer, []) }).toEqual({
        place: entry.operation,
        leaks: [],
      })
    }
  })
}

for (const who of CALLERS) {
  describe(`${who} is answered as if there were nothing`, () => {
    for (const entry of TABLE) {
      test(entry.operation, async () => {
        const caller = callerNamed(who)
        if (!walked(caller).includes(entry)) return
        const { home, key } = caller
        const good = await entry.request(home)
        const ask = async ({ change, anew }: Substitution, values: readonly string[]) => {
          const answer = await send(home, entry, { key, ...change(anew ? await entry.request(home) : good, values) })
          const made = anew && answer.status === 200 ? removal(answer.body) : null
          if (made !== null) await home.ours.make("DELETE", made)
          return answer
        }
        for (const substitution of substitutions(caller, entry)) {
          const { what, values, status } = substitution
          const ghosts = values.map(ghost)
          const nothing = await ask(substitution, ghosts)
          const foreign = await ask(substitution, values)
          const place = `${entry.operation} with ${what}`
          expect({ place, ...comparable(foreign, values) }).toEqual({ place, ...comparable(nothing, ghosts) })
          expect({ place, leaks: leaks(caller, foreign, values) }).toEqual({ place, leaks: [] })
          // Equal answers say something only where the request is good but for what it names.
          const confined = nothing.status === 403 && entry.operation.includes("/v1/organizations/")
          if (status !== null && !confined) expect({ place, status: nothing.status }).toEqual({ place, status })
          expect({ place, odd: [409, 500].includes(nothing.status) }).toEqual({ place, odd: false })
        }
      })
    }
  })
}

/** Runs a batch to its end and answers its record and the documents that it made of the object. */
async function processed({ key, home }: Caller, objectId: string) {
  const { bucketId, collectionId, namespaceId } = home.ours
  const call = async (method: string, path: string, body?: object) =>
    appliance.call(method, path, { key, namespace: namespaceId, ...(body === undefined ? {} : { body }) })
  const path = `/v1/buckets/${bucketId}/batches`
  const request = { object_ids: [objectId], collection_ids: [collectionId], auto_submit: true }
  const made = await call("POST", `${path}?skip_validation=true`, request)
  await batchEnd(home.ours.make, bucketId, made.body.batch_id)
  const filters = { field: "object_id", operator: "eq", value: objectId }
  const documents = await call("POST", `/v1/collections/${collectionId}/documents/list`, {
    filters,
    return_presigned_urls: true,
  })
  return { batch: await call("GET", `${path}/${made.body.batch_id}`), documents }
}

for (const who of CALLERS) {
  test(`a batch that ${who} makes over a foreign object unchecked finds no object`, async () => {
    const caller = callerNamed(who)
    const { objectId } = all.victim
    const foreign = await processed(caller, objectId)
    const nothing = await processed(caller, ghost(objectId))
    for (const part of ["batch", "documents"] as const) {
      expect(comparable(foreign[part], [objectId])).toEqual(comparable(nothing[part], [ghost(objectId)]))
      expect(leaks(caller, foreign[part], [objectId])).toEqual([])
    }
    expect(foreign.batch.body).toMatchObject({ rows_in: 1, rows_done: 0, rows_skipped: 1 })
    expect(foreign.documents.body.results).toEqual([])
  })

  test(`the address of a foreign file in an object of ${who} gets no signed URL`, async () => {
    const caller = callerNamed(who)
    const { make, bucketId } = caller.home.ours
    const address = `s3://${all.victim.bucketId}/${all.victim.blobSha256}`
    const blobs = [{ property: "file", type: "image", data: { url: address } }]
    const object = await make("POST", `/v1/buckets/${bucketId}/objects`, { blobs })
    const { documents } = await processed(caller, object.body.object_id)
    expect(documents.body.results[0].source_blobs).toMatchObject([{ url: address }])
    expect(documents.text).not.toContain("/v1/presigned/")
    const got = await make("GET", `/v1/buckets/${bucketId}/objects/${object.body.object_id}?return_presigned_urls=true`)
    expect(got.text).not.toContain("/v1/presigned/")
  })

  test(`the victim's Idempotency-Key is another one when ${who} sends it`, async () => {
    const { key, home } = callerNamed(who)
    const { path, body, headers, made } = all.madeOnce
    const namespace = home.ours.namespaceId
    const answer = await appliance.call("POST", path, { key, namespace, body, headers })
    expect(answer.status).toBe(200)
    expect(answer.body.bucket_id).not.toBe(made.bucket_id)
  })
}

test("a file of one's own bucket still gets its signed URL in a document", async () => {
  const caller = callerNamed("another organization's key")
  const { blobUrl, bucketId, make } = caller.home.ours
  const objects = await make("POST", `/v1/buckets/${bucketId}/objects/list`, {
    filters: { field: "file", operator: "exists", value: true },
  })
  const file = objects.body.results.find((object: { blobs: { details: { hash: string } }[] }) =>
    blobUrl.includes(object.blobs[0]?.details.hash ?? "none"),
  )
  const { documents } = await processed(caller, file.object_id)
  const signed = await appliance.call("GET", documents.body.results[0].source_blobs[0].presigned_url, { key: null })
  expect(signed.text).toBe(fileText(caller.home.ours.mark))
})

test("a key confined to a namespace hears of no other name by making or renaming one, nor by a repeated request", async () => {
  const { key, home } = callerNamed("a key confined to another namespace")
  const { victim } = all
  const headers = { "Idempotency-Key": crypto.randomUUID() }
  const create = { namespace_name: "made-by-the-organization" }
  const made = await appliance.call("POST", "/v1/namespaces", { body: create, headers })
  expect(made.status).toBe(200)
  const refused = [
    await appliance.call("POST", "/v1/namespaces", { key, body: create, headers }),
    await appliance.call("POST", "/v1/namespaces", { key, body: { namespace_name: ghost(victim.namespaceName) } }),
  ]
  expect(refused[0]?.status).toBe(403)
  expect(refused[0]?.text).toBe(refused[1]?.text ?? "")
  const one = `/v1/namespaces/${home.ours.namespaceId}`
  const renamed = [victim.namespaceName, ghost(victim.namespaceName)].map((namespace_name) =>
    appliance.call("PATCH", one, { key, body: { namespace_name } }),
  )
  const [taken, free] = await Promise.all(renamed)
  expect([taken?.status, taken?.text]).toEqual([403, free?.text])
  const same = await appliance.call("PATCH", one, {
    key,
    body: { namespace_name: home.ours.namespaceName, description: "kept" },
  })
  expect(same.body).toMatchObject({ namespace_name: home.ours.namespaceName, description: "kept" })
})

test("a batch is found by its id without a namespace by keys that see the one it is in, and by no other", async () => {
  const { victim, victimKey } = all
  const by = async (key: string) => {
    const one = await appliance.call("GET", `/v1/batches/${victim.batchId}`, { key, namespace: null })
    const listed = await appliance.call("POST", "/v1/batches/list", { key, namespace: null, body: { limit: 1000 } })
    const namespaces: string[] = listed.body.results.map((batch: { namespace_id: string }) => batch.namespace_id)
    expect(listed.body.total_count).toBe(namespaces.length)
    return { status: one.status, listed: [...new Set(namespaces)].sort() }
  }
  const second = callerNamed("a key confined to another namespace")
  const other = callerNamed("another organization's key")
  const both = [victim.namespaceId, second.home.ours.namespaceId].sort()
  expect(await by(victimKey)).toEqual({ status: 200, listed: [victim.namespaceId] })
  expect(await by(appliance.adminKey)).toEqual({ status: 200, listed: both })
  expect(await by(second.key)).toEqual({ status: 404, listed: [second.home.ours.namespaceId] })
  expect(await by(other.key)).toEqual({ status: 404, listed: [other.home.ours.namespaceId] })
  const cancel = `/v1/batches/${victim.batchId}/cancel`
  for (const { key } of [second, other]) {
    expect((await appliance.call("POST", cancel, { key, namespace: null })).status).toBe(404)
  }
})

test("nothing of the victim changed", async () => {
  expect(await inventory(all)).toEqual(before)
})
