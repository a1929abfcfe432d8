/**
 * Modules of whose members some are forbidden, handed on as a value: to a function, into a container or an attribute, out of
 * a function. What becomes of them there cannot be followed, so it stops where it starts. Another plain name for a module is
 * followed, and passes.
 */
import { inClassBody } from "../equal-power/uses.ts"
import { Kind } from "../node-kinds.ts"
import { children, nameOf } from "../python-tree.ts"
import { stringConstant } from "../string-constants.ts"
import { OS_MODULES } from "./os-functions.ts"
import { PICKLING_MODULES } from "./pickle-warnings.ts"
import type { Finding, Rule, ScannedFile } from "./rule.ts"

export const NOT_HANDED_ON: ReadonlySet<string> = new Set([
  ...OS_MODULES,
  ...[...PICKLING_MODULES].filter((module) => module !== "shelve"),
  ...["builtins", "sys", "importlib", "gc"],
])
const TAKING_ANY = new Set(["__getattribute__", "__getattr__", "__reduce__", "__reduce_ex__", "__class__"])
/** Functions of the rule set `compat-2026-03` whose answers are followed. */
const LOOKING = new Set(["builtins.getattr", "builtins.hasattr", "builtins.dir"])
/** `monkeypatch.setattr(sys, "argv", …)`, `mock.patch.object(os, "getcwd")`. */
const PATCHERS = new Set(["monkeypatch", "mocker", "patch"])
const PATCHING = new Set(["setattr", "delattr", "object"])

export const modulesAsValues: Rule = function* (file) {
  const { tree, imports } = file.bindings
  for (const { node, scope, level, module, name } of imports) {
    // What a class holds is to be had from its instances, its dictionary, its metaclass.
    if (scope.kind !== "class" || level > 0) continue
    const brought = name === null ? module.split(".", 1)[0] : file.references.get(node)?.find(isNotHandedOn)
    if (brought !== undefined && NOT_HANDED_ON.has(brought)) yield finding(tree.start[node] ?? 0, brought)
  }
  for (const [node, names] of file.references) {
    const module = names.find(isNotHandedOn)
    if (module !== undefined && !staysInSight(file, node)) yield finding(tree.start[node] ?? 0, module)
  }
}

function isNotHandedOn(name: string): boolean {
  return NOT_HANDED_ON.has(name)
}

function finding(index: number, module: string): Finding {
  const message = `Forbidden access: the module ${module} as a value (what is done with it cannot be followed). Name what you use of it${EXAMPLES.get(module) ?? ""}.`
  return { index, message, severity: "error" }
}

const EXAMPLES = new Map([
  ["os", ", such as os.path or os.environ"],
  ["sys", ", such as sys.version_info"],
  ["gc", ", such as gc.collect"],
])

function staysInSight(file: ScannedFile, node: number): boolean {
  const { tree } = file.bindings
  const { kind, parent } = tree
  if (kind[node] === Kind.dotted_name || kind[node] === Kind.aliased_import) return true
  // `x.__self__` only may be a module, and warns by itself.
  if (kind[node] === Kind.attribute && nameOf(tree, (tree.last[node] ?? 0) - 1) === "__self__") return true
  let at = node
  let above = parent[at] ?? -1
  while (kind[above] === Kind.parenthesized_expression || kind[above] === Kind.named_expression) {
    at = above
    above = parent[at] ?? -1
  }
  switch (kind[above]) {
    case Kind.attribute:
      // `os.__getattribute__` takes any name; `os.__dict__` is a matter of its own.
      return !TAKING_ANY.has(nameOf(tree, (tree.last[above] ?? 0) - 1))
    case Kind.expression_statement:
    case Kind.interpolation:
    case Kind.import_from_statement:
      return true
    case Kind.assignment:
      return at === above + 1 || (kind[above + 1] === Kind.identifier && !inClassBody(tree, above))
    case Kind.subscript:
      // Of a dictionary of a module's names an item is followed.
      return at === above + 1
    case Kind.comparison_operator:
      return (
        children(tree, above).length === 2 && /^\s*is\b/.test(tree.text.slice(tree.end[above + 1], tree.end[above]))
      )
    case Kind.argument_list:
      return at === above + 1 && isLookedAt(file, parent[above] ?? 0, above)
    default:
      return false
  }
}

function isLookedAt({ bindings: { tree }, references, plugin }: ScannedFile, call: number, list: number): boolean {
  const callee = call + 1
  if (references.get(callee)?.some((name) => LOOKING.has(name)) === true) return true
  if (tree.kind[callee] !== Kind.attribute) return false
  const method = (tree.last[callee] ?? 0) - 1
  const object = callee + 1
  const patcher = tree.kind[object] === Kind.attribute ? (tree.last[object] ?? 0) - 1 : object
  const attribute = children(tree, list)[1]
  return (
    PATCHING.has(nameOf(tree, method)) &&
    PATCHERS.has(nameOf(tree, patcher)) &&
    !plugin.defines(tree.name[patcher] ?? 0) &&
    !plugin.defines(tree.name[method] ?? 0) &&
    attribute !== undefined &&
    stringConstant(tree, attribute) !== null
  )
}
