import { z } from "@hono/zod-openapi"

/** Limits of api.md §0.3. */
export const MAX_LIMIT = 1000
export const MAX_OFFSET = 10_000
export const DEFAULT_LIMIT = 10

const Limit = z.coerce.number().int().min(1).max(MAX_LIMIT)
const Offset = z.coerce.number().int().min(0).max(MAX_OFFSET)
const Page = z.coerce.number().int().min(1).max(MAX_OFFSET)
const Cursor = z.string().max(1024)

const QueryFlag = z.enum(["true", "false", "1", "0"]).transform((value) => value === "true" || value === "1")

/** Paging may come in the query or in the body; the body wins. */
export const PagingQuery = z.object({
  limit: Limit.optional(),
  offset: Offset.optional(),
  cursor: Cursor.optional(),
  page: Page.optional(),
  page_size: Limit.optional(),
  include_total: QueryFlag.optional(),
})

export const FlagQuery = QueryFlag

const BodyLimit = z.int().min(1).max(MAX_LIMIT)

export const PagingBody = z.object({
  limit: BodyLimit.nullish(),
  offset: z.int().min(0).max(MAX_OFFSET).nullish(),
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
  search: z.string().max(256).nullish(),
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

type PagingInput = { [Key in keyof z.output<typeof PagingBody>]?: z.output<typeof PagingBody>[Key] | undefined }

/** Joins query and body into one page; `page`/`page_size` become an offset. */
export function pageOf(query: PagingInput, body: PagingInput = {}, defaultLimit = DEFAULT_LIMIT): Page {
  const limit = body.limit ?? body.page_size ?? query.limit ?? query.page_size ?? defaultLimit
  const page = body.page ?? query.page ?? null
  const offset = body.offset ?? query.offset ?? (page === null ? 0 : (page - 1) * limit)
  return {
    limit,
    offset: Math.min(offset, MAX_OFFSET),
    cursor: body.cursor ?? query.cursor ?? null,
    includeTotal: body.include_total ?? query.include_total ?? false,
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
