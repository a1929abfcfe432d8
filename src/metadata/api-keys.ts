import type { Db } from "./open.ts"
import type { Memory } from "./remembered.ts"

export interface ApiKeyRow {
  key_id: string
  internal_id: string
  user_email: string
  name: string
  description: string
  key_hash: string
  key_prefix: string
  permissions: string
  scopes: string
  rate_limit_override: number | null
  status: "active" | "revoked"
  expires_at: string | null
  last_used_at: string | null
  created_at: string
  created_by: string | null
  revoked_at: string | null
  revoked_by: string | null
}

export function apiKeyReader(db: Db, memory: Memory) {
  const byHash = db.prepare<[string], ApiKeyRow & { org_id: string }>(
    "SELECT k.*, o.org_id FROM api_keys k JOIN organizations o USING (internal_id) WHERE k.key_hash = ?",
  )
  const active = db.prepare<[string, string, string], ApiKeyRow>(
    "SELECT * FROM api_keys WHERE internal_id = ? AND user_email = ? AND name = ? AND status = 'active'",
  )
  const ofUser = db.prepare<[string, string], ApiKeyRow>(
    "SELECT * FROM api_keys WHERE internal_id = ? AND user_email = ? ORDER BY created_at, key_id",
  )
  const ofOrganization = db.prepare<[string], ApiKeyRow>(
    "SELECT * FROM api_keys WHERE internal_id = ? ORDER BY created_at, key_id",
  )
  return {
    byHash: memory.remember((hash: string) => byHash.get(hash)),
    active: (internalId: string, email: string, name: string) => active.get(internalId, email, name),
    ofUser: (internalId: string, email: string) => ofUser.all(internalId, email),
    ofOrganization: (internalId: string) => ofOrganization.all(internalId),
  }
}

export function apiKeyWriter(db: Db) {
  const insert = db.prepare<ApiKeyRow>(
    `INSERT INTO api_keys (key_id, internal_id, user_email, name, description, key_hash, key_prefix, permissions, scopes,
       rate_limit_override, status, expires_at, last_used_at, created_at, created_by, revoked_at, revoked_by)
     VALUES (@key_id, @internal_id, @user_email, @name, @description, @key_hash, @key_prefix, @permissions, @scopes,
       @rate_limit_override, @status, @expires_at, @last_used_at, @created_at, @created_by, @revoked_at, @revoked_by)`,
  )
  const update = db.prepare<ApiKeyRow>(
    `UPDATE api_keys SET name = @name, description = @description, key_hash = @key_hash, key_prefix = @key_prefix,
       permissions = @permissions, scopes = @scopes, rate_limit_override = @rate_limit_override, status = @status,
       expires_at = @expires_at, revoked_at = @revoked_at, revoked_by = @revoked_by
     WHERE key_id = @key_id AND status = 'active'`,
  )
  const touch = db.prepare<[string, string]>("UPDATE api_keys SET last_used_at = ? WHERE key_id = ?")
  return {
    insert: (row: ApiKeyRow) => void insert.run(row),
    /** False when the key was revoked meanwhile. */
    update: (row: ApiKeyRow) => update.run(row).changes === 1,
    touch: (keyId: string, at: string) => void touch.run(at, keyId),
  }
}
