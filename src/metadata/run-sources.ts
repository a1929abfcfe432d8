/** What runs over documents read: parts, in the order of their ordinals. */
import type { Db } from "./open.ts"

/** The documents that a run reads, as `batch_runs.source` holds it. */
export interface RunSource {
  readonly collection_ids: readonly string[]
  /** Filters as the API takes them; a document passes all. */
  readonly filters: readonly unknown[]
}

/** A part at its place in the ordinals of a run. What the part itself says is null when it is gone. */
export interface RunSourceRow {
  first_ordinal: number
  part_id: string
  document_rows: number
  collection_id: string | null
  file: string | null
  dead_file: string | null
  features: string | null
}

export function runSourceReader(db: Db) {
  const between = db.prepare<[string, string, number, number], RunSourceRow>(
    `SELECT s.first_ordinal, s.part_id, s.document_rows, p.collection_id, p.file, p.dead_file, p.features
     FROM run_sources s LEFT JOIN parts p USING (part_id)
     WHERE s.batch_id = ? AND s.collection_id = ? AND s.first_ordinal + s.document_rows > ? AND s.first_ordinal < ?
     ORDER BY s.first_ordinal`,
  )
  const total = db.prepare<[string, string], { rows: number }>(
    "SELECT coalesce(sum(document_rows), 0) AS rows FROM run_sources WHERE batch_id = ? AND collection_id = ?",
  )
  const living = db.prepare<[string, string], { documents: number }>(
    `SELECT coalesce(sum(p.document_rows - p.dead_rows), 0) AS documents FROM run_sources s JOIN parts p USING (part_id)
     WHERE s.batch_id = ? AND s.collection_id = ?`,
  )
  const bytes = db.prepare<[string, string], { bytes: number | null }>(
    `SELECT CAST(sum(p.size_bytes) AS REAL) / sum(p.document_rows) AS bytes FROM run_sources s JOIN parts p USING (part_id)
     WHERE s.batch_id = ? AND s.collection_id = ?`,
  )
  return {
    /** The parts that hold the run's ordinals [first, end), in order. */
    between: (batchId: string, collectionId: string, first: number, end: number) =>
      between.all(batchId, collectionId, first, end),
    /** How many rows the run has. */
    total: (batchId: string, collectionId: string) => total.get(batchId, collectionId)?.rows ?? 0,
    /** Of a row on average, as it is stored; 0 where that is not known. */
    bytesPerRow: (batchId: string, collectionId: string) => bytes.get(batchId, collectionId)?.bytes ?? 0,
    /** How many of these are documents that live. */
    living: (batchId: string, collectionId: string) => living.get(batchId, collectionId)?.documents ?? 0,
  }
}

export function runSourceWriter(db: Db) {
  // Dead documents of a part keep their ordinals: a position is a place in the file. What the run has keeps its place.
  const add = db.prepare<{
    batchId: string
    collectionId: string
    sources: string
    ofBatch: string | null
    parts: string | null
  }>(
    `WITH had AS MATERIALIZED (
       SELECT part_id, document_rows FROM run_sources WHERE batch_id = @batchId AND collection_id = @collectionId)
     INSERT INTO run_sources (batch_id, collection_id, first_ordinal, part_id, document_rows)
     SELECT @batchId, @collectionId, (SELECT coalesce(sum(document_rows), 0) FROM had) + coalesce(sum(document_rows) OVER (
         ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), part_id, document_rows
     FROM parts
     WHERE collection_id IN (SELECT value FROM json_each(@sources)) AND (@ofBatch IS NULL OR batch_id = @ofBatch)
       AND (@parts IS NULL OR part_id IN (SELECT value FROM json_each(@parts)))
       AND part_id NOT IN (SELECT part_id FROM had)`,
  )
  return {
    /**
     * What the run reads: of the parts that the collections have now those that a batch wrote, or `parts`; null: all. New ones come last.
     */
    fix: (
      batchId: string,
      collectionId: string,
      sources: readonly string[],
      { ofBatch = null, parts = null }: { readonly ofBatch?: string | null; readonly parts?: readonly string[] | null },
    ) =>
      void add.run({
        batchId,
        collectionId,
        sources: JSON.stringify(sources),
        ofBatch,
        parts: parts === null ? null : JSON.stringify(parts),
      }),
  }
}
