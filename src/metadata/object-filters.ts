/**
 * The filter tree of filtering.ts as SQL over `objects AS o`: fields and blobs are JSON, every name and value is a bound
 * parameter. The meaning is that of `matches`: text folds case unless told otherwise, a list matches when any member does,
 * a missing field equals null, and a name that is no field is the value of the blob under that property.
 */
import { invalid } from "../errors.ts"
import type { Condition, Filter } from "../filtering.ts"
import type { Db } from "./open.ts"
import { storedBlobs } from "./stored-blobs.ts"

export interface Sql {
  readonly text: string
  readonly values: readonly SqlValue[]
}
export type SqlValue = string | number | bigint | null

/** Columns that a path may name; users cannot have fields of these names. */
const COLUMNS = new Set(["object_id", "bucket_id", "key_prefix", "status", "error", "created_at", "updated_at"])

/** JSON list of StoredBlob. */
const WHOLE_BLOBS = "whole_blobs(o.blobs, o.blob_values, o.blob_rest)"

/** What SQLite holds as a whole number. It makes a double of what is past it in JSON, whose digits are compared as text then. */
const LEAST = -(2n ** 63n)
const GREATEST = 2n ** 63n - 1n

/** Texts are ordered by this many leading characters, so that a cursor stays short. */
const SORTED_CHARACTERS = 100

/** SQLite's own lower() knows ASCII only. `search_match` is linear in the text: no pattern of the caller's is compiled. */
export function registerFilterFunctions(db: Db): void {
  const options = { deterministic: true, directOnly: true }
  db.function("fold", options, (text: unknown) => (typeof text === "string" ? text.toLowerCase() : text))
  db.function("whole_blobs", options, (blobs: string, values: string, rest: string | null) =>
    blobs === "[]" ? blobs : JSON.stringify(storedBlobs({ blobs, blob_values: values, blob_rest: rest })),
  )
  db.function("search_match", options, (text: unknown, pattern: unknown, fold: unknown) => {
    if (typeof text !== "string" || typeof pattern !== "string") return 0
    const haystack = fold === 1 ? text.toLowerCase() : text
    let at = 0
    for (const part of pattern.split("*")) {
      const found = haystack.indexOf(part, at)
      if (found < 0) return 0
      at = found + part.length
    }
    return 1
  })
}

export function filterSql(filter: Filter | null, caseSensitive = false): Sql {
  if (filter === null) return sql("TRUE")
  if (filter.kind === "condition") return conditionSql(filter, caseSensitive)
  const members = (list: readonly Filter[]) => list.map((member) => filterSql(member, filter.caseSensitive))
  const parts = [...members(filter.and)]
  if (filter.or.length > 0) parts.push(join(members(filter.or), " OR "))
  for (const member of members(filter.not)) parts.push(not(member))
  return parts.length === 0 ? sql("TRUE") : join(parts, " AND ")
}

/** `*` stands for any run of characters; over ids, prefixes, texts in fields and inline blobs, and file names. */
export function searchSql(search: string, caseSensitive: boolean): Sql {
  const values = [caseSensitive ? search : search.toLowerCase(), caseSensitive ? 0 : 1]
  const match = (expression: string) => `search_match(${expression}, ?, ?)`
  return {
    text: `(${match("o.object_id")} OR ${match("o.key_prefix")}
      OR EXISTS (SELECT 1 FROM json_tree(o.fields) AS t WHERE t.type = 'text' AND ${match("t.atom")})
      OR EXISTS (SELECT 1 FROM json_each(${WHOLE_BLOBS}) AS b
        WHERE ${match("b.value ->> '$.data'")} OR ${match("b.value ->> '$.details.filename'")}))`,
    values: Array.from({ length: 5 }, () => values).flat(),
  }
}

/**
 * What a list is ordered by; nulls, lists and objects sort as SQLite sorts their JSON. A whole number past 53 bits is a BLOB
 * of its digits: as a number, it would be rounded on its way to JavaScript.
 */
export function sortSql(field: string): Sql {
  const { document, path } = source(field)
  if (document === null)
    throw problem(`'${field}' cannot be sorted by; an object has several blobs.`, ["sort", "field"])
  return {
    text: `(SELECT CASE WHEN typeof(v) = 'text' THEN substr(v, 1, ${SORTED_CHARACTERS})
        WHEN v NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER} AND json_type(doc, path) = 'integer'
          THEN CAST(doc -> path AS BLOB)
        ELSE v END
      FROM (SELECT json_extract(doc, path) AS v, doc, path FROM (SELECT ${document.text} AS doc, ? AS path)))`,
    values: [...document.values, path],
  }
}

function conditionSql({ field, operator, value }: Condition, caseSensitive: boolean): Sql {
  const fold = (text: string) => (caseSensitive ? text : text.toLowerCase())
  if (field === "object_id" && (operator === "eq" || operator === "in")) {
    const ids = (operator === "in" && Array.isArray(value) ? value : [value]).map((id) => fold(String(id)))
    // The one condition that must not read every object of the bucket.
    return sql("o.object_id IN (SELECT value FROM json_each(?))", JSON.stringify(ids))
  }
  const text = caseSensitive ? "c.atom" : "fold(c.atom)"
  const textual = (test: string, ...values: SqlValue[]) => sql(`c.type = 'text' AND ${test}`, ...values)
  switch (operator) {
    case "exists":
      return value === false ? missing(field) : not(missing(field))
    case "is_null":
      return value === false ? not(missing(field)) : missing(field)
    case "eq":
      return equals(field, [value], caseSensitive)
    case "ne":
      return not(equals(field, [value], caseSensitive))
    case "in":
      return equals(field, Array.isArray(value) ? value : [value], caseSensitive)
    case "nin":
      return not(equals(field, Array.isArray(value) ? value : [value], caseSensitive))
    case "gt":
    case "gte":
    case "lt":
    case "lte": {
      const sign = { gt: ">", gte: ">=", lt: "<", lte: "<=" }[operator]
      if (typeof value === "bigint" && !isHeld(value)) {
        throw problem(
          `'${operator}' compares whole numbers from ${LEAST} to ${GREATEST}; eq and in find larger ones.`,
          ["filters"],
        )
      }
      if (typeof value === "number" || typeof value === "bigint")
        return some(field, sql(`c.type IN ('integer', 'real') AND c.atom ${sign} ?`, value))
      return some(field, textual(`${text} ${sign} ?`, fold(String(value))))
    }
    case "contains": {
      const member = equality([value], caseSensitive)
      return some(field, {
        text: `CASE WHEN c.key IS NULL THEN c.type = 'text' AND instr(${text}, ?) > 0 ELSE ${member.text} END`,
        values: [fold(String(value)), ...member.values],
      })
    }
    case "starts_with": {
      const prefix = fold(String(value))
      return some(field, textual(`substr(${text}, 1, length(?)) = ?`, prefix, prefix))
    }
    case "ends_with": {
      const ending = fold(String(value))
      if (ending === "") return some(field, textual("TRUE"))
      return some(field, textual(`substr(${text}, -length(?)) = ?`, ending, ending))
    }
    case "text":
    case "phrase":
      return some(field, textual(`instr(${text}, ?) > 0`, fold(String(value))))
    case "words": {
      const words = fold(String(value))
        .split(/\s+/)
        .filter((word) => word !== "")
      const tests = words.map(() => ` AND instr(${text}, ?) > 0`).join("")
      return some(field, { text: `c.type = 'text'${tests}`, values: words })
    }
    case "regex":
      throw problem("'regex' is not offered on this list; use contains.", ["filters"])
    default:
      return operator satisfies never
  }
}

function equals(field: string, values: readonly unknown[], caseSensitive: boolean): Sql {
  const present = some(field, equality(values, caseSensitive))
  return values.some((value) => value === null || value === undefined)
    ? join([missing(field), present], " OR ")
    : present
}

/** One candidate `c` equal to one of the values, each compared with its own JSON type. */
function equality(values: readonly unknown[], caseSensitive: boolean): Sql {
  const tests: Sql[] = []
  const texts = values.filter((value) => typeof value === "string")
  const numbers = values.filter((value) => typeof value === "number" || (typeof value === "bigint" && isHeld(value)))
  const digits = values.filter((value) => typeof value === "bigint" && !isHeld(value)).map(String)
  const list = "(SELECT value FROM json_each(?))"
  if (texts.length > 0) {
    const folded = caseSensitive ? texts : texts.map((text) => text.toLowerCase())
    const atom = caseSensitive ? "c.atom" : "fold(c.atom)"
    tests.push(sql(`(c.type = 'text' AND ${atom} IN ${list})`, JSON.stringify(folded)))
  }
  if (numbers.length > 0) {
    tests.push(sql(`(c.type IN ('integer', 'real') AND c.atom IN ${list})`, JSON.stringify(numbers)))
  }
  if (digits.length > 0) {
    tests.push(sql(`(c.type = 'integer' AND (c.json -> c.fullkey) IN ${list})`, JSON.stringify(digits)))
  }
  for (const value of values) {
    if (typeof value === "boolean") tests.push(sql("c.type = ?", String(value)))
    if (value === null || value === undefined) tests.push(sql("c.type = 'null'"))
  }
  return tests.length === 0 ? sql("FALSE") : join(tests, " OR ")
}

function isHeld(value: bigint): boolean {
  return value >= LEAST && value <= GREATEST
}

/** True when some candidate value of the field passes; members of an object (they have text keys) are no candidates. */
function some(field: string, test: Sql): Sql {
  const { candidates } = source(field)
  return {
    text: `EXISTS (SELECT 1 FROM ${candidates.text} WHERE typeof(c.key) <> 'text' AND (${test.text}))`,
    values: [...candidates.values, ...test.values],
  }
}

function missing(field: string): Sql {
  const { document, path } = source(field)
  if (document !== null) {
    return { text: `coalesce(json_type(${document.text}, ?), 'null') = 'null'`, values: [...document.values, path] }
  }
  return sql(
    `NOT EXISTS (SELECT 1 FROM json_each(${WHOLE_BLOBS}) AS b WHERE coalesce(json_type(b.value, ?), 'null') <> 'null')`,
    path,
  )
}

interface Source {
  /** The JSON that the path leads into; null for paths into the list of blobs. */
  readonly document: Sql | null
  readonly path: string
  /** A FROM clause whose `c` are the values at the path. */
  readonly candidates: Sql
}

function source(field: string): Source {
  const parts = field.split(".")
  const [head = "", ...rest] = parts
  if (head === "blobs" && rest.length > 0) {
    // An answer shows data, url and metadata of a blob under `properties`; they are stored beside it.
    const path = jsonPath(rest[0] === "properties" && rest.length > 1 ? rest.slice(1) : rest)
    return { document: null, path, candidates: sql(`json_each(${WHOLE_BLOBS}) AS b, json_each(b.value, ?) AS c`, path) }
  }
  const document = COLUMNS.has(head) ? sql(`json_object(?, o.${head})`, head) : fieldDocument(head)
  const path = jsonPath(parts)
  const candidates = { text: `json_each(${document.text}, ?) AS c`, values: [...document.values, path] }
  return { document, path, candidates }
}

/** The fields; or, when none has the name, the first blob of that property under its name. */
function fieldDocument(name: string): Sql {
  return sql(
    `CASE WHEN coalesce(json_type(o.fields, ?), 'null') <> 'null' THEN o.fields ELSE coalesce((
       SELECT json_object(?, json(coalesce(p.value -> '$.url', p.value -> '$.data')))
       FROM json_each(${WHOLE_BLOBS}) AS p WHERE p.value ->> '$.property' = ? LIMIT 1), '{}') END`,
    jsonPath([name]),
    name,
    name,
  )
}

function jsonPath(parts: readonly string[]): string {
  return `$${parts.map((part) => `.${JSON.stringify(part)}`).join("")}`
}

function sql(text: string, ...values: SqlValue[]): Sql {
  return { text, values }
}

function not({ text, values }: Sql): Sql {
  return { text: `NOT (${text})`, values }
}

function join(parts: readonly Sql[], separator: string): Sql {
  return {
    text: `(${parts.map((part) => part.text).join(separator)})`,
    values: parts.flatMap((part) => part.values),
  }
}

function problem(message: string, location: readonly string[]) {
  return invalid(message, [{ type: "filter", location: ["body", ...location], message }])
}
