/**
 * The filter tree of `filtering.ts` as SQL over the columns of a part, with the same meaning: numbers compare with numbers
 * and strings with strings (ISO dates among them), an array matches when any element does, a missing field equals null,
 * letters fold unless `case_sensitive` says otherwise. Every condition is true or false, never null, so that NOT keeps a
 * document that lacks the field.
 */
import { invalid } from "../errors.ts"
import type { Condition, Filter } from "../filtering.ts"
import { type Field, fieldAt } from "./fields.ts"
import { letting } from "./letting.ts"
import type { Parameters } from "./parameters.ts"

export interface CompiledFilter {
  readonly sql: string
  /** Columns that the expression reads. */
  readonly columns: readonly string[]
  /** The caller's regular expressions, to be tried on nothing first: a broken one is the caller's error. */
  readonly patterns: readonly string[]
}

/** Up to this many values are compared in turn; more are looked up in a hash table. */
const FEW_VALUES = 32

export function compileFilter(filter: Filter, parameters: Parameters, caseSensitive: boolean): CompiledFilter {
  const columns = new Set<string>()
  const patterns: string[] = []
  const compile = (part: Filter, sensitive: boolean): string => {
    if (part.kind === "tree") {
      const members = (list: readonly Filter[]) => list.map((member) => compile(member, part.caseSensitive))
      const all = [
        ...members(part.and),
        ...(part.or.length === 0 ? [] : [`(${members(part.or).join(" OR ")})`]),
        ...members(part.not).map((member) => `NOT ${member}`),
      ]
      return all.length === 0 ? "true" : `(${all.join(" AND ")})`
    }
    const field = fieldAt(part.field, parameters)
    columns.add(field.column)
    if (part.operator === "regex") patterns.push(String(part.value))
    return compileCondition(part, field, parameters, sensitive)
  }
  const sql = compile(filter, caseSensitive)
  return { sql, columns: [...columns], patterns }
}

/** One value in SQL, told apart by what it is. `text` and `number` are only asked where the value is one. */
interface Value {
  readonly isText: string
  readonly text: string
  readonly isNumber: string
  readonly number: string
  /** Not rounded; null past 127 bits. Past 53 bits no number has a fraction that could be lost here. */
  readonly whole: string
  readonly isNull: string
  isBoolean(wanted: boolean): string
}

function textValue(sql: string): Value {
  return {
    isText: "true",
    text: sql,
    isNumber: "false",
    number: "NULL::DOUBLE",
    whole: "NULL::HUGEINT",
    isNull: `(${sql} IS NULL)`,
    isBoolean: () => "false",
  }
}

export function jsonValue(sql: string): Value {
  return {
    isText: `json_type(${sql}) = 'VARCHAR'`,
    text: `json_extract_string(${sql}, '$')`,
    isNumber: `json_type(${sql}) IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT')`,
    number: `TRY_CAST(${sql} AS DOUBLE)`,
    whole: `TRY_CAST(${sql} AS HUGEINT)`,
    isNull: `(${sql} IS NULL OR json_type(${sql}) = 'NULL')`,
    isBoolean: (wanted) => `(${sql})::VARCHAR = '${wanted}'`,
  }
}

function compileCondition(condition: Condition, field: Field, parameters: Parameters, sensitive: boolean): string {
  if (field.kind === "text") return compileTest(condition, textValue(field.sql), parameters, sensitive)
  const value = manyValues(condition) ? field.sql : "value"
  const test = compileTest(condition, jsonValue(value), parameters, sensitive, value)
  return value === "value" ? letting("value", field.sql, test) : test
}

/** Then a subquery is asked, which cannot stand in a lambda. */
function manyValues({ value }: Condition): boolean {
  return Array.isArray(value) && value.length > FEW_VALUES
}

/** `json`: the value in SQL when it may be a list. */
function compileTest(
  condition: Condition,
  root: Value,
  parameters: Parameters,
  sensitive: boolean,
  json: string | null = null,
): string {
  const { operator, value } = condition
  switch (operator) {
    case "exists":
      return value === false ? root.isNull : `(NOT ${root.isNull})`
    case "is_null":
      return value === false ? `(NOT ${root.isNull})` : root.isNull
    case "ne":
      return `(NOT ${compileTest({ ...condition, operator: "eq" }, root, parameters, sensitive, json)})`
    case "nin":
      return `(NOT ${compileTest({ ...condition, operator: "in" }, root, parameters, sensitive, json)})`
    default: {
      const test = comparison(operator, value, parameters, sensitive)
      if (json === null) return `coalesce(${test(root, "single")}, false)`
      const element = test(jsonValue("item"), "element")
      return `coalesce(CASE WHEN json_type(${json}) = 'ARRAY'
        THEN len(list_filter(CAST(${json} AS JSON[]), lambda item: coalesce(${element}, false))) > 0
        ELSE ${test(root, "single")} END, false)`
    }
  }
}

type Compared = Exclude<Condition["operator"], "exists" | "is_null" | "ne" | "nin">
type Test = (actual: Value, place: "single" | "element") => string

function comparison(operator: Compared, value: unknown, parameters: Parameters, sensitive: boolean): Test {
  const fold = (sql: string) => (sensitive ? sql : `lower(${sql})`)
  const like = (sql: (text: string, wanted: string) => string, wanted: string): Test => {
    const bound = fold(parameters.text(wanted))
    return (actual) => `(${actual.isText} AND ${sql(fold(actual.text), bound)})`
  }
  switch (operator) {
    case "eq":
      return equality(value, parameters, fold)
    case "in":
      return membership(Array.isArray(value) ? value : [], parameters, fold, sensitive)
    case "gt":
      return order(">", value, parameters, fold)
    case "gte":
      return order(">=", value, parameters, fold)
    case "lt":
      return order("<", value, parameters, fold)
    case "lte":
      return order("<=", value, parameters, fold)
    case "contains": {
      // In a list: an element that is the value. In a text: a piece of it.
      const piece = like((text, wanted) => `contains(${text}, ${wanted})`, String(value))
      let equal: Test | null = null
      return (actual, place) => {
        if (place === "single") return piece(actual, place)
        // Bound only where it is used: a statement has no parameter too many.
        equal ??= equality(value, parameters, fold)
        return equal(actual, place)
      }
    }
    case "text":
    case "phrase":
      return like((text, wanted) => `contains(${text}, ${wanted})`, String(value))
    case "words": {
      const words = String(value)
        .split(/\s+/)
        .map((word) => like((text, wanted) => `contains(${text}, ${wanted})`, word))
      return (actual, place) => `(${words.map((word) => word(actual, place)).join(" AND ")})`
    }
    case "starts_with":
      return like((text, wanted) => `starts_with(${text}, ${wanted})`, String(value))
    case "ends_with":
      return like((text, wanted) => `ends_with(${text}, ${wanted})`, String(value))
    case "regex": {
      // RE2: linear in the text, whatever the pattern.
      const pattern = parameters.text(String(value))
      const options = sensitive ? "c" : "i"
      return (actual) => `(${actual.isText} AND regexp_matches(${actual.text}, ${pattern}, '${options}'))`
    }
    default:
      return operator satisfies never
  }
}

function equality(value: unknown, parameters: Parameters, fold: (sql: string) => string): Test {
  if (value === null || value === undefined) return (actual) => actual.isNull
  switch (typeof value) {
    case "string": {
      const bound = fold(parameters.text(value))
      return (actual) => `(${actual.isText} AND ${fold(actual.text)} = ${bound})`
    }
    case "number":
    case "bigint":
      return number("=", value, parameters)
    case "boolean":
      return (actual) => actual.isBoolean(value)
    default:
      throw invalid("A filter compares with a plain value.", [
        { type: "filter", location: ["body", "filters"], message: "takes a plain value" },
      ])
  }
}

function membership(
  values: readonly unknown[],
  parameters: Parameters,
  fold: (sql: string) => string,
  sensitive: boolean,
): Test {
  const texts = values.filter((value) => typeof value === "string")
  const numbers = values.filter((value) => typeof value === "number")
  const wholes = values.filter((value) => typeof value === "bigint")
  const others = new Set(values.filter((value) => !["string", "number", "bigint"].includes(typeof value)))
  const tests: Test[] = [...others].map((value) => equality(value, parameters, fold))
  const among = (place: "single" | "element", list: string, count: number, needle: string) =>
    // A subquery cannot stand in a lambda; lists in documents are short.
    place === "element" || count <= FEW_VALUES
      ? `list_contains(${list}, ${needle})`
      : `${needle} IN (SELECT unnest(${list}))`
  if (texts.length > 0) {
    const bound = parameters.texts(texts)
    const list = sensitive ? bound : `list_transform(${bound}, lambda wanted: lower(wanted))`
    tests.push((actual, place) => `(${actual.isText} AND ${among(place, list, texts.length, fold(actual.text))})`)
  }
  if (numbers.length > 0) {
    const bound = parameters.numbers(numbers)
    tests.push((actual, place) => `(${actual.isNumber} AND ${among(place, bound, numbers.length, actual.number)})`)
  }
  if (wholes.length > 0) {
    const bound = `${parameters.texts(wholes.map(String))}::HUGEINT[]`
    tests.push((actual, place) => `(${actual.isNumber} AND ${among(place, bound, wholes.length, actual.whole)})`)
  }
  if (tests.length === 0) return () => "false"
  return (actual, place) => `(${tests.map((test) => test(actual, place)).join(" OR ")})`
}

function order(sign: string, value: unknown, parameters: Parameters, fold: (sql: string) => string): Test {
  if (typeof value === "number" || typeof value === "bigint") return number(sign, value, parameters)
  const bound = fold(parameters.text(String(value)))
  return (actual) => `(${actual.isText} AND ${fold(actual.text)} ${sign} ${bound})`
}

/** Doubles tell numbers of up to 53 bits apart; past these, digits do. */
function number(sign: string, value: number | bigint, parameters: Parameters): Test {
  if (typeof value === "number") {
    const bound = parameters.number(value)
    return (actual) => `(${actual.isNumber} AND ${actual.number} ${sign} ${bound})`
  }
  const [whole, rounded] = [parameters.whole(value), parameters.number(Number(value))]
  return (actual) => `(${actual.isNumber}
    AND CASE WHEN ${actual.whole} IS NULL THEN ${actual.number} ${sign} ${rounded} ELSE ${actual.whole} ${sign} ${whole} END)`
}
