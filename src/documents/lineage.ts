import { stat } from "node:fs/promises"
import type { Session } from "./database.ts"
import { OutputTooLarge } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"

export interface Lineage {
  readonly rows: number
  /** Whether nothing is passed through to any row. */
  readonly plain: boolean
  readonly failed: { readonly count: number; readonly unknown: number | null }
}

/** DuckDB takes no buffer that is smaller. */
const MIN_BUFFER_BYTES = 64 * 1024

/**
 * Leaves the temporary tables `lineage (row, object_id, source_document_id, passthrough, source, bytes)`, in the order of
 * the file, and `failed (row)` of the rows that a worker was asked, which the appliance wrote itself as `lineageLine` does.
 * @throws OutputTooLarge when the file has more than `maxBytes`: it is held as a whole
 */
export async function loadLineage(
  session: Session,
  path: string,
  failedRows: readonly number[],
  maxBytes: number,
): Promise<Lineage> {
  const { size } = await stat(path)
  if (size > maxBytes) {
    throw new OutputTooLarge(`The rows' lineage has ${size} bytes; at most ${maxBytes} are taken at once.`)
  }
  const parameters = new Parameters()
  // No line is longer than the file. Without threads: a partition is less than one of them is given at least.
  const buffer = Math.max(MIN_BUFFER_BYTES, size + 1)
  await session.run(
    `CREATE TEMP TABLE lineage AS
     SELECT *, strlen(passthrough) + strlen(source) AS bytes
     FROM read_csv(${parameters.text(path)}, auto_detect = false, header = false, delim = chr(9), quote = '', escape = '',
       max_line_size = ${buffer}, buffer_size = ${buffer}, parallel = false,
       columns = {row: 'BIGINT', object_id: 'VARCHAR', source_document_id: 'VARCHAR', passthrough: 'VARCHAR',
         source: 'VARCHAR'})`,
    parameters,
  )
  return addFailed(session, failedRows)
}

async function addFailed(session: Session, failedRows: readonly number[]): Promise<Lineage> {
  const [counts] = await session.rows<{ rows: number; plain: boolean }>(
    `SELECT count(*)::INTEGER AS rows, coalesce(bool_and(passthrough = '{}'), true) AS plain FROM lineage`,
  )
  if (counts === undefined) throw new Error("DuckDB counted nothing")
  await session.rows(`CREATE TEMP TABLE failed ("row" BIGINT)`)
  if (failedRows.length === 0) return { ...counts, failed: { count: 0, unknown: null } }
  const parameters = new Parameters()
  await session.rows(`INSERT INTO failed SELECT DISTINCT unnest(${parameters.numbers(failedRows)})`, parameters)
  const [failed] = await session.rows<Lineage["failed"]>(
    `SELECT count(*)::INTEGER AS count,
       (min("row") FILTER (WHERE "row" NOT IN (SELECT "row" FROM lineage)))::DOUBLE AS unknown
     FROM failed`,
  )
  if (failed === undefined) throw new Error("DuckDB counted nothing")
  return { ...counts, failed }
}
