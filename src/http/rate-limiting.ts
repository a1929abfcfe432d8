import type { MiddlewareHandler } from "hono"
import { parseDeploymentName } from "../deployments/deployments.ts"
import { ApplianceError } from "../errors.ts"
import type { Namespaces } from "../organizations/namespaces.ts"
import type { RateLimits, RateState } from "../organizations/rate-limits.ts"
import type { HttpEnv } from "./app.ts"

interface Deps {
  rateLimits: RateLimits
  namespaces: Pick<Namespaces, "counted">
  /** Of the requests that are for no namespace, for each organization. */
  requestsPerSecond: number | null
}

const IN_PATH = /^\/v1\/namespaces\/([^/]+)/
const DEPLOYMENT = /^(?:\/v1)?\/inference\/([^/]+)$/

/** Of every answer (api.md §0.1). */
export function rateHeaders({ limit, remaining, reset, window }: RateState): Record<string, string> {
  return {
    "X-RateLimit-Limit": String(limit),
    "X-RateLimit-Remaining": String(remaining),
    "X-RateLimit-Reset": String(reset),
    "X-RateLimit-Window": String(window),
  }
}

/** After authentication, before anything is read: an answer over the limit costs next to nothing. */
export function rateLimiting({ rateLimits, namespaces, requestsPerSecond }: Deps): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const caller = c.get("caller")
    if (caller === undefined) return next()
    const path = c.req.path
    const deployment = parseDeploymentName(DEPLOYMENT.exec(path)?.[1] ?? "")
    // Where the path names one, the header is not looked at: it would count the request for another.
    const named = IN_PATH.exec(path)?.[1] ?? deployment?.namespaceId ?? c.req.header("x-namespace")
    const state = rateLimits.take(caller, namespaces.counted(caller, named), requestsPerSecond)
    for (const [name, value] of Object.entries(rateHeaders(state))) c.header(name, value)
    if (state.allowed) return next()
    const retryAfter = Math.max(1, state.reset - Math.floor(Date.now() / 1000))
    throw new ApplianceError(
      "TooManyRequestsError",
      `The limit is ${state.limit} requests in ${state.window} s; try again in ${retryAfter} s.`,
      {
        details: { limit: state.limit, window: state.window, retry_after: retryAfter, retry_after_seconds: retryAfter },
        headers: { "Retry-After": String(retryAfter) },
      },
    )
  }
}
