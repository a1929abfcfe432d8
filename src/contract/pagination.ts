import { z } from "@hono/zod-openapi"
import { invalid } from "../errors.ts"

/** Limits of api.md §0.3. */
export const MAX_LIMIT = 1000
export const MAX_OFFSET = 10_000
export const DEFAULT_LIMIT = 10

const Limit = z.coerce.number().int().min(1).max(MAX_LIMIT)
const PAST_OFFSETS = `is past ${MAX_OFFSET} rows; go on from page to page by 'cursor', with what 'pagination.next_cursor' says`
const Offset = z.coerce.number().int().min(0).max(MAX_OFFSET, PAST_OFFSETS)
const Page = z.coerce.number().int().min(1).max(MAX_OFFSET)
const Cursor = z.string().max(1024)

/** What the hosted API takes for a flag, in any case: Python's `requests` writes True and False. */
const YES = ["true", "1", "yes", "on", "t", "y"]
const NO = ["false", "0", "no", "off", "f", "n"]
export const FlagQuery = z
  .string()
  .toLowerCase()
  .pipe(z.enum([...YES, ...NO], "must be true or false"))
  .transform((value) => YES.includes(value))

const Search = z.string().max(256)

/** Paging may come in the query or in the body; the query wins. */
export const PagingQuery = z.object({
  limit: Limit.optional(),
  offset: Offset.optional(),
  cursor: Cursor.optional(),
  next_cursor: Cursor.optional().openapi({ description: "Alias of cursor" }),
  after: Cursor.optional().openapi({ description: "Alias of cursor" }),
  page: Page.optional(),
  page_size: Limit.optional(),
  include_total: FlagQuery.optional(),
})

export const SearchQuery = PagingQuery.extend({ search: Search.optional() })

const BodyLimit = z.int().min(1).max(MAX_LIMIT)

export const PagingBody = z.object({
  limit: BodyLimit.nullish(),
  offset: z.int().min(0).max(MAX_OFFSET, PAST_OFFSETS).nullish(),
  cursor: Cursor.nullish(),
  page: z.int().min(1).max(MAX_OFFSET).nullish(),
  page_size: BodyLimit.nullish(),
  include_total: z.boolean().nullish(),
})

export const Sort = z.object({ field: z.string().min(1).max(256), direction: z.enum(["asc", "desc"]).default("asc") })

/** A tree, a bare condition or a shorthand map (api.md §0.4); its meaning is checked where it is applied. */
export const Filters = z.record(z.string(), z.unknown()).openapi({ description: "LogicalOperator, condition or map" })

export const ListBody = PagingBody.extend({
  filters: Filters.nullish(),
  sort: Sort.nullish(),
  search: Search.nullish(),
  case_sensitive: z.boolean().nullish(),
})
export type ListBody = z.output<typeof ListBody>

export const Pagination = z
  .object({
    total: z.int().nullable(),
    page: z.int().nullable(),
    page_size: z.int().nullable(),
    total_pages: z.int().nullable(),
    next_page: z.string().nullable(),
    previous_page: z.string().nullable(),
    next_cursor: z.string().nullable(),
  })
  .openapi("PaginationResponse")
export type Pagination = z.output<typeof Pagination>

export interface Page {
  readonly limit: number
  readonly offset: number
  readonly cursor: string | null
  readonly includeTotal: boolean
}

type QueryInput = Partial<z.output<typeof PagingQuery>>
type BodyInput = { [Key in keyof z.output<typeof PagingBody>]?: z.output<typeof PagingBody>[Key] | undefined }

/**
 * Joins query and body into one page; `page`/`page_size` become an offset. The query wins: the SDK's request models put
 * their defaults (`limit: 10, offset: 0`) into every body, its query holds only what the caller asked for.
 * @throws ValidationError for a page past the last offset: whoever counts pages up would get the last one for ever
 */
export function pageOf(query: QueryInput, body: BodyInput = {}, defaultLimit = DEFAULT_LIMIT): Page {
  const limit = query.limit ?? query.page_size ?? body.limit ?? body.page_size ?? defaultLimit
  const start = (page: number | null | undefined) => (page == null ? null : (page - 1) * limit)
  const offset = query.offset ?? start(query.page) ?? body.offset ?? start(body.page) ?? 0
  const cursor = query.cursor ?? query.next_cursor ?? query.after ?? body.cursor ?? null
  if (cursor === null && offset > MAX_OFFSET) {
    const location = [query.page == null ? "body" : "query", "page"]
    throw invalid(`The page ${PAST_OFFSETS}.`, [{ type: "too_big", location, message: PAST_OFFSETS }])
  }
  return {
    limit,
    offset: Math.min(offset, MAX_OFFSET),
    cursor,
    includeTotal: query.include_total ?? body.include_total ?? false,
  }
}

/** The answer's `pagination` for a page cut by offset out of `total` rows. */
export function paginationOf(page: Page, total: number | null, nextCursor: string | null = null): Pagination {
  return {
    total,
    page: Math.floor(page.offset / page.limit) + 1,
    page_size: page.limit,
    total_pages: total === null ? null : Math.ceil(total / page.limit),
    next_page: null,
    previous_page: null,
    next_cursor: nextCursor,
  }
}
