/** Whether one use of a name has the name's power at all. */
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree } from "../python-tree.ts"
import type { ScannedFile } from "../rules/rule.ts"
import { stringConstant } from "../string-constants.ts"
import type { EqualPower, Unless } from "./entry.ts"
import { isOnlyRead } from "./search-paths.ts"

/** `isinstance(x, (A, B))`, `Optional[A]`; `A | B` is of no kind of its own. */
const THROUGH = new Set<number>([Kind.tuple, Kind.parenthesized_expression, Kind.subscript, Kind.other])

export function isHarmless({ bindings }: ScannedFile, node: number, { unless }: EqualPower): boolean {
  const { tree } = bindings
  if (unless === undefined) return false
  if (tree.kind[tree.parent[node] ?? 0] === Kind.import_from_statement) return true
  if (unless.kind === "tested") return isTested(tree, node)
  if (unless.kind === "read") return isOnlyRead(bindings, node)
  const list = argumentsAround(tree, node)
  if (list === null) return true
  const args = children(tree, list)
  return unless.kind === "constant" ? allConstant(tree, args) : givesSafe(tree, args, unless)
}

/** Compared with or given as a type, not called: inside `isinstance(…)`, `issubclass(…)`, an annotation, `except`. */
function isTested(tree: PythonTree, node: number): boolean {
  let at = node
  for (let above = tree.parent[at] ?? -1; above >= 0; above = tree.parent[at] ?? -1) {
    const kind = tree.kind[above]
    if (kind === Kind.type || kind === Kind.comparison_operator || kind === Kind.case_pattern) return true
    if (kind === Kind.argument_list) {
      const callee = children(tree, tree.parent[above] ?? 0)[0]
      return callee !== undefined && /^(?:isinstance|issubclass)$/.test(nameOf(tree, callee))
    }
    if (!THROUGH.has(kind ?? Kind.other)) return false
    at = above
  }
  return false
}

/** The arguments that reach the name: those of its own call, or those beside it in `partial(numpy.load, …)`. */
function argumentsAround(tree: PythonTree, node: number): number | null {
  const above = tree.parent[node] ?? -1
  if (above < 0) return null
  if (tree.kind[above] === Kind.argument_list) return above
  if (tree.kind[above] !== Kind.call) return null
  const [callee, list] = children(tree, above)
  return callee === node && list !== undefined && tree.kind[list] === Kind.argument_list ? list : null
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
  const textOf = (node: number) => tree.text.slice(tree.start[node], tree.end[node])
  const isSafe = (value: number) => safe === null || textOf(value).replaceAll("'", '"') === safe
  for (const argument of args) {
    if (tree.kind[argument] !== Kind.keyword_argument) continue
    const [key, value] = children(tree, argument)
    if (key !== undefined && value !== undefined && nameOf(tree, key) === name) return isSafe(value)
  }
  // `**options` may hold it.
  if (args.some((argument) => tree.kind[argument] === Kind.dictionary_splat)) return false
  const positional = args.filter((argument) => tree.kind[argument] !== Kind.keyword_argument)[position]
  return positional === undefined ? absent === "passes" : isSafe(positional)
}
