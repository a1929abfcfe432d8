import type { Database, Session } from "./database.ts"
import { Parameters } from "./parameters.ts"
import type { FindMadeOfRequest, SupersededPart } from "./protocol.ts"
import { deadOf, type Hit, pathsOf, writeAll } from "./superseded.ts"

/**
 * Documents of `parts` that were made of documents that go; answered as `findSuperseded` does it. Part by part: in memory are the
 * positions of one.
 */
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
    for (const part of parts) {
      const parameters = new Parameters()
      const hits = await session.rows<Hit>(
        `SELECT 0 AS part, file_row_number::INTEGER AS position
         FROM read_parquet(${pathsOf([part], parameters)}, hive_partitioning = false)
         WHERE json_extract_string(source, '/document_id') IN (SELECT document_id FROM gone)`,
        parameters,
      )
      superseded.push(...(await writeAll([part], hits)))
    }
    await session.rows("DROP TABLE IF EXISTS temp.gone")
    return superseded
  })
}

async function loadGone(session: Session, gone: FindMadeOfRequest["gone"]): Promise<void> {
  await session.rows("CREATE TEMP TABLE gone (document_id VARCHAR)")
  for (const { part, dead_file: after = null } of gone) {
    const parameters = new Parameters()
    const of = `read_parquet(${pathsOf([part], parameters)}, hive_partitioning = false)`
    const which = after === null ? "" : await newlyDead(part, after, parameters)
    await session.rows(`INSERT INTO gone SELECT document_id FROM ${of}${which}`, parameters)
  }
}

async function newlyDead(
  part: FindMadeOfRequest["parts"][number],
  after: string,
  parameters: Parameters,
): Promise<string> {
  const before = new Set(await deadOf(part))
  const dead = await deadOf({ ...part, dead_file: after })
  const positions = [...dead].filter((position) => !before.has(position))
  return ` WHERE file_row_number IN (SELECT unnest(${parameters.numbers(positions)}))`
}
