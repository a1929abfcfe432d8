/** Rows that failed, as they are listed: bounded by rows and by bytes, inputs only where they are asked for. */
import type { FailedDocuments, FailedDocumentsQuery } from "../contract/batches.ts"
import { paginationOf } from "../contract/pagination.ts"
import { invalid } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import type { RunRow } from "../metadata/batches.ts"
import type { Metadata } from "../metadata/open.ts"
import { ANY_ROW_ERROR, type ListedRowError } from "../metadata/row-errors.ts"
import { decodeCursor, encodeCursor } from "../page-cursor.ts"
import type { RunError } from "./run-error.ts"

/** Of a page's texts; the row that passes it is the last. A thousand inputs and tracebacks would be 100 MiB. */
const PAGE_CHARACTERS = 8 * 1024 ** 2

export function failedDocuments(
  read: Pick<Metadata["read"], "rowErrors">,
  batchId: string,
  query: FailedDocumentsQuery,
): FailedDocuments {
  const { limit } = query
  const cursor = query.cursor ?? query.next_cursor ?? query.after ?? null
  const after = cursor === null ? null : readCursor(cursor)
  const offset = after === null ? query.offset : 0
  const filter = {
    collectionId: query.collection_id ?? null,
    errorType: query.error_type ?? null,
    exception: query.exception ?? null,
    objectId: query.object_id ?? null,
    ordinal: query.row ?? null,
    tier: query.tier_num ?? null,
  }
  const withInput = query.include_input ?? query.row !== undefined
  const errors: FailedDocuments["failed_documents"] = []
  let characters = 0
  let more = false
  for (const error of read.rowErrors.list(batchId, filter, { after, offset, limit: limit + 1 }, withInput)) {
    more = errors.length === limit || characters > PAGE_CHARACTERS
    if (more) break
    errors.push(listed(error, withInput))
    characters += error.message.length + (error.traceback?.length ?? 0) + (error.input?.length ?? 0)
  }
  const total = read.rowErrors.count(batchId, filter)
  const last = more ? errors.at(-1) : undefined
  const next = last === undefined ? null : encodeCursor([last.collection_id, last.row])
  return {
    batch_id: batchId,
    failed_documents: errors,
    total,
    limit,
    offset,
    next_offset: more && after === null ? offset + errors.length : null,
    pagination: paginationOf({ limit, offset, cursor, includeTotal: true }, total, next),
  }
}

/** Why a run failed of which no row was done, in the words of its first row; null where no row has failed. */
export function allRowsFailed(
  read: Pick<Metadata["read"], "rowErrors">,
  { batch_id, collection_id: collectionId, rows_failed }: RunRow,
): RunError | null {
  const ofRun = { ...ANY_ROW_ERROR, collectionId }
  const [first] = read.rowErrors.list(batch_id, ofRun, { after: null, offset: 0, limit: 1 }, false)
  if (first === undefined) return null
  const { error_type, exception, message, traceback, stage, created_at: timestamp } = first
  return {
    error_type: error_type as RunError["error_type"],
    message: `All ${rows_failed} rows failed; the first: ${exception}: ${message}`,
    traceback,
    stage,
    timestamp,
  }
}

/** The row behind which a page goes on. */
function readCursor(cursor: string): { collectionId: string; ordinal: number } {
  const [collectionId, ordinal] = decodeCursor(cursor)
  if (typeof collectionId === "string" && typeof ordinal === "number") return { collectionId, ordinal }
  throw invalid("The cursor does not belong to this list.", [
    { type: "cursor", location: ["query", "cursor"], message: "must be the next_cursor of a page of failed documents" },
  ])
}

function listed(error: ListedRowError, withInput: boolean): FailedDocuments["failed_documents"][number] {
  return {
    object_id: error.object_id,
    ...(error.source_document_id === null ? {} : { source_document_id: error.source_document_id }),
    collection_id: error.collection_id,
    row: error.ordinal,
    error: error.message,
    error_type: error.error_type,
    exception: error.exception,
    traceback: error.traceback,
    stage: error.stage,
    attempt: error.attempt,
    retry_count: error.retries,
    plugin_version: error.plugin_version,
    code_hash: error.code_hash,
    timestamp: error.created_at,
    input_bytes: error.input_bytes,
    ...(withInput
      ? { input: error.input === null ? null : (parseExactly(error.input) as Record<string, unknown>) }
      : {}),
  }
}
