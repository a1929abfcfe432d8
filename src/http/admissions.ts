/**
 * Who may ask which deployment, remembered as a whole: header, key, permission, namespace and name are looked at once, and again when
 * something was written to a table that they are read from, when the key expires, and after a second. What counts or ends between two
 * requests (a limit, the revision that answers) is none of it.
 */
import { parseDeploymentName } from "../deployments/deployments.ts"
import type { Endpoint } from "../deployments/endpoint.ts"
import type { Authentication, Caller } from "../organizations/authentication.ts"
import type { Namespace, Namespaces } from "../organizations/namespaces.ts"

export interface Admission {
  /** Of the address. */
  readonly path: string
  readonly namespace: Namespace
  readonly pluginId: string
  readonly caller: Caller
  /** See `Namespaces.counted`. */
  readonly counted: ReturnType<Namespaces["counted"]>
}

interface Deps {
  authentication: Authentication
  namespaces: Pick<Namespaces, "resolve" | "counted">
  endpoint: Pick<Endpoint, "aliased">
  /** Changes when something was written that an admission may rest on. */
  writes: () => number
  now: () => Date
}

interface Remembered {
  readonly admission: Admission
  /** X-Namespace, or null where the address tells. */
  readonly header: string | null | undefined
  readonly writes: number
  /** Unix milliseconds. */
  readonly until: number
}

/** `authenticate` keeps the time at which a key was last used: it must be asked now and then. */
const REMEMBERED_MS = 1_000
const MAX_REMEMBERED = 1_000

const ORIGIN = /^https?:\/\/[A-Za-z0-9.:[\]-]+/
const BY_PREFIX = /^(?:\/v1)?\/inference\/([A-Za-z0-9_]+)$/
const BY_NAME = /^\/v1\/inference\/custom\/([A-Za-z0-9_-]{1,128})$/

type Target = { namespaceId: string; pluginId: string } | { name: string }

export function admissions({ authentication, namespaces, endpoint, writes, now }: Deps) {
  /** By address and by Authorization; only what was admitted, so that nobody without a key can fill it. */
  const remembered = new Map<string, Map<string, Remembered>>()
  let size = 0

  const remember = (url: string, authorization: string, one: Remembered) => {
    if (size >= MAX_REMEMBERED) {
      remembered.clear()
      size = 0
    }
    let ofAddress = remembered.get(url)
    if (ofAddress === undefined) {
      ofAddress = new Map()
      remembered.set(url, ofAddress)
    }
    if (!ofAddress.has(authorization)) size += 1
    ofAddress.set(authorization, one)
  }

  /** Null where the address is none of a deployment. @throws what the routes say of it, as they would */
  const look = (url: string, authorization: string, headers: Headers): Admission | null => {
    const path = pathOf(url)
    const target = path === null ? null : targetOf(path)
    if (path === null || target === null) return null
    const seen = writes()
    const caller = authentication.authenticate(authorization)
    authentication.demand(caller, "write", true)
    const named = "name" in target ? inHeader(headers) : target.namespaceId
    const namespace = namespaces.resolve(caller, named)
    const pluginId = "name" in target ? endpoint.aliased(namespace, target.name) : target.pluginId
    const admission: Admission = { path, namespace, pluginId, caller, counted: namespaces.counted(caller, named) }
    const until = Math.min(now().getTime() + REMEMBERED_MS, caller.expires)
    remember(url, authorization, { admission, header: "name" in target ? named : null, writes: seen, until })
    return admission
  }

  /** Null for what the routes must see: they meet the same again, and tell. */
  return (url: string, headers: Headers): Admission | null => {
    const authorization = headers.get("authorization") ?? ""
    const one = remembered.get(url)?.get(authorization)
    if (one !== undefined && one.writes === writes() && now().getTime() < one.until) {
      if (one.header === null || one.header === inHeader(headers)) return one.admission
    }
    try {
      return look(url, authorization, headers)
    } catch {
      return null
    }
  }
}

const inHeader = (headers: Headers) => headers.get("x-namespace") ?? undefined

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
