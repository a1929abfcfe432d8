import type { Session } from "./database.ts"
import { Parameters } from "./parameters.ts"
import { ROW_GROUP, scalarsFile } from "./part-files.ts"
import { PAGE_BYTES, type PartRef } from "./protocol.ts"
import { openVectors, type VectorFile } from "./vectors.ts"

/** A document's place: index into the parts of the request, and 0-based row of the part's file. */
export interface Position {
  readonly part: number
  readonly position: number
}

/** A document whose JSON stays text: it goes into the answer as it is stored. */
export interface RawDocument {
  readonly document_id: string
  readonly collection_id: string
  readonly object_id: string
  readonly output_index: number
  readonly plugin_id: string
  readonly created_at: string
  readonly fields: string
  readonly source: string
  readonly vectors: Record<string, number[]> | null
}

interface FetchedRow extends Omit<RawDocument, "vectors">, Position {
  readonly missing_vectors: readonly string[]
}

/** Documents fetched before their size is known; at the largest they fill a page. */
const FIRST_CHUNK = 64
/** Statements joined into one; planning costs more than reading beyond that. */
const MAX_BRANCHES = 64

/**
 * The documents at these places, in this order. Fewer when their text or vectors exceed PAGE_BYTES; always at least one of
 * those asked.
 */
export async function fetchDocuments(
  session: Session,
  parts: readonly PartRef[],
  positions: readonly Position[],
  returnVectors: boolean,
): Promise<RawDocument[]> {
  const documents: RawDocument[] = []
  await using vectors = openPartVectors(parts)
  let bytes = 0
  for (let first = 0; first < positions.length; ) {
    const chunk = positions.slice(first, first + chunkLength(first, bytes))
    const rows = await fetchRows(session, parts, chunk)
    for (const { part, position } of chunk) {
      const row = rows.get(key(part, position))
      if (row === undefined) throw new Error(`part ${parts[part]?.part_id} has no document ${position}`)
      const { missing_vectors, part: _part, position: _position, ...document } = row
      const own = returnVectors ? await vectors.of(part, position, missing_vectors) : null
      documents.push({ ...document, vectors: own })
      bytes += documentBytes(row, own)
      if (bytes >= PAGE_BYTES) return documents
    }
    first += chunk.length
  }
  return documents
}

/** As many as should fit into what is left of the page, going by those seen so far. */
function chunkLength(seen: number, bytes: number): number {
  if (seen === 0 || bytes === 0) return FIRST_CHUNK
  return Math.max(1, Math.floor((PAGE_BYTES - bytes) / (bytes / seen)))
}

function documentBytes(row: FetchedRow, vectors: Record<string, number[]> | null): number {
  // A float32 as JSON has up to 22 characters; names and braces are a rounding error.
  const numbers = vectors === null ? 0 : Object.values(vectors).reduce((sum, vector) => sum + vector.length, 0)
  return row.fields.length + row.source.length + numbers * 22
}

const key = (part: number, position: number) => `${part}/${position}`

async function fetchRows(
  session: Session,
  parts: readonly PartRef[],
  positions: readonly Position[],
): Promise<Map<string, FetchedRow>> {
  const groups = Map.groupBy(positions, ({ part, position }) => key(part, Math.floor(position / ROW_GROUP)))
  const clusters = [...groups.values()]
  const rows = new Map<string, FetchedRow>()
  for (let first = 0; first < clusters.length; first += MAX_BRANCHES) {
    const parameters = new Parameters()
    const branches = clusters.slice(first, first + MAX_BRANCHES).map((cluster) => branch(parts, cluster, parameters))
    for (const row of await session.rows<FetchedRow>(branches.join(" UNION ALL "), parameters)) {
      rows.set(key(row.part, row.position), row)
    }
  }
  return rows
}

/** Documents of one row group: the bounds let DuckDB skip the others. */
function branch(parts: readonly PartRef[], cluster: readonly Position[], parameters: Parameters): string {
  const [{ part } = { part: -1 }] = cluster
  const ref = parts[part]
  if (ref === undefined) throw new RangeError(`there is no part ${part}`)
  const places = cluster.map(({ position }) => position)
  const low = Math.min(...places)
  const high = Math.max(...places)
  const scattered = high - low + 1 > places.length
  return `SELECT ${part} AS part, file_row_number::INTEGER AS position, document_id, collection_id, object_id, output_index,
      plugin_id, created_at, fields, source, missing_vectors
    FROM read_parquet(${parameters.texts([scalarsFile(ref.path)])}, hive_partitioning = false)
    WHERE file_row_number BETWEEN ${low} AND ${high}
      ${scattered ? `AND list_contains(${parameters.numbers(places)}, file_row_number::DOUBLE)` : ""}`
}

/** Vector files, opened when first needed. */
export function openPartVectors(parts: readonly PartRef[]) {
  const open = new Map<string, VectorFile>()
  return {
    async of(part: number, position: number, missing: readonly string[]): Promise<Record<string, number[]>> {
      const ref = parts[part]
      const vectors: Record<string, number[]> = {}
      for (const { feature_name, embedding_dim, file_index } of ref?.features ?? []) {
        if (ref === undefined || missing.includes(feature_name)) continue
        const name = key(part, file_index)
        let file = open.get(name)
        if (file === undefined) {
          file = await openVectors(ref.path, file_index, embedding_dim)
          open.set(name, file)
        }
        vectors[feature_name] = await file.at(position)
      }
      return vectors
    },
    async [Symbol.asyncDispose]() {
      for (const file of open.values()) await file[Symbol.asyncDispose]()
    },
  }
}
