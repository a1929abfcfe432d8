/** A bucket's schema: read from a request into one spelling, and the check of values against it. Pure. */

import { type BucketSchema, FIELD_TYPES, type FieldType, type SchemaInput } from "../contract/buckets.ts"
import { type FieldProblem, invalid } from "../errors.ts"
import { isRecord } from "../is-record.ts"

const MAX_PROPERTIES = 200
const MAX_DEPTH = 8

/** Kinds of content whose value is a file or an address of one. */
const FILE_TYPES: ReadonlySet<FieldType> = new Set(["image", "audio", "video", "pdf", "excel"])

export type SchemaField = BucketSchema["properties"][string]
type Location = readonly (string | number)[]

/** Any case; `json` and `binary` are objects (api.md §3.1). Null for a name that is no type. */
export function fieldType(name: string): FieldType | null {
  const lower = name.toLowerCase()
  if (lower === "json" || lower === "binary") return "object"
  return FIELD_TYPES.find((type) => type === lower) ?? null
}

export function isFileType(type: FieldType): boolean {
  return FILE_TYPES.has(type)
}

export function isTextType(type: FieldType): boolean {
  return type === "string" || type === "text" || type === "date" || type === "datetime"
}

/** @throws ValidationError naming every field that is not one */
export function readSchema(input: SchemaInput, at: Location): BucketSchema {
  const problems: FieldProblem[] = []
  if (Object.keys(input.properties).length > MAX_PROPERTIES) {
    throw invalid(`The schema has more than ${MAX_PROPERTIES} properties.`, [
      { type: "too_long", location: [...at, "properties"], message: `at most ${MAX_PROPERTIES} properties` },
    ])
  }
  const properties = Object.fromEntries(
    Object.entries(input.properties).map(([name, field]) => [
      name,
      readField(field, [...at, "properties", name], 1, problems),
    ]),
  )
  const first = problems[0]
  if (first !== undefined)
    throw invalid(`The bucket schema is not valid at ${first.location.join(".")}: ${first.message}`, problems)
  return { properties }
}

function readField(input: unknown, at: Location, depth: number, problems: FieldProblem[]): SchemaField {
  const fallback: SchemaField = { type: "object", required: false }
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    problems.push({ type: "invalid_type", location: at, message: "must be an object with a type" })
    return fallback
  }
  if (depth > MAX_DEPTH) {
    problems.push({ type: "too_deep", location: at, message: `is nested deeper than ${MAX_DEPTH} levels` })
    return fallback
  }
  const { type: name, required, items, properties, ...rest } = input as Record<string, unknown>
  const type = typeof name === "string" ? fieldType(name) : null
  if (type === null) {
    problems.push({
      type: "enum",
      location: [...at, "type"],
      message: `'${String(name)}' is not one of ${FIELD_TYPES.join(", ")}`,
    })
  }
  const nested = typeof properties === "object" && properties !== null ? Object.entries(properties) : []
  return {
    type: type ?? "object",
    required: required === true,
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null && value !== undefined)),
    ...(items == null ? {} : { items: readField(items, [...at, "items"], depth + 1, problems) }),
    ...(nested.length === 0
      ? {}
      : {
          properties: Object.fromEntries(
            nested.map(([key, field]) => [key, readField(field, [...at, "properties", key], depth + 1, problems)]),
          ),
        }),
  }
}

/** Why a value does not fit a field; null when it does. `null` itself fits a field that is not required. */
export function valueProblem(value: unknown, field: SchemaField, at: Location): FieldProblem | null {
  if (value === null || value === undefined) return null
  const wrong = (message: string): FieldProblem => ({ type: "type", location: at, message })
  const problem = typeProblem(value, field.type)
  if (problem !== null) return wrong(problem)
  if (Array.isArray(field.enum) && field.enum.length > 0 && !field.enum.some((member) => sameValue(member, value))) {
    return { type: "enum", location: at, message: `is not one of ${JSON.stringify(field.enum).slice(0, 500)}` }
  }
  if (Array.isArray(value) && isField(field.items)) {
    for (const [index, member] of value.entries()) {
      const inside = valueProblem(member, field.items, [...at, index])
      if (inside !== null) return inside
    }
  }
  if (isRecord(value) && isRecord(field.properties)) {
    for (const [name, member] of Object.entries(field.properties)) {
      if (!isField(member)) continue
      const inside = Object.hasOwn(value, name) ? value[name] : undefined
      if (member.required && (inside === undefined || inside === null)) {
        return { type: "missing", location: [...at, name], message: "is required" }
      }
      const found = valueProblem(inside, member, [...at, name])
      if (found !== null) return found
    }
  }
  return null
}

function typeProblem(value: unknown, type: FieldType): string | null {
  switch (type) {
    case "string":
    case "text":
      return typeof value === "string" ? null : "must be a string"
    case "integer":
      return typeof value === "bigint" || Number.isInteger(value) ? null : "must be a whole number"
    case "number":
    case "float":
      return typeof value === "bigint" || typeof value === "number" ? null : "must be a number"
    case "boolean":
      return typeof value === "boolean" ? null : "must be true or false"
    case "array":
      return Array.isArray(value) ? null : "must be a list"
    case "object":
      return isRecord(value) || Array.isArray(value) ? null : "must be an object"
    case "date":
    case "datetime":
      return typeof value === "string" && /^\d{4}-\d{2}-\d{2}/.test(value) && !Number.isNaN(Date.parse(value))
        ? null
        : "must be an ISO 8601 date"
    case "image":
    case "audio":
    case "video":
    case "pdf":
    case "excel":
      return typeof value === "string" ? null : "must be an address; bytes go into blobs"
    default:
      return type satisfies never
  }
}

/** Whether a blob of type `given` may stand under a property of type `declared`. */
export function typesAgree(given: FieldType, declared: FieldType): boolean {
  const family = (type: FieldType) => {
    if (isTextType(type)) return "text"
    return type === "number" || type === "integer" || type === "float" ? "number" : type
  }
  // A property declared json or binary is stored as object and takes any kind of content.
  return declared === "object" || family(given) === family(declared)
}

function sameValue(a: unknown, b: unknown): boolean {
  return typeof a === "object" || typeof b === "object" ? JSON.stringify(a) === JSON.stringify(b) : a === b
}

function isField(value: unknown): value is SchemaField {
  return isRecord(value) && typeof value.type === "string" && fieldType(value.type) === value.type
}
