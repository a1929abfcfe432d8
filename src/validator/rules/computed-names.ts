/** Members of the sensitive modules by a computed name: `vars(os)[name]`, `getattr(builtins, name)`. */
import { COMPUTED } from "../vocabulary.ts"
import type { Rule } from "./rule.ts"

export const computedNames: Rule = ({ bindings: { tree }, references }) =>
  [...references].flatMap(([node, names]) =>
    names
      .filter((name) => name.endsWith(COMPUTED))
      .map((name) => ({
        index: tree.start[node] ?? 0,
        message: `Forbidden access: a computed name of ${name.slice(0, -COMPUTED.length)}. Name the attribute`,
        severity: "error",
      })),
  )
