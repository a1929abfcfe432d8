import type { MiddlewareHandler } from "hono"
import type { Authentication, Permission } from "../organizations/authentication.ts"
import type { HttpEnv } from "./app.ts"

/** Routes under /v1 that need no key: a signed URL is its own credential. */
const PUBLIC = [
  /^\/v1\/health(\/deep|\/liveness)?$/,
  /^\/v1\/presigned\//,
  /^\/v1\/collections\/features\/extractors(\/[^/]+)?$/,
]

/** POST routes that only read. */
const READING_POSTS = /\/(list|aggregate|execute|explain)$/

export function authentication(keys: Authentication): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const path = c.req.path
    if (PUBLIC.some((pattern) => pattern.test(path))) return next()
    const caller = keys.authenticate(c.req.header("authorization"))
    keys.demand(caller, permissionFor(c.req.method, path), /^(\/v1)?\/inference(\/|$)/.test(path))
    c.set("caller", caller)
    return next()
  }
}

function permissionFor(method: string, path: string): Permission {
  if (/^\/v1\/organizations\/(users|secrets)(\/|$)/.test(path)) return "admin"
  if (method === "GET" || method === "HEAD") return "read"
  if (method === "DELETE") return "delete"
  if (method === "POST" && READING_POSTS.test(path)) return "read"
  return "write"
}
