/** Attributes that lead from any object to the interpreter's insides warn; in strict mode they fail. */
import { Kind } from "../node-kinds.ts"
import { children, nameOf } from "../python-tree.ts"
import type { Rule } from "./rule.ts"

export const DUNDERS: ReadonlySet<string> = new Set([
  "__builtins__",
  "__class__",
  "__bases__",
  "__subclasses__",
  "__mro__",
  "__code__",
  "__globals__",
])

export const dunderWarnings: Rule = function* ({ bindings: { tree, loads, expressions } }, { strict }) {
  for (const node of expressions) {
    const kind = tree.kind[node]
    const isAttribute = kind === Kind.attribute
    const named = isAttribute ? children(tree, node).at(-1) : loads.has(node) ? node : undefined
    if (named === undefined) continue
    const name = nameOf(tree, named)
    // As a bare name only `__builtins__` leads anywhere; `__class__` there is the cell that `super()` uses.
    if (!DUNDERS.has(name) || (!isAttribute && name !== "__builtins__")) continue
    const message = `Use of ${name}: it leads to the interpreter's insides`
    yield { index: tree.start[named] ?? 0, message, severity: strict ? "error" : "warning" }
  }
}
