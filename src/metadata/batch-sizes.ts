import type { Db } from "./open.ts"

/** Code of a plugin in a namespace. */
export interface BatchSizeKey {
  readonly namespace_id: string
  readonly plugin_id: string
  readonly code_hash: string
}

export interface LearnedRows extends BatchSizeKey {
  readonly batch_rows: number
  /** That they were learned with. */
  readonly memory_bytes: number
}

export function batchSizeReader(db: Db) {
  const get = db.prepare<BatchSizeKey & { memory: number }, { batch_rows: number }>(
    `SELECT batch_rows FROM batch_sizes WHERE namespace_id = @namespace_id AND plugin_id = @plugin_id
       AND code_hash = @code_hash AND memory_bytes >= @memory`,
  )
  return {
    /** Rows a call that worked with that much memory or more, after more rows did not; null when nothing was learned. */
    learned: ({ namespace_id, plugin_id, code_hash }: BatchSizeKey, memoryBytes: number): number | null =>
      get.get({ namespace_id, plugin_id, code_hash, memory: memoryBytes })?.batch_rows ?? null,
  }
}

export function batchSizeWriter(db: Db) {
  const learn = db.prepare<LearnedRows & { at: string }>(
    `INSERT INTO batch_sizes (namespace_id, plugin_id, code_hash, batch_rows, memory_bytes, learned_at)
     VALUES (@namespace_id, @plugin_id, @code_hash, @batch_rows, @memory_bytes, @at)
     ON CONFLICT DO UPDATE SET memory_bytes = excluded.memory_bytes, learned_at = excluded.learned_at,
       batch_rows = CASE WHEN excluded.memory_bytes > memory_bytes THEN excluded.batch_rows
                         ELSE min(batch_rows, excluded.batch_rows) END`,
  )
  const removeOf = db.prepare<[string]>("DELETE FROM batch_sizes WHERE namespace_id = ?")
  return {
    /** Never more than what is known already, but with more memory than that was learned with. */
    learn: (rows: LearnedRows, at: string) => void learn.run({ ...rows, at }),
    removeOf: (namespaceId: string) => void removeOf.run(namespaceId),
  }
}
