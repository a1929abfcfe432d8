/**
 * Reads a worker's `scalars.parquet` once, into a table of ours, and checks the table. Nothing is asked of the file itself
 * but its bytes: counts, statistics and order that a Parquet file claims may be lies, and DuckDB would believe them.
 */
import { open } from "node:fs/promises"
import { ApplianceError } from "../errors.ts"
import { checkSuspiciousJson } from "./check-json.ts"
import type { Session } from "./database.ts"
import { HostileOutput, OutputTooLarge } from "./hostile-output.ts"
import { letting } from "./letting.ts"
import { Parameters } from "./parameters.ts"
import { plainFileBytes } from "./part-files.ts"

/** Per document, in UTF-8 bytes: the interface between worker and appliance. */
export const MAX_FIELDS_BYTES = 1024 ** 2
/** What one part may hold. */
export interface WriteLimits {
  readonly rows_out: number
  readonly scalars_bytes: number
  /**
   * UTF-8 bytes of all fields, with what the appliance adds to each document. DuckDB holds some copies of 2,048 rows at
   * once, however large they are. Measured from 256 MiB and up, an eighth of its memory limit is written, filtered and
   * sorted; at 128 MiB it is written, but sorting documents of 30 KB and more runs out.
   */
  readonly fields_bytes: number
}

/**
 * At most as many bytes, or one row, are looked at in one statement, and make a row group of the part: DuckDB's JSON
 * functions take about seven times the text of a group, in each thread.
 */
const SLICE_BYTES = 2 * 1024 ** 2
const SLICE_ROWS = 65_536

/**
 * What a Parquet file says of itself, at its end. DuckDB reads it whole and counts none of it: 41 MB of 60,000 row groups took
 * 860 MB under a limit of 256 MiB. The worker's own have some hundred bytes for each of some hundred groups.
 */
const MAX_FOOTER_BYTES = 4 * 1024 ** 2
/** The footer's length and `PAR1`. */
const TRAILER_BYTES = 8

/** Outputs that are looked at together: positions, and input rows, the last included. */
export interface Slice {
  readonly first: number
  readonly last: number
  readonly firstRow: number
  readonly lastRow: number
}

/** What may stand around a JSON value, in SQL. */
export const JSON_SPACE = "chr(9) || chr(10) || chr(13) || ' '"

const COLUMNS = new Map([
  ["row", "BIGINT"],
  ["output_index", "INTEGER"],
  ["fields", "VARCHAR"],
  ["missing_vectors", "VARCHAR[]"],
])

/**
 * Leaves the temporary table `output (position, row, output_index, fields, missing_vectors, bytes)`, checked. Needs the tables
 * `lineage` and `failed` of `write-part.ts`.
 * @returns how many documents it holds, and in which slices it is to be gone through
 * @throws HostileOutput with the first reason not to take the file
 */
export async function readOutput(
  session: Session,
  scalars: string,
  features: readonly string[],
  limits: WriteLimits,
): Promise<{ rows: number; slices: Slice[] }> {
  const bytes = await plainFileBytes(scalars)
  if (bytes === null) throw new HostileOutput("'scalars.parquet' is no regular file of its own.")
  if (bytes > limits.scalars_bytes) {
    throw new HostileOutput(`'scalars.parquet' has ${bytes} bytes; at most ${limits.scalars_bytes} are taken.`)
  }
  const footer = await footerBytes(scalars, bytes)
  if (footer > MAX_FOOTER_BYTES) {
    throw new HostileOutput(`'scalars.parquet' has ${footer} bytes of footer; at most ${MAX_FOOTER_BYTES} are taken.`)
  }
  await reading(() => takeIn(session, scalars, limits))
  await checkRows(session)
  await checkMissing(session, features)
  const [counted] = await session.rows<{ rows: number; bytes: number }>(
    `SELECT count(*)::INTEGER AS rows, coalesce(sum(output.bytes + lineage.bytes), 0)::DOUBLE AS bytes
     FROM output JOIN lineage USING ("row")`,
  )
  const { rows, bytes: total } = counted ?? { rows: 0, bytes: 0 }
  // What is added to each output of a row multiplies: a text passed through to a thousand chunks of it.
  if (total > limits.fields_bytes) throw tooLarge(total, limits)
  const slices = await session.rows<Slice>(
    `SELECT min(position)::INTEGER AS first, max(position)::INTEGER AS last,
       min("row")::DOUBLE AS "firstRow", max("row")::DOUBLE AS "lastRow"
     FROM (
       SELECT position, "row", sum(output.bytes + lineage.bytes) OVER (ORDER BY position) // ${SLICE_BYTES} AS slice
       FROM output JOIN lineage USING ("row")
     ) GROUP BY slice, position // ${SLICE_ROWS} ORDER BY first`,
  )
  for (const slice of slices) await checkFields(session, slice)
  return { rows, slices }
}

/** 0 for what cannot be a footer: DuckDB says that the file cannot be read. */
async function footerBytes(path: string, size: number): Promise<number> {
  await using file = await open(path, "r")
  const trailer = Buffer.alloc(TRAILER_BYTES)
  await file.read(trailer, 0, TRAILER_BYTES, Math.max(0, size - TRAILER_BYTES))
  const bytes = trailer.readUInt32LE(0)
  return bytes + TRAILER_BYTES <= size && trailer.toString("latin1", 4, 7) === "PAR" ? bytes : 0
}

function tooLarge(bytes: number, limits: WriteLimits): OutputTooLarge {
  return new OutputTooLarge(`The documents have ${bytes} bytes; at most ${limits.fields_bytes} are taken at once.`)
}

async function takeIn(session: Session, scalars: string, limits: WriteLimits): Promise<void> {
  const source = (parameters: Parameters) =>
    `read_parquet(${parameters.texts([scalars])}, hive_partitioning = false, file_row_number = true)`
  const describe = new Parameters()
  const columns = await session.rows<{ column_name: string; column_type: string }>(
    `SELECT column_name, column_type FROM (DESCRIBE SELECT * EXCLUDE (file_row_number) FROM ${source(describe)})`,
    describe,
  )
  checkColumns(columns)

  // A dictionary makes gigabytes of a few bytes: sizes are added up in passing before anything is kept.
  const measure = new Parameters()
  const [sizes] = await session.rows<{ rows: number; fields: number; longest: number; missing: number }>(
    `SELECT count(fields)::DOUBLE AS rows, coalesce(sum(strlen(fields)), 0)::DOUBLE AS fields,
       coalesce(max(strlen(fields)), 0)::DOUBLE AS longest,
       coalesce(sum(strlen(array_to_string(missing_vectors, ',')) + len(missing_vectors)), 0)::DOUBLE AS missing
     FROM (SELECT fields, missing_vectors FROM ${source(measure)} LIMIT ${limits.rows_out + 1})`,
    measure,
  )
  if (sizes === undefined) throw new HostileOutput("'scalars.parquet' cannot be read.")
  if (sizes.rows > limits.rows_out) throw new OutputTooLarge(`There are more than ${limits.rows_out} outputs.`)
  if (sizes.longest > MAX_FIELDS_BYTES) {
    throw new HostileOutput(
      `The fields of an output have ${sizes.longest} bytes; at most ${MAX_FIELDS_BYTES} are taken.`,
    )
  }
  if (sizes.fields + sizes.missing > limits.fields_bytes) {
    throw tooLarge(sizes.fields + sizes.missing, limits)
  }

  const take = new Parameters()
  await session.rows(
    `CREATE TEMP TABLE output AS
     SELECT file_row_number AS position, "row", output_index, fields, missing_vectors, strlen(fields) AS bytes
     FROM ${source(take)}
     LIMIT ${limits.rows_out + 1}`,
    take,
  )
}

function checkColumns(columns: readonly { readonly column_name: string; readonly column_type: string }[]): void {
  const found = new Map(columns.map((column) => [column.column_name, column.column_type]))
  for (const [name, type] of COLUMNS) {
    const have = found.get(name)
    if (have === undefined) throw new HostileOutput(`'scalars.parquet' has no column '${name}'.`)
    if (have !== type) throw new HostileOutput(`Column '${name}' of 'scalars.parquet' is not of type ${type}.`)
  }
  if (columns.length !== COLUMNS.size)
    throw new HostileOutput("'scalars.parquet' has columns that do not belong there.")
}

async function checkRows(session: Session): Promise<void> {
  const [bad] = await session.rows<{ position: number; row: number | null; reason: string }>(
    `SELECT position::INTEGER AS position, "row"::DOUBLE AS "row", CASE
         WHEN "row" IS NULL OR output_index IS NULL OR fields IS NULL OR missing_vectors IS NULL THEN 'holds a null'
         WHEN NOT known THEN 'answers a row that was not asked'
         WHEN was_failed THEN 'answers a row that is reported as failed'
         WHEN "row" < row_before THEN 'is out of order'
         WHEN "row" = row_before AND output_index = index_before THEN 'is there twice'
         ELSE 'has an output_index that does not count from 0' END AS reason
     FROM (
       SELECT o.position, o."row", o.output_index, o.fields, o.missing_vectors,
         l."row" IS NOT NULL AS known, f."row" IS NOT NULL AS was_failed,
         lag(o."row") OVER before AS row_before, lag(o.output_index) OVER before AS index_before
       FROM output o LEFT JOIN lineage l ON l."row" = o."row" LEFT JOIN failed f ON f."row" = o."row"
       WINDOW before AS (ORDER BY o.position)
     )
     WHERE "row" IS NULL OR output_index IS NULL OR fields IS NULL OR missing_vectors IS NULL OR NOT known OR was_failed
        OR coalesce("row" < row_before, false)
        OR output_index <> CASE WHEN "row" = row_before THEN index_before + 1 ELSE 0 END
     ORDER BY position LIMIT 1`,
  )
  if (bad !== undefined) throw new HostileOutput(`Output ${bad.position} (row ${bad.row ?? "null"}) ${bad.reason}.`)

  const [unanswered] = await session.rows<{ row: number }>(
    `SELECT "row"::DOUBLE AS "row" FROM lineage
     WHERE "row" NOT IN (SELECT "row" FROM output) AND "row" NOT IN (SELECT "row" FROM failed)
     ORDER BY "row" LIMIT 1`,
  )
  if (unanswered !== undefined) {
    throw new HostileOutput(`Row ${unanswered.row} has neither an output nor an error.`)
  }
}

async function checkFields(session: Session, slice: Slice): Promise<void> {
  const within = `position BETWEEN ${slice.first} AND ${slice.last}`
  // Readers disagree on which of two equal keys counts.
  const repeated = letting("names", "json_keys(fields)", "len(names) <> len(list_distinct(names))")
  const [bad] = await session.rows<{ row: number; reason: string }>(
    `SELECT "row"::DOUBLE AS "row", reason FROM (
       SELECT position, "row", CASE
         WHEN NOT starts_with(fields, '{') AND NOT starts_with(ltrim(fields, ${JSON_SPACE}), '{') THEN 'are no valid JSON object'
         WHEN NOT json_valid(fields) THEN 'are no valid JSON object'
         WHEN ${repeated} THEN 'name a key twice' END AS reason
       FROM output WHERE ${within}
     ) WHERE reason IS NOT NULL ORDER BY position LIMIT 1`,
  )
  if (bad !== undefined) throw new HostileOutput(`The fields of row ${bad.row} ${bad.reason}.`)
  await checkSuspiciousJson(session, within)
}

async function checkMissing(session: Session, features: readonly string[]): Promise<void> {
  const parameters = new Parameters()
  const [unknown] = await session.rows<{ row: number }>(
    `SELECT "row"::DOUBLE AS "row" FROM output
     WHERE len(missing_vectors) > 0 AND len(list_filter(missing_vectors,
       lambda name: name IS NULL OR NOT list_contains(${parameters.texts(features)}, name))) > 0
     ORDER BY position LIMIT 1`,
    parameters,
  )
  if (unknown !== undefined) {
    throw new HostileOutput(`Row ${unknown.row} says that a vector is missing which is no feature.`)
  }
}

/** Whatever goes wrong while the hostile bytes are read is the file's fault, but for our own lack of time or memory. */
async function reading(read: () => Promise<void>): Promise<void> {
  try {
    await read()
  } catch (error) {
    if (error instanceof HostileOutput || error instanceof ApplianceError) throw error
    const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n")
    throw new HostileOutput(`'scalars.parquet' cannot be read: ${line.slice(0, 300)}`, { cause: error })
  }
}
