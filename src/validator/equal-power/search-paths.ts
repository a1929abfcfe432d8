/** Uses of `sys.path` and `__path__`: looking at them is harmless, adding to them imports what no scan has read. */
import { type FileBindings, scopeOfRead } from "../binding-records.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import { lookUp } from "../scopes.ts"

/** Functions and methods that read what they are given and keep nothing of it. */
const READERS = new Set([
  ...["len", "list", "sorted", "set", "iter", "bool", "tuple", "frozenset", "print", "repr", "str", "enumerate", "any"],
  ...[
    "all",
    "reversed",
    "pprint",
    "join",
    "format",
    "debug",
    "info",
    "warning",
    "error",
    "exception",
    "log",
    "dumps",
    "map",
    "filter",
  ],
])
const READING_METHODS = new Set(["index", "count", "copy", "__len__", "__contains__", "__iter__"])
const ADDING_METHODS = new Set(["append", "insert"])
/** `str(Path(__file__).resolve().parent)`, `os.path.dirname(os.path.abspath(__file__))`. */
const OWN_FOLDER =
  /^(?:\b(?:str|Path|pathlib|os|path|dirname|abspath|realpath|normpath|join|fspath|parent|parents|resolve|absolute|as_posix|__file__)\b|["']\.\.?["']|[\s().,[\]\d/])*$/

export function isOnlyRead(bindings: FileBindings, node: number): boolean {
  const { tree } = bindings
  const above = tree.parent[node] ?? -1
  if (above < 0) return false
  const parts = children(tree, above)
  switch (tree.kind[above]) {
    case Kind.comparison_operator:
    case Kind.interpolation:
    case Kind.for_in_clause:
      return true
    case Kind.for_statement:
      return parts[0] !== node
    case Kind.subscript:
      return parts[0] === node && !isTarget(tree, above)
    case Kind.list_splat:
    case Kind.assert_statement:
      return true
    case Kind.if_statement:
    case Kind.elif_clause:
    case Kind.while_statement:
      return parts[0] === node
    case Kind.other:
      return textOf(tree, above).startsWith("not")
    case Kind.argument_list:
      return READERS.has(calleeOf(tree, above))
    case Kind.attribute: {
      const method = parts[1]
      if (parts[0] !== node || method === undefined) return true
      const name = nameOf(tree, method)
      return READING_METHODS.has(name) || (ADDING_METHODS.has(name) && addsOwnFolder(bindings, above))
    }
    case Kind.assignment:
      // Under another plain name it is followed.
      return parts.at(-1) === node && tree.kind[parts[0] ?? 0] === Kind.identifier
    case Kind.expression_statement:
      return true
    default:
      return false
  }
}

/** The last name of what is called with these arguments. */
function calleeOf(tree: PythonTree, list: number): string {
  const callee = children(tree, tree.parent[list] ?? 0)[0]
  if (callee === undefined) return ""
  return nameOf(tree, tree.kind[callee] === Kind.attribute ? (children(tree, callee)[1] ?? callee) : callee)
}

function isTarget(tree: PythonTree, node: number): boolean {
  const above = tree.parent[node] ?? -1
  const kind = tree.kind[above]
  if (kind === Kind.delete_statement) return true
  return (kind === Kind.assignment || kind === Kind.augmented_assignment) && children(tree, above)[0] === node
}

/** `sys.path.insert(0, …)` of a folder made of `__file__` alone, straight or by a name that is bound once. */
function addsOwnFolder(bindings: FileBindings, method: number): boolean {
  const { tree } = bindings
  const [callee, list] = children(tree, tree.parent[method] ?? 0)
  if (callee !== method || list === undefined) return false
  const folder = children(tree, list).at(-1)
  return folder !== undefined && isOwnFolder(bindings, folder, 3)
}

function isOwnFolder(bindings: FileBindings, node: number, steps: number): boolean {
  const { tree } = bindings
  const text = textOf(tree, node)
  if (OWN_FOLDER.test(text)) return text.includes("__file__")
  const inner = /^(?:str|Path|pathlib\.Path|os\.fspath)\(\s*(\w+)\s*\)$/.exec(text)?.[1]
  const named = inner === undefined ? node : nameWithin(tree, node, inner)
  const scope = named === undefined ? undefined : scopeOfRead(bindings, named)
  if (named === undefined || scope === undefined || tree.kind[named] !== Kind.identifier) return false
  const [slot, ...others] = lookUp(scope, tree.name[named] ?? 0).slots
  const binding = slot?.bindings[0]
  if (others.length > 0 || slot?.bindings.length !== 1 || binding?.kind !== "assignment") return false
  const assignment = tree.parent[binding.node] ?? 0
  const value = tree.kind[assignment] === Kind.assignment ? children(tree, assignment).at(-1) : undefined
  return steps > 0 && value !== undefined && isOwnFolder(bindings, value, steps - 1)
}

function nameWithin(tree: PythonTree, node: number, name: string): number | undefined {
  for (let at = node + 1; at < (tree.last[node] ?? 0); at++) {
    if (tree.kind[at] === Kind.identifier && nameOf(tree, at) === name) return at
  }
  return undefined
}
