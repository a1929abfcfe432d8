import type { Db } from "./open.ts"

export interface IdempotencyRow {
  internal_id: string
  key: string
  fingerprint: string
  status: number
  /** gzip of the JSON answer. */
  body: Uint8Array
  created_at: string
}

export function idempotencyReader(db: Db) {
  const get = db.prepare<[string, string], IdempotencyRow>(
    "SELECT * FROM idempotency_keys WHERE internal_id = ? AND key = ?",
  )
  return { get: (internalId: string, key: string) => get.get(internalId, key) }
}

export function idempotencyWriter(db: Db) {
  // What is there under the key has expired and was not swept yet: whoever asks for a live one never gets here.
  const insert = db.prepare<IdempotencyRow>(
    `INSERT INTO idempotency_keys (internal_id, key, fingerprint, status, body, created_at)
     VALUES (@internal_id, @key, @fingerprint, @status, @body, @created_at)
     ON CONFLICT (internal_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
       body = excluded.body, created_at = excluded.created_at`,
  )
  const sweep = db.prepare<[string]>("DELETE FROM idempotency_keys WHERE created_at < ?")
  return {
    insert: (row: IdempotencyRow) => void insert.run(row),
    sweep: (before: string) => sweep.run(before).changes,
  }
}
