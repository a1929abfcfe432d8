/**
 * What tells Python which module it is in. A plugin that changes it makes relative imports, its own folder and the names of
 * its functions mean something else than what the scan has read.
 */
import { nameOf, type PythonTree } from "../python-tree.ts"
import type { Finding, ForbiddenName, Rule } from "./rule.ts"

const identity: ForbiddenName = {
  reason: "tells Python which module this is, and so what it imports",
  instead: "Leave it as it is.",
}
const code: ForbiddenName = { reason: "runs other code than what stands in the file", instead: "Write a function." }

/** Bound by code of a module. */
const OF_A_MODULE = ["__package__", "__path__", "__spec__", "__name__", "__file__", "__loader__"]
/** Assigned to as attributes; `function.__name__` is anybody's. */
const OF_ANY: ReadonlyMap<string, ForbiddenName> = new Map([
  ...["__package__", "__path__", "__spec__", "__file__", "__loader__"].map((name) => [name, identity] as const),
  ["__code__", code],
])

export const IDENTITY_NAMES: readonly (readonly [string, ForbiddenName])[] = [
  ...OF_A_MODULE.map((name) => [name, identity] as const),
  ["__code__", code],
]

export const moduleIdentity: Rule = function* ({ bindings: { tree, module, attributeTargets } }) {
  for (const name of OF_A_MODULE) {
    for (const { kind, node } of module.slots.get(tree.names.known(name))?.bindings ?? []) {
      if (kind !== "annotation") yield finding(tree, node, name, identity)
    }
  }
  for (const { node } of attributeTargets) {
    const attribute = (tree.last[node] ?? 0) - 1
    const name = nameOf(tree, attribute)
    const entry = OF_ANY.get(name)
    if (entry !== undefined) yield finding(tree, attribute, name, entry)
  }
}

function finding(tree: PythonTree, node: number, name: string, { reason, instead }: ForbiddenName): Finding {
  return {
    index: tree.start[node] ?? 0,
    message: `Forbidden access: ${name} is changed (${reason}). ${instead}`,
    severity: "error",
  }
}
