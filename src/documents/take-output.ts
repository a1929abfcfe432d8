/**
 * Reads a worker's `scalars.parquet` once, into a table of ours. Nothing is asked of the file itself but its bytes: counts,
 * statistics and order that a Parquet file claims may be lies, and DuckDB would believe them.
 */
import { open } from "node:fs/promises"
import { ApplianceError } from "../errors.ts"
import type { Session } from "./database.ts"
import { HostileOutput, OutputTooLarge } from "./hostile-output.ts"
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
 * What a Parquet file says of itself, at its end. DuckDB reads it whole and counts none of it: 41 MB of 60,000 row groups took
 * 860 MB under a limit of 256 MiB. The worker's own have some hundred bytes for each of some hundred groups.
 */
const MAX_FOOTER_BYTES = 4 * 1024 ** 2
/** The footer's length and `PAR1`. */
const TRAILER_BYTES = 8

const COLUMNS = new Map([
  ["row", "BIGINT"],
  ["output_index", "INTEGER"],
  ["fields", "VARCHAR"],
  ["missing_vectors", "VARCHAR[]"],
])

/**
 * Leaves the temporary table `output (position, row, output_index, fields, missing_vectors, bytes)`, in the order of the
 * file, where any value but the bytes of a field may be what it must not be.
 * @throws HostileOutput when the file cannot be read or holds too much
 */
export async function takeOutput(session: Session, scalars: string, limits: WriteLimits): Promise<void> {
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
}

/** 0 for what cannot be a footer: DuckDB says that the file cannot be read. */
async function footerBytes(path: string, size: number): Promise<number> {
  await using file = await open(path, "r")
  const trailer = Buffer.alloc(TRAILER_BYTES)
  await file.read(trailer, 0, TRAILER_BYTES, Math.max(0, size - TRAILER_BYTES))
  const bytes = trailer.readUInt32LE(0)
  return bytes + TRAILER_BYTES <= size && trailer.toString("latin1", 4, 7) === "PAR" ? bytes : 0
}

export function tooLarge(bytes: number, limits: WriteLimits): OutputTooLarge {
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
  await session.run(
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
