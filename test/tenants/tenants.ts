/** Everything that one namespace has, and who asks for it from outside: another organization, another namespace, its key. */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import { type Fixtures, type Side, side } from "../http/operations/fixtures.ts"
import type { TestAppliance } from "../support/appliance.ts"

export interface Caller {
  readonly who: string
  readonly key: string
  /** What is its own stands as `ours`, what is foreign to it as `theirs`. */
  readonly home: Fixtures
  /** It sees what is the organization's, and every namespace of it that it names. */
  readonly ofTheOrganization: boolean
}

export interface Tenants {
  readonly appliance: TestAppliance
  /** Nobody but its own key may learn of it. */
  readonly victim: Side
  /** What the victim made a bucket with, and the answer. */
  readonly madeOnce: {
    readonly path: string
    readonly body: object
    readonly headers: Record<string, string>
    readonly made: { readonly bucket_id: string }
  }
  readonly callers: readonly Caller[]
  /** Sees the victim's namespace and no other. */
  readonly victimKey: string
}

const EVERYTHING = ["read", "write", "delete", "admin"]

export async function tenants(appliance: TestAppliance): Promise<Tenants> {
  const admin = appliance.adminKey
  const made = async (path: string, body: object) => {
    const answer = await appliance.call("POST", path, { body })
    if (answer.status !== 200) throw new Error(answer.text)
    return answer.body
  }
  for (const name of ["first-of-a", "second-of-a"]) await made("/v1/namespaces", { namespace_name: name })
  const victim = await side(appliance, "victim", admin, "first-of-a")
  const second = await side(appliance, "second", admin, "second-of-a")
  const other = await side(appliance, "other", appliance.otherKey)
  const confinedTo = async ({ namespaceId }: Side): Promise<string> => {
    const scopes = [{ resource_type: "namespace", resource_id: namespaceId }]
    const path = "/v1/organizations/users/watch@example.org/api-keys"
    return (await made(path, { name: `of ${namespaceId}`, permissions: EVERYTHING, scopes })).key
  }
  const request = {
    path: "/v1/buckets",
    body: { bucket_name: "made once", bucket_schema: { properties: {} } },
    headers: { "Idempotency-Key": "order-1" },
  }
  const { path, ...options } = request
  const { body: once } = await appliance.call("POST", path, { ...options, namespace: victim.namespaceId })
  const { body: openapi } = await appliance.call("GET", "/openapi.json", { key: null })
  const home = (ours: Side): Fixtures => ({ appliance, openapi, ours, theirs: victim })
  return {
    appliance,
    victim,
    madeOnce: { ...request, made: once },
    victimKey: await confinedTo(victim),
    callers: [
      {
        who: "another organization's key",
        key: appliance.otherKey,
        home: home(other),
        ofTheOrganization: false,
      },
      {
        who: "a key confined to another namespace",
        key: await confinedTo(second),
        home: home(second),
        ofTheOrganization: false,
      },
      {
        who: "the organization's key in another namespace",
        key: admin,
        home: home(second),
        ofTheOrganization: true,
      },
    ],
  }
}

/** All there is of the victim, as its own key sees it, and from the database what no route lists. */
export async function inventory({ appliance, victim, victimKey }: Tenants): Promise<Record<string, unknown>> {
  const { namespaceId } = victim
  const all: Record<string, unknown> = {}
  const read = async (method: "GET" | "POST", path: string, body?: object) => {
    const options = { key: victimKey, namespace: namespaceId, ...(body === undefined ? {} : { body }) }
    const answer = await appliance.call(method, path, options)
    if (answer.status !== 200) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`)
    all[path] = answer.body
    return answer.body
  }
  const list = (path: string) => read("POST", path, { limit: 1000 })
  await read("GET", "/v1/organizations")
  await read("POST", "/v1/namespaces/list")
  const { plugins } = await read("GET", `/v1/namespaces/${namespaceId}/plugins`)
  for (const { plugin_id: id } of plugins) await read("GET", `/v1/namespaces/${namespaceId}/plugins/${id}`)
  await read("GET", `/v1/namespaces/${namespaceId}/extractors?source=all`)
  for (const { bucket_id: id } of (await list("/v1/buckets/list")).results) {
    await list(`/v1/buckets/${id}/objects/list`)
    await list(`/v1/buckets/${id}/uploads/list`)
    for (const { batch_id: batch } of (await list(`/v1/buckets/${id}/batches/list`)).results)
      await read("GET", `/v1/buckets/${id}/batches/${batch}/failed-documents`)
  }
  for (const { collection_id: id } of (await list("/v1/collections/list")).results) {
    await read("GET", `/v1/collections/${id}/features`)
    await list(`/v1/collections/${id}/documents/list`)
  }
  await list("/v1/tasks/list")
  const keys = await appliance.call("GET", `/v1/organizations/users/${victim.email}/api-keys?include_revoked=true`)
  const file = await appliance.call("GET", victim.blobUrl, { key: null })
  using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
  const rows = (sql: string) => database.query(sql).all(namespaceId)
  return {
    ...all,
    keys: keys.body,
    file: file.text,
    pluginUploads: rows("SELECT * FROM plugin_uploads WHERE namespace_id = ? ORDER BY upload_id"),
    idempotencyKeys: rows(
      "SELECT key, fingerprint, created_at FROM idempotency_keys WHERE key LIKE ? || '%' ORDER BY key",
    ),
  }
}
