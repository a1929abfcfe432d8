/** What is asked of every operation: its good answer, its refusals, another organization's key, a malformed body. */
import { expect } from "bun:test"
import type { Answer, CallOptions } from "../../support/appliance.ts"
import type { Fixtures, OpenApiOperation } from "./fixtures.ts"
import { schemaProblems } from "./schema.ts"

/** One request of an operation, its path's parameters apart. */
export interface Call extends CallOptions {
  readonly path?: Readonly<Record<string, string>>
  readonly query?: string
  readonly method?: string
  /** In place of the operation's own address, such as a signed one. */
  readonly url?: string
}

export interface Refusal {
  readonly what: string
  /** What differs from the good request; `path` is added to. */
  readonly change: Call | ((f: Fixtures, call: Call) => Call | Promise<Call>)
  readonly status: number
  readonly type: string
}

const refusal = (status: number, type: string) => (what: string, change: Refusal["change"]) =>
  ({ what, change, status, type }) satisfies Refusal
export const badRequest = refusal(400, "BadRequestError")
export const unauthorized = refusal(401, "UnauthorizedError")
export const forbidden = refusal(403, "ForbiddenError")
export const notFound = refusal(404, "NotFoundError")
export const wrongMethod = refusal(405, "MethodNotAllowedError")
export const conflict = refusal(409, "AlreadyExistsError")
export const tooLarge = refusal(413, "PayloadTooLargeError")
export const wrongType = refusal(415, "UnsupportedMediaTypeError")
export const invalid = refusal(422, "ValidationError")

/**
 * What another organization's key gets. `hidden`: 404, and nothing of ours is changed by it. `own`: its own things only,
 * and 404 when it names our namespace. `public`: the route asks nobody for a key, `because` why.
 */
export type Foreign =
  | { readonly is: "hidden" }
  | { readonly is: "own"; readonly check?: (answer: Answer, f: Fixtures) => void }
  | { readonly is: "public"; readonly because: string }

/**
 * `json`: a body that is no JSON answers 400. `none`: the route takes no body, and garbage changes nothing. Anything else
 * is the route's own malformed request with what it must answer.
 */
export type Malformed = "json" | "none" | readonly Refusal[]

export interface Entry {
  /** As /openapi.json writes it. */
  readonly operation: string
  /** A request that gets the good answer; what it uses up is made anew each time. */
  readonly request: (f: Fixtures) => Call | Promise<Call>
  readonly answers: {
    readonly what: string
    readonly status?: number
    /** The contract's required fields. */
    readonly body?: (f: Fixtures, call: Call) => object
    readonly check?: (answer: Answer, f: Fixtures, call: Call) => void | Promise<void>
  }
  readonly refuses: readonly Refusal[]
  readonly foreign: Foreign
  readonly malformed: Malformed
}

export const HIDDEN: Foreign = { is: "hidden" }
export const OWN: Foreign = { is: "own" }
/** Longer than any identifier that is taken. */
export const LONG = "x".repeat(2000)

export async function send(f: Fixtures, entry: Entry, call: Call): Promise<Answer> {
  const [method = "", template = ""] = entry.operation.split(" ")
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(call.path?.[name] ?? name))
  const { path: _, query, url, method: otherMethod, ...options } = call
  const address = url ?? `${path}${query === undefined ? "" : `?${query}`}`
  return f.appliance.call(otherMethod ?? method, address, { namespace: f.ours.namespaceId, ...options })
}

export async function changed(f: Fixtures, call: Call, change: Refusal["change"]): Promise<Call> {
  const other = typeof change === "function" ? await change(f, call) : change
  const { body, ...rest } = call
  // A raw body stands in place of the good one.
  const kept = other.raw === undefined ? call : rest
  return { ...kept, ...other, path: { ...call.path, ...other.path } }
}

export function expectRefused(answer: Answer, { status, type, what }: Refusal): void {
  expect(structuredClone({ what, status: answer.status, body: answer.body })).toMatchObject({
    what,
    status,
    body: { success: false, status, error: { type, message: expect.any(String), code: String(status) } },
  })
}

export async function expectAnswer(f: Fixtures, entry: Entry): Promise<void> {
  const call = await entry.request(f)
  const answer = await send(f, entry, call)
  const status = entry.answers.status ?? 200
  expectStatus(answer, status)
  const [method = "", path = ""] = entry.operation.split(" ")
  const documented: OpenApiOperation | undefined = f.openapi.paths[path]?.[method.toLowerCase()]
  const schema = documented?.responses[String(status)]?.content?.["application/json"]?.schema
  expect(documented?.responses).toHaveProperty(String(status))
  if (schema !== undefined) expect(schemaProblems(f.openapi, schema, answer.body)).toEqual([])
  // A clone: bun writes the matchers it met into what it was given.
  if (entry.answers.body !== undefined) expect(structuredClone(answer.body)).toMatchObject(entry.answers.body(f, call))
  await entry.answers.check?.(answer, f, call)
}

export async function expectRefusals(f: Fixtures, entry: Entry, refusals = entry.refuses): Promise<void> {
  for (const refusal of refusals) {
    const call = await changed(f, await entry.request(f), refusal.change)
    expectRefused(await send(f, entry, call), refusal)
  }
}

export async function expectForeign(f: Fixtures, entry: Entry): Promise<void> {
  const call = await entry.request(f)
  const { key } = f.theirs
  const status = entry.answers.status ?? 200
  if (entry.foreign.is === "public") {
    expectStatus(await send(f, entry, { ...call, key }), status)
    expectStatus(await send(f, entry, { ...(await entry.request(f)), key: null }), status)
    return
  }
  const inTheirs = () => send(f, entry, { ...call, key, namespace: f.theirs.namespaceId })
  const inOurs = () => send(f, entry, { ...call, key })
  const own = entry.foreign.is === "own" ? entry.foreign : null
  const hidden: Answer[] = []
  if (own === null || takesNamespace(f, entry)) hidden.push(await inOurs())
  if (own === null && hasIds(call)) hidden.push(await inTheirs())
  for (const answer of hidden) expectRefused(answer, notFound("hidden", {}))
  const shown = own === null ? [] : [await inTheirs()]
  for (const answer of shown) {
    expectStatus(answer, status)
    for (const id of idsOf(f)) expect(answer.text).not.toContain(id)
    own?.check?.(answer, f)
  }
  for (const answer of [...hidden, ...shown]) expect(answer.text).not.toContain(f.ours.mark)
  if (own !== null) return
  // Nothing of ours was changed: the same request is still good.
  expectStatus(await send(f, entry, call), status)
}

function expectStatus(answer: Answer, status: number): void {
  expect({ status: answer.status, text: answer.status === status ? "" : answer.text }).toEqual({ status, text: "" })
}

function takesNamespace(f: Fixtures, entry: Entry): boolean {
  const [method = "", path = ""] = entry.operation.split(" ")
  const parameters = f.openapi.paths[path]?.[method.toLowerCase()]?.parameters ?? []
  return parameters.some((parameter) => parameter.in === "header" && parameter.name === "x-namespace")
}

function idsOf({ ours }: Fixtures): string[] {
  const { organizationId, namespaceId, bucketId, objectId, collectionId, batchId, taskId, pluginId, keyName } = ours
  return [organizationId, namespaceId, bucketId, objectId, collectionId, batchId, taskId, pluginId, keyName]
}

const hasIds = (call: Call) => Object.keys(call.path ?? {}).length > 0

export async function expectMalformed(f: Fixtures, entry: Entry): Promise<void> {
  if (entry.malformed === "json") {
    const raws: [unknown, number, string][] = [
      ["{", 400, "BadRequestError"],
      [new Uint8Array([0x7b, 0xff, 0x7d]), 400, "BadRequestError"],
      ["[1]", 422, "ValidationError"],
    ]
    const refusals = raws.map(([raw, status, type]): Refusal => {
      const change = { raw: raw as string, headers: { "Content-Type": "application/json" } }
      return { what: `the body ${String(raw)}`, change, status, type }
    })
    await expectRefusals(f, entry, refusals)
  } else if (entry.malformed === "none") {
    const call = await entry.request(f)
    const answer = await send(f, entry, { ...call, raw: "{ no json", headers: { "Content-Type": "application/json" } })
    expectStatus(answer, entry.answers.status ?? 200)
  } else {
    await expectRefusals(f, entry, entry.malformed)
  }
}
