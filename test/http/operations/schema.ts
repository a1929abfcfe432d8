/** Whether an answer is what /openapi.json says of it. As much of JSON Schema as our own schemas use. */
import type { OpenApi } from "./fixtures.ts"

type Schema = Record<string, unknown>

/** Every place where `value` is not as `schema` says; empty when it fits. */
export function schemaProblems(openapi: OpenApi, schema: unknown, value: unknown, at = "$"): string[] {
  if (typeof schema !== "object" || schema === null) return []
  const rules = schema as Schema
  if (typeof rules.$ref === "string") {
    const name = rules.$ref.replace("#/components/schemas/", "")
    const target = openapi.components.schemas[name]
    return target === undefined ? [`${at}: no schema ${name}`] : schemaProblems(openapi, target, value, at)
  }
  for (const key of ["anyOf", "oneOf"]) {
    const choices = rules[key]
    if (!Array.isArray(choices)) continue
    const tried = choices.map((choice) => schemaProblems(openapi, choice, value, at))
    if (tried.every((problems) => problems.length > 0)) return tried.flat()
  }
  const all = Array.isArray(rules.allOf) ? rules.allOf : []
  const problems = all.flatMap((part) => schemaProblems(openapi, part, value, at))
  const types = typeof rules.type === "string" ? [rules.type] : Array.isArray(rules.type) ? rules.type : null
  if (types !== null && !types.some((type) => isA(type, value))) {
    problems.push(`${at}: ${JSON.stringify(value)?.slice(0, 80)} is not ${types.join(" or ")}`)
  }
  if ("const" in rules && rules.const !== value) problems.push(`${at}: not ${String(rules.const)}`)
  if (Array.isArray(rules.enum) && value !== null && !rules.enum.includes(value)) {
    problems.push(`${at}: ${String(value)} is not one of ${rules.enum.join(", ")}`)
  }
  if (Array.isArray(value)) {
    problems.push(...value.flatMap((item, index) => schemaProblems(openapi, rules.items, item, `${at}[${index}]`)))
  } else if (typeof value === "object" && value !== null) {
    problems.push(...objectProblems(openapi, rules, value as Schema, at))
  }
  return problems
}

function objectProblems(openapi: OpenApi, rules: Schema, value: Schema, at: string): string[] {
  const required = Array.isArray(rules.required) ? rules.required : []
  const properties = (rules.properties ?? {}) as Schema
  return [
    ...required.filter((key) => !Object.hasOwn(value, key)).map((key) => `${at}: ${key} is missing`),
    ...Object.entries(value).flatMap(([key, item]) =>
      schemaProblems(openapi, properties[key] ?? rules.additionalProperties, item, `${at}.${key}`),
    ),
  ]
}

function isA(type: unknown, value: unknown): boolean {
  if (type === "null") return value === null
  if (type === "array") return Array.isArray(value)
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value)
  if (type === "integer") return Number.isInteger(value)
  return typeof value === type
}
