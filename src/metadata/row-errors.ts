import type { Db } from "./open.ts"

export interface RowErrorRow {
  batch_id: string
  collection_id: string
  ordinal: number
  object_id: string
  /** Of a row that is a document: its id. */
  source_document_id: string | null
  error_type: string
  exception: string
  message: string
  traceback: string | null
  stage: string | null
  attempt: number
  plugin_version: string | null
  code_hash: string | null
  /** Of the row as the plugin was given it; null when it was given none. */
  input_bytes: number | null
  created_at: string
}

/** A row error as it is listed: how often the row was run again, and its input where that is kept and asked for. */
export type ListedRowError = RowErrorRow & { retries: number; input: string | null }

/** Null: any. */
export interface RowErrorFilter {
  readonly collectionId: string | null
  readonly errorType: string | null
  readonly exception: string | null
  readonly objectId: string | null
  readonly ordinal: number | null
  readonly tier: number | null
}

export const ANY_ROW_ERROR: RowErrorFilter = {
  collectionId: null,
  errorType: null,
  exception: null,
  objectId: null,
  ordinal: null,
  tier: null,
}

export interface RowErrorPage {
  /** The row that a page ended with; null: from the first one. */
  readonly after: { readonly collectionId: string; readonly ordinal: number } | null
  /** Rows left out from there. */
  readonly offset: number
  readonly limit: number
}

/** Which failed rows of a run a retry takes. */
export interface RetrySelection {
  readonly batchId: string
  readonly collectionId: string
  /** Rows that were run again so often are left. */
  readonly maxRetries: number
  /** JSON list of error types; null: all. */
  readonly errorTypes: string | null
}

const FILTERED = `e.batch_id = @batchId AND (@collectionId IS NULL OR e.collection_id = @collectionId)
  AND (@errorType IS NULL OR e.error_type = @errorType) AND (@exception IS NULL OR e.exception = @exception)
  AND (@objectId IS NULL OR e.object_id = @objectId) AND (@ordinal IS NULL OR e.ordinal = @ordinal)
  AND (@tier IS NULL OR e.collection_id IN (
    SELECT collection_id FROM batch_runs WHERE batch_id = @batchId AND tier = @tier))`
/** A row that is being run again has not failed now. */
const FAILED = `row_errors e LEFT JOIN retried_rows r
  ON r.batch_id = e.batch_id AND r.collection_id = e.collection_id AND r.ordinal = e.ordinal`
const MEANT = "(@errorTypes IS NULL OR e.error_type IN (SELECT value FROM json_each(@errorTypes)))"

export function rowErrorReader(db: Db) {
  const list = db.prepare<
    RowErrorFilter & {
      batchId: string
      afterCollection: string
      afterOrdinal: number
      limit: number
      offset: number
      withInput: 0 | 1
    },
    ListedRowError
  >(
    `SELECT e.*, coalesce(r.retries, 0) AS retries, CASE WHEN @withInput THEN (
         SELECT i.input FROM row_inputs i
         WHERE i.batch_id = e.batch_id AND i.collection_id = e.collection_id AND i.ordinal = e.ordinal) END AS input
     FROM ${FAILED}
     WHERE ${FILTERED} AND r.open_in IS NULL AND (e.collection_id, e.ordinal) > (@afterCollection, @afterOrdinal)
     ORDER BY e.collection_id, e.ordinal LIMIT @limit OFFSET @offset`,
  )
  const count = db.prepare<RowErrorFilter & { batchId: string }, { count: number }>(
    `SELECT count(*) AS count FROM ${FAILED} WHERE ${FILTERED} AND r.open_in IS NULL`,
  )
  const summary = db.prepare<[string], { exception: string; count: number }>(
    `SELECT e.exception, count(*) AS count FROM ${FAILED} WHERE e.batch_id = ? AND r.open_in IS NULL
     GROUP BY e.exception ORDER BY count DESC LIMIT 20`,
  )
  const retriable = db.prepare<RetrySelection, { rows: number; exhausted: number; lasting: number }>(
    `SELECT coalesce(sum(coalesce(r.retries, 0) < @maxRetries AND ${MEANT}), 0) AS rows,
       coalesce(sum(coalesce(r.retries, 0) >= @maxRetries), 0) AS exhausted,
       coalesce(sum(coalesce(r.retries, 0) < @maxRetries AND NOT ${MEANT}), 0) AS lasting
     FROM ${FAILED} WHERE e.batch_id = @batchId AND e.collection_id = @collectionId AND r.open_in IS NULL`,
  )
  return {
    /** By collection and ordinal, one at a time: whoever reads stops when it is enough. */
    list: (batchId: string, filter: RowErrorFilter, { after, offset, limit }: RowErrorPage, withInput: boolean) =>
      list.iterate({
        ...filter,
        batchId,
        afterCollection: after?.collectionId ?? "",
        afterOrdinal: after?.ordinal ?? -1,
        limit,
        offset,
        withInput: withInput ? 1 : 0,
      }),
    count: (batchId: string, filter: RowErrorFilter) => count.get({ ...filter, batchId })?.count ?? 0,
    /** The most frequent exceptions. */
    summary: (batchId: string) => summary.all(batchId),
    /** Failed rows of a run: those that a retry takes, those that were run again too often, those of other error types. */
    retriable: (selection: RetrySelection) => retriable.get(selection) ?? { rows: 0, exhausted: 0, lasting: 0 },
  }
}

export function rowErrorWriter(db: Db) {
  const insert = db.prepare<RowErrorRow>(
    `INSERT OR REPLACE INTO row_errors (batch_id, collection_id, ordinal, object_id, source_document_id, error_type, exception,
       message, traceback, stage, attempt, plugin_version, code_hash, input_bytes, created_at)
     VALUES (@batch_id, @collection_id, @ordinal, @object_id, @source_document_id, @error_type, @exception, @message,
       @traceback, @stage, @attempt, @plugin_version, @code_hash, @input_bytes, @created_at)`,
  )
  const insertInput = db.prepare<[string, string, number, string]>(
    "INSERT OR REPLACE INTO row_inputs (batch_id, collection_id, ordinal, input) VALUES (?, ?, ?, ?)",
  )
  const open = db.prepare<RetrySelection & { retry: number }>(
    `INSERT INTO retried_rows (batch_id, collection_id, ordinal, open_in)
     SELECT e.batch_id, e.collection_id, e.ordinal, @retry FROM ${FAILED}
     WHERE e.batch_id = @batchId AND e.collection_id = @collectionId AND r.open_in IS NULL
       AND coalesce(r.retries, 0) < @maxRetries AND ${MEANT}
     ON CONFLICT DO UPDATE SET open_in = excluded.open_in`,
  )
  const range = "batch_id = ? AND collection_id = ? AND ordinal >= ? AND ordinal < ?"
  const openOrdinals = `SELECT ordinal FROM retried_rows WHERE ${range} AND open_in = ?`
  type OpenRows = [string, string, string, string, number, number, number]
  const forget = ["row_errors", "row_inputs"].map((table) =>
    db.prepare<OpenRows>(
      `DELETE FROM ${table} WHERE batch_id = ? AND collection_id = ? AND ordinal IN (${openOrdinals})`,
    ),
  )
  const settle = db.prepare<[string, string, number, number, number]>(
    `UPDATE retried_rows SET open_in = NULL, retries = retries + 1 WHERE ${range} AND open_in = ?`,
  )
  const giveBack = db.prepare<[string, string]>(
    "UPDATE retried_rows SET open_in = NULL WHERE batch_id = ? AND collection_id = ? AND open_in IS NOT NULL",
  )
  return {
    insert(row: RowErrorRow, input: string | null) {
      insert.run(row)
      if (input !== null) insertInput.run(row.batch_id, row.collection_id, row.ordinal, input)
    },
    /** Failed rows are open again under the retry's number; their errors wait. Answers how many. */
    open: (selection: RetrySelection, retry: number): number => open.run({ ...selection, retry }).changes,
    /** The open rows of a partition have an outcome: their old errors are gone, and each counts as run again once more. */
    settle(batchId: string, collectionId: string, firstOrdinal: number, endOrdinal: number, retry: number) {
      for (const statement of forget)
        statement.run(batchId, collectionId, batchId, collectionId, firstOrdinal, endOrdinal, retry)
      settle.run(batchId, collectionId, firstOrdinal, endOrdinal, retry)
    },
    /** A retry ends early: what is still open has failed as before. Answers how many rows. */
    giveBack: (batchId: string, collectionId: string): number => giveBack.run(batchId, collectionId).changes,
  }
}
