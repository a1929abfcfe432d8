import type { Db } from "./open.ts"

export interface BatchRow {
  batch_id: string
  namespace_id: string
  bucket_id: string
  /** COLLECTION: its first run reads documents, and it has no objects of its own. */
  type: "BUCKET" | "COLLECTION"
  batch_name: string | null
  status: string
  membership: "explicit" | "bucket"
  /** 1: all that had arrived by `membership_end`; nobody is listed. */
  whole_bucket: 0 | 1
  membership_filters: string | null
  membership_limit: number | null
  /** Objects up to this `seq` are in; the next slice starts after it. */
  membership_next: number
  membership_end: number | null
  /** Set: members are the objects with changes_after < change <= membership_end, and `membership_next` is a change too. */
  changes_after: number | null
  object_count: number
  collection_ids: string | null
  metadata: string
  lifecycle_reason: string | null
  /** What a suspended batch goes back to. */
  suspended_from: string | null
  /** JSON; null is `finish`. */
  failure_policy: string | null
  priority: number
  /** Partitions at a time; null: as many as there are slots. */
  max_concurrency: number | null
  error: string | null
  task_id: string | null
  /** How often failed rows of it were run again. */
  retry: number
  created_at: string
  updated_at: string
  submitted_at: string | null
  finished_at: string | null
}

export interface RunRow {
  batch_id: string
  collection_id: string
  /** Its place in the chain: it begins when the runs that it reads, of lower tiers, have ended. */
  tier: number
  /** JSON of a RunSource; null for a run over the batch's objects. */
  source: string | null
  /** The task of its tier. */
  task_id: string | null
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
  /**
   * Once it ended well, this code has processed all changes in (changes_after, changes_end], or, of a run over documents, the parts
   * that it reads; null: it proves nothing.
   */
  fingerprint: string | null
  changes_after: number | null
  changes_end: number | null
}

/** What of a run says which code its rows run in. */
export type RunCode = Pick<RunRow, "plugin_id" | "plugin_version" | "code_hash" | "feature_extractor">

/** `after` and `end` are null of a run over documents. */
export interface Claim {
  readonly fingerprint: string
  readonly after: number | null
  readonly end: number | null
}

/** A run as it is submitted; what it claims is written apart. */
export type NewRun = Omit<RunRow, "fingerprint" | "changes_after" | "changes_end">
type NewBatch = Omit<BatchRow, "changes_after">

/** As the index `batches_live` has it: a query for some of these states names all of them too, or it is not used. */
export const LIVE = "('QUEUED', 'PENDING', 'IN_PROGRESS', 'SUSPENDED')"

export function batchReader(db: Db) {
  const get = db.prepare<[string, string], BatchRow>("SELECT * FROM batches WHERE namespace_id = ? AND batch_id = ?")
  const byId = db.prepare<[string], BatchRow>("SELECT * FROM batches WHERE batch_id = ?")
  const within = {
    bucket: listing(db, "bucket_id = @id"),
    namespace: listing(db, "namespace_id = @id"),
    namespaces: listing(db, "namespace_id IN (SELECT value FROM json_each(@id))"),
  }
  const waiting = db.prepare<[], BatchRow>(
    `SELECT * FROM batches WHERE status IN ${LIVE} AND status IN ('QUEUED', 'PENDING')
     ORDER BY priority DESC, submitted_at, batch_id`,
  )
  const liveOf = db.prepare<[string], { batch_id: string }>(
    `SELECT DISTINCT b.batch_id FROM batches b LEFT JOIN batch_runs r USING (batch_id)
     WHERE b.status IN ${LIVE} AND ? IN (b.namespace_id, b.bucket_id, r.collection_id)`,
  )
  const liveRunsOf = db.prepare<[string, string], { batch_id: string }>(
    "SELECT batch_id FROM batch_runs WHERE collection_id = ? AND plugin_id = ? AND finished_at IS NULL LIMIT 20",
  )
  const of = db.prepare<[string], { batch_id: string }>(
    "SELECT batch_id FROM batches WHERE ? IN (namespace_id, bucket_id)",
  )
  const objectIds = {
    listed: db.prepare<{ batchId: string; limit: number }, { object_id: string }>(
      "SELECT object_id FROM batch_objects WHERE batch_id = @batchId ORDER BY ordinal LIMIT @limit",
    ),
    whole: db.prepare<{ batchId: string; limit: number }, { object_id: string }>(
      `SELECT o.object_id FROM batches b JOIN objects o ON o.bucket_id = b.bucket_id AND o.seq <= b.membership_end
       WHERE b.batch_id = @batchId ORDER BY o.seq LIMIT @limit`,
    ),
  }
  const runs = db.prepare<[string], RunRow>("SELECT * FROM batch_runs WHERE batch_id = ? ORDER BY tier, collection_id")
  const run = db.prepare<[string, string], RunRow>("SELECT * FROM batch_runs WHERE batch_id = ? AND collection_id = ?")
  const steps = db.prepare<[string], BatchStepRow>(
    `SELECT collection_id, step_index, step, rows, rows_failed, seconds FROM batch_steps WHERE batch_id = ?
     ORDER BY collection_id, step_index`,
  )
  return {
    get: (namespaceId: string, batchId: string) => get.get(namespaceId, batchId),
    byId: (batchId: string) => byId.get(batchId),
    /** Of a bucket, a namespace or several (a JSON list of ids), newest first. */
    list: (of: keyof typeof within, id: string, status: string | null, limit: number, offset: number) =>
      within[of].list.all({ id, status, limit, offset }),
    count: (of: keyof typeof within, id: string, status: string | null) =>
      within[of].count.get({ id, status })?.count ?? 0,
    /** Submitted and not planned yet, in the order in which they are. */
    waiting: () => waiting.all(),
    /** Ids of batches of a namespace, bucket or collection that were submitted and have not ended. */
    liveOf: (id: string) => liveOf.all(id).map((row) => row.batch_id),
    /** Batches whose share for a collection with a plugin version has not ended, up to 20. */
    liveRunsOf: (collectionId: string, pluginId: string) =>
      liveRunsOf.all(collectionId, pluginId).map((row) => row.batch_id),
    /** Ids of all batches of a namespace or bucket. */
    of: (id: string) => of.all(id).map((row) => row.batch_id),
    objectIds: ({ batch_id: batchId, whole_bucket: whole }: BatchRow, limit: number) =>
      objectIds[whole === 1 ? "whole" : "listed"].all({ batchId, limit }).map((row) => row.object_id),
    runs: (batchId: string) => runs.all(batchId),
    run: (batchId: string, collectionId: string) => run.get(batchId, collectionId),
    /** What each step did in the partitions that are committed. */
    steps: (batchId: string) => steps.all(batchId),
  }
}

function listing(db: Db, within: string) {
  const where = `${within} AND (@status IS NULL OR status = @status)`
  return {
    list: db.prepare<{ id: string; status: string | null; limit: number; offset: number }, BatchRow>(
      `SELECT * FROM batches WHERE ${where} ORDER BY created_at DESC, batch_id LIMIT @limit OFFSET @offset`,
    ),
    count: db.prepare<{ id: string; status: string | null }, { count: number }>(
      `SELECT count(*) AS count FROM batches WHERE ${where}`,
    ),
  }
}

export interface BatchChange {
  readonly metadata: string
  readonly batch_name: string | null
  readonly priority: number
  readonly max_concurrency: number | null
}

export interface BatchStep {
  readonly step: string
  readonly rows: number
  readonly rows_failed: number
  readonly seconds: number
}

export interface BatchStepRow extends BatchStep {
  readonly collection_id: string
  readonly step_index: number
}

/** What a run claimed stands only while its rows, old and new, run in one code. */
const IF_SAME_CODE = `CASE WHEN plugin_id = @plugin_id AND code_hash = @code_hash AND feature_extractor = @feature_extractor
  THEN fingerprint END`

export function batchWriter(db: Db) {
  const insert = db.prepare<NewBatch>(
    `INSERT INTO batches (batch_id, namespace_id, bucket_id, type, batch_name, status, membership, whole_bucket, membership_filters,
       membership_limit, membership_next, membership_end, object_count, collection_ids, metadata, lifecycle_reason,
       suspended_from, failure_policy, priority, max_concurrency, error, task_id, retry, created_at, updated_at, submitted_at,
       finished_at)
     VALUES (@batch_id, @namespace_id, @bucket_id, @type, @batch_name, @status, @membership, @whole_bucket, @membership_filters,
       @membership_limit, @membership_next, @membership_end, @object_count, @collection_ids, @metadata, @lifecycle_reason,
       @suspended_from, @failure_policy, @priority, @max_concurrency, @error, @task_id, @retry, @created_at, @updated_at,
       @submitted_at, @finished_at)`,
  )
  const update = db.prepare<BatchChange & { at: string; batchId: string }>(
    `UPDATE batches SET metadata = @metadata, batch_name = @batch_name, priority = @priority,
       max_concurrency = @max_concurrency, updated_at = @at
     WHERE batch_id = @batchId`,
  )
  const govern = db.prepare<[string | null, number, number | null, string]>(
    "UPDATE batches SET failure_policy = ?, priority = ?, max_concurrency = ? WHERE batch_id = ?",
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
  const suspend = db.prepare<{ reason: string; from: string; at: string; batchId: string }>(
    `UPDATE batches SET status = 'SUSPENDED', suspended_from = status, lifecycle_reason = @reason, updated_at = @at
     WHERE batch_id = @batchId AND status IN (SELECT value FROM json_each(@from))`,
  )
  const resume = db.prepare<{ at: string; batchId: string }>(
    `UPDATE batches SET status = suspended_from, suspended_from = NULL, lifecycle_reason = NULL, updated_at = @at
     WHERE batch_id = @batchId AND status = 'SUSPENDED'`,
  )
  const finish = db.prepare<{ status: string; error: string | null; from: string; at: string; batchId: string }>(
    `UPDATE batches SET status = @status, error = @error, suspended_from = NULL, lifecycle_reason = NULL,
       finished_at = @at, updated_at = @at
     WHERE batch_id = @batchId AND status IN (SELECT value FROM json_each(@from))`,
  )
  const addStep = db.prepare<BatchStep & { batchId: string; collectionId: string; index: number }>(
    `INSERT INTO batch_steps (batch_id, collection_id, step_index, step, rows, rows_failed, seconds)
     VALUES (@batchId, @collectionId, @index, @step, @rows, @rows_failed, @seconds)
     ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, rows_failed = rows_failed + excluded.rows_failed,
       seconds = seconds + excluded.seconds`,
  )
  const insertRun = db.prepare<NewRun>(
    `INSERT INTO batch_runs (batch_id, collection_id, tier, source, task_id, plugin_id, plugin_version, code_hash, environment, isolation,
       isolation_facts, feature_extractor, status, rows_in, rows_done, rows_failed, rows_skipped, documents_written, error, started_at,
       finished_at)
     VALUES (@batch_id, @collection_id, @tier, @source, @task_id, @plugin_id, @plugin_version, @code_hash, @environment,
       @isolation, @isolation_facts, @feature_extractor, @status, @rows_in, @rows_done, @rows_failed, @rows_skipped, @documents_written, @error,
       @started_at, @finished_at)`,
  )
  const claim = db.prepare<Claim & { batchId: string; collectionId: string }>(
    `UPDATE batch_runs SET fingerprint = @fingerprint, changes_after = @after, changes_end = @end
     WHERE batch_id = @batchId AND collection_id = @collectionId`,
  )
  const byChange = db.prepare<[number, number, string]>(
    "UPDATE batches SET changes_after = ?, membership_next = ?, whole_bucket = 0 WHERE batch_id = ?",
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
  const reopen = db.prepare<{ from: string; at: string; batchId: string }>(
    `UPDATE batches SET status = 'IN_PROGRESS', retry = retry + 1, error = NULL, finished_at = NULL, updated_at = @at
     WHERE batch_id = @batchId AND status IN (SELECT value FROM json_each(@from))`,
  )
  const reopenRun = db.prepare<
    RunCode & { failed: number; skipped: number; at: string; batchId: string; collectionId: string }
  >(
    `UPDATE batch_runs SET status = 'IN_PROGRESS', rows_failed = rows_failed - @failed, rows_skipped = rows_skipped - @skipped,
       plugin_id = @plugin_id, plugin_version = @plugin_version, code_hash = @code_hash,
       feature_extractor = @feature_extractor, environment = NULL, isolation = NULL, isolation_facts = NULL, error = NULL,
       started_at = @at, finished_at = NULL,
       fingerprint = ${IF_SAME_CODE}
     WHERE batch_id = @batchId AND collection_id = @collectionId AND finished_at IS NOT NULL`,
  )
  // One of which no row was ever cut into a partition (its plugin was missing) is as if it had never begun.
  const wasCut = "EXISTS (SELECT 1 FROM partitions p WHERE p.batch_id = @batchId AND p.collection_id = @collectionId)"
  const awaitRun = db.prepare<RunCode & { batchId: string; collectionId: string }>(
    `UPDATE batch_runs SET status = CASE WHEN finished_at IS NULL THEN status ELSE 'PENDING' END, plugin_id = @plugin_id,
       plugin_version = @plugin_version, code_hash = @code_hash, feature_extractor = @feature_extractor, error = NULL,
       fingerprint = ${IF_SAME_CODE}, started_at = NULL, finished_at = NULL, rows_in = rows_in * ${wasCut},
       rows_skipped = rows_skipped * ${wasCut}
     WHERE batch_id = @batchId AND collection_id = @collectionId`,
  )
  const erase = [
    "row_inputs",
    "row_errors",
    "retried_rows",
    "partitions",
    "batch_steps",
    "run_sources",
    "batch_runs",
    "batch_objects",
    "batches",
  ].map((table) => db.prepare<[string]>(`DELETE FROM ${table} WHERE batch_id = ?`))
  return {
    insert: (row: NewBatch) => void insert.run(row),
    update: (batchId: string, change: BatchChange, at: string) => void update.run({ ...change, at, batchId }),
    /** `failurePolicy` is JSON, or null. */
    govern: (batchId: string, failurePolicy: string | null, priority: number, maxConcurrency: number | null) =>
      void govern.run(failurePolicy, priority, maxConcurrency, batchId),
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
    /** False when the batch is in none of `from`. */
    suspend: (batchId: string, from: readonly string[], reason: string, at: string) =>
      suspend.run({ batchId, reason, from: JSON.stringify(from), at }).changes === 1,
    /** To what it was suspended from; false when it is not suspended. */
    resume: (batchId: string, at: string) => resume.run({ batchId, at }).changes === 1,
    /** False when the batch is in none of `from`. */
    finish: (batchId: string, from: readonly string[], status: string, error: string | null, at: string) =>
      finish.run({ batchId, status, error, from: JSON.stringify(from), at }).changes === 1,
    insertRun: (row: NewRun) => void insertRun.run(row),
    /** What the run will have processed when it ends well. */
    claim: (batchId: string, collectionId: string, { fingerprint, after, end }: Claim) =>
      void claim.run({ fingerprint, after, end, batchId, collectionId }),
    /** Its members are what changed after this. Call before it is submitted. */
    selectChanges: (batchId: string, after: number) => void byChange.run(after, after, batchId),
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
    /** Adds what a step did in a partition. */
    addStep: (batchId: string, collectionId: string, index: number, { step, rows, rows_failed, seconds }: BatchStep) =>
      void addStep.run({ batchId, collectionId, index, step, rows, rows_failed, seconds }),
    /** For a retry, under the next number. False when the batch is in none of these states. */
    reopen: (batchId: string, from: readonly string[], at: string) =>
      reopen.run({ batchId, from: JSON.stringify(from), at }).changes === 1,
    /** So many failed and skipped rows are open again, and run in this code. */
    reopenRun: (
      batchId: string,
      collectionId: string,
      rows: { failed: number; skipped: number },
      code: RunCode,
      at: string,
    ) => void reopenRun.run({ ...code, ...rows, batchId, collectionId, at }),
    /** It begins when what it reads has ended, in this code, after what it has done. */
    awaitRun: (batchId: string, collectionId: string, code: RunCode) =>
      void awaitRun.run({ ...code, batchId, collectionId }),
    erase(batchId: string) {
      for (const statement of erase) statement.run(batchId)
    },
  }
}
