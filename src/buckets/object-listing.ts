/**
 * Lists of objects. A bucket may hold millions, and SQLite runs on the event loop: a list that has to look at objects
 * looks at a bounded span of them per turn, and keeps only the keys that its page may need.
 */
import { setImmediate as nextTurn } from "node:timers/promises"
import type { ListObjects } from "../contract/objects.ts"
import type { Page, Pagination } from "../contract/pagination.ts"
import { paginationOf } from "../contract/pagination.ts"
import { invalid } from "../errors.ts"
import { parseFilter } from "../filtering.ts"
import type { ObjectKey, ObjectRow } from "../metadata/objects.ts"
import type { Metadata } from "../metadata/open.ts"
import { decodeCursor, encodeCursor } from "../page-cursor.ts"

/** Objects that a filter, search or sort looks at in one turn: at about 10 us each, some milliseconds. */
const SCANNED_ROWS = 1000
/** A page of large objects ends early, so that an answer stays within this many characters; the cursor goes on. */
const MAX_PAGE_CHARACTERS = 32 * 1024 * 1024

type Sort = NonNullable<ListObjects["sort"]>

export type ObjectListing = Pick<ListObjects, "filters" | "sort" | "search" | "case_sensitive">

/** One page of a bucket's objects, in the order of arrival unless sorted. @throws ValidationError */
export async function listObjects(
  read: Metadata["read"],
  bucketId: string,
  objectCount: number,
  page: Page,
  listing: ObjectListing,
): Promise<{ rows: readonly ObjectRow[]; pagination: Pagination }> {
  const sort = listing.sort ?? null
  const filter = parseFilter(listing.filters, listing.case_sensitive ?? false)
  const search = listing.search == null || listing.search === "" ? null : listing.search
  const caseSensitive = listing.case_sensitive ?? false
  const scan = read.objects.scanner({ bucketId, filter, search, caseSensitive, sortField: sort?.field ?? null })
  const after = page.cursor === null ? null : readCursor(page.cursor, sort)
  const order = ordering(sort)
  const offset = after === null ? page.offset : 0
  const needed = offset + page.limit + 1
  const selective = filter !== null || search !== null
  const countAll = page.includeTotal && selective

  let keys: ObjectKey[] = []
  let total = 0
  let at = after !== null && sort === null && !countAll ? after.seq : 0
  for (;;) {
    const end = read.objects.scanEnd(bucketId, at, selective || sort !== null ? SCANNED_ROWS : needed)
    if (end === null) break
    const found = scan(at, end)
    total += found.length
    keys.push(...(after === null ? found : found.filter((key) => order(key, after) > 0)))
    if (sort !== null) keys.sort(order)
    keys = keys.slice(0, needed)
    if (sort === null && keys.length === needed && !countAll) break
    at = end
    await nextTurn()
  }
  const { rows, last } = fetchRows(read, bucketId, keys.slice(offset, offset + page.limit))
  const more = last !== null && keys.at(-1) !== last
  const answered = page.includeTotal ? (selective ? total : objectCount) : null
  return { rows, pagination: paginationOf(page, answered, more ? writeCursor(last, sort) : null) }
}

/** The rows that are still there, and the last key that was looked at. */
function fetchRows(read: Metadata["read"], bucketId: string, keys: readonly ObjectKey[]) {
  const rows: ObjectRow[] = []
  let characters = 0
  let last: ObjectKey | null = null
  for (const key of keys) {
    const row = read.objects.bySeq(bucketId, key.seq)
    if (row !== undefined) {
      const size = row.fields.length + row.blobs.length + row.blob_values.length
      if (rows.length > 0 && characters + size > MAX_PAGE_CHARACTERS) break
      rows.push(row)
      characters += size
    }
    last = key
  }
  return { rows, last }
}

/** By value with nulls last in both directions, then by arrival in the same direction: total, so that a cursor can name it. */
function ordering(sort: Sort | null): (a: ObjectKey, b: ObjectKey) => number {
  if (sort === null) return (a, b) => a.seq - b.seq
  const sign = sort.direction === "asc" ? 1 : -1
  return (a, b) => {
    if (a.value === null || b.value === null) {
      if (a.value !== b.value) return a.value === null ? 1 : -1
      return sign * (a.seq - b.seq)
    }
    return sign * (compareValues(a.value, b.value) || a.seq - b.seq)
  }
}

/** Numbers before texts. */
function compareValues(a: string | number | bigint, b: string | number | bigint): number {
  if ((typeof a === "string") !== (typeof b === "string")) return typeof a === "string" ? 1 : -1
  return a < b ? -1 : a > b ? 1 : 0
}

/** A cursor goes on in the order that it was made in, and no other. */
function orderName(sort: Sort | null): number {
  return Bun.hash.crc32(sort === null ? "" : `${sort.direction}:${sort.field}`)
}

function writeCursor(key: ObjectKey, sort: Sort | null): string {
  return encodeCursor([orderName(sort), key.seq, key.value])
}

function readCursor(cursor: string, sort: Sort | null): ObjectKey {
  const [name, seq, value] = decodeCursor(cursor)
  const fits = value === null || ["number", "bigint", "string"].includes(typeof value)
  if (name === orderName(sort) && typeof seq === "number" && fits) return { seq, value: value as ObjectKey["value"] }
  throw invalid("The cursor does not belong to this list.", [
    { type: "cursor", location: ["body", "cursor"], message: "must be the next_cursor of a page in the same order" },
  ])
}
