/** JSON Schemas of a plugin as the bucket-schema fields that a collection answers with (api.md §4.1). */

export interface Field {
  readonly type: string
  readonly description?: string
}

const TYPES: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "integer",
  boolean: "boolean",
  array: "array",
  object: "object",
}

/** Properties of an object schema; a type the wire does not know is an object. */
export function schemaFields(schema: Readonly<Record<string, unknown>> | null): Record<string, Field> {
  const properties = schema?.properties
  if (typeof properties !== "object" || properties === null) return {}
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, field(property)] satisfies [string, Field]),
  )
}

function field(property: unknown): Field {
  if (typeof property !== "object" || property === null) return { type: "object" }
  const description =
    "description" in property && typeof property.description === "string" ? property.description : undefined
  return { type: fieldType(property), ...(description === undefined ? {} : { description }) }
}

/** `Optional[X]` is an anyOf with null: the first member that is not null says what it is. */
function fieldType(property: object): string {
  if ("type" in property) {
    const type = Array.isArray(property.type) ? property.type.find((item) => item !== "null") : property.type
    return (typeof type === "string" ? TYPES[type] : undefined) ?? "object"
  }
  if ("anyOf" in property && Array.isArray(property.anyOf)) {
    for (const member of property.anyOf) {
      if (typeof member === "object" && member !== null && member.type !== "null") return fieldType(member)
    }
  }
  return "object"
}
