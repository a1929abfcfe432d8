import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import type { Session } from "./database.ts"
import { OutputTooLarge } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"

/**
 * DuckDB reserves some times the largest line it is told to expect, in each thread: told its own default of 16 MiB, it ran
 * out of 256 MiB over 25 MB of lines in a quarter of all tries.
 */
const MIN_LINE_BYTES = 64 * 1024

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
  const line = Math.max(MIN_LINE_BYTES, (await longestLine(path)) + 1)
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

/** In bytes, without its end. Memory is one chunk. */
async function longestLine(path: string): Promise<number> {
  let longest = 0
  let current = 0
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes: Buffer = chunk
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      longest = Math.max(longest, current + end - from)
      current = 0
      from = end + 1
    }
    current += bytes.byteLength - from
  }
  return Math.max(longest, current)
}

const CHUNK_BYTES = 1024 ** 2
const NEWLINE = 0x0a
