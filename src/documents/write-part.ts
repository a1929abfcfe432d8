/**
 * From a worker's files to a part: checked against the rows that were asked, joined with their lineage, sorted as they
 * came, and landed whole. Memory is DuckDB's, which spills; a part written twice is the same bytes.
 */
import { mkdir, open, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { ApplianceError } from "../errors.ts"
import { PARTIAL_SUFFIX, renameAllDurably } from "../write-durably.ts"
import { checkFields } from "./check-fields.ts"
import { type CheckedOutput, checkOutput, pairsOf, type Slice } from "./check-output.ts"
import { type Database, quote, type Session } from "./database.ts"
import { HostileOutput, OutputTooLarge } from "./hostile-output.ts"
import { loadLineage } from "./lineage.ts"
import { MERGED, type Merge } from "./merge-fields.ts"
import { Parameters } from "./parameters.ts"
import { ROW_GROUP, scalarsFile, vectorsFile } from "./part-files.ts"
import type { WritePartAnswer, WritePartRequest } from "./protocol.ts"
import { documentIdSql } from "./row-json.ts"
import { takeOutput, type WriteLimits } from "./take-output.ts"
import { copyVectors } from "./vectors.ts"

/** Ids have 28 bytes at most, and 4 for their length: longer strings, on average, would only cost. */
const DICTIONARY_STRING_BYTES = 34

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
  const drop = () => session.rows(TABLES.map((table) => `DROP TABLE IF EXISTS temp.${table}`).join("; "))
  await drop()
  try {
    return await work()
  } finally {
    // After an interrupt the deadline refuses this too; the connection's next part drops them first.
    await drop().catch(() => {})
  }
}

const TABLES = ["output", "lineage", "failed", "part"]

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
  const lineage = await loadLineage(session, request.lineage, request.failed_rows ?? [], limits.fields_bytes)
  const { rows, plain, failed } = lineage
  if (failed.unknown !== null) throw new HostileOutput(`Row ${failed.unknown} is reported as failed and was not asked.`)
  await takeOutput(session, request.scalars, limits)
  const output = await checkOutput(session, names, failed.count, limits)
  const merge = await checkFields(session, output, plain)
  await mkdir(dirname(request.part), { recursive: true, mode: 0o700 })
  const landing = crypto.randomUUID()
  const partial = (path: string) => `${path}.${landing}${PARTIAL_SUFFIX}`
  const paths = [scalarsFile(request.part), ...request.vectors.map((_, index) => vectorsFile(request.part, index))]
  try {
    const vectors = async () => {
      for (const [index, vector] of request.vectors.entries()) {
        const target = partial(vectorsFile(request.part, index))
        await copyVectors(vector, target, output.rows * vector.embedding_dim)
      }
    }
    const scalars = () => writeScalars(session, request, output, merge, partial(scalarsFile(request.part)))
    // The disk is waited for while DuckDB works.
    await allOf([vectors(), ...(output.rows === 0 ? [] : [scalars()])])
    if (output.rows === 0) return { ok: true, rows_out: 0, rows_done: 0, bytes: 0 }
    let bytes = 0
    for (const path of paths) bytes += (await stat(partial(path))).size
    // The Parquet file last: who sees it sees a whole part.
    await renameAllDurably(paths.toReversed().map((path) => ({ from: partial(path), to: path })))
    return { ok: true, rows_out: output.rows, rows_done: rows - failed.count, bytes }
  } finally {
    for (const path of paths) await rm(partial(path), { force: true })
  }
}

/** Waits for all, so that nothing is written after it, and throws what failed first in the order given. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === "rejected") throw result.reason
}

/** A sorted statement is the last resort, and takes the longest: DuckDB promises an order nowhere else. */
async function writeScalars(
  session: Session,
  request: WritePartRequest,
  output: CheckedOutput,
  merge: Merge,
  target: string,
): Promise<void> {
  const documents = output.small
    ? (parameters: Parameters) => documentsSql(request, output.pairs, merge, parameters)
    : await documentsInSlices(session, request, output.slices, merge)
  const sorted = (parameters: Parameters) => `SELECT * FROM (${documents(parameters)}) ORDER BY position`
  await copyRows(session, output.small && !output.ordered ? sorted : documents, target)
  if (!(await isInOrder(session, target, output.rows))) {
    await rm(target, { force: true })
    await copyRows(session, sorted, target)
    if (!(await isInOrder(session, target, output.rows))) throw new Error(`${target} is not in the order of its rows`)
  }
  const file = await open(target, "r+")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

function documentsSql(request: WritePartRequest, pairs: string, merge: Merge, parameters: Parameters): string {
  const text = (value: string) => parameters.text(value)
  const id = documentIdSql(request.identity, "coalesce(source_document_id, object_id)", "output_index::VARCHAR", text)
  return `SELECT position, ${id} AS document_id, object_id, ${text(request.identity.collection_id)} AS collection_id,
      ${text(request.identity.plugin_id)} AS plugin_id, ${text(request.created_at)} AS created_at,
      output_index, "row", ${MERGED[merge]} AS fields, missing_vectors, source
    FROM (
      SELECT o.position, o.output_index, o."row", o.fields, o.missing_vectors, l.object_id, l.source_document_id,
        l.passthrough, l.source
      FROM ${pairs}
    )`
}

/**
 * Leaves the temporary table `part`, slice by slice: a statement's memory goes with the rows it sees. Each slice becomes a
 * row group, or some of them: what one thread holds of the part when it is read. DuckDB 1.5.6 keeps the branches of a UNION
 * ALL in order with two threads and more, and mixed them with one.
 */
async function documentsInSlices(
  session: Session,
  request: WritePartRequest,
  slices: readonly Slice[],
  merge: Merge,
): Promise<() => string> {
  for (const [index, slice] of slices.entries()) {
    const parameters = new Parameters()
    await session.run(
      `${index === 0 ? "CREATE TEMP TABLE part AS" : "INSERT INTO part"}
       ${documentsSql(request, pairsOf(slice), merge, parameters)} ORDER BY position`,
      parameters,
    )
  }
  return () =>
    slices
      .map(({ first, last }) => `SELECT * FROM part WHERE position BETWEEN ${first} AND ${last}`)
      .join(" UNION ALL ")
}

async function copyRows(session: Session, rows: (parameters: Parameters) => string, target: string): Promise<void> {
  const parameters = new Parameters()
  // Dictionaries for strings that are short on average bring filters by which one document id is found at once.
  await session.run(
    `COPY (SELECT * EXCLUDE (position) FROM (${rows(parameters)})) TO ${quote(target)}
      (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE ${ROW_GROUP},
       DICTIONARY_SIZE_LIMIT ${ROW_GROUP}, STRING_DICTIONARY_PAGE_SIZE_LIMIT ${ROW_GROUP * DICTIONARY_STRING_BYTES},
       USE_TMP_FILE false)`,
    parameters,
  )
}

/** Vectors and dead positions count rows of the file: an order that DuckDB promises nowhere in one place is looked at. */
async function isInOrder(session: Session, file: string, rows: number): Promise<boolean> {
  const parameters = new Parameters()
  const [counted] = await session.rows<{ same: number; rows: number }>(
    `SELECT count(*)::INTEGER AS rows, count(*) FILTER (written.file_row_number = o.position
       AND written."row" = o."row" AND written.output_index = o.output_index)::INTEGER AS same
     FROM read_parquet(${parameters.texts([file])}, hive_partitioning = false, file_row_number = true) written
     POSITIONAL JOIN output o`,
    parameters,
  )
  return counted !== undefined && counted.same === rows && counted.rows === rows
}
