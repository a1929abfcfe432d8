/**
 * Values of any kind in one order: numbers, strings, booleans, then lists and objects by their text, and what is missing
 * or null last in both directions. Three plain columns stand for a value, so that a position can travel in a cursor.
 */
import type { Field } from "./fields.ts"
import { jsonValue } from "./filters.ts"
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

/** The columns `sort_rank, sort_number, sort_text` of a value. */
export function sortColumns(field: Field): string {
  if (field.kind === "text") {
    return `1 AS sort_rank, 0::DOUBLE AS sort_number, left(${field.sql}, ${SORT_TEXT_LENGTH}) AS sort_text`
  }
  const value = jsonValue(field.sql)
  return `CASE WHEN ${value.isNull} THEN ${MISSING_RANK} WHEN ${value.isNumber} THEN 0 WHEN ${value.isText} THEN 1
      WHEN json_type(${field.sql}) = 'BOOLEAN' THEN 2 ELSE 3 END AS sort_rank,
    CASE WHEN ${value.isNumber} THEN greatest(-${MAX_NUMBER}, least(${MAX_NUMBER}, coalesce(${value.number}, 0))) WHEN ${value.isBoolean(true)} THEN 1 ELSE 0
      END::DOUBLE AS sort_number,
    CASE WHEN ${value.isNull} OR ${value.isNumber} OR json_type(${field.sql}) = 'BOOLEAN' THEN ''
      ELSE left(${value.text}, ${SORT_TEXT_LENGTH}) END AS sort_text`
}

export function orderBy(direction: Direction, tiebreak: string): string {
  return `CASE WHEN sort_rank = ${MISSING_RANK} THEN 1 ELSE 0 END, sort_rank ${direction}, sort_number ${direction},
    sort_text ${direction}, ${tiebreak}`
}

/** True for rows after the key in that order; ties are told apart by `tiebreak`, ascending. */
export function afterKey(
  direction: Direction,
  key: SortKey,
  tiebreak: string,
  last: string,
  parameters: Parameters,
): string {
  const sign = direction === "asc" ? ">" : "<"
  const rank = parameters.number(key.rank)
  const number = parameters.number(key.number)
  const text = parameters.text(key.text)
  const within = `(sort_number ${sign} ${number} OR (sort_number = ${number} AND (sort_text ${sign} ${text}
    OR (sort_text = ${text} AND ${tiebreak} > ${parameters.text(last)}))))`
  const later = key.rank === MISSING_RANK ? "false" : `(sort_rank = ${MISSING_RANK} OR sort_rank ${sign} ${rank})`
  const same = `(sort_rank = ${rank} AND ${within})`
  return key.rank === MISSING_RANK ? same : `(${later} OR ${same})`
}
