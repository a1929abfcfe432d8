/**
 * From a worker's files to a part: checked against the rows that were asked, joined with their lineage, sorted as they
 * came, and landed whole. Memory is DuckDB's, which spills; a part written twice is the same bytes.
 */
import { mkdir, open, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { ApplianceError } from "../errors.ts"
import { PARTIAL_SUFFIX, renameDurably } from "../write-durably.ts"
import { JSON_SPACE, readOutput, type Slice, type WriteLimits } from "./check-output.ts"
import { type Database, quote, type Session } from "./database.ts"
import { HostileOutput, OutputTooLarge } from "./hostile-output.ts"
import { loadLineage } from "./lineage.ts"
import { Parameters } from "./parameters.ts"
import { scalarsFile, vectorsFile } from "./part-files.ts"
import type { WritePartAnswer, WritePartRequest } from "./protocol.ts"
import { documentIdSql } from "./row-json.ts"
import { copyVectors } from "./vectors.ts"

/**
 * Documents in a row group: what is decoded to read a single one, and what one filter in the file answers for. DuckDB's
 * own vector size, below which a group would only cost.
 */
export const ROW_GROUP = 2048

/**
 * Hostile output is a value; a lack of disk or a broken lineage throws. Nothing is left of a part that is refused.
 * @param deadlineMs for the whole of it; output that takes longer is refused
 */
export async function writePart(
  database: Database,
  request: WritePartRequest,
  deadlineMs: number,
): Promise<WritePartAnswer> {
  try {
    return await database.session(deadlineMs, (session) =>
      withTables(session, () => write(session, request, limitsOf(request, database))),
    )
  } catch (error) {
    if (error instanceof HostileOutput) {
      return { ok: false, reason: error.message, too_large: error instanceof OutputTooLarge }
    }
    // Time and memory are bounded for the output's sake; asking again would meet the same bound.
    if (error instanceof ApplianceError) {
      return { ok: false, reason: `The output is too much to check: ${error.message}`, too_large: true }
    }
    throw error
  }
}

async function withTables<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const drop = async () => {
    for (const table of ["output", "lineage", "failed", "part"])
      await session.rows(`DROP TABLE IF EXISTS temp.${table}`)
  }
  await drop()
  try {
    return await work()
  } finally {
    // After an interrupt the deadline refuses this too; the connection's next part drops them first.
    await drop().catch(() => {})
  }
}

/** Room for a hostile file; the copy of it is capped before. */
const SCALARS_BYTES = 2 * 1024 ** 3
/** A partition of some ten thousand rows, cut into hundreds of pieces each. */
const ROWS_OUT = 4_000_000

function limitsOf({ limits }: WritePartRequest, database: Database): WriteLimits {
  return {
    rows_out: limits?.rows_out ?? ROWS_OUT,
    scalars_bytes: limits?.scalars_bytes ?? SCALARS_BYTES,
    fields_bytes: limits?.fields_bytes ?? database.memoryBytes / 8,
  }
}

async function write(session: Session, request: WritePartRequest, limits: WriteLimits): Promise<WritePartAnswer> {
  const names = request.vectors.map((vector) => vector.feature_name)
  const { rows, failed } = await loadLineage(session, request.lineage, request.failed_rows ?? [], limits.fields_bytes)
  if (failed.unknown !== null) throw new HostileOutput(`Row ${failed.unknown} is reported as failed and was not asked.`)
  const { rows: rowsOut, slices } = await readOutput(session, request.scalars, names, limits)
  await mkdir(dirname(request.part), { recursive: true, mode: 0o700 })
  const landing = crypto.randomUUID()
  const partial = (path: string) => `${path}.${landing}${PARTIAL_SUFFIX}`
  const paths = [scalarsFile(request.part), ...request.vectors.map((_, index) => vectorsFile(request.part, index))]
  try {
    for (const [index, vector] of request.vectors.entries()) {
      const target = partial(vectorsFile(request.part, index))
      await copyVectors(vector.feature_name, vector.path, target, rowsOut * vector.embedding_dim)
    }
    if (rowsOut === 0) return { ok: true, rows_out: 0, rows_done: 0, bytes: 0 }
    await joinDocuments(session, request, slices)
    await copyScalars(session, slices, partial(scalarsFile(request.part)))
    let bytes = 0
    for (const path of paths) bytes += (await stat(partial(path))).size
    // The Parquet file last: who sees it sees a whole part.
    for (const path of paths.toReversed()) await renameDurably(partial(path), path)
    return { ok: true, rows_out: rowsOut, rows_done: rows - failed.count, bytes }
  } finally {
    for (const path of paths) await rm(partial(path), { force: true })
  }
}

/** Leaves the temporary table `part`, slice by slice: a statement's memory goes with the rows it sees, not with the limit. */
async function joinDocuments(session: Session, request: WritePartRequest, slices: readonly Slice[]): Promise<void> {
  const { collection_id, plugin_id } = request.identity
  for (const [index, { first, last, firstRow, lastRow }] of slices.entries()) {
    const parameters = new Parameters()
    const text = (value: string) => parameters.text(value)
    const identity = documentIdSql(
      request.identity,
      "coalesce(source_document_id, object_id)",
      "output_index::VARCHAR",
      text,
    )
    await session.rows(
      `${index === 0 ? "CREATE TEMP TABLE part AS" : "INSERT INTO part"}
       SELECT position, ${identity} AS document_id, object_id, ${text(collection_id)} AS collection_id,
         ${text(plugin_id)} AS plugin_id, ${text(request.created_at)} AS created_at,
         output_index, "row", ${MERGED_FIELDS} AS fields, missing_vectors, source
       FROM (
         SELECT *, CASE WHEN starts_with(fields, '{') AND ends_with(fields, '}') THEN fields ELSE trim(fields, ${JSON_SPACE}) END AS own
         FROM (FROM output WHERE position BETWEEN ${first} AND ${last})
         JOIN (FROM lineage WHERE "row" BETWEEN ${firstRow} AND ${lastRow}) USING ("row")
       )
       ORDER BY position`,
      parameters,
    )
  }
}

/**
 * Each slice becomes a row group, or some of them: what one thread holds of the part when it is read. DuckDB 1.5.6 keeps
 * the branches of a UNION ALL in order with two threads and more, mixed them with one, and promises neither: a file that is
 * not in order is written again by a sort, in whole row groups.
 */
async function copyScalars(session: Session, slices: readonly Slice[], target: string): Promise<void> {
  const branches = slices.map(
    ({ first, last }) => `SELECT * EXCLUDE (position) FROM part WHERE position BETWEEN ${first} AND ${last}`,
  )
  await copyRows(session, branches.join(" UNION ALL "), target)
  if (!(await isInOrder(session, target))) {
    await rm(target, { force: true })
    await copyRows(session, "SELECT * EXCLUDE (position) FROM part ORDER BY position", target)
    if (!(await isInOrder(session, target))) throw new Error(`${target} is not in the order of its rows`)
  }
  const file = await open(target, "r+")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function copyRows(session: Session, rows: string, target: string): Promise<void> {
  // Dictionaries for all strings that are short on average bring filters by which one document id is found at once.
  await session.rows(
    `COPY (${rows}) TO ${quote(target)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,
       ROW_GROUP_SIZE ${ROW_GROUP}, DICTIONARY_SIZE_LIMIT ${ROW_GROUP}, STRING_DICTIONARY_PAGE_SIZE_LIMIT 131072,
       USE_TMP_FILE false)`,
  )
}

/** Vectors and dead positions count rows of the file: an order that DuckDB promises nowhere in one place is looked at. */
async function isInOrder(session: Session, file: string): Promise<boolean> {
  const parameters = new Parameters()
  const [counted] = await session.rows<{ same: number; rows: number }>(
    `SELECT count(*) FILTER (written."row" = part."row" AND written.output_index = part.output_index)::INTEGER AS same,
       (SELECT count(*) FROM part)::INTEGER AS rows
     FROM read_parquet(${parameters.texts([file])}, hive_partitioning = false, file_row_number = true) written
     JOIN part ON part.position = written.file_row_number`,
    parameters,
  )
  return counted !== undefined && counted.same === counted.rows
}

/** `own`, the plugin's fields, over `passthrough`, key by key at the root: a plugin's null wins, nested objects do not mix. */
const MERGED_FIELDS = `CASE
  WHEN passthrough = '{}' THEN own
  WHEN len(json_keys(own)) = 0 THEN passthrough
  WHEN NOT list_has_any(json_keys(passthrough), json_keys(own))
    THEN left(passthrough, length(passthrough) - 1) || ',' || substr(own, 2)
  ELSE '{' || concat_ws('', array_to_string(list_transform(
      list_filter(json_keys(passthrough), lambda name: NOT list_contains(json_keys(own), name)),
      lambda name: to_json(name)::VARCHAR || ':'
        || json_extract(passthrough, '/' || replace(replace(name, '~', '~0'), '/', '~1'))::VARCHAR || ','), ''),
      substr(own, 2))
  END`
