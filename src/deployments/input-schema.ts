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
  let wide: z.ZodType | null = null
  return (inputs) => {
    let parsed = compiled?.safeParse(inputs)
    if (parsed === undefined || parsed.success) return
    const rounded = withoutBigints(inputs)
    if (rounded !== inputs) {
      wide ??= compile(schema, true)
      parsed = wide?.safeParse(rounded)
      if (parsed === undefined || parsed.success) return
    }
    const problems = fieldProblems("body", parsed.error.issues)
    const [first] = problems
    throw new ApplianceError(
      "BadRequestError",
      `The request does not fit the plugin's input schema at ${first?.location.join(".")}: ${first?.message}`,
      { details: { validation_errors: problems } },
    )
  }
}

/** Null where there is none, or one that says what we cannot check. zod's integers end at 53 bits, `wide` ones do not. */
function compile(schema: unknown, wide = false): z.ZodType | null {
  if (!isRecord(schema)) return null
  try {
    return z.fromJSONSchema(checkable(schema, wide) as Parameters<typeof z.fromJSONSchema>[0])
  } catch {
    return null
  }
}

/** The same value where it holds none: whether the numbers fit bounds is told by the nearest double. */
function withoutBigints(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value)
  if (Array.isArray(value)) {
    const members = value.map(withoutBigints)
    return members.some((member, index) => member !== value[index]) ? members : value
  }
  if (!isRecord(value)) return value
  const members = Object.entries(value).map(([key, member]) => [key, withoutBigints(member)] as const)
  return members.some(([key, member]) => member !== value[key]) ? Object.fromEntries(members) : value
}

/** Their values are schemas by name, whatever the names. */
const MAPS = new Set(["properties", "$defs", "definitions", "dependentSchemas"])
/** Their values are data. */
const DATA = new Set(["const", "enum", "default", "examples"])

function checkable(schema: unknown, wide: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((member) => checkable(member, wide))
  if (!isRecord(schema)) return schema
  const kept = Object.entries(schema).filter(([key]) => key !== "pattern" && key !== "patternProperties")
  const rewritten = kept.map(([key, value]) => {
    if (DATA.has(key)) return [key, value]
    if (key === "type") return [key, wide ? withoutIntegers(value) : value]
    if (!MAPS.has(key) || !isRecord(value)) return [key, checkable(value, wide)]
    return [key, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, checkable(one, wide)]))]
  })
  const whole = wide && [schema.type].flat().includes("integer") ? { multipleOf: 1 } : {}
  return { ...whole, ...Object.fromEntries(rewritten) }
}

function withoutIntegers(type: unknown): unknown {
  if (Array.isArray(type)) return type.map(withoutIntegers)
  return type === "integer" ? "number" : type
}
