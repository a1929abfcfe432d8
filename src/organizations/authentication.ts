import { ApplianceError } from "../errors.ts"
import type { Metadata } from "../metadata/open.ts"
import { sha256 } from "../sha256.ts"

export const PERMISSIONS = ["read", "write", "delete", "admin"] as const
export type Permission = (typeof PERMISSIONS)[number]

export interface KeyScope {
  readonly resource_type: string
  readonly resource_id: string
  readonly operations?: readonly string[] | null
}

/** Who is asking: one organization's key. */
export interface Caller {
  readonly internalId: string
  readonly orgId: string
  readonly keyId: string
  readonly userEmail: string
  readonly permissions: readonly string[]
  readonly scopes: readonly KeyScope[]
  /** Requests per minute of this key alone; null: it counts for its namespace. */
  readonly rateLimit: number | null
  /** Unix milliseconds from which on the key is none any more; Infinity: never. */
  readonly expires: number
}

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
}

/** `last_used_at` is written at most this often per key, so that reading does not cost a write each time. */
const TOUCH_EVERY_MS = 60_000

export function hashKey(key: string): string {
  return sha256(key)
}

export function authentication({ metadata, now }: Deps) {
  const touched = new Map<string, number>()
  /** By the row as it is remembered: made once for each key, until something is written. */
  const callers = new WeakMap<object, Caller>()
  return {
    /**
     * The caller behind an Authorization header. Keys are 206 random bits, so looking their hash up tells nothing by timing.
     * @throws UnauthorizedError for a missing, malformed, unknown, revoked or expired key, without saying which of the last three
     */
    authenticate(header: string | undefined): Caller {
      const key = /^Bearer\s+(\S+)\s*$/i.exec(header ?? "")?.[1]
      if (key === undefined) {
        throw unauthorized("Send 'Authorization: Bearer <api key>'.")
      }
      const row = metadata.read.apiKeys.byHash(hashKey(key))
      const at = now()
      if (row === undefined || row.status !== "active" || (row.expires_at !== null && new Date(row.expires_at) <= at)) {
        throw unauthorized("The API key is unknown, revoked or expired.")
      }
      if (at.getTime() - (touched.get(row.key_id) ?? 0) > TOUCH_EVERY_MS) {
        touched.set(row.key_id, at.getTime())
        metadata.transact((tx) => tx.write.apiKeys.touch(row.key_id, at.toISOString()))
      }
      const known = callers.get(row)
      if (known !== undefined) return known
      const caller: Caller = {
        internalId: row.internal_id,
        orgId: row.org_id,
        keyId: row.key_id,
        userEmail: row.user_email,
        permissions: JSON.parse(row.permissions),
        scopes: JSON.parse(row.scopes),
        rateLimit: row.rate_limit_override,
        expires: row.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(row.expires_at),
      }
      callers.set(row, caller)
      return caller
    },

    /** `admin` includes the other three; an inference scope leaves realtime calls only. @throws ForbiddenError */
    demand(caller: Caller, permission: Permission, inference: boolean): void {
      if (!inference && caller.scopes.some((scope) => scope.resource_type === "inference")) {
        throw new ApplianceError("ForbiddenError", "This API key is for realtime inference only.", {
          details: { scope: "inference" },
        })
      }
      // A key made with it would not be confined any more.
      if (permission === "admin" && caller.scopes.some((scope) => scope.resource_type === "namespace")) {
        throw new ApplianceError("ForbiddenError", "This API key is confined to a namespace; it cannot manage keys.", {
          details: { scope: "namespace" },
        })
      }
      if (caller.permissions.includes(permission) || caller.permissions.includes("admin")) return
      throw new ApplianceError("ForbiddenError", `This API key lacks the permission '${permission}'.`, {
        details: { required: permission, permissions: caller.permissions },
      })
    },
  }
}

export type Authentication = ReturnType<typeof authentication>

function unauthorized(message: string): ApplianceError {
  return new ApplianceError("UnauthorizedError", message, { headers: { "WWW-Authenticate": "Bearer" } })
}
