import type { QuotedCode } from "./quoted-annotations.ts"
import type { Slot } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"
import { NOTHING, unique, type Values } from "./values.ts"
import { attributeOfAny, builtinValue } from "./vocabulary.ts"

/**
 * What the names in a string that is read as a type may be, with what is taken of them. It is read late, so that any own
 * name hides a builtin. `stars` are the modules that the file imports everything from.
 */
export function quotedValues(
  { names, attributes, alone }: QuotedCode,
  plugin: SharedNames,
  stars: ReadonlySet<string>,
  slotsOf: (name: string) => readonly Slot[],
): Values {
  if (alone && !plugin.readsAnnotations) return NOTHING
  const found: string[] = attributes.map(attributeOfAny).filter((value) => value !== null)
  for (const { name, attributes: taken } of names) {
    const slots = slotsOf(name)
    let values = slots.flatMap((slot) => [...plugin.read(slot)])
    if (slots.length === 0) {
      for (const star of stars) values.push(...plugin.attribute(star, name))
      values.push(...[builtinValue(name)].filter((value) => value !== null))
    }
    for (const attribute of taken) {
      found.push(...values, ...[attributeOfAny(attribute)].filter((value) => value !== null))
      values = values.flatMap((value) => plugin.attribute(value, attribute))
    }
    found.push(...values)
  }
  return unique(found)
}
