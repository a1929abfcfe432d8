import type { RateState } from "../organizations/rate-limits.ts"
import { rateHeaders } from "./rate-limiting.ts"

/**
 * Headers of answers in JSON. Of two in a row hardly more than a number differs, so that one object is changed for each: a new one is a
 * third of what a whole answer costs. Whoever gets it copies it before the next is asked for, as `new Response` does.
 */
export function jsonAnswerHeaders(): (state: RateState, requestId: string) => Headers {
  const headers = new Headers({ "Content-Type": "application/json" })
  let limit = -1
  let reset = -1
  let window = -1
  return (state, requestId) => {
    if (state.limit !== limit || state.reset !== reset || state.window !== window) {
      for (const [name, value] of Object.entries(rateHeaders(state))) headers.set(name, value)
      ;({ limit, reset, window } = state)
    } else headers.set("X-RateLimit-Remaining", String(state.remaining))
    headers.set("X-Request-Id", requestId)
    return headers
  }
}
