/** Arguments that make a call run code from elsewhere: as a keyword, or as a key of the options that are spread into it. */
import { FORBIDDEN_ARGUMENTS } from "../equal-power/arguments.ts"
import { nameOfEqualPower } from "../equal-power/lookup.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import { stringConstant } from "../string-constants.ts"
import type { Rule } from "./rule.ts"

export const forbiddenArguments: Rule = function* ({ bindings: { tree }, references }) {
  const keywords = tree.names.marks(FORBIDDEN_ARGUMENTS)
  for (let node = 0; node < tree.size; node++) {
    const name = nameGiven(tree, node, keywords)
    const argument = name === undefined ? undefined : FORBIDDEN_ARGUMENTS.get(name)
    if (argument === undefined) continue
    const value = tree.kind[node] === Kind.string ? node : children(tree, node).at(-1)
    if (value === undefined || argument.safe.includes(textOf(tree, value).replace(/^\(+|\)+$/g, ""))) continue
    if (argument.except?.includes(calleeOf(tree, node)) === true) continue
    if (isJudgedWithFunction(tree, references, node, argument.name)) continue
    const message = `Forbidden argument: ${name} (${argument.reason}). ${argument.instead}`
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

/** Whether the call is of a function, or gets one, that a row of the tables judges by this very argument. */
function isJudgedWithFunction(
  tree: PythonTree,
  references: ReadonlyMap<number, readonly string[]>,
  argument: number,
  name: string,
): boolean {
  const list = tree.parent[argument] ?? 0
  if (tree.kind[list] !== Kind.argument_list) return false
  const call = tree.parent[list] ?? 0
  return [call + 1, ...children(tree, list)].some((node) =>
    references.get(node)?.some((value) => {
      const unless = nameOfEqualPower(value)?.unless
      return unless?.kind === "argument" && unless.name === name
    }),
  )
}

/** The last name of the function that an argument is given to; empty where no function is. */
function calleeOf(tree: PythonTree, argument: number): string {
  const call = tree.parent[tree.parent[argument] ?? 0] ?? 0
  if (tree.kind[call] !== Kind.call) return ""
  const callee = call + 1
  return nameOf(tree, tree.kind[callee] === Kind.attribute ? (tree.last[callee] ?? 0) - 1 : callee)
}

/** `f(name=value)`, `{"name": value}`, `options["name"] = value`, `options.name = value`, `NAME = "name"`. */
function nameGiven(tree: PythonTree, node: number, keywords: Uint8Array): string | undefined {
  // The name or key is the first part of the node.
  const key = node + 1
  switch (tree.kind[node]) {
    case Kind.keyword_argument:
      return keywords[tree.name[key] ?? 0] === 1 ? nameOf(tree, key) : undefined
    case Kind.pair:
      return stringConstant(tree, key) ?? undefined
    case Kind.string:
      return isKept(tree, node) ? (stringConstant(tree, node) ?? undefined) : undefined
    case Kind.assignment: {
      const attribute = tree.kind[key] === Kind.attribute ? (tree.last[key] ?? 0) - 1 : -1
      if (attribute >= 0) return keywords[tree.name[attribute] ?? 0] === 1 ? nameOf(tree, attribute) : undefined
      const index = tree.kind[key] === Kind.subscript ? children(tree, key)[1] : undefined
      return index === undefined ? undefined : (stringConstant(tree, index) ?? undefined)
    }
    default:
      return undefined
  }
}

/** Names that mean nothing else, as strings. */
const TELLING = /^["'](?:trust_remote_code|custom_pipeline|allow_dangerous_deserialization)["']$/
/** With quotes; the longer of them by escapes alone. */
const SHORTEST = 17
const LONGEST = 200
const KEEPING = new Set(["setdefault", "fromkeys", "__setitem__", "setattr", "__setattr__"])
const SAFE_BESIDE = /^\s*,\s*(?:False|None)\s*,?\s*\)/

/** Whether a string that may name an argument is kept for a later call: under a name, in a list, by a function. */
function isKept(tree: PythonTree, node: number): boolean {
  const { text, start, end } = tree
  const from = start[node] ?? 0
  // Nearly every string is too short or too long, or begins otherwise.
  if ((end[node] ?? 0) - from < SHORTEST || (end[node] ?? 0) - from > LONGEST) return false
  const written = text.slice(from, end[node])
  if (!TELLING.test(written) && !written.includes("\\")) return false
  switch (tree.kind[tree.parent[node] ?? 0]) {
    case Kind.assignment:
    case Kind.list:
    case Kind.tuple:
      return true
    case Kind.argument_list:
      return (
        KEEPING.has(calleeOf(tree, node)) &&
        !SAFE_BESIDE.test(tree.text.slice(tree.end[node], (tree.end[node] ?? 0) + 20))
      )
    default:
      return false
  }
}
