/**
 * Annotations that are made at run time: pydantic, `functools.singledispatch`, `get_type_hints` and others run the text in
 * them as code, and only the run will tell what it says.
 */
import type { FileBindings } from "../binding-records.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import { MAX_QUOTED, stringConstant } from "../string-constants.ts"
import type { Rule } from "./rule.ts"

const STRINGS = new Set<number>([Kind.string, Kind.concatenated_string])

export const computedAnnotations: Rule = function* ({ bindings, plugin }) {
  const { tree, typesMade } = bindings
  const places = new Set<number>()
  if (plugin.readsAnnotations) for (const node of readPlaces(bindings)) places.add(node)
  for (const value of typesMade) if (isMadeString(tree, value)) places.add(value)
  for (let node = 0; node < tree.size; node++) {
    if (tree.kind[node] === Kind.type && isMadeString(tree, node)) places.add(node)
  }
  for (const node of places) {
    const message =
      "Forbidden access: an annotation made at run time (runs code made at run time). Write the type out, or leave get_type_hints and the like out."
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

/** What counts only where annotations are read as values: changes of them, and text too long to be read here. */
function readPlaces(bindings: FileBindings): number[] {
  const { tree, scopes, attributeTargets } = bindings
  const places: number[] = []
  const annotations = tree.names.known("__annotations__")
  for (const scope of scopes) for (const { node } of scope.slots.get(annotations)?.bindings ?? []) places.push(node)
  for (const { node, deleted } of attributeTargets) {
    if (deleted || nameOf(tree, (tree.last[node] ?? 0) - 1) !== "__annotations__") continue
    // `wrapper.__annotations__ = function.__annotations__`, as decorators do.
    if (!/\.__annotations__$/.test(textOf(tree, children(tree, tree.parent[node] ?? 0).at(-1) ?? node)))
      places.push(node)
  }
  for (const node of bindings.quoted.keys()) {
    if (stringConstant(tree, node, MAX_QUOTED) === null) places.push(node)
  }
  for (let node = 0; node < tree.size; node++) {
    if (tree.kind[node] === Kind.subscript && storesAnnotation(tree, node)) places.push(node)
  }
  return places
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
    // Data beside the type: `Annotated[str, Field(description="…" + x)]`.
    if (tree.kind[node] === Kind.argument_list) {
      node = (tree.last[node] ?? 0) - 1
      continue
    }
    if (!STRINGS.has(tree.kind[node] ?? 0)) continue
    const above = tree.parent[node] ?? 0
    if (!isPlainString(tree, node) || tree.kind[above] === Kind.attribute) return true
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
