/**
 * The plain request to a deployed plugin, answered before the router. Router, middlewares and validators cost such a request 35 us of
 * some 80, more than anything else of it; here it is authenticated, counted, checked and logged by the same functions without them.
 * Whatever is not plain (no key that may, another type, a body of unknown length, a name that nothing answers for, a limit that is
 * reached) goes on to the routes of `routes/inference.ts`, which say what is wrong with it.
 */
import type { Endpoint } from "../deployments/endpoint.ts"
import { newId } from "../identifiers.ts"
import type { Log } from "../log.ts"
import type { Authentication } from "../organizations/authentication.ts"
import type { Namespaces } from "../organizations/namespaces.ts"
import type { RateLimits } from "../organizations/rate-limits.ts"
import { bareFailure, failureOf } from "./error-response.ts"
import { answerParts, inputsOf, isObject } from "./handler-answer.ts"
import { rateHeaders } from "./rate-limiting.ts"
import { checkedText, INFERENCE_BODY_BYTES } from "./request-body.ts"
import { logRequest } from "./request-log.ts"

interface Deps {
  log: Log
  authentication: Authentication
  rateLimits: RateLimits
  /** Of the requests that are for no namespace. */
  requestsPerSecond: number | null
  namespaces: Namespaces
  endpoint: Endpoint
}

const ORIGIN = /^https?:\/\/[A-Za-z0-9.:[\]-]+/
const BY_PREFIX = /^(?:\/v1)?\/inference\/custom_plugin_(ns_[A-Za-z0-9]+)_([A-Za-z0-9_]+)$/
const BY_NAME = /^\/v1\/inference\/custom\/([A-Za-z0-9_-]{1,128})$/

interface Target {
  readonly path: string
  readonly namespaceId: string | null
  readonly pluginId: string | null
  readonly name: string | null
}

/** Who asks, and what of it the handler gets. */
interface Plain {
  readonly requestId: string
  readonly namespace: ReturnType<Namespaces["resolve"]>
  readonly pluginId: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  readonly inputs: Record<string, unknown>
}

/** Null for what is none of its paths; `otherwise` answers what is not plain. */
export function inferenceFront(deps: Deps) {
  return (
    request: Request,
    otherwise: (request: Request) => Response | Promise<Response>,
  ): Promise<Response> | null => {
    const target = request.method === "POST" ? targetOf(request.url) : null
    if (target === null) return null
    const length = Number(request.headers.get("content-length") ?? "0")
    if (length < 1 || length > INFERENCE_BODY_BYTES || request.headers.get("content-type") !== "application/json") {
      return null
    }
    return answered(request, target, otherwise)
  }

  async function answered(
    request: Request,
    target: Target,
    otherwise: (request: Request) => Response | Promise<Response>,
  ): Promise<Response> {
    const started = performance.now()
    const { signal } = request
    const body = await request.bytes().catch(() => null)
    if (body === null) return bareFailure(400, "BadRequestError", "The body ended early.")
    const plain = examine(request, target, body)
    if (plain === null) {
      const again = { method: request.method, headers: request.headers, body, signal }
      return otherwise(new Request(request.url, again))
    }
    const { requestId } = plain
    const response = await call(plain, signal)
    logRequest(deps.log, { requestId, method: "POST", path: target.path, status: response.status, started })
    return response
  }

  async function call({ requestId, namespace, pluginId, headers, body, inputs }: Plain, signal: AbortSignal) {
    try {
      const answer = await deps.endpoint.call(namespace, pluginId, { body, inputs }, { requestId, signal })
      const parts = answerParts(answer)
      return new Response(parts.body, { headers: { ...headers, ...parts.headers } })
    } catch (thrown) {
      const failure = failureOf(thrown, { requestId, method: "POST", path: pluginId }, deps.log)
      const all = { ...headers, ...failure.headers, "Content-Type": "application/json" }
      return new Response(JSON.stringify(failure.body), { status: failure.status, headers: all })
    }
  }

  /** Null for what the routes must see. */
  function examine(request: Request, target: Target, body: Uint8Array): Plain | null {
    try {
      const caller = deps.authentication.authenticate(request.headers.get("authorization") ?? undefined)
      deps.authentication.demand(caller, "write", true)
      const named = request.headers.get("x-namespace") ?? undefined
      const namespace = deps.namespaces.resolve(caller, target.namespaceId ?? named)
      const pluginId = target.pluginId ?? deps.endpoint.aliased(namespace, target.name ?? "")
      const sent: unknown = JSON.parse(checkedText(body))
      if (!isObject(sent) || !deps.endpoint.answers(namespace, pluginId)) return null
      const state = deps.rateLimits.take(caller, deps.namespaces.counted(caller, named), deps.requestsPerSecond)
      if (!state.allowed) return null
      const requestId = newId("req")
      const headers = { "X-Request-Id": requestId, ...rateHeaders(state) }
      return { requestId, namespace, pluginId, headers, body, inputs: inputsOf(sent) }
    } catch {
      // The routes meet the same again, and tell.
      return null
    }
  }
}

export type InferenceFront = ReturnType<typeof inferenceFront>

function targetOf(url: string): Target | null {
  const origin = ORIGIN.exec(url)?.[0]
  if (origin === undefined) return null
  const path = url.slice(origin.length)
  const prefix = BY_PREFIX.exec(path)
  if (prefix !== null) return { path, namespaceId: prefix[1] ?? null, pluginId: prefix[2] ?? null, name: null }
  const name = BY_NAME.exec(path)?.[1]
  return name === undefined ? null : { path, namespaceId: null, pluginId: null, name }
}
