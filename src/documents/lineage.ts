import { rm, stat } from "node:fs/promises"
import type { Session } from "./database.ts"
import { OutputTooLarge } from "./hostile-output.ts"
import { Parameters } from "./parameters.ts"
import { type Piece, splitLines } from "./split-lines.ts"

/**
 * Lines that DuckDB is given at once, in bytes. Its JSON reader keeps several times the text that it is at, in no way that
 * its options bound: 25 lines of 1 MB ran out of 256 MiB in most tries, whatever line size it was told.
 */
const PIECE_BYTES = 4 * 1024 ** 2
const MIN_LINE_BYTES = 64 * 1024

/**
 * Leaves the temporary tables `lineage (row, object_id, source_document_id, passthrough, source, bytes)` and `failed (row)` of the rows that a
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
  if (size > maxBytes) {
    throw new OutputTooLarge(`The rows' lineage has ${size} bytes; at most ${maxBytes} are taken at once.`)
  }
  await session.rows(
    `CREATE TEMP TABLE lineage ("row" BIGINT, object_id VARCHAR, source_document_id VARCHAR, passthrough VARCHAR, source VARCHAR, bytes BIGINT)`,
  )
  if (size <= PIECE_BYTES) await addLines(session, { path, bytes: size })
  else {
    for await (const piece of splitLines(path, PIECE_BYTES)) {
      try {
        await addLines(session, piece)
      } finally {
        await rm(piece.path, { force: true })
      }
    }
  }
  return addFailed(session, failedRows)
}

async function addLines(session: Session, { path, bytes }: Piece): Promise<void> {
  const parameters = new Parameters()
  // No line is longer than its piece.
  await session.rows(
    `INSERT INTO lineage
     SELECT *, strlen(passthrough) + strlen(source) FROM (
       SELECT "row", object_id, source_document_id, coalesce(passthrough, '{}')::VARCHAR AS passthrough,
         coalesce(source, '{}')::VARCHAR AS source
       FROM read_json(${parameters.text(path)}, format = 'newline_delimited',
         maximum_object_size = ${Math.max(MIN_LINE_BYTES, bytes + 1)},
         columns = {row: 'BIGINT', object_id: 'VARCHAR', source_document_id: 'VARCHAR', passthrough: 'JSON', source: 'JSON'}))`,
    parameters,
  )
}

async function addFailed(session: Session, failedRows: readonly number[]) {
  const parameters = new Parameters()
  await session.rows(
    `CREATE TEMP TABLE failed AS SELECT DISTINCT unnest(${parameters.numbers(failedRows)})::BIGINT AS "row"`,
    parameters,
  )
  const [counts] = await session.rows<{ rows: number; failed: number; unknown: number | null }>(
    `SELECT (SELECT count(*) FROM lineage)::INTEGER AS rows, (SELECT count(*) FROM failed)::INTEGER AS failed,
       (SELECT min("row") FROM failed WHERE "row" NOT IN (SELECT "row" FROM lineage))::DOUBLE AS unknown`,
  )
  if (counts === undefined) throw new Error("DuckDB counted nothing")
  return { rows: counts.rows, failed: { count: counts.failed, unknown: counts.unknown } }
}
