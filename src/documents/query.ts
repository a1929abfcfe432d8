/**
 * Reading documents: which ones (filters, search, order, cursor) is decided on positions alone, with the columns that the
 * question needs; only then are the documents of the page fetched by position.
 */

import { decodeSortCursor, encodeSortCursor, orderMark } from "./cursor.ts"
import type { Database, Session } from "./database.ts"
import { fetchDocuments, type Position, type RawDocument } from "./fetch.ts"
import { fieldAt } from "./fields.ts"
import { type GroupsPage, listGroups } from "./groups.ts"
import { cursorAfter, positionsInOrder } from "./pages.ts"
import { Parameters } from "./parameters.ts"
import { livingRows, readDead, scalarsFile } from "./part-files.ts"
import type { CountRequest, GetRequest, ParsedList, PartRef } from "./protocol.ts"
import { both, type Condition, readSelection, scan } from "./scan.ts"
import { afterKey, keyed, orderBy, sortKey } from "./sorting.ts"

export interface DocumentsPage {
  readonly documents: readonly RawDocument[]
  readonly nextCursor: string | null
  readonly total: number | null
  readonly groups: GroupsPage["groups"] | null
}

/** Deadlines are in milliseconds, for the whole request. */
export function listDocuments(database: Database, request: ParsedList, deadlineMs: number): Promise<DocumentsPage> {
  return database.session(deadlineMs, async (session) => {
    const condition = await readSelection(session, request)
    if (request.groupBy != null) {
      const page = await listGroups(session, request, condition, request.groupBy)
      return { ...page, documents: [] }
    }
    const { documents, nextCursor } =
      request.sort == null
        ? await pageInOrder(session, request, condition)
        : await sortedPage(session, request, condition, request.sort)
    const total = request.includeTotal === true ? await countPassing(session, request.parts, condition) : null
    return { documents, nextCursor, total, groups: null }
  })
}

export function countDocuments(database: Database, request: CountRequest, deadlineMs: number): Promise<number> {
  return database.session(deadlineMs, async (session) =>
    countPassing(session, request.parts, await readSelection(session, request)),
  )
}

/** Null when no living document of the parts has the id. */
export function getDocument(database: Database, request: GetRequest, deadlineMs: number): Promise<RawDocument | null> {
  const { parts, documentId } = request
  return database.session(deadlineMs, async (session) => {
    if (parts.length === 0) return null
    const parameters = new Parameters()
    // Asked of the plain files: any other condition beside the id would keep DuckDB from using their filters.
    const paths = parameters.texts(parts.map((part) => scalarsFile(part.path)))
    const places = await session.rows<Position>(
      `SELECT file_index::INTEGER AS part, file_row_number::INTEGER AS position
       FROM read_parquet(${paths}, hive_partitioning = false) WHERE document_id = ${parameters.text(documentId)}
       ORDER BY ALL`,
      parameters,
    )
    for (const place of places.toReversed()) {
      const ref = parts[place.part]
      if (ref === undefined || (await isDead(ref, place.position))) continue
      const [document] = await fetchDocuments(session, parts, [place], request.returnVectors ?? false)
      return document ?? null
    }
    return null
  })
}

async function isDead(part: PartRef, position: number): Promise<boolean> {
  return part.dead_file != null && (await readDead(part.dead_file)).includes(position)
}

async function countPassing(session: Session, parts: readonly PartRef[], condition: Condition): Promise<number> {
  if (!condition.restricts) {
    let total = 0
    for (const part of parts) total += await livingRows(part)
    return total
  }
  if (parts.length === 0) return 0
  const parameters = new Parameters()
  const [counted] = await session.rows<{ total: number }>(
    `SELECT count(*)::DOUBLE AS total FROM (${await scan(parts, condition, [], parameters)})`,
    parameters,
  )
  return counted?.total ?? 0
}

type Page = Pick<DocumentsPage, "documents" | "nextCursor">

async function pageInOrder(session: Session, request: ParsedList, condition: Condition): Promise<Page> {
  const positions = await positionsInOrder(session, request.parts, condition, {
    cursor: request.cursor ?? null,
    offset: request.offset ?? 0,
    count: request.limit + 1,
  })
  const wanted = positions.slice(0, request.limit)
  const documents = await fetchDocuments(session, request.parts, wanted, request.returnVectors ?? false)
  const last = wanted[documents.length - 1]
  const more = documents.length < positions.length && last !== undefined
  return { documents, nextCursor: more ? cursorAfter(request.parts, last) : null }
}

async function sortedPage(
  session: Session,
  request: ParsedList,
  condition: Condition,
  sort: NonNullable<ParsedList["sort"]>,
): Promise<Page> {
  if (request.parts.length === 0) return { documents: [], nextCursor: null }
  const order = orderMark(sort.field, sort.direction)
  const parameters = new Parameters()
  const columns = ["document_id", `${sortKey(fieldAt(sort.field, parameters))} AS key`]
  const after = request.cursor == null ? null : decodeSortCursor(request.cursor, order)
  const wantedRows =
    after === null
      ? condition
      : both(condition, (values) =>
          afterKey(sort.direction, fieldAt(sort.field, values), after.key, "document_id", after.last, values),
        )
  const rows = await session.rows<Position & { document_id: string } & SortedRow>(
    `SELECT * FROM (${keyed(await scan(request.parts, wantedRows, columns, parameters))})
     ORDER BY ${orderBy(sort.direction, "document_id")}, part, position
     LIMIT ${request.limit + 1} OFFSET ${request.offset ?? 0}`,
    parameters,
  )
  const wanted = rows.slice(0, request.limit)
  const documents = await fetchDocuments(session, request.parts, wanted, request.returnVectors ?? false)
  const last = wanted[documents.length - 1]
  if (documents.length === rows.length || last === undefined) return { documents, nextCursor: null }
  const key = { rank: last.sort_rank, number: last.sort_number, text: last.sort_text }
  return { documents, nextCursor: encodeSortCursor({ order, key, last: last.document_id }) }
}

interface SortedRow {
  readonly sort_rank: number
  readonly sort_number: number
  readonly sort_text: string
}
