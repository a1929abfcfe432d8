/**
 * The dictionary of a module's names, used as a whole: only an item of it by a constant key is followed. A module of the
 * plugin may be changed through its own, so that what the scan has read of it no longer holds.
 */
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree } from "../python-tree.ts"
import { NAMESPACE, OWN_NAMESPACE } from "../vocabulary.ts"
import type { Rule } from "./rule.ts"

const ITEM_METHODS = new Set(["get", "__getitem__", "__len__", "__contains__"])

export const wholeNamespaces: Rule = function* ({ bindings: { tree }, references }) {
  for (const [node, names] of references) {
    if (names.includes(OWN_NAMESPACE)) {
      const message =
        "Forbidden access: the __dict__ of a module of the plugin (reaches into namespaces). Use a dict of your own."
      yield { index: tree.start[node] ?? 0, message, severity: "error" }
      continue
    }
    const found = names.find((name) => name.endsWith(NAMESPACE))
    if (found === undefined || isOneItem(tree, node)) continue
    const message = `Forbidden access: ${found} as a whole (a computed name of ${found.slice(0, -NAMESPACE.length)}). Name the attribute`
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

export function isCalled({ kind, parent }: PythonTree, node: number): boolean {
  const call = parent[node] ?? 0
  return kind[call] === Kind.call && call + 1 === node
}

function isOneItem(tree: PythonTree, node: number): boolean {
  const above = tree.parent[node] ?? -1
  switch (tree.kind[above]) {
    case Kind.subscript:
      return above + 1 === node
    case Kind.attribute:
      return isCalled(tree, above) && ITEM_METHODS.has(nameOf(tree, (tree.last[above] ?? 0) - 1))
    case Kind.assignment:
      // Under another plain name it is followed.
      return tree.kind[above + 1] === Kind.identifier && children(tree, above)[0] !== node
    case Kind.expression_statement:
      return true
    default:
      return false
  }
}
