/**
 * Annotations that are made at run time, in a plugin that makes values of annotations (`get_type_hints`, pydantic's
 * `create_model`): text in them is run as code, and only the run will tell what it says.
 */
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree } from "../python-tree.ts"
import { MAX_QUOTED, stringConstant } from "../string-constants.ts"
import type { Rule } from "./rule.ts"

const STRINGS = new Set<number>([Kind.string, Kind.concatenated_string])

export const computedAnnotations: Rule = function* ({ bindings, plugin }) {
  const { tree, scopes, attributeTargets, typesMade } = bindings
  if (!plugin.readsAnnotations) return
  const places = new Set<number>()
  const annotations = tree.names.known("__annotations__")
  for (const scope of scopes) for (const { node } of scope.slots.get(annotations)?.bindings ?? []) places.add(node)
  for (const { node } of attributeTargets) {
    if (nameOf(tree, (tree.last[node] ?? 0) - 1) === "__annotations__") places.add(node)
  }
  for (const node of bindings.quoted.keys()) {
    if (stringConstant(tree, node, MAX_QUOTED) === null) places.add(node)
  }
  for (const value of typesMade) if (isMadeString(tree, value)) places.add(value)
  for (let node = 0; node < tree.size; node++) {
    if (tree.kind[node] === Kind.type && isMadeString(tree, node)) places.add(node)
    if (tree.kind[node] === Kind.subscript && storesAnnotation(tree, node)) places.add(node)
  }
  for (const node of places) {
    const message =
      "Forbidden access: an annotation made at run time (runs code made at run time). Write the type out, or leave get_type_hints and the like out."
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

/** `x.__annotations__["a"] = value`, unless the value is a plain string, which is read as the type it names. */
function storesAnnotation(tree: PythonTree, node: number): boolean {
  const above = tree.parent[node] ?? 0
  if (tree.kind[above] !== Kind.assignment || above + 1 !== node) return false
  const object = node + 1
  const named = tree.kind[object] === Kind.attribute ? (tree.last[object] ?? 0) - 1 : object
  if (nameOf(tree, named) !== "__annotations__") return false
  const value = children(tree, above).at(-1)
  return value === undefined || !isPlainString(tree, value)
}

/** Anything in it that makes a string: an f-string's field, `%`, `+`, a method of a string. */
function isMadeString(tree: PythonTree, root: number): boolean {
  for (let node = root; node < (tree.last[root] ?? 0); node++) {
    if (!STRINGS.has(tree.kind[node] ?? 0)) continue
    if (!isPlainString(tree, node)) return true
    const above = tree.parent[node] ?? 0
    if (tree.kind[above] === Kind.attribute) return true
    if (node === root || tree.kind[above] !== Kind.other) continue
    // `A | "B"` is a type.
    const [left] = children(tree, above)
    if (!/^\s*\|/.test(tree.text.slice(tree.end[left ?? above], tree.end[above]))) return true
  }
  return false
}

function isPlainString(tree: PythonTree, node: number): boolean {
  if (!STRINGS.has(tree.kind[node] ?? 0)) return false
  for (let part = node; part < (tree.last[node] ?? 0); part++) {
    if (tree.kind[part] === Kind.interpolation) return false
  }
  return true
}
