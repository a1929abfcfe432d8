import type { Database } from "./database.ts"
import { loadLineage } from "./lineage.ts"
import { Parameters } from "./parameters.ts"
import { readDead, scalarsFile, writeDead } from "./part-files.ts"
import type { FindSupersededRequest, SupersededPart } from "./protocol.ts"

/**
 * Documents of `parts` whose object was done again, by part: each gets a new dead file beside it, which holds the part's
 * earlier dead positions too. Parts without a newly dead document are left out. Nothing changes for readers until the
 * caller names the new files; a file that is never named is left over.
 */
export async function findSuperseded(
  database: Database,
  { parts, lineage, failed_rows }: FindSupersededRequest,
  deadlineMs: number,
): Promise<SupersededPart[]> {
  if (parts.length === 0) return []
  const found = await database.session(deadlineMs, async (session) => {
    const drop = () => session.rows("DROP TABLE IF EXISTS temp.lineage; DROP TABLE IF EXISTS temp.failed")
    await drop()
    await loadLineage(session, lineage, failed_rows ?? [], Number.POSITIVE_INFINITY)
    const parameters = new Parameters()
    const paths = parameters.texts(parts.map((part) => scalarsFile(part.path)))
    const rows = await session.rows<{ part: number; position: number }>(
      `SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position
       FROM read_parquet(${paths}, hive_partitioning = false)
       WHERE object_id IN (SELECT object_id FROM lineage WHERE "row" NOT IN (SELECT "row" FROM failed))`,
      parameters,
    )
    await drop()
    return Map.groupBy(rows, (row) => row.part)
  })
  const superseded: SupersededPart[] = []
  for (const [index, part] of parts.entries()) {
    const hits = found.get(index)
    if (hits === undefined) continue
    const before = part.dead_file == null ? new Uint32Array() : await readDead(part.dead_file)
    const dead = new Set(before)
    for (const hit of hits) dead.add(hit.position)
    if (dead.size === before.length) continue
    const file = `${part.path}.${crypto.randomUUID()}.dead`
    await writeDead(file, Uint32Array.from(dead).sort())
    superseded.push({ part_id: part.part_id, dead_rows: dead.size, dead_file: file })
  }
  return superseded
}
