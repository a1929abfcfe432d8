/**
 * The plain request to a deployed plugin, answered before the router. Router, middlewares and validators cost such a request 35 us of
 * some 80, more than anything else of it; here it is authenticated, counted, checked and logged by the same functions without them.
 * Whatever is not plain (no key that may, another type, a body of unknown length, a name that nothing answers for, a limit that is
 * reached) goes on, unread, to the routes of `routes/inference.ts`, which say what is wrong with it.
 */
import { HandlerRequest } from "../contract/inference.ts"
import { parseDeploymentName } from "../deployments/deployments.ts"
import type { Endpoint } from "../deployments/endpoint.ts"
import { ApplianceError } from "../errors.ts"
import { newId } from "../identifiers.ts"
import { isRecord } from "../is-record.ts"
import type { Log } from "../log.ts"
import type { Authentication } from "../organizations/authentication.ts"
import type { Namespace, Namespaces } from "../organizations/namespaces.ts"
import type { RateLimits } from "../organizations/rate-limits.ts"
import { failureOf, validationError } from "./error-response.ts"
import { answerParts, inputsOf } from "./handler-answer.ts"
import { rateHeaders } from "./rate-limiting.ts"
import { checkedText, endedEarly, INFERENCE_BODY_BYTES } from "./request-body.ts"
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
const BY_PREFIX = /^(?:\/v1)?\/inference\/([A-Za-z0-9_]+)$/
const BY_NAME = /^\/v1\/inference\/custom\/([A-Za-z0-9_-]{1,128})$/

type Target = { namespaceId: string; pluginId: string } | { name: string }

interface Admitted {
  readonly namespace: Namespace
  readonly pluginId: string
  readonly rates: Record<string, string>
}

/** Answers null, with nothing read, for what the routes must see. `allowSilence` is that of the request's connection. */
export function inferenceFront(deps: Deps) {
  return (request: Request, allowSilence: (seconds: number) => void): Promise<Response> | null => {
    if (request.method !== "POST") return null
    const path = pathOf(request.url)
    const target = path === null ? null : targetOf(path)
    if (path === null || target === null) return null
    const length = Number(request.headers.get("content-length") ?? "0")
    if (length < 1 || length > INFERENCE_BODY_BYTES) return null
    if (request.headers.get("content-type") !== "application/json") return null
    const admitted = admit(request, target)
    if (admitted === null) return null
    allowSilence(deps.endpoint.silenceSeconds)
    return answered(request, path, admitted)
  }

  function admit(request: Request, target: Target): Admitted | null {
    try {
      const caller = deps.authentication.authenticate(request.headers.get("authorization") ?? undefined)
      deps.authentication.demand(caller, "write", true)
      const named = "name" in target ? (request.headers.get("x-namespace") ?? undefined) : target.namespaceId
      const namespace = deps.namespaces.resolve(caller, named)
      const pluginId = "name" in target ? deps.endpoint.aliased(namespace, target.name) : target.pluginId
      if (!deps.endpoint.answers(namespace, pluginId)) return null
      const state = deps.rateLimits.take(caller, deps.namespaces.counted(caller, named), deps.requestsPerSecond)
      return state.allowed ? { namespace, pluginId, rates: rateHeaders(state) } : null
    } catch {
      // The routes meet the same again, and tell.
      return null
    }
  }

  async function answered(request: Request, path: string, { namespace, pluginId, rates }: Admitted): Promise<Response> {
    const started = performance.now()
    const requestId = newId("req")
    const headers = { "X-Request-Id": requestId, ...rates }
    const response = await ask()
    logRequest(deps.log, { requestId, method: "POST", path, status: response.status, started })
    return response

    async function ask(): Promise<Response> {
      try {
        const body = await bodyOf(request)
        const answer = await deps.endpoint.call(
          namespace,
          pluginId,
          { body, inputs: inputsOf(parsed(body)) },
          { requestId, signal: () => request.signal },
        )
        const parts = answerParts(answer)
        return new Response(parts.body, { headers: { ...headers, ...parts.headers } })
      } catch (thrown) {
        const failure = failureOf(thrown, { requestId, method: "POST", path }, deps.log)
        const all = { ...headers, ...failure.headers, "Content-Type": "application/json" }
        return new Response(JSON.stringify(failure.body), { status: failure.status, headers: all })
      }
    }
  }
}

export type InferenceFront = ReturnType<typeof inferenceFront>

/** Null for an address that is not plain either. */
function pathOf(url: string): string | null {
  const origin = ORIGIN.exec(url)?.[0]
  return origin === undefined ? null : url.slice(origin.length)
}

function targetOf(path: string): Target | null {
  const deployment = BY_PREFIX.exec(path)?.[1]
  if (deployment !== undefined) return parseDeploymentName(deployment)
  const name = BY_NAME.exec(path)?.[1]
  return name === undefined ? null : { name }
}

async function bodyOf(request: Request): Promise<Uint8Array> {
  try {
    return await request.bytes()
  } catch (cause) {
    throw endedEarly(cause)
  }
}

/** @throws what the routes' own validators throw */
function parsed(body: Uint8Array): Record<string, unknown> {
  const text = checkedText(body)
  let sent: unknown
  try {
    sent = JSON.parse(text)
  } catch (cause) {
    throw new ApplianceError("BadRequestError", "Malformed JSON in request body", { cause })
  }
  if (isRecord(sent)) return sent
  const checked = HandlerRequest.safeParse(sent)
  throw checked.success ? new Error("a body that is no object passed as one") : validationError("body", checked.error)
}
