/** Whether one use of a name has the name's power at all. */
import { isUnchangedName } from "../binding-records.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import type { ScannedFile } from "../rules/rule.ts"
import { stringConstant } from "../string-constants.ts"
import type { EqualPower, Unless } from "./entry.ts"
import { comparesItself, isOnlyRead } from "./search-paths.ts"

/** `isinstance(x, (A, B))`, `Optional[A]`; `A | B` is of no kind of its own. */
const THROUGH = new Set<number>([Kind.tuple, Kind.parenthesized_expression, Kind.subscript, Kind.other])

export function isHarmless(file: ScannedFile, node: number, { unless }: EqualPower): boolean {
  const { tree } = file.bindings
  if (unless === undefined) return false
  if (tree.kind[tree.parent[node] ?? 0] === Kind.import_from_statement) return true
  if (unless.kind === "tested") return isTested(file, node)
  if (unless.kind === "read") return isOnlyRead(file, node)
  const args = argumentsAround(tree, node)
  // Functions are not followed into a class's attributes.
  if (args === null) return tree.kind[tree.parent[node] ?? 0] !== Kind.assignment || !inClassBody(tree, node)
  return unless.kind === "constant" ? allConstant(tree, args) : givesSafe(tree, args, unless)
}

/** Compared with or given as a type, not called: inside `isinstance(…)`, `issubclass(…)`, an annotation, `except`. */
function isTested({ bindings, plugin }: ScannedFile, node: number): boolean {
  const { tree } = bindings
  let at = node
  for (let above = tree.parent[at] ?? -1; above >= 0; above = tree.parent[at] ?? -1) {
    const kind = tree.kind[above]
    if (kind === Kind.type) return !plugin.readsAnnotations
    if (kind === Kind.comparison_operator) return !comparesItself(tree, plugin)
    if (kind === Kind.case_pattern || kind === Kind.class_pattern) return true
    if (kind === Kind.argument_list) {
      const callee = children(tree, tree.parent[above] ?? 0)[0]
      return (
        callee !== undefined &&
        /^(?:isinstance|issubclass)$/.test(nameOf(tree, callee)) &&
        isUnchangedName(bindings, callee)
      )
    }
    if (!THROUGH.has(kind ?? Kind.other)) return false
    at = above
  }
  return false
}

/** Whether a node stands in the body of a class, in no function of it. */
export function inClassBody({ kind, parent }: PythonTree, node: number): boolean {
  for (let at = parent[node] ?? -1; at >= 0; at = parent[at] ?? -1) {
    if (kind[at] === Kind.function_definition || kind[at] === Kind.lambda) return false
    if (kind[at] === Kind.class_definition) return true
  }
  return false
}

/** What a value passes on its way to being called: `(numpy.load if a else b)(…)`, `numpy.load.__call__(…)`. */
const TO_A_CALL = new Set<number>([
  Kind.parenthesized_expression,
  Kind.conditional_expression,
  Kind.boolean_operator,
  Kind.named_expression,
])

/** The arguments that reach the name: those of its own call, or those after it in `partial(numpy.load, …)`. */
function argumentsAround(tree: PythonTree, node: number): number[] | null {
  let at = node
  let above = tree.parent[at] ?? -1
  while (
    TO_A_CALL.has(tree.kind[above] ?? Kind.other) ||
    (tree.kind[above] === Kind.attribute && nameOf(tree, (tree.last[above] ?? 0) - 1) === "__call__")
  ) {
    at = above
    above = tree.parent[at] ?? -1
  }
  if (above < 0) return null
  if (tree.kind[above] === Kind.argument_list) {
    const beside = children(tree, above)
    return beside.slice(beside.indexOf(at) + 1)
  }
  if (tree.kind[above] !== Kind.call) return null
  const [callee, list] = children(tree, above)
  return callee === at && list !== undefined && tree.kind[list] === Kind.argument_list ? children(tree, list) : null
}

function allConstant(tree: PythonTree, args: readonly number[]): boolean {
  return args.every((argument) => {
    const text = stringConstant(tree, argument)
    return text !== null && !text.includes("__")
  })
}

function givesSafe(
  tree: PythonTree,
  args: readonly number[],
  { name, position, safe, absent }: Extract<Unless, { kind: "argument" }>,
): boolean {
  const isSafe = (value: number) =>
    safe === null ||
    textOf(tree, value)
      .replaceAll("'", '"')
      .replace(/^\(+|\)+$/g, "")
      .replace(/^[01]$/, (digit) => (digit === "1" ? "True" : "False")) === safe
  for (const argument of args) {
    if (tree.kind[argument] !== Kind.keyword_argument) continue
    const [key, value] = children(tree, argument)
    if (key !== undefined && value !== undefined && nameOf(tree, key) === name) return isSafe(value)
  }
  // `**options` may hold it, and `*values` in its place.
  if (args.some((argument) => tree.kind[argument] === Kind.dictionary_splat)) return false
  const given = args.filter((argument) => tree.kind[argument] !== Kind.keyword_argument)
  if (safe !== null && given.slice(0, position + 1).some((argument) => tree.kind[argument] === Kind.list_splat))
    return false
  const positional = given[position]
  return positional === undefined ? absent === "passes" : isSafe(positional)
}
