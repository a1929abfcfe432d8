import type { ApiKeyModel, CreateApiKey, CreatedApiKey, UpdateApiKey } from "../contract/api-keys.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { newApiKey, newId } from "../identifiers.ts"
import type { ApiKeyRow } from "../metadata/api-keys.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { type Caller, hashKey, PERMISSIONS } from "./authentication.ts"

/** The key of the first start; it cannot be revoked through the API, or nobody could get in any more. */
export const ADMIN_KEY_NAME = "admin-key"

/** First characters of a key that stay visible, so that a person can tell keys apart (api.md §0.5). */
const VISIBLE_CHARACTERS = 10

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
}

type Owner = Pick<Caller, "internalId" | "orgId" | "userEmail">

export function apiKeys({ metadata, now }: Deps) {
  const active = (tx: Pick<Transaction, "read">, owner: Owner, email: string, name: string): ApiKeyRow => {
    const row = tx.read.apiKeys.active(owner.internalId, email, name)
    if (row === undefined) throw notFound("api_key", name)
    return row
  }
  const model = (row: ApiKeyRow, orgId: string): ApiKeyModel => ({
    key_id: row.key_id,
    key_hash: row.key_hash,
    key_prefix: row.key_prefix,
    internal_id: row.internal_id,
    organization_id: orgId,
    user_id: row.user_email,
    name: row.name,
    description: row.description,
    permissions: JSON.parse(row.permissions),
    scopes: JSON.parse(row.scopes),
    rate_limit_override: row.rate_limit_override,
    status:
      row.status === "active" && row.expires_at !== null && new Date(row.expires_at) <= now() ? "expired" : row.status,
    expires_at: row.expires_at,
    last_used_at: row.last_used_at,
    created_at: row.created_at,
    created_by: row.created_by,
    revoked_at: row.revoked_at,
    revoked_by: row.revoked_by,
  })

  return {
    /** The answer carries the key; only its SHA-256 is kept. @throws AlreadyExistsError for a name in use by this user */
    create(owner: Owner, email: string, request: CreateApiKey): CreatedApiKey {
      const key = newApiKey()
      const row: ApiKeyRow = {
        key_id: newId("key"),
        internal_id: owner.internalId,
        user_email: email,
        name: request.name,
        description: request.description ?? "",
        key_hash: hashKey(key),
        key_prefix: key.slice(0, VISIBLE_CHARACTERS),
        permissions: JSON.stringify([...new Set(request.permissions)]),
        scopes: JSON.stringify(request.scopes ?? []),
        rate_limit_override: request.rate_limit_override ?? null,
        status: "active",
        expires_at: request.expires_at == null ? null : expiry(request.expires_at, now()),
        last_used_at: null,
        created_at: now().toISOString(),
        created_by: owner.userEmail,
        revoked_at: null,
        revoked_by: null,
      }
      metadata.transact((tx) => {
        refuseTaken(tx.read.apiKeys.active(owner.internalId, email, row.name), row.name)
        tx.write.apiKeys.insert(row)
      })
      return { ...model(row, owner.orgId), key }
    },

    list(owner: Owner, email: string | null, includeRevoked: boolean): ApiKeyModel[] {
      const rows =
        email === null
          ? metadata.read.apiKeys.ofOrganization(owner.internalId)
          : metadata.read.apiKeys.ofUser(owner.internalId, email)
      return rows.filter((row) => includeRevoked || row.status === "active").map((row) => model(row, owner.orgId))
    },

    update(owner: Owner, email: string, name: string, changes: UpdateApiKey): ApiKeyModel {
      return metadata.transact((tx) => {
        const row = active(tx, owner, email, name)
        const newName = changes.name ?? row.name
        if (newName !== row.name) {
          refuseProtected(row)
          refuseTaken(tx.read.apiKeys.active(owner.internalId, email, newName), newName)
        }
        if (changes.permissions != null || changes.scopes != null || changes.expires_at != null) refuseProtected(row)
        const changed: ApiKeyRow = {
          ...row,
          name: newName,
          description: changes.description ?? row.description,
          permissions:
            changes.permissions == null ? row.permissions : JSON.stringify([...new Set(changes.permissions)]),
          scopes: changes.scopes == null ? row.scopes : JSON.stringify(changes.scopes),
          rate_limit_override:
            changes.rate_limit_override === undefined ? row.rate_limit_override : changes.rate_limit_override,
          expires_at:
            changes.expires_at === undefined
              ? row.expires_at
              : changes.expires_at === null
                ? null
                : expiry(changes.expires_at, now()),
        }
        tx.write.apiKeys.update(changed)
        return model(changed, owner.orgId)
      })
    },

    /** The old key stops working in the same transaction. */
    rotate(owner: Owner, email: string, name: string): CreatedApiKey {
      const key = newApiKey()
      return metadata.transact((tx) => {
        const row = active(tx, owner, email, name)
        refuseProtected(row)
        const changed = { ...row, key_hash: hashKey(key), key_prefix: key.slice(0, VISIBLE_CHARACTERS) }
        tx.write.apiKeys.update(changed)
        return { ...model(changed, owner.orgId), key }
      })
    },

    revoke(owner: Owner, email: string, name: string): void {
      metadata.transact((tx) => {
        const row = active(tx, owner, email, name)
        refuseProtected(row)
        tx.write.apiKeys.update({
          ...row,
          status: "revoked",
          revoked_at: now().toISOString(),
          revoked_by: owner.userEmail,
        })
      })
    },
  }
}

export type ApiKeys = ReturnType<typeof apiKeys>

export const ALL_PERMISSIONS = [...PERMISSIONS]

function refuseProtected(row: ApiKeyRow): void {
  if (row.name !== ADMIN_KEY_NAME) return
  throw new ApplianceError("ForbiddenError", `'${ADMIN_KEY_NAME}' is protected; it cannot be changed or revoked here.`)
}

function refuseTaken(existing: ApiKeyRow | undefined, name: string): void {
  if (existing === undefined) return
  throw new ApplianceError("AlreadyExistsError", `An API key named '${name}' already exists for this user.`, {
    details: { resource: "api_key", id: existing.key_id },
  })
}

function expiry(value: string, at: Date): string {
  const when = new Date(value)
  if (when > at) return when.toISOString()
  throw invalid("expires_at lies in the past.", [
    { type: "past", location: ["body", "expires_at"], message: "lies in the past" },
  ])
}
