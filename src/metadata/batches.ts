import type { Db } from "./open.ts"

export interface BatchRow {
  batch_id: string
  namespace_id: string
  bucket_id: string
  batch_name: string | null
  status: string
  membership: "explicit" | "bucket"
  membership_filters: string | null
  membership_limit: number | null
  /** Objects up to this `seq` are in; the next slice starts after it. */
  membership_next: number
  membership_end: number | null
  object_count: number
  collection_ids: string | null
  metadata: string
  lifecycle_reason: string | null
  error: string | null
  task_id: string | null
  created_at: string
  updated_at: string
  submitted_at: string | null
  finished_at: string | null
}

export interface RunRow {
  batch_id: string
  collection_id: string
  plugin_id: string
  plugin_version: string
  code_hash: string
  environment: string | null
  isolation: string | null
  /** JSON. */
  isolation_facts: string | null
  feature_extractor: string
  status: string
  rows_in: number
  rows_done: number
  rows_failed: number
  rows_skipped: number
  documents_written: number
  error: string | null
  started_at: string | null
  finished_at: string | null
}

export interface RowErrorRow {
  batch_id: string
  collection_id: string
  ordinal: number
  object_id: string
  error_type: string
  exception: string
  message: string
  traceback: string | null
  stage: string | null
  attempt: number
  created_at: string
}

const LIVE = "('QUEUED', 'PENDING', 'IN_PROGRESS')"

export function batchReader(db: Db) {
  const get = db.prepare<[string, string], BatchRow>("SELECT * FROM batches WHERE namespace_id = ? AND batch_id = ?")
  const byId = db.prepare<[string], BatchRow>("SELECT * FROM batches WHERE batch_id = ?")
  const list = db.prepare<{ bucketId: string; status: string | null; limit: number; offset: number }, BatchRow>(
    `SELECT * FROM batches WHERE bucket_id = @bucketId AND (@status IS NULL OR status = @status)
     ORDER BY created_at DESC, batch_id LIMIT @limit OFFSET @offset`,
  )
  const count = db.prepare<{ bucketId: string; status: string | null }, { count: number }>(
    "SELECT count(*) AS count FROM batches WHERE bucket_id = @bucketId AND (@status IS NULL OR status = @status)",
  )
  const live = db.prepare<[], BatchRow>(`SELECT * FROM batches WHERE status IN ${LIVE} ORDER BY submitted_at, batch_id`)
  const liveOf = db.prepare<[string], { batch_id: string }>(
    `SELECT DISTINCT b.batch_id FROM batches b LEFT JOIN batch_runs r USING (batch_id)
     WHERE b.status IN ${LIVE} AND ? IN (b.namespace_id, b.bucket_id, r.collection_id)`,
  )
  const of = db.prepare<[string], { batch_id: string }>(
    "SELECT batch_id FROM batches WHERE ? IN (namespace_id, bucket_id)",
  )
  const objectIds = db.prepare<[string, number], { object_id: string }>(
    "SELECT object_id FROM batch_objects WHERE batch_id = ? ORDER BY ordinal LIMIT ?",
  )
  const runs = db.prepare<[string], RunRow>("SELECT * FROM batch_runs WHERE batch_id = ? ORDER BY collection_id")
  const run = db.prepare<[string, string], RunRow>("SELECT * FROM batch_runs WHERE batch_id = ? AND collection_id = ?")
  const errors = db.prepare<
    { batchId: string; collectionId: string | null; limit: number; offset: number },
    RowErrorRow
  >(
    `SELECT * FROM row_errors WHERE batch_id = @batchId AND (@collectionId IS NULL OR collection_id = @collectionId)
     ORDER BY collection_id, ordinal LIMIT @limit OFFSET @offset`,
  )
  const errorCount = db.prepare<{ batchId: string; collectionId: string | null }, { count: number }>(
    "SELECT count(*) AS count FROM row_errors WHERE batch_id = @batchId AND (@collectionId IS NULL OR collection_id = @collectionId)",
  )
  const summary = db.prepare<[string], { exception: string; count: number }>(
    "SELECT exception, count(*) AS count FROM row_errors WHERE batch_id = ? GROUP BY exception ORDER BY count DESC LIMIT 20",
  )
  return {
    get: (namespaceId: string, batchId: string) => get.get(namespaceId, batchId),
    byId: (batchId: string) => byId.get(batchId),
    list: (bucketId: string, status: string | null, limit: number, offset: number) =>
      list.all({ bucketId, status, limit, offset }),
    count: (bucketId: string, status: string | null) => count.get({ bucketId, status })?.count ?? 0,
    /** Submitted and not at an end. */
    live: () => live.all(),
    /** Ids of live batches of a namespace, bucket or collection. */
    liveOf: (id: string) => liveOf.all(id).map((row) => row.batch_id),
    /** Ids of all batches of a namespace or bucket. */
    of: (id: string) => of.all(id).map((row) => row.batch_id),
    objectIds: (batchId: string, limit: number) => objectIds.all(batchId, limit).map((row) => row.object_id),
    runs: (batchId: string) => runs.all(batchId),
    run: (batchId: string, collectionId: string) => run.get(batchId, collectionId),
    errors: (batchId: string, collectionId: string | null, limit: number, offset: number) =>
      errors.all({ batchId, collectionId, limit, offset }),
    errorCount: (batchId: string, collectionId: string | null) => errorCount.get({ batchId, collectionId })?.count ?? 0,
    errorSummary: (batchId: string) => summary.all(batchId),
  }
}

export function batchWriter(db: Db) {
  const insert = db.prepare<BatchRow>(
    `INSERT INTO batches (batch_id, namespace_id, bucket_id, batch_name, status, membership, membership_filters,
       membership_limit, membership_next, membership_end, object_count, collection_ids, metadata, lifecycle_reason, error,
       task_id, created_at, updated_at, submitted_at, finished_at)
     VALUES (@batch_id, @namespace_id, @bucket_id, @batch_name, @status, @membership, @membership_filters,
       @membership_limit, @membership_next, @membership_end, @object_count, @collection_ids, @metadata, @lifecycle_reason,
       @error, @task_id, @created_at, @updated_at, @submitted_at, @finished_at)`,
  )
  const update = db.prepare<[string, string | null, string, string]>(
    "UPDATE batches SET metadata = ?, batch_name = ?, updated_at = ? WHERE batch_id = ?",
  )
  const member = db.prepare<[string, number, string]>(
    "INSERT INTO batch_objects (batch_id, ordinal, object_id) VALUES (?, ?, ?) ON CONFLICT (batch_id, object_id) DO NOTHING",
  )
  const membership = db.prepare<[number, number, string]>(
    "UPDATE batches SET membership_next = ?, object_count = ? WHERE batch_id = ?",
  )
  const submit = db.prepare<[string, string, string, number, string, string]>(
    `UPDATE batches SET status = 'QUEUED', task_id = ?, collection_ids = ?, submitted_at = ?, membership_end = ?, updated_at = ?
     WHERE batch_id = ? AND status = 'DRAFT'`,
  )
  const move = db.prepare<{ to: string; from: string; at: string; batchId: string }>(
    "UPDATE batches SET status = @to, updated_at = @at WHERE batch_id = @batchId AND status = @from",
  )
  const finish = db.prepare<{ status: string; error: string | null; at: string; batchId: string }>(
    `UPDATE batches SET status = @status, error = @error, finished_at = @at, updated_at = @at
     WHERE batch_id = @batchId AND status IN ('DRAFT', 'QUEUED', 'PENDING', 'IN_PROGRESS')`,
  )
  const insertRun = db.prepare<RunRow>(
    `INSERT INTO batch_runs (batch_id, collection_id, plugin_id, plugin_version, code_hash, environment, isolation,
       isolation_facts, feature_extractor, status, rows_in, rows_done, rows_failed, rows_skipped, documents_written, error, started_at,
       finished_at)
     VALUES (@batch_id, @collection_id, @plugin_id, @plugin_version, @code_hash, @environment, @isolation,
       @isolation_facts, @feature_extractor, @status, @rows_in, @rows_done, @rows_failed, @rows_skipped, @documents_written, @error,
       @started_at, @finished_at)`,
  )
  const beginRun = db.prepare<[number, string, string, string]>(
    "UPDATE batch_runs SET status = 'IN_PROGRESS', rows_in = ?, started_at = ? WHERE batch_id = ? AND collection_id = ?",
  )
  const recordWorker = db.prepare<{
    isolation: string
    facts: string
    environment: string
    batchId: string
    collectionId: string
  }>(
    `UPDATE batch_runs SET isolation = @isolation, isolation_facts = @facts, environment = @environment
     WHERE batch_id = @batchId AND collection_id = @collectionId`,
  )
  const addCounts = db.prepare<{
    done: number
    failed: number
    skipped: number
    documents: number
    batchId: string
    collectionId: string
  }>(
    `UPDATE batch_runs SET rows_done = rows_done + @done, rows_failed = rows_failed + @failed,
       rows_skipped = rows_skipped + @skipped, documents_written = documents_written + @documents
     WHERE batch_id = @batchId AND collection_id = @collectionId`,
  )
  const finishRun = db.prepare<{
    status: string
    error: string | null
    at: string
    batchId: string
    collectionId: string
  }>(
    `UPDATE batch_runs SET status = @status, error = @error, finished_at = @at,
       rows_skipped = rows_in - rows_done - rows_failed
     WHERE batch_id = @batchId AND collection_id = @collectionId AND finished_at IS NULL`,
  )
  const insertError = db.prepare<RowErrorRow>(
    `INSERT OR REPLACE INTO row_errors (batch_id, collection_id, ordinal, object_id, error_type, exception, message,
       traceback, stage, attempt, created_at)
     VALUES (@batch_id, @collection_id, @ordinal, @object_id, @error_type, @exception, @message, @traceback, @stage,
       @attempt, @created_at)`,
  )
  const erase = ["row_errors", "partitions", "batch_runs", "batch_objects", "batches"].map((table) =>
    db.prepare<[string]>(`DELETE FROM ${table} WHERE batch_id = ?`),
  )
  return {
    insert: (row: BatchRow) => void insert.run(row),
    update: (batchId: string, metadata: string, name: string | null, at: string) =>
      void update.run(metadata, name, at, batchId),
    /** Adds members from `ordinal` on, skipping those that are in; answers the next free ordinal. */
    addMembers(batchId: string, ordinal: number, objectIds: readonly string[]): number {
      let next = ordinal
      for (const objectId of objectIds) next += member.run(batchId, next, objectId).changes
      return next
    },
    setMembership: (batchId: string, next: number, count: number) => void membership.run(next, count, batchId),
    /** False when it is no draft any more. */
    submit: (batchId: string, taskId: string, collectionIds: string, end: number, at: string) =>
      submit.run(taskId, collectionIds, at, end, at, batchId).changes === 1,
    /** False when the batch is not in `from`. */
    move: (batchId: string, from: string, to: string, at: string) => move.run({ batchId, from, to, at }).changes === 1,
    /** False when it had ended already. */
    finish: (batchId: string, status: string, error: string | null, at: string) =>
      finish.run({ batchId, status, error, at }).changes === 1,
    insertRun: (row: RunRow) => void insertRun.run(row),
    beginRun: (batchId: string, collectionId: string, rows: number, at: string) =>
      void beginRun.run(rows, at, batchId, collectionId),
    /** `facts` is JSON. */
    recordWorker: (
      batchId: string,
      collectionId: string,
      worker: { isolation: string; facts: string; environment: string },
    ) => void recordWorker.run({ ...worker, batchId, collectionId }),
    addCounts: (
      batchId: string,
      collectionId: string,
      counts: { done: number; failed: number; skipped: number; documents: number },
    ) => void addCounts.run({ ...counts, batchId, collectionId }),
    /** What has neither succeeded nor failed by now is skipped, so that in = done + failed + skipped. */
    finishRun: (batchId: string, collectionId: string, status: string, error: string | null, at: string) =>
      finishRun.run({ batchId, collectionId, status, error, at }).changes === 1,
    insertError: (row: RowErrorRow) => void insertError.run(row),
    erase(batchId: string) {
      for (const statement of erase) statement.run(batchId)
    },
  }
}
