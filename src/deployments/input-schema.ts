/** The check of a request's inputs against the plugin's schema, before Python. */
import { z } from "zod"
import { ApplianceError, fieldProblems } from "../errors.ts"
import { isRecord } from "../is-record.ts"

export type InputCheck = (inputs: Record<string, unknown>) => void

/**
 * `schema` is the manifest's, JSON schema that plugin code wrote. What it says by regular expressions is left to the handler: one such
 * as `^(a+)+$` would stop the server, and every tenant of it, for one request.
 * @throws (the check) BadRequestError with the places that do not fit
 */
export function inputCheck(schema: unknown): InputCheck {
  const compiled = compile(schema)
  return (inputs) => {
    const parsed = compiled?.safeParse(inputs)
    if (parsed === undefined || parsed.success) return
    const problems = fieldProblems("body", parsed.error.issues)
    const [first] = problems
    throw new ApplianceError(
      "BadRequestError",
      `The request does not fit the plugin's input schema at ${first?.location.join(".")}: ${first?.message}`,
      { details: { validation_errors: problems } },
    )
  }
}

/** Null where there is none, or one that says what we cannot check. */
function compile(schema: unknown): z.ZodType | null {
  if (!isRecord(schema)) return null
  try {
    return z.fromJSONSchema(withoutPatterns(schema) as Parameters<typeof z.fromJSONSchema>[0])
  } catch {
    return null
  }
}

/** Their values are schemas by name, whatever the names. */
const MAPS = new Set(["properties", "$defs", "definitions", "dependentSchemas"])
/** Their values are data. */
const DATA = new Set(["const", "enum", "default", "examples"])

function withoutPatterns(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutPatterns)
  if (!isRecord(schema)) return schema
  const kept = Object.entries(schema).filter(([key]) => key !== "pattern" && key !== "patternProperties")
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (DATA.has(key)) return [key, value]
      if (!MAPS.has(key) || !isRecord(value)) return [key, withoutPatterns(value)]
      return [key, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutPatterns(one)]))]
    }),
  )
}
