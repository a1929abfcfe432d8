import type { Database, Session } from "./database.ts"
import { Parameters } from "./parameters.ts"
import type { FindMadeOfRequest, PartRef, SupersededPart } from "./protocol.ts"
import { deadOf, type Hit, pathsOf, writeAll } from "./superseded.ts"

/** Of the parts that are looked through together: in memory are the positions of so many documents at most, or of one part. */
const ROWS_AT_ONCE = 200_000
const PARTS_AT_ONCE = 500

/** Documents of `parts` that were made of documents that go; answered as `findSuperseded` does it. */
export async function findMadeOf(
  database: Database,
  { parts, gone }: FindMadeOfRequest,
  deadlineMs: number,
): Promise<SupersededPart[]> {
  if (parts.length === 0 || gone.length === 0) return []
  return database.session(deadlineMs, async (session) => {
    await session.rows("DROP TABLE IF EXISTS temp.gone")
    await loadGone(session, gone)
    const superseded: SupersededPart[] = []
    for (const some of together(parts)) {
      const parameters = new Parameters()
      const hits = await session.rows<Hit>(
        `SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position
         FROM read_parquet(${pathsOf(some, parameters)}, hive_partitioning = false)
         WHERE json_extract_string(source, '/document_id') IN (SELECT document_id FROM gone)`,
        parameters,
      )
      superseded.push(...(await writeAll(some, hits)))
    }
    await session.rows("DROP TABLE IF EXISTS temp.gone")
    return superseded
  })
}

/** A statement a part would make the same table of what goes each time. */
function* together(parts: readonly PartRef[]): Generator<PartRef[]> {
  let some: PartRef[] = []
  let rows = 0
  for (const part of parts) {
    if (some.length === PARTS_AT_ONCE || (some.length > 0 && rows + part.rows > ROWS_AT_ONCE)) {
      yield some
      some = []
      rows = 0
    }
    some.push(part)
    rows += part.rows
  }
  yield some
}

/** Parts of which all goes are read together. */
async function loadGone(session: Session, gone: FindMadeOfRequest["gone"]): Promise<void> {
  await session.rows("CREATE TEMP TABLE gone (document_id VARCHAR)")
  const whole = gone.filter(({ dead_file: after }) => after == null).map(({ part }) => part)
  if (whole.length > 0) {
    const parameters = new Parameters()
    const of = `read_parquet(${pathsOf(whole, parameters)}, hive_partitioning = false)`
    await session.rows(`INSERT INTO gone SELECT document_id FROM ${of}`, parameters)
  }
  for (const { part, dead_file: after = null } of gone) {
    if (after === null) continue
    const parameters = new Parameters()
    const of = `read_parquet(${pathsOf([part], parameters)}, hive_partitioning = false)`
    const which = await newlyDead(part, after, parameters)
    await session.rows(`INSERT INTO gone SELECT document_id FROM ${of}${which}`, parameters)
  }
}

async function newlyDead(part: PartRef, after: string, parameters: Parameters): Promise<string> {
  const before = new Set(await deadOf(part))
  const dead = await deadOf({ ...part, dead_file: after })
  const positions = [...dead].filter((position) => !before.has(position))
  return ` WHERE file_row_number IN (SELECT unnest(${parameters.numbers(positions)}))`
}
