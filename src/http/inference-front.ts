/**
 * The plain request to a deployed plugin, answered before the router. Router, middlewares and validators cost such a request 35 us of
 * some 80, more than anything else of it; here it is authenticated, counted, checked and logged by the same functions without them.
 * Whatever is not plain (no key that may, another type, a body of unknown length, a name that nothing answers for, a limit that is
 * reached) goes on, unread, to the routes of `routes/inference.ts`, which say what is wrong with it.
 */
import { HandlerRequest } from "../contract/inference.ts"
import type { Answer, Endpoint } from "../deployments/endpoint.ts"
import { newRequestId } from "../identifiers.ts"
import { isRecord } from "../is-record.ts"
import type { Log } from "../log.ts"
import type { RateLimits, RateState } from "../organizations/rate-limits.ts"
import { type Admission, admissions } from "./admissions.ts"
import { jsonAnswerHeaders } from "./answer-headers.ts"
import { failureOf, validationError } from "./error-response.ts"
import { answerParts, inputsOf } from "./handler-answer.ts"
import { rateHeaders } from "./rate-limiting.ts"
import { endedEarly, INFERENCE_BODY_BYTES, parsedBody } from "./request-body.ts"
import { logRequest } from "./request-log.ts"

type Deps = Parameters<typeof admissions>[0] & {
  log: Log
  rateLimits: RateLimits
  /** Of the requests that are for no namespace. */
  requestsPerSecond: number | null
  endpoint: Endpoint
}

/** Answers null, with nothing read, for what the routes must see. `allowSilence` is that of the request's connection. */
export function inferenceFront(deps: Deps) {
  const { endpoint, rateLimits, log } = deps
  const admit = admissions(deps)
  const jsonHeaders = jsonAnswerHeaders()

  return (request: Request, allowSilence: (seconds: number) => void): Promise<Response> | null => {
    if (request.method !== "POST") return null
    const { headers } = request
    const length = Number(headers.get("content-length") ?? "0")
    if (length < 1 || length > INFERENCE_BODY_BYTES) return null
    if (headers.get("content-type") !== "application/json") return null
    const admission = admit(request.url, headers)
    if (admission === null || !endpoint.answers(admission.namespace, admission.pluginId)) return null
    const state = rateLimits.take(admission.caller, admission.counted, deps.requestsPerSecond)
    if (!state.allowed) return null
    allowSilence(endpoint.silenceSeconds)
    return answered(request, admission, state)
  }

  async function answered(
    request: Request,
    { path, namespace, pluginId }: Admission,
    rates: RateState,
  ): Promise<Response> {
    const started = performance.now()
    const requestId = newRequestId()
    let response: Response
    let body: Uint8Array | null = null
    try {
      body = await request.bytes()
      const answer = await endpoint.call(
        namespace,
        pluginId,
        { body, inputs: inputsOf(parsed(body)) },
        { requestId, signal: () => request.signal },
      )
      response = respond(answer, rates, requestId)
    } catch (thrown) {
      const failure = failureOf(body === null ? endedEarly(thrown) : thrown, { requestId, method: "POST", path }, log)
      const named = { "X-Request-Id": requestId, ...rateHeaders(rates) }
      const all = { ...named, ...failure.headers, "Content-Type": "application/json" }
      response = new Response(JSON.stringify(failure.body), { status: failure.status, headers: all })
    }
    logRequest(log, { requestId, method: "POST", path, status: response.status, started })
    return response
  }

  function respond(answer: Answer, rates: RateState, requestId: string): Response {
    const { body, headers } = answerParts(answer)
    if (answer.pieces === null) return new Response(body, { headers: jsonHeaders(rates, requestId) })
    return new Response(body, { headers: { "X-Request-Id": requestId, ...rateHeaders(rates), ...headers } })
  }
}

export type InferenceFront = ReturnType<typeof inferenceFront>

/** @throws what the routes' own validators throw */
function parsed(body: Uint8Array): Record<string, unknown> {
  const sent = parsedBody(body)
  if (isRecord(sent)) return sent
  const checked = HandlerRequest.safeParse(sent)
  throw checked.success ? new Error("a body that is no object passed as one") : validationError("body", checked.error)
}
