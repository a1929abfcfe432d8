/** Names that have the power of a forbidden one, though the seed's tables do not list them. */
import type { EqualPower } from "../equal-power/entry.ts"
import { importOfEqualPower, moduleOfEqualPower, nameOfEqualPower } from "../equal-power/lookup.ts"
import { isHarmless } from "../equal-power/uses.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf } from "../python-tree.ts"
import { FORBIDDEN_MODULES } from "./forbidden-modules.ts"
import type { Finding, Rule, RuleOptions } from "./rule.ts"

/** No functions, though they have the power of one. */
const LOOKED_AT = new Set(["sys.path", "sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"])

export const equalPower: Rule = function* (file, options) {
  const { bindings, references } = file
  const { tree, imports, readIn } = bindings
  for (const { statement, level, module } of imports) {
    const entry = level === 0 && !file.plugin.isOwn(module) ? importOfEqualPower(module) : null
    if (entry !== null) yield* finding(tree.start[statement] ?? 0, module, entry, true, options)
  }
  for (const [node, names] of references) {
    for (const name of names) {
      const module = readIn[node] !== 0 || FORBIDDEN_MODULES.has(name) ? null : moduleOfEqualPower(name)
      const entry = module ?? nameOfEqualPower(name)
      if (entry === null || isHarmless(file, node, entry)) continue
      const imported = module !== null || tree.kind[tree.parent[node] ?? 0] === Kind.import_from_statement
      // An attribute of whatever object stands where it is written, not where the object is.
      const place = name.startsWith(".") ? (children(tree, node).at(-1) ?? node) : node
      if (name.startsWith(".") && nameOf(tree, place) !== lastPart(name)) continue
      yield* finding(tree.start[place] ?? 0, name, entry, imported, options)
    }
  }
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).replace("()", "")
}

function* finding(
  index: number,
  name: string,
  { like, severity, reason, instead }: EqualPower,
  imported: boolean,
  { strict, allows }: RuleOptions,
): Generator<Finding> {
  if (allows.has(like)) return
  const shown = name.replace(/^(?:builtins)?\./, "").replaceAll("()", "")
  if (severity === "warning") {
    yield { index, message: `Use of ${shown}: ${reason}. ${instead}`, severity: strict ? "error" : "warning" }
  } else {
    const what = imported ? "import" : LOOKED_AT.has(name) || name.startsWith(".__") ? "access" : "function"
    yield { index, message: `Forbidden ${what}: ${shown} (${reason}). ${instead}`, severity: "error" }
  }
}
