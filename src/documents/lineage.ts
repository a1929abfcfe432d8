import { stat } from "node:fs/promises"
import type { Session } from "./database.ts"
import { OutputTooLarge } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"

/** DuckDB's own bound for one line, and what it reserves per thread: no more than the file needs. */
const MAX_LINE_BYTES = 16 * 1024 ** 2

/**
 * Leaves the temporary tables `lineage (row, object_id, passthrough, source, bytes)` and `failed (row)` of the rows that a
 * worker was asked, which the appliance wrote itself.
 * @throws OutputTooLarge when the file has more than `maxBytes`
 */
export async function loadLineage(
  session: Session,
  path: string,
  failedRows: readonly number[],
  maxBytes: number,
): Promise<{ rows: number; failed: { count: number; unknown: number | null } }> {
  const { size } = await stat(path)
  if (size > maxBytes)
    throw new OutputTooLarge(`The rows' lineage has ${size} bytes; at most ${maxBytes} are taken at once.`)
  const line = Math.min(MAX_LINE_BYTES, Math.max(64 * 1024, size))
  const parameters = new Parameters()
  await session.rows(
    `CREATE TEMP TABLE lineage AS
     SELECT *, strlen(passthrough) + strlen(source) AS bytes FROM (
       SELECT "row", object_id, coalesce(passthrough, '{}')::VARCHAR AS passthrough,
         coalesce(source, '{}')::VARCHAR AS source
       FROM read_json(${parameters.text(path)}, format = 'newline_delimited', maximum_object_size = ${line},
       columns = {row: 'BIGINT', object_id: 'VARCHAR', passthrough: 'JSON', source: 'JSON'}))`,
    parameters,
  )
  const failed = new Parameters()
  await session.rows(
    `CREATE TEMP TABLE failed AS SELECT DISTINCT unnest(${failed.numbers(failedRows)})::BIGINT AS "row"`,
    failed,
  )
  const [counts] = await session.rows<{ rows: number; failed: number; unknown: number | null }>(
    `SELECT (SELECT count(*) FROM lineage)::INTEGER AS rows, (SELECT count(*) FROM failed)::INTEGER AS failed,
       (SELECT min("row") FROM failed WHERE "row" NOT IN (SELECT "row" FROM lineage))::DOUBLE AS unknown`,
  )
  if (counts === undefined) throw new Error("DuckDB counted nothing")
  return { rows: counts.rows, failed: { count: counts.failed, unknown: counts.unknown } }
}
