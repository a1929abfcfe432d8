import type { Db } from "./open.ts"

/** What one code with one configuration has processed of a bucket, for one collection: the changes in (since, change]. */
export interface ProcessedRow {
  collection_id: string
  bucket_id: string
  /** Of the code, its configuration and, when `filtered`, the filter. */
  fingerprint: string
  plugin_id: string
  filtered: number
  /** Above 0: another version did what is before, when the collection was moved. */
  since: number
  change: number
  updated_at: string
}

export interface ProcessedKey {
  readonly collectionId: string
  readonly bucketId: string
  readonly fingerprint: string
}

export function processedChangesReader(db: Db) {
  const get = db.prepare<ProcessedKey, ProcessedRow>(
    `SELECT * FROM processed_changes
     WHERE collection_id = @collectionId AND bucket_id = @bucketId AND fingerprint = @fingerprint`,
  )
  const reach = (which: string) =>
    db.prepare<ProcessedKey & { change: number }, { change: number | null }>(
      `SELECT max(r.changes_end) AS change FROM batch_runs r JOIN batches b USING (batch_id)
       WHERE r.collection_id = @collectionId AND r.fingerprint = @fingerprint AND r.changes_end > @change
         AND r.changes_after <= @change AND b.bucket_id = @bucketId AND ${which}`,
    )
  const inHand = reach("r.finished_at IS NULL")
  const done = reach("r.status IN ('COMPLETED', 'COMPLETED_WITH_ERRORS')")
  const furthest = (statement: typeof inHand, key: ProcessedKey, from: number) => {
    let change = from
    for (;;) {
      const next = statement.get({ ...key, change })?.change ?? null
      if (next === null) return change
      change = next
    }
  }
  return {
    get: (key: ProcessedKey) => get.get(key),
    /** How far runs that have not ended will reach from `change` on, without a gap. */
    inHand: (key: ProcessedKey, change: number) => furthest(inHand, key, change),
    /** How far runs that ended well reach from `change` on, without a gap. */
    done: (key: ProcessedKey, change: number) => furthest(done, key, change),
  }
}

export function processedChangesWriter(db: Db) {
  // From the beginning: it stands for itself, and joins what is there when that begins where it ends or before.
  const begin = db.prepare<ProcessedKey & { pluginId: string; filtered: number; end: number; at: string }>(
    `INSERT INTO processed_changes (collection_id, bucket_id, fingerprint, plugin_id, filtered, since, change, updated_at)
     VALUES (@collectionId, @bucketId, @fingerprint, @pluginId, @filtered, 0, @end, @at)
     ON CONFLICT DO UPDATE SET since = 0, change = CASE WHEN since <= @end THEN max(change, @end) ELSE @end END,
       updated_at = @at`,
  )
  const extend = db.prepare<ProcessedKey & { after: number; end: number; at: string }>(
    `UPDATE processed_changes SET change = max(change, @end), updated_at = @at
     WHERE collection_id = @collectionId AND bucket_id = @bucketId AND fingerprint = @fingerprint AND change >= @after`,
  )
  const carry = db.prepare<{ collectionId: string; from: string; fingerprint: string; to: string; at: string }>(
    `INSERT INTO processed_changes (collection_id, bucket_id, fingerprint, plugin_id, filtered, since, change, updated_at)
     SELECT collection_id, bucket_id, @fingerprint, @to, 0, max(change), max(change), @at FROM processed_changes
     WHERE collection_id = @collectionId AND plugin_id = @from AND filtered = 0
       AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.collection_id = @collectionId AND p.plugin_id = @to)
       AND NOT EXISTS (SELECT 1 FROM batch_runs r
         WHERE r.collection_id = @collectionId AND r.plugin_id = @to AND r.finished_at IS NULL)
     GROUP BY collection_id, bucket_id
     ON CONFLICT DO NOTHING`,
  )
  const forget = db.prepare<{ collectionId: string; pluginId: string }>(
    `DELETE FROM processed_changes
     WHERE collection_id = @collectionId AND (plugin_id = @pluginId OR since > 0 OR filtered = 1)`,
  )
  const disclaim = db.prepare<{ collectionId: string; pluginId: string }>(
    `UPDATE batch_runs SET fingerprint = NULL, changes_end = NULL
     WHERE collection_id = @collectionId AND (plugin_id = @pluginId OR (finished_at IS NULL AND source IS NULL))`,
  )
  return {
    /** A run ended well over the changes in (after, end]. One that begins behind a gap is not taken. */
    add(key: ProcessedKey, plugin: { pluginId: string; filtered: boolean }, after: number, end: number, at: string) {
      if (after === 0) begin.run({ ...key, pluginId: plugin.pluginId, filtered: Number(plugin.filtered), end, at })
      else extend.run({ ...key, after, end, at })
    },
    /**
     * The collection moved from one version to another, which goes on where the old one stands if it has made nothing yet, nor is about
     * to: documents of its own stand over the old one's, however old they are.
     */
    carry: (collectionId: string, from: string, to: string, fingerprint: string, at: string) =>
      void carry.run({ collectionId, from, to, fingerprint, at }),
    /** The documents of a version are gone: nobody may count on what it did, nor a run that began on that or is retried. */
    forget(collectionId: string, pluginId: string) {
      forget.run({ collectionId, pluginId })
      disclaim.run({ collectionId, pluginId })
    },
  }
}
