/** Uses of `sys.path` and `__path__`: looking at them is harmless, adding to them imports what no scan has read. */
import { isUnchangedName, scopeOfRead } from "../binding-records.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import type { ScannedFile, ScannedPlugin } from "../rules/rule.ts"
import { lookUp } from "../scopes.ts"

/** Builtins, and methods and functions of libraries, that read what they are given and keep nothing of it. */
const READERS = new Set(
  `len list sorted set bool tuple frozenset print repr str any all map filter max min hash zip id type
  isinstance pprint pformat pp join format debug info warning error exception critical log dumps`.split(/\s+/),
)
/** Their answers hold the list, so they may only be looped over. */
const LAZY_READERS = new Set(["iter", "enumerate", "reversed"])
/** All else that a list has is a look at it, or no attribute at all. */
const CHANGING_METHODS = new Set(["extend", "remove", "pop", "clear", "sort", "reverse"])
const ADDING_METHODS = new Set(["append", "insert"])
const LOOKING_DUNDERS = new Set(["__len__", "__contains__", "__iter__", "__str__", "__repr__", "__reversed__"])
/** Own methods of these names are given the other operand. */
const COMPARING = ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"]
/** `str(Path(__file__).resolve().parent / "lib")`, `os.path.dirname(os.path.abspath(__file__))`. */
const OWN_FOLDER =
  /^(?:\b(?:str|Path|pathlib|os|path|dirname|abspath|realpath|normpath|join|joinpath|fspath|parent|parents|resolve|absolute|as_posix|__file__)\b|parents\s*\[\s*\d+\s*\]|["'](?:\.\.?|\w[\w-]*)["']|[\s().,/])*$/
const MAX_FOLDER = 1000

export function isOnlyRead(file: ScannedFile, node: number): boolean {
  const { tree } = file.bindings
  const above = tree.parent[node] ?? -1
  if (above < 0) return false
  const parts = children(tree, above)
  switch (tree.kind[above]) {
    case Kind.comparison_operator:
      return !comparesItself(tree, file.plugin)
    case Kind.interpolation:
    case Kind.for_in_clause:
    case Kind.list_splat:
    case Kind.assert_statement:
    case Kind.expression_statement:
      return true
    case Kind.if_statement:
    case Kind.elif_clause:
    case Kind.while_statement:
      return parts[0] === node
    case Kind.parenthesized_expression:
    case Kind.boolean_operator:
      return isOnlyRead(file, above)
    case Kind.other: {
      const [left, right] = parts
      if (right === undefined) return /^not\b/.test(textOf(tree, above))
      // With another list `+` makes a third one; with an object of the plugin's it may be anything.
      return (
        left === node &&
        tree.kind[right] === Kind.list &&
        /^\s*\+/.test(tree.text.slice(tree.end[left], tree.end[above]))
      )
    }
    case Kind.for_statement:
      return parts[0] !== node
    case Kind.subscript:
      return parts[0] === node && !isTarget(tree, above)
    case Kind.argument_list:
      return isReader(file, above)
    case Kind.attribute: {
      const method = parts[1]
      if (parts[0] !== node || method === undefined) return true
      const name = nameOf(tree, method)
      if (ADDING_METHODS.has(name)) return addsOwnFolder(file, above)
      return !CHANGING_METHODS.has(name) && (!name.startsWith("__") || LOOKING_DUNDERS.has(name))
    }
    case Kind.assignment:
      // Under another plain name it is followed.
      return parts.at(-1) === node && tree.kind[parts[0] ?? 0] === Kind.identifier
    default:
      return false
  }
}

/** Whether the plugin may have objects that get hold of what they are compared with. */
export function comparesItself({ names }: PythonTree, plugin: ScannedPlugin): boolean {
  return COMPARING.some((name) => plugin.defines(names.known(name)))
}

/** A function that only reads: one of the plugin's own of that name is another one. */
function isReader({ bindings, plugin }: ScannedFile, list: number): boolean {
  const { tree } = bindings
  const callee = (tree.parent[list] ?? 0) + 1
  const named = tree.kind[callee] === Kind.attribute ? (tree.last[callee] ?? 0) - 1 : callee
  if (named === callee && !isUnchangedName(bindings, callee)) return false
  if (LAZY_READERS.has(nameOf(tree, named))) {
    const around = tree.kind[tree.parent[callee - 1] ?? 0]
    return around === Kind.for_statement || around === Kind.for_in_clause
  }
  return READERS.has(nameOf(tree, named)) && !plugin.defines(tree.name[named] ?? 0)
}

const PATTERNS = new Set<number>([
  ...[Kind.pattern_list, Kind.tuple_pattern, Kind.list_pattern, Kind.list_splat_pattern],
  ...[Kind.parenthesized_expression, Kind.tuple, Kind.list, Kind.expression_list, Kind.list_splat],
])
const ASSIGNING = new Set<number>([
  ...[Kind.assignment, Kind.augmented_assignment, Kind.for_statement, Kind.for_in_clause],
])

function isTarget(tree: PythonTree, node: number): boolean {
  let at = node
  let above = tree.parent[at] ?? -1
  while (PATTERNS.has(tree.kind[above] ?? Kind.other)) {
    at = above
    above = tree.parent[at] ?? -1
  }
  const kind = tree.kind[above]
  if (kind === Kind.delete_statement || kind === Kind.as_pattern_target) return true
  return ASSIGNING.has(kind ?? Kind.other) && above + 1 === at
}

/** `sys.path.insert(0, …)` of a folder made of `__file__` alone, straight or by a name that is bound once. */
function addsOwnFolder(file: ScannedFile, method: number): boolean {
  const { tree } = file.bindings
  const [callee, list] = children(tree, tree.parent[method] ?? 0)
  if (callee !== method || list === undefined) return false
  const folder = children(tree, list).at(-1)
  return folder !== undefined && isOwnFolder(file, folder, 3)
}

/** `text` is what the expression says, with the names in it replaced that are bound once to such a folder. */
function isOwnFolder(file: ScannedFile, node: number, steps: number): boolean {
  const { tree } = file.bindings
  let text = textOf(tree, node)
  if (text.length > MAX_FOLDER) return false
  for (let at = node; at < (tree.last[node] ?? 0); at++) {
    const value = boundOnce(file, at)
    if (value === null) continue
    if (steps === 0 || !isOwnFolder(file, value, steps - 1)) return false
    // The same name further on is that of the same value.
    text = text.replaceAll(new RegExp(`\\b${nameOf(tree, at)}\\b`, "g"), () => `(${textOf(tree, value)})`)
    if (text.length > MAX_FOLDER) return false
  }
  return (
    OWN_FOLDER.test(text) &&
    text.includes("__file__") &&
    [...text.matchAll(/["'](\w[\w-]*)["']/g)].every(([, folder = ""]) => file.plugin.hasFolder(folder)) &&
    climbs(text) <= file.path.split("/").length &&
    readsLibrariesOnly(file, node)
  )
}

/** The value of the assignment that alone binds what a name reads; null when it is bound otherwise, or by an import. */
function boundOnce({ bindings }: ScannedFile, node: number): number | null {
  const { tree } = bindings
  const scope = scopeOfRead(bindings, node)
  if (scope === undefined) return null
  const [slot, ...others] = lookUp(scope, tree.name[node] ?? 0).slots
  const binding = slot?.bindings[0]
  if (others.length > 0 || slot?.bindings.length !== 1 || binding?.kind !== "assignment") return null
  const assignment = tree.parent[binding.node] ?? 0
  return tree.kind[assignment] === Kind.assignment ? (children(tree, assignment).at(-1) ?? null) : null
}

/** How many folders up from the file itself. */
function climbs(text: string): number {
  const up = text.match(/\bdirname\b|\bparent\b|["']\.\.["']/g)?.length ?? 0
  const parents = [...text.matchAll(/\bparents\s*\[\s*(\d+)/g)].reduce((sum, [, index]) => sum + Number(index) + 1, 0)
  return up + parents
}

/** Whether what the names in an expression mean is what a library or Python itself means by them. */
function readsLibrariesOnly(file: ScannedFile, root: number): boolean {
  const { bindings, plugin } = file
  const { tree, module } = bindings
  for (let node = root; node < (tree.last[root] ?? 0); node++) {
    const name = tree.name[node] ?? 0
    if (name === 0) continue
    if (plugin.defines(name)) return false
    const scope = scopeOfRead(bindings, node)
    if (scope === undefined) continue
    const slots = lookUp(scope, name).slots
    const imported = slots.every((slot) => slot.bindings.every(({ kind }) => kind === "import"))
    if (!imported && boundOnce(file, node) === null) return false
  }
  return !module.slots.has(tree.names.known("__file__"))
}
