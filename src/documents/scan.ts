import { invalid } from "../errors.ts"
import { parseFilter } from "../filtering.ts"
import type { Session } from "./database.ts"
import { compileFilter } from "./filters.ts"
import { Parameters } from "./parameters.ts"
import { deadMarks, scalarsFile } from "./part-files.ts"
import type { PartRef } from "./protocol.ts"
import { compileSearch } from "./search.ts"

interface Outranked {
  readonly plugin_id: string
  readonly by: readonly number[]
  readonly of: "object" | "document"
}

export interface Selection {
  /** What `outranked` counts into. */
  readonly parts?: readonly PartRef[]
  readonly outranked?: readonly Outranked[] | undefined
  readonly filters?: unknown
  readonly search?: string | null | undefined
  readonly caseSensitive?: boolean | undefined
}

const ROW_KEY = {
  object: "object_id",
  document: "coalesce(json_extract_string(source, '/document_id'), object_id)",
} as const

/** Adds the condition of a selection to a statement. */
export interface Condition {
  /** False when every document passes. */
  readonly restricts: boolean
  sql(parameters: Parameters): string
}

/**
 * Understands filters and search once, and tries the caller's regular expressions.
 * @throws ValidationError naming what cannot be understood
 */
export async function readSelection(session: Session, selection: Selection): Promise<Condition> {
  const caseSensitive = selection.caseSensitive ?? false
  const filter = parseFilter(selection.filters, caseSensitive)
  const search = selection.search ?? ""
  const versions = await Promise.all(
    (selection.outranked ?? []).map(async ({ plugin_id, by, of }) => {
      const parts = by.flatMap((index) => selection.parts?.[index] ?? [])
      return { plugin_id, parts, marks: await deadMarks(parts), key: ROW_KEY[of] }
    }),
  )
  const sql = (parameters: Parameters) => {
    const conditions = [
      filter === null ? null : compileFilter(filter, parameters, caseSensitive).sql,
      compileSearch(search, parameters, caseSensitive),
      ...versions.map(
        ({ plugin_id, parts, marks, key }) =>
          `(plugin_id <> ${parameters.text(plugin_id)} OR ${key} NOT IN (
             SELECT ${key} FROM ${files(parts, parameters)} WHERE ${living(marks, parameters)}))`,
      ),
    ].filter((condition) => condition !== null)
    return conditions.length === 0 ? "true" : conditions.join(" AND ")
  }
  const patterns = filter === null ? [] : compileFilter(filter, new Parameters(), caseSensitive).patterns
  for (const pattern of patterns) await tryPattern(session, pattern)
  return { restricts: sql(new Parameters()) !== "true", sql }
}

/** What passes both. */
export function both(condition: Condition, sql: (parameters: Parameters) => string): Condition {
  return { restricts: true, sql: (parameters) => `${condition.sql(parameters)} AND ${sql(parameters)}` }
}

async function tryPattern(session: Session, pattern: string): Promise<void> {
  const parameters = new Parameters()
  try {
    await session.rows(`SELECT regexp_matches('', ${parameters.text(pattern)})`, parameters)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("Invalid Input")) throw error
    const message = `is no regular expression (RE2): ${error.message.replace(/^Invalid Input Error: /, "").slice(0, 200)}`
    throw invalid(`A filter's value ${message}`, [{ type: "filter", location: ["body", "filters"], message }])
  }
}

/**
 * The living documents of parts that pass, as `part` (index into `parts`), `position` and the columns asked for.
 * Reads no other column than those and the condition's.
 */
export async function scan(
  parts: readonly PartRef[],
  condition: Condition,
  columns: readonly string[],
  parameters: Parameters,
): Promise<string> {
  const marks = await deadMarks(parts)
  const alive = living(marks, parameters)
  const selected = ["file_index::INTEGER AS part", "file_row_number::INTEGER AS position", ...columns]
  return `SELECT ${selected.join(", ")} FROM ${files(parts, parameters)} WHERE ${alive} AND ${condition.sql(parameters)}`
}

function files(parts: readonly PartRef[], parameters: Parameters): string {
  return `read_parquet(${parameters.texts(parts.map((part) => scalarsFile(part.path)))}, hive_partitioning = false)`
}

function living(marks: Uint8Array[] | null, parameters: Parameters): string {
  if (marks === null) return "true"
  return `get_bit((${parameters.marks(marks)})[file_index::BIGINT + 1], file_row_number::INTEGER) = 0`
}
