import { isRecord } from "../is-record.ts"
import type { PluginManifest } from "../plugins/manifest.ts"

/** Deeper than any honest example. */
const MAX_DEPTH = 8

/**
 * What a new revision is asked before it serves: the manifest's `example_input`, the examples of its schema, or values that fit
 * the schema's types. `declared`: the author said that this is a request.
 */
export function probeRequest({
  example_input: example,
  input_schema: schema,
}: Pick<PluginManifest, "example_input" | "input_schema">): {
  request: Record<string, unknown>
  declared: boolean
} {
  if (isRecord(example)) return { request: example, declared: true }
  const examples = isRecord(schema) ? schema.examples : undefined
  if (Array.isArray(examples) && isRecord(examples[0])) return { request: examples[0], declared: true }
  const made = isRecord(schema) ? valueFor(schema, schema, 0) : {}
  return { request: isRecord(made) ? made : {}, declared: false }
}

function valueFor(schema: unknown, root: Record<string, unknown>, depth: number): unknown {
  if (!isRecord(schema) || depth > MAX_DEPTH) return null
  if (schema.default !== undefined) return schema.default
  if (Array.isArray(schema.examples)) return schema.examples[0]
  if (schema.const !== undefined) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const reference = typeof schema.$ref === "string" ? /^#\/\$defs\/([^/]+)$/.exec(schema.$ref)?.[1] : undefined
  if (reference !== undefined) return valueFor(isRecord(root.$defs) ? root.$defs[reference] : null, root, depth + 1)
  for (const choice of [schema.anyOf, schema.oneOf, schema.allOf]) {
    if (Array.isArray(choice)) return valueFor(choice[0], root, depth + 1)
  }
  const { properties } = schema
  switch (schema.type) {
    case "string":
      return "example"
    case "integer":
    case "number":
      return typeof schema.minimum === "number" ? schema.minimum : 1
    case "boolean":
      return true
    case "array":
      return schema.items === undefined ? [] : [valueFor(schema.items, root, depth + 1)]
    default:
      if (!isRecord(properties)) return schema.type === "null" ? null : {}
      return Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valueFor(one, root, depth + 1)]))
  }
}
