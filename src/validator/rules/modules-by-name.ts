/** `sys.modules` used as an import by a computed name. `in`, its keys and constant keys are harmless or followed. */
import { isUnchangedName } from "../binding-records.ts"
import { comparesItself } from "../equal-power/search-paths.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf, type PythonTree, textOf } from "../python-tree.ts"
import { stringConstant } from "../string-constants.ts"
import { MODULES_BY_NAME } from "../vocabulary.ts"
import type { Rule, ScannedFile } from "./rule.ts"
import { isCalled } from "./whole-namespaces.ts"

/** Builtins that see the keys only. */
const KEYS_ONLY = new Set(["len", "list", "sorted", "set", "iter", "bool", "tuple", "frozenset"])
const ONE_MODULE = new Set(["get", "pop", "setdefault", "__getitem__"])
const HARMLESS_METHODS = new Set(["keys", "__contains__", "__len__", "__iter__"])

/** What sees the keys only, or whether there are any. */
const HARMLESS_AROUND = new Set<number>([
  Kind.list_splat,
  Kind.for_in_clause,
  Kind.interpolation,
  Kind.expression_statement,
  Kind.assert_statement,
  Kind.if_statement,
  Kind.elif_clause,
  Kind.while_statement,
  Kind.import_from_statement,
  Kind.dotted_name,
  Kind.aliased_import,
])

export const modulesByName: Rule = function* (file) {
  const { tree, scopes } = file.bindings
  // A file that binds `__name__` itself may put any name there.
  const own = scopes.some(({ slots }) => slots.has(tree.names.known("__name__"))) ? null : "__name__"
  for (const [node, names] of file.references) {
    if (!names.includes(MODULES_BY_NAME) || isHarmless(file, node, own)) continue
    const message = "Forbidden access: sys.modules by a computed name (dynamic import). Use an import statement."
    yield { index: tree.start[node] ?? 0, message, severity: "error" }
  }
}

function isHarmless(file: ScannedFile, node: number, own: string | null): boolean {
  const { tree } = file.bindings
  const above = tree.parent[node] ?? -1
  const [first, second] = above < 0 ? [] : children(tree, above)
  switch (tree.kind[above]) {
    case Kind.subscript:
      return first !== node || second === undefined || namesOne(tree, second, own)
    case Kind.attribute: {
      if (first !== node || second === undefined) return true
      const method = nameOf(tree, second)
      const call = tree.parent[above] ?? -1
      // A view of the keys has the dictionary as its `mapping`.
      if (HARMLESS_METHODS.has(method))
        return isCalled(tree, above) && tree.kind[tree.parent[call] ?? 0] !== Kind.attribute && !isAliased(tree, call)
      const list = tree.kind[call] === Kind.call ? children(tree, call)[1] : undefined
      const key = list === undefined ? undefined : children(tree, list)[0]
      return ONE_MODULE.has(method) && key !== undefined && namesOne(tree, key, own)
    }
    case Kind.argument_list: {
      const callee = children(tree, tree.parent[above] ?? 0)[0]
      return callee !== undefined && KEYS_ONLY.has(nameOf(tree, callee)) && isUnchangedName(file.bindings, callee)
    }
    case Kind.comparison_operator:
      return !comparesItself(tree, file.plugin)
    case Kind.assignment:
      // Under another plain name it is followed.
      return first !== node && tree.kind[first ?? 0] === Kind.identifier
    case Kind.for_statement:
      return first !== node
    case Kind.parenthesized_expression:
    case Kind.boolean_operator:
    case Kind.conditional_expression:
    case Kind.named_expression:
      return isHarmless(file, above, own)
    case Kind.other:
      return second === undefined && /^not\b/.test(textOf(tree, above))
    default:
      return HARMLESS_AROUND.has(tree.kind[above] ?? Kind.other)
  }
}

function isAliased({ kind, parent }: PythonTree, node: number): boolean {
  return kind[parent[node] ?? 0] === Kind.assignment || kind[parent[node] ?? 0] === Kind.return_statement
}

/** A constant is followed; `__name__` is the module itself. */
function namesOne(tree: PythonTree, key: number, own: string | null): boolean {
  if (stringConstant(tree, key) !== null) return true
  return tree.kind[key] === Kind.identifier && nameOf(tree, key) === own
}
