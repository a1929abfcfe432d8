/**
 * Documents as the rows of a run: an ordinal is a place in the run's parts, one after another (metadata/run-sources.ts).
 * Dead positions keep their ordinals.
 */
import type { Parameters } from "./parameters.ts"
import { scalarsFile } from "./part-files.ts"
import type { SourcePart } from "./protocol.ts"
import { type Condition, scan } from "./scan.ts"

export interface OrdinalRange {
  readonly first: number
  /** Exclusive. */
  readonly end: number
  /** Of the range, only these. */
  readonly only?: readonly number[] | null | undefined
}

/** The parts that hold ordinals of the range. */
export function overlapping(sources: readonly SourcePart[], { first, end }: OrdinalRange): SourcePart[] {
  return sources.filter(({ first_ordinal: own, part }) => own < end && own + part.rows > first)
}

/**
 * Living documents in the range that pass, with their `ordinal` (BIGINT) beside `part`, `position` and `columns`. `part`
 * counts in `sources`, which overlap the range.
 */
export async function scanOrdinals(
  sources: readonly SourcePart[],
  range: OrdinalRange,
  condition: Condition,
  columns: readonly string[],
  parameters: Parameters,
): Promise<string> {
  const parts = sources.map(({ part }) => part)
  const within: Condition = {
    restricts: true,
    sql: (values) => `${inRange(sources, range, values)} AND ${condition.sql(values)}`,
  }
  const scanned = await scan(parts, within, [`${ordinalOf(sources, parameters)} AS ordinal`, ...columns], parameters)
  if (range.only == null) return scanned
  return `SELECT * FROM (${scanned}) WHERE ordinal IN (SELECT unnest(${parameters.numbers(range.only)}))`
}

/** Objects of every document in the range, of dead ones too. */
export function objectsInRange(sources: readonly SourcePart[], range: OrdinalRange, parameters: Parameters): string {
  const paths = parameters.texts(sources.map(({ part }) => scalarsFile(part.path)))
  return `SELECT object_id FROM read_parquet(${paths}, hive_partitioning = false) WHERE ${inRange(sources, range, parameters)}`
}

function ordinalOf(sources: readonly SourcePart[], parameters: Parameters): string {
  const firsts = parameters.numbers(sources.map(({ first_ordinal: first }) => first))
  return `((${firsts})[file_index::BIGINT + 1] + file_row_number)::BIGINT`
}

/** Bounds on the rows of a single file let DuckDB skip row groups. */
function inRange(sources: readonly SourcePart[], { first, end }: OrdinalRange, parameters: Parameters): string {
  const [only] = sources
  if (only === undefined || sources.length > 1) {
    return `${ordinalOf(sources, parameters)} BETWEEN ${first} AND ${end - 1}`
  }
  return `file_row_number BETWEEN ${first - only.first_ordinal} AND ${end - 1 - only.first_ordinal}`
}
