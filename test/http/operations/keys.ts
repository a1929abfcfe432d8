/** What a key opens: none, a revoked and an expired one nothing, and each permission its own kind of route. */
import { expect, test } from "bun:test"
import { eventually } from "../../support/appliance.ts"
import { type Entry, expectRefused, forbidden, send, unauthorized } from "./entry.ts"
import { type Fixtures, fresh, freshNamespace } from "./fixtures.ts"
import { TABLE } from "./table.ts"

const guarded = TABLE.filter((entry) => entry.foreign.is !== "public")
const isAdmin = ({ operation }: Entry) => operation.includes("/v1/organizations/users/")
const needs = (entry: Entry): "read" | "write" | "delete" | "admin" => {
  if (isAdmin(entry)) return "admin"
  if (entry.operation.startsWith("GET ") || / .*\/list$/.test(entry.operation)) return "read"
  return entry.operation.startsWith("DELETE ") ? "delete" : "write"
}

async function keyWith({ ours }: Fixtures, body: object): Promise<{ key: string; name: string }> {
  const path = `/v1/organizations/users/${ours.email}/api-keys`
  return (await ours.make("POST", path, { name: fresh("key"), ...body })).body
}

/** Addresses nothing that is there: the key is judged before that. */
async function expectNobody(f: Fixtures, key: string | null): Promise<void> {
  for (const entry of guarded) {
    const answer = await send(f, entry, { key })
    expectRefused(answer, unauthorized(entry.operation, {}))
    expect(answer.headers.get("www-authenticate")).toBe("Bearer")
  }
}

export function keyTests(fixtures: () => Fixtures): void {
  test("without a key, and with an unknown one, every route that asks for one answers 401", async () => {
    await expectNobody(fixtures(), null)
    await expectNobody(fixtures(), "sk_unknown")
  })

  test("a revoked key answers 401 on every route", async () => {
    const f = fixtures()
    const { key, name } = await keyWith(f, { permissions: ["admin"] })
    expect((await f.appliance.call("GET", "/v1/organizations", { key })).status).toBe(200)
    await f.ours.make("DELETE", `/v1/organizations/users/${f.ours.email}/api-keys/${name}`)
    await expectNobody(f, key)
  })

  test("an expired key answers 401 on every route, and is listed as expired", async () => {
    const f = fixtures()
    const expiresAt = new Date(Date.now() + 2500).toISOString()
    const { key, name } = await keyWith(f, { permissions: ["admin"], expires_at: expiresAt })
    expect((await f.appliance.call("GET", "/v1/organizations", { key })).status).toBe(200)
    await eventually(async () => (await f.appliance.call("GET", "/v1/organizations", { key })).status === 401, 10_000)
    await expectNobody(f, key)
    const keys = await f.ours.make("GET", `/v1/organizations/users/${f.ours.email}/api-keys`)
    expect(keys.body.results).toContainEqual(expect.objectContaining({ name, status: "expired" }))
  })

  test("the secret that a rotation replaced answers 401", async () => {
    const f = fixtures()
    const { key, name } = await keyWith(f, {})
    await f.ours.make("POST", `/v1/organizations/users/${f.ours.email}/api-keys/${name}/rotate`)
    expect((await f.appliance.call("GET", "/v1/organizations", { key })).status).toBe(401)
  })

  for (const permission of ["read", "write", "delete"] as const) {
    test(`a key with only '${permission}' is refused on every route of another kind, and on no other`, async () => {
      const f = fixtures()
      const { key } = await keyWith(f, { permissions: [permission] })
      for (const entry of guarded) {
        const answer = await send(f, entry, { key, path: { user_email: f.ours.email } })
        if (needs(entry) !== permission) {
          expectRefused(answer, forbidden(entry.operation, {}))
          expect(answer.body.error.details).toMatchObject({ required: needs(entry), permissions: [permission] })
        } else {
          expect([entry.operation, answer.status]).not.toEqual([entry.operation, 403])
          expect([entry.operation, answer.status]).not.toEqual([entry.operation, 401])
        }
      }
    })
  }

  test("an admin's key scoped to one namespace neither makes nor reads keys: one made with it would not be scoped", async () => {
    const f = fixtures()
    const { key } = await keyWith(f, {
      permissions: ["admin"],
      scopes: [{ resource_type: "namespace", resource_id: f.ours.namespaceId }],
    })
    const path = `/v1/organizations/users/${f.ours.email}/api-keys`
    for (const answer of [
      await f.appliance.call("POST", path, { key, body: { name: fresh("key"), permissions: ["admin"] } }),
      await f.appliance.call("GET", path, { key }),
    ]) {
      expectRefused(answer, forbidden("keys", {}))
    }
    expect((await f.appliance.call("GET", "/v1/buckets", { key })).status).toBe(200)
  })

  test("a key scoped to one namespace does not see another one", async () => {
    const f = fixtures()
    const other = await freshNamespace(f)
    const { key } = await keyWith(f, {
      permissions: ["read", "write"],
      scopes: [{ resource_type: "namespace", resource_id: other }],
    })
    const list = await f.appliance.call("GET", "/v1/namespaces", { key })
    expect(list.body.results.map((namespace: { namespace_id: string }) => namespace.namespace_id)).toEqual([other])
    const bucket = `/v1/buckets/${f.ours.bucketId}`
    expect((await f.appliance.call("GET", bucket, { key })).status).toBe(404)
    expect((await f.appliance.call("GET", bucket, { key, namespace: f.ours.namespaceId })).status).toBe(404)
    expect((await f.appliance.call("GET", `/v1/namespaces/${f.ours.namespaceId}/plugins`, { key })).status).toBe(404)
  })
}
