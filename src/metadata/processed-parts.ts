/** Which parts of its sources a collection over collections has processed, and which runs under way have in hand. */
import type { Db } from "./open.ts"

export interface PartsKey {
  readonly collectionId: string
  /** Of the code and its configuration. */
  readonly code: string
  /** The same, and the request's filter where there is one. */
  readonly fingerprint: string
}

export function processedPartsReader(db: Db) {
  // A run that waits for what it reads in its own batch has in hand what that writes: it takes all of it when it begins. One that has
  // begun has no more than it took: a canceled retry may have written what it, retried alone, does not read.
  const left = db.prepare<PartsKey & { sources: string }, { part_id: string }>(
    `WITH under_way AS MATERIALIZED (
       SELECT batch_id, tier, source, started_at FROM batch_runs
       WHERE collection_id = @collectionId AND finished_at IS NULL AND source IS NOT NULL AND fingerprint = @code
         AND @fingerprint = @code),
     held AS MATERIALIZED (
       SELECT s.part_id FROM under_way u CROSS JOIN run_sources s USING (batch_id) WHERE s.collection_id = @collectionId),
     to_come AS MATERIALIZED (
       SELECT u.batch_id, source.value AS collection_id
       FROM under_way u CROSS JOIN json_each(u.source, '$.collection_ids') source
       WHERE u.tier > 0 AND u.started_at IS NULL)
     SELECT p.part_id FROM json_each(@sources) source CROSS JOIN parts p ON p.collection_id = source.value
     WHERE p.dead_rows < p.document_rows
       AND NOT EXISTS (
         SELECT 1 FROM processed_parts d
         WHERE d.collection_id = @collectionId AND d.part_id = p.part_id AND d.fingerprint IN (@code, @fingerprint))
       AND p.part_id NOT IN (SELECT part_id FROM held)
       AND (p.batch_id, p.collection_id) NOT IN (SELECT batch_id, collection_id FROM to_come)`,
  )
  return {
    /**
     * Parts of `sources` with living documents that this code has not processed. What runs of it under way have in hand is left to
     * them, but where a filter asks: a filtered run and one over everything know nothing of each other.
     */
    left: (key: PartsKey, sources: readonly string[]) =>
      left.all({ ...key, sources: JSON.stringify(sources) }).map((row) => row.part_id),
  }
}

export function processedPartsWriter(db: Db) {
  // A part that went away while the run was under way has no documents to be processed.
  const add = db.prepare<{
    batchId: string
    collectionId: string
    fingerprint: string
    code: string
    pluginId: string
  }>(
    `INSERT INTO processed_parts (collection_id, part_id, fingerprint, code, plugin_id)
     SELECT s.collection_id, s.part_id, @fingerprint, @code, @pluginId FROM run_sources s JOIN parts p USING (part_id)
     WHERE s.batch_id = @batchId AND s.collection_id = @collectionId
     ON CONFLICT DO NOTHING`,
  )
  const forget = db.prepare<{ collectionId: string; pluginId: string }>(
    "DELETE FROM processed_parts WHERE collection_id = @collectionId AND plugin_id = @pluginId",
  )
  return {
    /** A run ended well over its sources. */
    add: (batchId: string, { collectionId, fingerprint, code }: PartsKey, pluginId: string) =>
      void add.run({ batchId, collectionId, fingerprint, code, pluginId }),
    /** The documents of a version are gone. */
    forget: (collectionId: string, pluginId: string) => void forget.run({ collectionId, pluginId }),
  }
}
