/**
 * The filter grammar of api.md §0.4, read once into a bounded tree, and its evaluation over plain records (lists of
 * namespaces, buckets, collections, batches, tasks). Stores that hold many rows compile the same tree to their SQL.
 */
import { invalid } from "./errors.ts"
import { asCarried } from "./exact-json.ts"

export const OPERATORS = [
  "eq",
  "ne",
  "gt",
  "lt",
  "gte",
  "lte",
  "in",
  "nin",
  "contains",
  "starts_with",
  "ends_with",
  "regex",
  "exists",
  "is_null",
  "text",
  "phrase",
  "words",
] as const
export type Operator = (typeof OPERATORS)[number]

export interface Condition {
  readonly kind: "condition"
  readonly field: string
  readonly operator: Operator
  /** Whole numbers past 53 bits are bigints, as they are in what a filter looks at. */
  readonly value: unknown
}
export interface FilterTree {
  readonly kind: "tree"
  readonly and: readonly Filter[]
  readonly or: readonly Filter[]
  readonly not: readonly Filter[]
  readonly caseSensitive: boolean
}
export type Filter = Condition | FilterTree

/** Bounds on what a caller may make us evaluate. */
const MAX_DEPTH = 16
/** Each word of `words` and each tree counts like a condition: every one of them becomes a part of a statement. */
const MAX_CONDITIONS = 200
/** Of one condition. */
export const MAX_VALUES = 10_000
const MAX_PATTERN = 1000

/** `at`: where the request has it. @throws ValidationError naming the part that cannot be understood */
export function parseFilter(input: unknown, caseSensitive = false, at: Location = ["filters"]): Filter | null {
  if (input === null || input === undefined || isEmpty(input)) return null
  const budget = { conditions: MAX_CONDITIONS }
  return parse(input, caseSensitive, 0, at, budget)
}

/** `{}`: nothing is asked of anything. */
function isEmpty(input: unknown): boolean {
  return typeof input === "object" && input !== null && !Array.isArray(input) && Object.keys(input).length === 0
}

type Location = readonly (string | number)[]

function parse(
  input: unknown,
  caseSensitive: boolean,
  depth: number,
  at: Location,
  budget: { conditions: number },
): Filter {
  if (depth > MAX_DEPTH) throw problem(at, `nested deeper than ${MAX_DEPTH} levels`)
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw problem(at, "must be an object")
  const record = input as Record<string, unknown>
  if ("case_sensitive" in record && typeof (record.case_sensitive ?? false) !== "boolean")
    throw problem([...at, "case_sensitive"], "must be true or false")
  if (typeof record.field === "string" && ("operator" in record || "value" in record)) {
    const only = condition(record, at, budget)
    if (typeof record.case_sensitive !== "boolean") return only
    return { kind: "tree", and: [only], or: [], not: [], caseSensitive: record.case_sensitive }
  }
  if (!("field" in record) && "value" in record && OPERATORS.some((known) => known === record.operator))
    throw problem([...at, "field"], "is required")
  spend(1, at, budget)
  if ("AND" in record || "OR" in record || "NOT" in record) {
    const sensitive = typeof record.case_sensitive === "boolean" ? record.case_sensitive : caseSensitive
    const members = (key: "AND" | "OR" | "NOT") => {
      const list = record[key] ?? []
      if (!Array.isArray(list)) throw problem([...at, key], "must be a list")
      return list.map((member, index) => parse(member, sensitive, depth + 1, [...at, key, index], budget))
    }
    const unknown = Object.keys(record).find((key) => !["AND", "OR", "NOT", "case_sensitive"].includes(key))
    if (unknown !== undefined) throw problem([...at, unknown], "is not AND, OR, NOT or case_sensitive")
    return { kind: "tree", and: members("AND"), or: members("OR"), not: members("NOT"), caseSensitive: sensitive }
  }
  const sensitive = typeof record.case_sensitive === "boolean" ? record.case_sensitive : caseSensitive
  const and = Object.entries(record)
    .filter(([field]) => field !== "case_sensitive")
    .map(([field, value]) => condition({ field, operator: "eq", value }, [...at, field], budget, [...at, field]))
  return { kind: "tree", and, or: [], not: [], caseSensitive: sensitive }
}

function spend(parts: number, at: Location, budget: { conditions: number }): void {
  budget.conditions -= parts
  if (budget.conditions < 0) throw problem(at, `more than ${MAX_CONDITIONS} conditions, words and trees together`)
}

/** `valueAt`: where the sender has its value. */
function condition(
  record: Record<string, unknown>,
  at: Location,
  budget: { conditions: number },
  valueAt: Location = [...at, "value"],
): Condition {
  const words = record.operator === "words" ? String(record.value).split(/\s+/).length : 1
  spend(words, at, budget)
  const field = String(record.field)
  if (field.length === 0 || field.length > 256 || field.split(".").some((part) => part === "")) {
    throw problem([...at, "field"], "must be a dotted path of 1 to 256 characters")
  }
  // `op` or `values` would make another comparison of it, and nobody would see that.
  const unknown = Object.keys(record).find((key) => !["field", "operator", "value", "case_sensitive"].includes(key))
  if (unknown !== undefined) throw problem([...at, unknown], "is not field, operator or value")
  const operator = OPERATORS.find((known) => known === (record.operator ?? "eq"))
  if (operator === undefined) throw problem([...at, "operator"], `must be one of ${OPERATORS.join(", ")}`)
  const value = Array.isArray(record.value) ? record.value.map(asCarried) : asCarried(record.value)
  checkValue(operator, value, valueAt)
  return { kind: "condition", field, operator, value }
}

function checkValue(operator: Operator, value: unknown, at: Location): void {
  switch (operator) {
    case "in":
    case "nin":
      if (!Array.isArray(value)) throw problem(at, `'${operator}' takes a list`)
      if (value.length > MAX_VALUES) throw problem(at, `has more than ${MAX_VALUES} values`)
      if (value.some((item) => typeof item === "object" && item !== null)) throw problem(at, "takes plain values only")
      return
    case "starts_with":
    case "ends_with":
    case "text":
    case "phrase":
    case "words":
    case "regex":
      if (typeof value !== "string") throw problem(at, `'${operator}' takes a string`)
      if (value.length > MAX_PATTERN) throw problem(at, `is longer than ${MAX_PATTERN} characters`)
      return
    case "gt":
    case "lt":
    case "gte":
    case "lte":
      if (typeof value !== "string" && !isNumber(value)) throw problem(at, "takes a number or a string")
      return
    case "exists":
    case "is_null":
      if (value !== undefined && typeof value !== "boolean") throw problem(at, `'${operator}' takes true or false`)
      return
    default:
      if (typeof value === "object" && value !== null)
        throw problem(
          at,
          'takes a plain value; another comparison is {field, operator, value}, as in {"AND": [{"field": "pages", "operator": "gte", "value": 10}]}',
        )
      if (value === undefined) throw problem(at, "is required")
  }
}

function problem(location: Location, message: string) {
  return invalid(`Filter at ${location.join(".")} ${message}.`, [
    { type: "filter", location: ["body", ...location], message },
  ])
}

/** True when the record passes. Arrays match when any element does; a missing field equals null. */
export function matches(filter: Filter | null, record: Record<string, unknown>): boolean {
  if (filter === null) return true
  return holds(filter, record, filter.kind === "tree" && filter.caseSensitive)
}

function holds(filter: Filter, record: Record<string, unknown>, caseSensitive: boolean): boolean {
  if (filter.kind === "condition") return conditionHolds(filter, valueAt(record, filter.field), caseSensitive)
  const sensitive = filter.caseSensitive
  return (
    filter.and.every((member) => holds(member, record, sensitive)) &&
    (filter.or.length === 0 || filter.or.some((member) => holds(member, record, sensitive))) &&
    !filter.not.some((member) => holds(member, record, sensitive))
  )
}

export function valueAt(record: Record<string, unknown>, path: string): unknown {
  let value: unknown = record
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}

function conditionHolds({ operator, value }: Condition, actual: unknown, caseSensitive: boolean): boolean {
  const fold = (item: unknown) => (typeof item === "string" && !caseSensitive ? item.toLowerCase() : item)
  if (operator === "exists") return (actual !== undefined && actual !== null) === (value ?? true)
  if (operator === "is_null") return (actual === undefined || actual === null) === (value ?? true)
  if (operator === "ne")
    return !conditionHolds({ kind: "condition", field: "", operator: "eq", value }, actual, caseSensitive)
  if (operator === "nin")
    return !conditionHolds({ kind: "condition", field: "", operator: "in", value }, actual, caseSensitive)
  const candidates = Array.isArray(actual) ? actual : [actual ?? null]
  const wanted = fold(value)
  return candidates.some((candidate) => {
    const have = fold(candidate)
    switch (operator) {
      case "eq":
        return have === wanted
      case "in":
        return Array.isArray(value) && value.some((item) => fold(item) === have)
      case "gt":
        return order(have, wanted, (sign) => sign > 0)
      case "gte":
        return order(have, wanted, (sign) => sign >= 0)
      case "lt":
        return order(have, wanted, (sign) => sign < 0)
      case "lte":
        return order(have, wanted, (sign) => sign <= 0)
      case "contains":
        return Array.isArray(actual) ? have === wanted : typeof have === "string" && have.includes(String(wanted))
      case "starts_with":
        return typeof have === "string" && have.startsWith(String(wanted))
      case "ends_with":
        return typeof have === "string" && have.endsWith(String(wanted))
      case "text":
      case "phrase":
        return typeof have === "string" && have.includes(String(wanted))
      case "words":
        return (
          typeof have === "string" &&
          String(wanted)
            .split(/\s+/)
            .every((word) => have.includes(word))
        )
      case "regex":
        throw problem(["operator"], "'regex' is not offered on this list; use contains")
      default:
        return operator satisfies never
    }
  })
}

/** Numbers with numbers, strings with strings; anything else does not compare. */
function order(have: unknown, wanted: unknown, holds: (sign: number) => boolean): boolean {
  if (isNumber(have) && isNumber(wanted)) return holds(have < wanted ? -1 : have > wanted ? 1 : 0)
  if (typeof have === "string" && typeof wanted === "string") return holds(have < wanted ? -1 : have > wanted ? 1 : 0)
  return false
}

export interface ListQuery {
  readonly filters?: unknown
  readonly sort?: { readonly field: string; readonly direction: "asc" | "desc" } | null | undefined
  readonly search?: string | null | undefined
  readonly case_sensitive?: boolean | null | undefined
}

/** Filters, searches (wildcard `*` over `searched` fields) and sorts a list that fits in memory. Stable. */
export function selectRecords<T extends Record<string, unknown>>(
  records: readonly T[],
  query: ListQuery,
  searched: readonly string[],
): T[] {
  const filter = parseFilter(query.filters, query.case_sensitive ?? false)
  const pattern =
    query.search == null || query.search === "" ? null : wildcard(query.search, query.case_sensitive ?? false)
  const selected = records.filter(
    (record) =>
      matches(filter, record) &&
      (pattern === null ||
        searched.some((field) => typeof record[field] === "string" && pattern(String(record[field])))),
  )
  const sort = query.sort
  if (sort == null) return selected
  const sign = sort.direction === "desc" ? -1 : 1
  return selected.sort((a, b) => sign * compare(valueAt(a, sort.field), valueAt(b, sort.field)))
}

function compare(a: unknown, b: unknown): number {
  if (a === b) return 0
  if (a === undefined || a === null) return 1
  if (b === undefined || b === null) return -1
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0
  return String(a) < String(b) ? -1 : 1
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint"
}

/** A substring match; `*` stands for any run of characters. Linear in the text: no regular expression of the caller's runs. */
function wildcard(search: string, caseSensitive: boolean): (text: string) => boolean {
  const parts = (caseSensitive ? search : search.toLowerCase()).split("*").filter((part) => part !== "")
  return (text) => {
    const haystack = caseSensitive ? text : text.toLowerCase()
    let at = 0
    for (const part of parts) {
      const found = haystack.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return true
  }
}
