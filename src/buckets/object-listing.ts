import type { ListObjects } from "../contract/objects.ts"
import type { Page, Pagination } from "../contract/pagination.ts"
import { paginationOf } from "../contract/pagination.ts"
import { invalid } from "../errors.ts"
import { parseFilter } from "../filtering.ts"
import type { SqlValue } from "../metadata/object-filters.ts"
import type { ObjectQuery, ObjectRow } from "../metadata/objects.ts"
import type { Metadata } from "../metadata/open.ts"

/** A page of large objects ends early, so that an answer stays within this many characters; the cursor goes on. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024

export type ObjectListing = Pick<ListObjects, "filters" | "sort" | "search" | "case_sensitive">

/** One page of a bucket's objects, in the order of arrival unless sorted. @throws ValidationError */
export function listObjects(
  read: Metadata["read"],
  bucketId: string,
  objectCount: number,
  page: Page,
  listing: ObjectListing,
): { rows: readonly ObjectRow[]; pagination: Pagination } {
  const sort = listing.sort ?? null
  const query: ObjectQuery = {
    bucketId,
    filter: parseFilter(listing.filters, listing.case_sensitive ?? false),
    search: listing.search == null || listing.search === "" ? null : listing.search,
    caseSensitive: listing.case_sensitive ?? false,
    sort,
    limit: page.limit,
    offset: page.cursor === null ? page.offset : 0,
    after: page.cursor === null ? null : readCursor(page.cursor, orderName(sort)),
    maxBytes: MAX_PAGE_BYTES,
  }
  const { rows, next } = read.objects.page(query)
  const unfiltered = query.filter === null && query.search === null
  const total = page.includeTotal ? (unfiltered ? objectCount : read.objects.count(query)) : null
  return { rows, pagination: paginationOf(page, total, next === null ? null : writeCursor(next, orderName(sort))) }
}

/** A cursor goes on in the order that it was made in, and no other. */
function orderName(sort: ObjectQuery["sort"]): string {
  return sort === null ? "" : `${sort.direction}:${sort.field}`
}

function writeCursor(position: readonly SqlValue[], order: string): string {
  return Buffer.from(JSON.stringify([Bun.hash.crc32(order), ...position])).toString("base64url")
}

function readCursor(cursor: string, order: string): SqlValue[] {
  const [name, ...position] = parse(Buffer.from(cursor, "base64url").toString("utf8"))
  const expected = order === "" ? 1 : 3
  const fits = position.every((value): value is SqlValue => typeof value === "number" || typeof value === "string")
  if (name === Bun.hash.crc32(order) && position.length === expected && fits) return position
  throw invalid("The cursor does not belong to this list.", [
    { type: "cursor", location: ["body", "cursor"], message: "must be the next_cursor of a page in the same order" },
  ])
}

function parse(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
