import { decodeSortCursor, encodeSortCursor, orderMark } from "./cursor.ts"
import type { Session } from "./database.ts"
import { fetchDocuments, type Position, type RawDocument } from "./fetch.ts"
import { fieldAt } from "./fields.ts"
import { Parameters } from "./parameters.ts"
import type { ParsedList } from "./protocol.ts"
import { both, type Condition, scan } from "./scan.ts"
import { afterKey, keyed, orderBy, sortKey } from "./sorting.ts"

/** A page of groups, each with its first documents, is at most as large as the largest page of documents. */
export const MAX_GROUPS = 100
export const GROUP_DOCUMENTS = 10

export interface Group {
  /** The value, as JSON; null for documents that have none. */
  readonly keyJson: string
  readonly count: number
  readonly documents: readonly RawDocument[]
}
export interface GroupsPage {
  readonly groups: readonly Group[]
  readonly nextCursor: string | null
  readonly total: number | null
}

interface GroupRow {
  readonly id: string
  readonly key_json: string
  readonly count: number
  readonly sort_rank: number
  readonly sort_number: number
  readonly sort_text: string
}

/**
 * Documents by the value of a field, in the order of values; a list is one value. Each group has its count and its first
 * documents: by the request's sort, else in the order of the parts.
 */
export async function listGroups(
  session: Session,
  request: ParsedList,
  condition: Condition,
  path: string,
): Promise<GroupsPage> {
  if (request.parts.length === 0) {
    return { groups: [], nextCursor: null, total: request.includeTotal === true ? 0 : null }
  }
  const order = orderMark("group", path)
  const limit = Math.min(request.limit, MAX_GROUPS)
  const found = await groupRows(session, request, condition, path, order, limit)
  const page = found.slice(0, limit)
  const positions = await firstDocuments(session, request, condition, path, page)
  const documents = await fetchDocuments(session, request.parts, positions, request.returnVectors ?? false)
  const byGroup = Map.groupBy(documents.entries(), ([index]) => positions[index]?.id)
  const last = page.at(-1)
  const more = found.length > page.length && last !== undefined
  return {
    groups: page.map((group) => ({
      keyJson: group.key_json,
      count: group.count,
      documents: (byGroup.get(group.id) ?? []).map(([, document]) => document),
    })),
    nextCursor: more ? encodeSortCursor({ order, key: keyOf(last), last: last.id }) : null,
    total: request.includeTotal === true ? await countGroups(session, request, condition, path) : null,
  }
}

const keyOf = (row: GroupRow) => ({ rank: row.sort_rank, number: row.sort_number, text: row.sort_text })

/** `id` tells values apart, long texts too; `key_json` is the value. */
const GROUP_ID = "md5(concat_ws(':', key.rank, key.number, key.text))"
const GROUP_COLUMNS = [`${GROUP_ID} AS id`, "key.json AS key_json"]

async function groupRows(
  session: Session,
  request: ParsedList,
  condition: Condition,
  path: string,
  order: string,
  limit: number,
): Promise<GroupRow[]> {
  const parameters = new Parameters()
  const columns = [`${sortKey(fieldAt(path, parameters))} AS key`]
  const after = request.cursor == null ? null : decodeSortCursor(request.cursor, order)
  const wanted =
    after === null
      ? condition
      : both(condition, (values) => afterKey("asc", fieldAt(path, values), after.key, GROUP_ID, after.last, values))
  return session.rows<GroupRow>(
    `SELECT id, any_value(key_json) AS key_json, count(*)::DOUBLE AS count, sort_rank, sort_number, sort_text
     FROM (${keyed(await scan(request.parts, wanted, columns, parameters), ...GROUP_COLUMNS)})
     GROUP BY id, sort_rank, sort_number, sort_text
     ORDER BY ${orderBy("asc", "id")} LIMIT ${limit + 1} OFFSET ${request.offset ?? 0}`,
    parameters,
  )
}

async function firstDocuments(
  session: Session,
  request: ParsedList,
  condition: Condition,
  path: string,
  groups: readonly GroupRow[],
): Promise<(Position & { id: string })[]> {
  if (groups.length === 0) return []
  const parameters = new Parameters()
  const sort = request.sort ?? null
  const columns = [
    "document_id",
    `${sortKey(fieldAt(path, parameters))} AS key`,
    ...(sort === null ? [] : [`${sortKey(fieldAt(sort.field, parameters))} AS sort_key`]),
  ]
  const scanned = await scan(request.parts, condition, columns, parameters)
  const grouped = `SELECT * FROM (SELECT *, ${GROUP_COLUMNS.join(", ")} FROM (${scanned}))
    WHERE id IN (SELECT unnest(${parameters.texts(groups.map((group) => group.id))}))`
  const sorted =
    sort === null ? grouped : keyed(`SELECT id, part, position, document_id, sort_key AS key FROM (${grouped})`)
  const within = sort === null ? "part, position" : `${orderBy(sort.direction, "document_id")}, part, position`
  const rows = await session.rows<Position & { id: string; place: number }>(
    `SELECT id, part, position FROM (
       SELECT id, part, position, row_number() OVER (PARTITION BY id ORDER BY ${within}) AS place FROM (${sorted})
     ) WHERE place <= ${GROUP_DOCUMENTS} ORDER BY id, place`,
    parameters,
  )
  const byId = Map.groupBy(rows, (row) => row.id)
  return groups.flatMap((group) => byId.get(group.id) ?? [])
}

async function countGroups(session: Session, request: ParsedList, condition: Condition, path: string): Promise<number> {
  const parameters = new Parameters()
  const columns = [`${sortKey(fieldAt(path, parameters))} AS key`]
  const [counted] = await session.rows<{ total: number }>(
    `SELECT count(DISTINCT id)::DOUBLE AS total FROM (${keyed(await scan(request.parts, condition, columns, parameters), ...GROUP_COLUMNS)})`,
    parameters,
  )
  return counted?.total ?? 0
}
