import type { Db } from "./open.ts"

export interface PartitionRow {
  partition_id: number
  batch_id: string
  collection_id: string
  first_ordinal: number
  end_ordinal: number
  state: "pending" | "leased" | "done" | "split" | "canceled"
  attempt: number
  deaths: number
  rows_done: number
  rows_failed: number
  rows_skipped: number
  leased_at: string | null
  finished_at: string | null
}

export interface PartitionCounts {
  readonly rows_done: number
  readonly rows_failed: number
  readonly rows_skipped: number
}

export function partitionReader(db: Db) {
  // Fair between namespaces: the one with the fewest leases goes first, of these the one whose turn is longest ago; within one, by
  // priority, then the oldest batch, then the ledger's order. Per batch one seek, however many partitions wait.
  const next = db.prepare<{ workers: number | null; putOff: string; turns: string }, PartitionRow>(
    `WITH under_way AS MATERIALIZED (
       SELECT batch_id, count(*) AS leases FROM partitions WHERE state = 'leased' GROUP BY batch_id),
     busy AS MATERIALIZED (
       SELECT b.namespace_id, sum(u.leases) AS leases FROM under_way u JOIN batches b USING (batch_id) GROUP BY b.namespace_id),
     turns AS MATERIALIZED (SELECT key AS namespace_id, value AS turn FROM json_each(@turns))
     SELECT p.* FROM batches b JOIN namespaces n USING (namespace_id)
       LEFT JOIN busy USING (namespace_id) LEFT JOIN turns USING (namespace_id) LEFT JOIN under_way u USING (batch_id)
       JOIN partitions p ON p.partition_id = (
         SELECT w.partition_id FROM partitions w
         WHERE w.batch_id = b.batch_id AND w.state = 'pending'
           AND w.batch_id || '/' || w.collection_id NOT IN (SELECT value FROM json_each(@putOff))
         ORDER BY w.first_ordinal, w.partition_id LIMIT 1)
     WHERE b.status = 'IN_PROGRESS'
       AND coalesce(busy.leases, 0) < coalesce(json_extract(n.quotas, '$.workers'), @workers, 9e9)
       AND coalesce(u.leases, 0) < coalesce(b.max_concurrency, 9e9)
     ORDER BY coalesce(busy.leases, 0), coalesce(turn, 0), b.priority DESC, b.submitted_at, b.batch_id LIMIT 1`,
  )
  const open = db.prepare<[string, string], { count: number }>(
    "SELECT count(*) AS count FROM partitions WHERE batch_id = ? AND collection_id = ? AND state IN ('pending', 'leased')",
  )
  return {
    /**
     * `workers`: how many leases a namespace without a quota of its own may hold; null is unlimited. `put off`: runs, as
     * `<batch>/<collection>`, that are passed by. `turns`: when each namespace was served last, in any unit.
     */
    next: (workers: number | null, putOff: readonly string[], turns: ReadonlyMap<string, number>) =>
      next.get({ workers, putOff: JSON.stringify(putOff), turns: JSON.stringify(Object.fromEntries(turns)) }),
    openCount: (batchId: string, collectionId: string) => open.get(batchId, collectionId)?.count ?? 0,
  }
}

export function partitionWriter(db: Db) {
  const insert = db.prepare<[string, string, number, number, number]>(
    `INSERT INTO partitions (batch_id, collection_id, first_ordinal, end_ordinal, state, deaths)
     VALUES (?, ?, ?, ?, 'pending', ?)`,
  )
  const lease = db.prepare<[string, number]>(
    "UPDATE partitions SET state = 'leased', attempt = attempt + 1, leased_at = ? WHERE partition_id = ? AND state = 'pending'",
  )
  const release = db.prepare<[number, number]>(
    "UPDATE partitions SET state = 'pending', leased_at = NULL WHERE partition_id = ? AND attempt = ? AND state = 'leased'",
  )
  const releaseAll = db.prepare<[]>("UPDATE partitions SET state = 'pending', leased_at = NULL WHERE state = 'leased'")
  const finish = db.prepare<PartitionCounts & { at: string; partition_id: number; attempt: number }>(
    `UPDATE partitions SET state = 'done', rows_done = @rows_done, rows_failed = @rows_failed, rows_skipped = @rows_skipped,
       finished_at = @at
     WHERE partition_id = @partition_id AND attempt = @attempt AND state = 'leased'`,
  )
  const split = db.prepare<[string, number, number]>(
    "UPDATE partitions SET state = 'split', finished_at = ? WHERE partition_id = ? AND attempt = ? AND state = 'leased'",
  )
  const cancelOpen = db.prepare<[string, string, string]>(
    `UPDATE partitions SET state = 'canceled', finished_at = ?
     WHERE batch_id = ? AND collection_id = ? AND state IN ('pending', 'leased')`,
  )
  return {
    insert: (batchId: string, collectionId: string, first: number, end: number, deaths: number) =>
      void insert.run(batchId, collectionId, first, end, deaths),
    /** False when it is not pending any more. */
    lease: (partitionId: number, at: string) => lease.run(at, partitionId).changes === 1,
    /** Gives a lease back; false when the attempt is not the current one. */
    release: (partitionId: number, attempt: number) => release.run(partitionId, attempt).changes === 1,
    /** What a killed appliance held is pending again. */
    releaseAll: () => releaseAll.run().changes,
    /** False when the lease was lost (canceled): nothing may be committed then. */
    finish: (partitionId: number, attempt: number, counts: PartitionCounts, at: string) =>
      finish.run({ ...counts, at, partition_id: partitionId, attempt }).changes === 1,
    split: (partitionId: number, attempt: number, at: string) => split.run(at, partitionId, attempt).changes === 1,
    cancelOpen: (batchId: string, collectionId: string, at: string) => void cancelOpen.run(at, batchId, collectionId),
  }
}
