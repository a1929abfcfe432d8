import { LIVE } from "./batches.ts"
import type { Db } from "./open.ts"

export interface PartitionRow {
  partition_id: number
  batch_id: string
  collection_id: string
  first_ordinal: number
  end_ordinal: number
  /** Of a batch over a whole bucket: its objects have after_seq < seq <= until_seq, however many are left of them. */
  after_seq: number | null
  until_seq: number | null
  state: "pending" | "leased" | "done" | "split" | "canceled"
  attempt: number
  deaths: number
  /** 0: all rows of the range; else those that are open in `retried_rows` under this number. */
  retry: number
  rows_in: number
  /** Rows a step is given at once, at most; null: as many as it takes. */
  batch_rows: number | null
  /** 1: its rows were one call during which a worker died. */
  suspect: 0 | 1
  rows_done: number
  rows_failed: number
  rows_skipped: number
  leased_at: string | null
  finished_at: string | null
}

/** What a partition is made of. */
export type PartitionRange = Pick<
  PartitionRow,
  | "batch_id"
  | "collection_id"
  | "first_ordinal"
  | "end_ordinal"
  | "after_seq"
  | "until_seq"
  | "retry"
  | "rows_in"
  | "deaths"
  | "batch_rows"
  | "suspect"
>

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
     WHERE b.status IN ${LIVE} AND b.status = 'IN_PROGRESS'
       AND coalesce(busy.leases, 0) < coalesce(json_extract(n.quotas, '$.workers'), @workers, 9e9)
       AND coalesce(u.leases, 0) < coalesce(b.max_concurrency, 9e9)
     ORDER BY coalesce(busy.leases, 0), coalesce(turn, 0), b.priority DESC, b.submitted_at, b.batch_id LIMIT 1`,
  )
  const open = db.prepare<[string, string], { count: number }>(
    "SELECT count(*) AS count FROM partitions WHERE batch_id = ? AND collection_id = ? AND state IN ('pending', 'leased')",
  )
  const firstPass = db.prepare<[string, string], { partitions: number; rows: number; tried: number }>(
    `SELECT count(*) AS partitions, coalesce(sum(CASE WHEN state = 'canceled' THEN rows_in END), 0) AS rows,
       coalesce(sum(CASE WHEN state = 'done' THEN rows_in END), 0) AS tried
     FROM partitions WHERE batch_id = ? AND collection_id = ? AND retry = 0`,
  )
  const held = db.prepare<[number, number], { one: 1 }>(
    "SELECT 1 AS one FROM partitions WHERE partition_id = ? AND attempt = ? AND state = 'leased'",
  )
  type OpenRange = [string, string, number, number, number]
  const openRows =
    "FROM retried_rows WHERE batch_id = ? AND collection_id = ? AND ordinal >= ? AND ordinal < ? AND open_in = ?"
  const openBefore = db.prepare<OpenRange, { count: number }>(`SELECT count(*) AS count ${openRows}`)
  const openAt = db.prepare<[...OpenRange, number], { ordinal: number }>(
    `SELECT ordinal ${openRows} ORDER BY ordinal LIMIT 1 OFFSET ?`,
  )
  const openOrdinals = db.prepare<OpenRange, { ordinal: number }>(`SELECT ordinal ${openRows} ORDER BY ordinal`)
  return {
    /** The rows that a partition of a retry has; null when it has all of its range. */
    ordinals(partition: PartitionRange): number[] | null {
      const {
        batch_id: batchId,
        collection_id: collectionId,
        first_ordinal: first,
        end_ordinal: end,
        retry,
      } = partition
      if (retry === 0) return null
      return openOrdinals.all(batchId, collectionId, first, end, retry).map((row) => row.ordinal)
    },
    /** Of the first pass: how many partitions there are, rows of those that were canceled, and of those that have an outcome. */
    firstPass: (batchId: string, collectionId: string) =>
      firstPass.get(batchId, collectionId) ?? { partitions: 0, rows: 0, tried: 0 },
    /** How many of a partition's rows come before the ordinal. */
    rowsBefore(partition: PartitionRange, ordinal: number): number {
      const { batch_id: batchId, collection_id: collectionId, first_ordinal: first, retry } = partition
      if (retry === 0) return ordinal - first
      return openBefore.get(batchId, collectionId, first, ordinal, retry)?.count ?? 0
    },
    /** The ordinal of a partition's row by its place, from 0. */
    ordinalAt(partition: PartitionRange, place: number): number {
      const {
        batch_id: batchId,
        collection_id: collectionId,
        first_ordinal: first,
        end_ordinal: end,
        retry,
      } = partition
      if (retry === 0) return first + place
      return openAt.get(batchId, collectionId, first, end, retry, place)?.ordinal ?? end
    },
    /**
     * `workers`: how many leases a namespace without a quota of its own may hold; null is unlimited. `put off`: runs, as
     * `<batch>/<collection>`, that are passed by. `turns`: when each namespace was served last, in any unit.
     */
    next: (workers: number | null, putOff: readonly string[], turns: ReadonlyMap<string, number>) =>
      next.get({ workers, putOff: JSON.stringify(putOff), turns: JSON.stringify(Object.fromEntries(turns)) }),
    /** False when the lease was lost (canceled, and may be another attempt's by now). */
    isHeld: ({ partition_id: partitionId, attempt }: Pick<PartitionRow, "partition_id" | "attempt">) =>
      held.get(partitionId, attempt) !== undefined,
    openCount: (batchId: string, collectionId: string) => open.get(batchId, collectionId)?.count ?? 0,
  }
}

export function partitionWriter(db: Db) {
  const insert = db.prepare<PartitionRange>(
    `INSERT INTO partitions (batch_id, collection_id, first_ordinal, end_ordinal, after_seq, until_seq, state, retry, rows_in, deaths,
       batch_rows, suspect)
     VALUES (@batch_id, @collection_id, @first_ordinal, @end_ordinal, @after_seq, @until_seq, 'pending', @retry, @rows_in, @deaths, @batch_rows, @suspect)`,
  )
  // Cut by the rows that are open, not by ordinals: a few failed rows of a large batch are one partition.
  const insertOpen = db.prepare<{ batchId: string; collectionId: string; retry: number; size: number }>(
    `INSERT INTO partitions (batch_id, collection_id, first_ordinal, end_ordinal, state, retry, rows_in)
     SELECT @batchId, @collectionId, min(ordinal), max(ordinal) + 1, 'pending', @retry, count(*)
     FROM (SELECT ordinal, (row_number() OVER (ORDER BY ordinal) - 1) / CAST(@size AS INTEGER) AS part FROM retried_rows
           WHERE batch_id = @batchId AND collection_id = @collectionId AND open_in = @retry)
     GROUP BY part ORDER BY part`,
  )
  const reopen = db.prepare<[string, string]>(
    `UPDATE partitions SET state = 'pending', leased_at = NULL, finished_at = NULL
     WHERE batch_id = ? AND collection_id = ? AND state = 'canceled' AND retry = 0`,
  )
  const lease = db.prepare<[string, number]>(
    "UPDATE partitions SET state = 'leased', attempt = attempt + 1, leased_at = ? WHERE partition_id = ? AND state = 'pending'",
  )
  const shorten = db.prepare<Pick<PartitionRow, "partition_id" | "end_ordinal" | "until_seq" | "rows_in">>(
    `UPDATE partitions SET end_ordinal = @end_ordinal, until_seq = @until_seq, rows_in = @rows_in
     WHERE partition_id = @partition_id AND state = 'pending'`,
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
  const narrow = db.prepare<[number | null, number, number, number]>(
    `UPDATE partitions SET state = 'pending', leased_at = NULL, deaths = deaths + 1, batch_rows = ?, suspect = ?
     WHERE partition_id = ? AND attempt = ? AND state = 'leased'`,
  )
  const cancelOpen = db.prepare<[string, string, string]>(
    `UPDATE partitions SET state = 'canceled', finished_at = ?
     WHERE batch_id = ? AND collection_id = ? AND state IN ('pending', 'leased')`,
  )
  return {
    insert: (range: PartitionRange) => void insert.run(range),
    /** Partitions of `size` rows over those that a retry has opened. */
    insertOpen: (batchId: string, collectionId: string, retry: number, size: number) =>
      void insertOpen.run({ batchId, collectionId, retry, size }),
    /** What of the first pass never ran. */
    reopen: (batchId: string, collectionId: string) => void reopen.run(batchId, collectionId),
    /** False when it is not pending any more. */
    lease: (partitionId: number, at: string) => lease.run(at, partitionId).changes === 1,
    /** Of one that waits: its last rows go to another. */
    shorten: (partitionId: number, { end_ordinal, until_seq, rows_in }: PartitionRange) =>
      void shorten.run({ partition_id: partitionId, end_ordinal, until_seq, rows_in }),
    /** Gives a lease back; false when the attempt is not the current one. */
    release: (partitionId: number, attempt: number) => release.run(partitionId, attempt).changes === 1,
    /** What a killed appliance held is pending again. */
    releaseAll: () => releaseAll.run().changes,
    /** False when the lease was lost (canceled): nothing may be committed then. */
    finish: (partitionId: number, attempt: number, counts: PartitionCounts, at: string) =>
      finish.run({ ...counts, at, partition_id: partitionId, attempt }).changes === 1,
    split: (partitionId: number, attempt: number, at: string) => split.run(at, partitionId, attempt).changes === 1,
    /** Gives a lease back after a death, with fewer rows a call. */
    narrow: (
      partitionId: number,
      attempt: number,
      { batch_rows, suspect }: Pick<PartitionRow, "batch_rows" | "suspect">,
    ) => void narrow.run(batch_rows, suspect, partitionId, attempt),
    cancelOpen: (batchId: string, collectionId: string, at: string) => void cancelOpen.run(at, batchId, collectionId),
  }
}
