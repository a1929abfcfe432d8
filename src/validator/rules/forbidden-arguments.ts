/** Arguments that make a call run code from elsewhere: as a keyword, or as a key of the options that are spread into it. */
import { FORBIDDEN_ARGUMENTS } from "../equal-power/arguments.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree } from "../python-tree.ts"
import { stringConstant } from "../string-constants.ts"
import type { Rule } from "./rule.ts"

export const forbiddenArguments: Rule = function* ({ bindings: { tree } }) {
  for (let node = 0; node < tree.size; node++) {
    const given = argumentGiven(tree, node)
    if (given === null) continue
    const argument = FORBIDDEN_ARGUMENTS.get(given.name)
    if (argument === undefined || argument.safe.includes(textOf(tree, given.value))) continue
    const message = `Forbidden argument: ${given.name} (${argument.reason}). ${argument.instead}`
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

/** `f(name=value)`, `{"name": value}`, `options["name"] = value`. */
function argumentGiven(tree: PythonTree, node: number): { name: string; value: number } | null {
  const kind = tree.kind[node]
  if (kind !== Kind.keyword_argument && kind !== Kind.pair && kind !== Kind.assignment) return null
  const parts = children(tree, node)
  const [key, value] = [parts[0], parts.at(-1)]
  if (key === undefined || value === undefined || key === value) return null
  if (kind === Kind.keyword_argument) return { name: nameOf(tree, key), value }
  if (kind === Kind.pair) return { name: stringConstant(tree, key) ?? "", value }
  const index = tree.kind[key] === Kind.subscript ? children(tree, key)[1] : undefined
  return index === undefined ? null : { name: stringConstant(tree, index) ?? "", value }
}

function textOf(tree: PythonTree, node: number): string {
  return tree.text.slice(tree.start[node], tree.end[node])
}
