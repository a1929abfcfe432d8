/**
 * Requests per window, counted in memory: after a restart everybody starts afresh. A key with `rate_limit_override` has a
 * count of its own, in requests per minute (the SDK's unit); all other requests count for the namespace they name.
 */
import type { Caller } from "./authentication.ts"

export interface RateState {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Unix seconds at which the window ends. */
  readonly reset: number
  /** Length of the window in seconds. */
  readonly window: number
}

interface Window {
  readonly ends: number
  count: number
}

/** The header is an integer and cannot be left out (api.md §0.1). */
const UNLIMITED = 2_147_483_647
/** Counts are dropped when their window has ended; this is how many are kept before somebody looks. */
const KEPT_WINDOWS = 10_000

export function rateLimits(now: () => Date) {
  const windows = new Map<string, Window>()

  const take = (name: string, limit: number, seconds: number): RateState => {
    const at = now().getTime()
    let window = windows.get(name)
    if (window === undefined || window.ends <= at) {
      if (windows.size >= KEPT_WINDOWS) {
        for (const [old, { ends }] of windows) if (ends <= at) windows.delete(old)
      }
      const length = seconds * 1000
      window = { ends: (Math.floor(at / length) + 1) * length, count: 0 }
      windows.set(name, window)
    }
    const allowed = window.count < limit
    if (allowed) window.count += 1
    return { allowed, limit, remaining: limit - window.count, reset: Math.ceil(window.ends / 1000), window: seconds }
  }

  return {
    /** Counts one request. `namespace` is null when it names none that the caller sees: it counts for the organization. */
    take(
      caller: Caller,
      namespace: { namespaceId: string; perSecond: number | null } | null,
      perSecond: number | null,
    ) {
      if (caller.rateLimit !== null) return take(`key/${caller.keyId}`, caller.rateLimit, 60)
      const limit = (namespace === null ? perSecond : namespace.perSecond) ?? UNLIMITED
      return take(namespace === null ? caller.internalId : namespace.namespaceId, limit, 1)
    },
  }
}

export type RateLimits = ReturnType<typeof rateLimits>
