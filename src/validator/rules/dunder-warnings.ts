/** Attributes that lead from any object to the interpreter's insides warn; in strict mode they fail. */
import { Kind } from "../node-kinds.ts"
import { nameOf } from "../python-tree.ts"
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

export const dunderWarnings: Rule = function* ({ bindings: { tree, readIn } }, { strict }) {
  const dunders = tree.names.marks(DUNDERS)
  for (let node = 0; node < tree.size; node++) {
    if (dunders[tree.name[node] ?? 0] === 0) continue
    const name = nameOf(tree, node)
    const above = tree.parent[node] ?? 0
    const isAttribute = tree.kind[above] === Kind.attribute && node === (tree.last[above] ?? 0) - 1
    // As a bare name only `__builtins__` leads anywhere; `__class__` there is the cell that `super()` uses.
    if (!isAttribute && (readIn[node] === 0 || name !== "__builtins__")) continue
    const message = `Use of ${name}: it leads to the interpreter's insides`
    yield { index: tree.start[node] ?? 0, message, severity: strict ? "error" : "warning" }
  }
}
