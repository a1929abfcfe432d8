import type { Database, Session } from "./database.ts"
import { loadLineage } from "./lineage.ts"
import { Parameters } from "./parameters.ts"
import { readDead, scalarsFile, writeDead } from "./part-files.ts"
import type { FindSupersededRequest, PartRef, SupersededPart } from "./protocol.ts"
import { objectsInRange, overlapping } from "./source-parts.ts"

export interface Hit {
  readonly part: number
  readonly position: number
}

type Chain = NonNullable<FindSupersededRequest["chain"]>

/**
 * Documents of `parts` that newer ones replace, by part: each gets a new dead file beside it, which holds the part's
 * earlier dead positions too. Parts without a newly dead document are left out. Nothing changes for readers until the
 * caller names the new files; a file that is never named is left over.
 *
 * Of objects: whatever an object that was done again has there. Of documents: whatever was made of one that was done
 * again, and, of the same root objects, whatever was made of a document that lives no more, also by the versions of
 * `chain.beside`. A stale row counts as not done again, and its outputs are dead in the rows' own part, which is answered with
 * the others.
 */
export async function findSuperseded(
  database: Database,
  { parts, lineage, failed_rows = [], stale_rows = [], own: ownPart = null, chain }: FindSupersededRequest,
  deadlineMs: number,
): Promise<SupersededPart[]> {
  const own = stale_rows.length === 0 ? null : ownPart
  const older = [...parts, ...(chain?.beside ?? [])]
  if (older.length === 0 && own === null) return []
  return database.session(deadlineMs, async (session) => {
    const drop = () =>
      session.rows(
        "DROP TABLE IF EXISTS temp.lineage; DROP TABLE IF EXISTS temp.failed; DROP TABLE IF EXISTS temp.made",
      )
    await drop()
    await loadLineage(session, lineage, [...failed_rows, ...stale_rows], Number.POSITIVE_INFINITY)
    const hits =
      older.length === 0
        ? []
        : chain === undefined
          ? await ofObjects(session, older)
          : await ofDocuments(session, older, parts.length, chain)
    const stale = own === null ? [] : await ofRows(session, own, stale_rows)
    await drop()
    return [...(await writeAll(older, hits)), ...(own === null ? [] : await writeAll([own], stale))]
  })
}

async function ofObjects(session: Session, parts: readonly PartRef[]): Promise<Hit[]> {
  const parameters = new Parameters()
  return session.rows<Hit>(
    `SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position
     FROM read_parquet(${pathsOf(parts, parameters)}, hive_partitioning = false)
     WHERE object_id IN (SELECT object_id FROM lineage WHERE "row" NOT IN (SELECT "row" FROM failed))`,
    parameters,
  )
}

/** The first `replaceable` of `parts` are of the version that did the rows again. */
async function ofDocuments(
  session: Session,
  parts: readonly PartRef[],
  replaceable: number,
  chain: Chain,
): Promise<Hit[]> {
  const parameters = new Parameters()
  const range = { first: chain.first_ordinal, end: chain.end_ordinal }
  const sources = overlapping(chain.sources, range)
  const objects = `SELECT object_id FROM lineage${sources.length === 0 ? "" : ` UNION ALL ${objectsInRange(sources, range, parameters)}`}`
  await session.rows(
    `CREATE TEMP TABLE made AS
     SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position,
       json_extract_string(source, '/document_id') AS source_document_id
     FROM read_parquet(${pathsOf(parts, parameters)}, hive_partitioning = false)
     WHERE object_id IN (${objects})`,
    parameters,
  )
  const done = 'SELECT source_document_id FROM lineage WHERE "row" NOT IN (SELECT "row" FROM failed)'
  const replaced = await session.rows<Hit>(
    `DELETE FROM made WHERE part < ${replaceable} AND source_document_id IN (${done}) RETURNING part, position`,
  )
  return [...replaced, ...(await orphans(session, chain.living))]
}

/** Of the documents left in `made`, those whose source is in none of the living parts. */
async function orphans(session: Session, living: readonly PartRef[]): Promise<Hit[]> {
  const alive: string[] = []
  if (living.length > 0) {
    const parameters = new Parameters()
    const found = await session.rows<Hit & { document_id: string }>(
      `SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position, document_id
       FROM read_parquet(${pathsOf(living, parameters)}, hive_partitioning = false)
       WHERE document_id IN (SELECT source_document_id FROM made)`,
      parameters,
    )
    const dead = new Map<number, Set<number>>()
    for (const { part, position, document_id: id } of found) {
      if (!dead.has(part)) dead.set(part, new Set(await deadOf(living[part])))
      if (dead.get(part)?.has(position) === false) alive.push(id)
    }
  }
  const parameters = new Parameters()
  return session.rows<Hit>(
    `SELECT part, position FROM made
     WHERE source_document_id IS NULL OR source_document_id NOT IN (SELECT unnest(${parameters.texts(alive)}))`,
    parameters,
  )
}

async function ofRows(session: Session, part: PartRef, rows: readonly number[]): Promise<Hit[]> {
  const parameters = new Parameters()
  return session.rows<Hit>(
    `SELECT 0 AS part, file_row_number::INTEGER AS position
     FROM read_parquet(${pathsOf([part], parameters)}, hive_partitioning = false)
     WHERE "row" IN (SELECT unnest(${parameters.numbers(rows)}))`,
    parameters,
  )
}

export async function writeAll(parts: readonly PartRef[], hits: readonly Hit[]): Promise<SupersededPart[]> {
  const found = Map.groupBy(hits, (hit) => hit.part)
  const superseded: SupersededPart[] = []
  for (const [index, part] of parts.entries()) {
    const own = found.get(index)
    if (own === undefined) continue
    const before = await deadOf(part)
    const dead = new Set(before)
    for (const hit of own) dead.add(hit.position)
    if (dead.size === before.length) continue
    const file = `${part.path}.${crypto.randomUUID()}.dead`
    await writeDead(file, Uint32Array.from(dead).sort())
    superseded.push({ part_id: part.part_id, dead_rows: dead.size, dead_file: file })
  }
  return superseded
}

export async function deadOf(part: PartRef | undefined): Promise<Uint32Array> {
  return part?.dead_file == null ? new Uint32Array() : readDead(part.dead_file)
}

export function pathsOf(parts: readonly PartRef[], parameters: Parameters): string {
  return parameters.texts(parts.map((part) => scalarsFile(part.path)))
}
