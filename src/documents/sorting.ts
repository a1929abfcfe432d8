/**
 * Values of any kind in one order: numbers, strings, booleans, then lists and objects by their text, and what is missing
 * or null last in both directions. Three plain columns stand for a value, so that a position can travel in a cursor.
 */
import type { Field } from "./fields.ts"
import { jsonValue } from "./filters.ts"
import { letting } from "./letting.ts"
import type { Parameters } from "./parameters.ts"

export type Direction = "asc" | "desc"

export interface SortKey {
  readonly rank: number
  readonly number: number
  readonly text: string
}

/** Strings are ordered by their first characters: as many as fit, in UTF-8, into a cursor of 1,024. */
export const SORT_TEXT_LENGTH = 140

const MISSING_RANK = 4
/** JSON can write numbers beyond a double, and a cursor cannot carry Infinity. */
const MAX_NUMBER = `${Number.MAX_VALUE}::DOUBLE`

/** What a value is ordered by, and the value itself as JSON, in one; `keyed` unpacks it. */
export function sortKey(field: Field): string {
  if (field.kind === "text") {
    return `{'rank': 1, 'number': 0::DOUBLE, 'text': ${field.sql}, 'json': to_json(${field.sql})::VARCHAR}`
  }
  const value = jsonValue("value")
  const isBoolean = "json_type(value) = 'BOOLEAN'"
  // Where whole numbers share a double the text tells them apart: what the double lacks of them, which is below 2^74.
  const lacking = `CASE WHEN abs(${value.number}) >= ${2 ** 53}
    THEN coalesce((${value.whole} - TRY_CAST(${value.number} AS HUGEINT) + ${2n ** 75n}::HUGEINT)::VARCHAR, '') ELSE '' END`
  const number = `greatest(-${MAX_NUMBER}, least(${MAX_NUMBER}, coalesce(${value.number}, 0)))`
  const key = `{
    'rank': CASE WHEN ${value.isNull} THEN ${MISSING_RANK} WHEN ${value.isNumber} THEN 0 WHEN ${value.isText} THEN 1
      WHEN ${isBoolean} THEN 2 ELSE 3 END,
    'number': CASE WHEN ${value.isNumber} THEN ${number} WHEN ${value.isBoolean(true)} THEN 1 ELSE 0 END::DOUBLE,
    'text': CASE WHEN ${value.isNumber} THEN ${lacking} WHEN ${value.isNull} OR ${isBoolean} THEN '' ELSE ${value.text} END,
    'json': CASE WHEN ${value.isNull} THEN 'null' ELSE value::VARCHAR END}`
  return letting("value", field.sql, key)
}

/** Rows with a `key` as rows with `sort_rank, sort_number, sort_text`, and other columns made of the key. */
export function keyed(sql: string, ...more: readonly string[]): string {
  const columns = ["key.rank AS sort_rank", "key.number AS sort_number", SORT_TEXT, ...more]
  return `SELECT * EXCLUDE (key), ${columns.join(", ")} FROM (${sql})`
}

const SORT_TEXT = `left(key.text, ${SORT_TEXT_LENGTH}) AS sort_text`

export function orderBy(direction: Direction, tiebreak: string): string {
  return `CASE WHEN sort_rank = ${MISSING_RANK} THEN 1 ELSE 0 END, sort_rank ${direction}, sort_number ${direction},
    sort_text ${direction}, ${tiebreak}`
}

/**
 * A condition for a scan: values after the key in that order. Equal ones are told apart by `tiebreak`, an expression of the
 * document and of `key`, ascending. It belongs beside the filters: around a scan, DuckDB would push it in, taken apart.
 */
export function afterKey(
  direction: Direction,
  field: Field,
  key: SortKey,
  tiebreak: string,
  last: string,
  parameters: Parameters,
): string {
  const sign = direction === "asc" ? ">" : "<"
  const rank = parameters.number(key.rank)
  const number = parameters.number(key.number)
  const text = parameters.text(key.text)
  const short = `left(key.text, ${SORT_TEXT_LENGTH})`
  const within = `(key.number ${sign} ${number} OR (key.number = ${number} AND (${short} ${sign} ${text}
    OR (${short} = ${text} AND ${tiebreak} > ${parameters.text(last)}))))`
  const later = key.rank === MISSING_RANK ? "false" : `(key.rank = ${MISSING_RANK} OR key.rank ${sign} ${rank})`
  return letting("key", sortKey(field), `(${later} OR (key.rank = ${rank} AND ${within}))`)
}
