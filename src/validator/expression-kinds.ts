/** Kinds of expressions, by what is made of their values. */
import { KINDS, Kind } from "./node-kinds.ts"

/** Those a value can pass through, as a table by kind; names and attributes among them. */
export const EXPRESSIONS = table(
  Kind.attribute,
  Kind.dotted_name,
  Kind.subscript,
  Kind.call,
  Kind.await,
  Kind.parenthesized_expression,
  Kind.conditional_expression,
  Kind.boolean_operator,
  Kind.named_expression,
  Kind.tuple,
  Kind.list,
  Kind.set,
  Kind.dictionary,
  Kind.pair,
  Kind.expression_list,
  Kind.list_splat,
  Kind.dictionary_splat,
  Kind.list_comprehension,
  Kind.set_comprehension,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
  Kind.string,
  Kind.concatenated_string,
)
/** Parts of an expression that is looked at when they have a value, though they are not evaluated to one themselves. */
export const LED_THROUGH = table(
  Kind.argument_list,
  Kind.keyword_argument,
  // What has a value may be a module of the plugin, whose functions are called by their names.
  Kind.attribute,
  Kind.parenthesized_expression,
)
const COMPREHENSIONS = new Set<number>([
  Kind.list_comprehension,
  Kind.set_comprehension,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
])
export const CONTAINERS = new Set<number>([
  Kind.tuple,
  Kind.list,
  Kind.set,
  Kind.dictionary,
  Kind.expression_list,
  ...COMPREHENSIONS,
])
/** Expressions that name something; the others only hand a value on, and reporting them would repeat it. */
export const NAMING = new Set<number>([
  Kind.identifier,
  Kind.attribute,
  Kind.dotted_name,
  Kind.aliased_import,
  Kind.subscript,
  Kind.call,
])
/** Expressions whose value is not simply that of any of their parts. */
export const LOOKED_INTO = new Set<number>([
  Kind.attribute,
  Kind.dotted_name,
  Kind.subscript,
  Kind.call,
  Kind.conditional_expression,
  Kind.named_expression,
  Kind.pair,
  Kind.list_splat,
  Kind.dictionary_splat,
  ...COMPREHENSIONS,
])

function table(...kinds: number[]): Uint8Array {
  const found = new Uint8Array(KINDS.length)
  for (const kind of kinds) found[kind] = 1
  return found
}
