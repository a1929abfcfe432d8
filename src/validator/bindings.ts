/**
 * One pass over a file's tree: makes its scopes, records what binds each name and which expression flows into it, and lists
 * the expressions whose value may matter. Nothing is resolved yet: a name may be bound further down.
 */
import type { FileBindings } from "./binding-records.ts"
import { BindingSink } from "./binding-sink.ts"
import {
  asPattern,
  assignment,
  augmentedAssignment,
  capture,
  dottedName,
  forStatement,
  walrus,
} from "./bound-assignments.ts"
import { classDefinition, comprehension, functionDefinition, lambda, typeAlias } from "./bound-definitions.ts"
import { importFrom, importStatement } from "./bound-imports.ts"
import { KINDS, Kind } from "./node-kinds.ts"
import type { PythonTree } from "./python-tree.ts"
import { isQuotedAnnotation } from "./quoted-annotations.ts"
import { Workspace } from "./syntax/workspace.ts"

/** `file` is the file's number in the plugin. */
export function collectBindings(tree: PythonTree, file: number, workspace = new Workspace()): FileBindings {
  const sink = new BindingSink(tree, file, workspace)
  const { entered, scopes } = sink
  const { kind, last, size } = tree
  // Of the scopes around: their numbers, and the node after their last.
  const open: number[] = []
  let scope = 0
  let stop = size + 1
  const enter = (number: number, node: number) => {
    open.push(scope, stop)
    scope = number
    stop = last[node] ?? size
    sink.scope = scopes[number] ?? sink.module
  }
  for (let node = 0; node < size; node++) {
    while (stop <= node) {
      stop = open.pop() ?? size
      scope = open.pop() ?? 0
      sink.scope = scopes[scope] ?? sink.module
    }
    const before = entered[node] ?? 0
    if (before > 0) enter(before - 1, node)
    VISITORS[kind[node] ?? 0]?.(sink, node)
    // A comprehension's scope starts at the very node that makes it.
    const made = entered[node] ?? 0
    if (made > 0 && made !== before) enter(made - 1, node)
  }
  quoteNamedTypes(sink)
  return sink.finish()
}

/** `TYPE = "…"` that an annotation names is a type in quotes too. */
function quoteNamedTypes(sink: BindingSink): void {
  const { kind, parent } = sink.tree
  for (const [node, scope] of sink.strings) {
    const [target] = sink.parts(parent[node] ?? 0)
    if (target === undefined || kind[target] !== Kind.identifier) continue
    if (sink.typeNames.has(sink.nameOf(target))) sink.quoted.set(node, scope)
  }
}

type Visitor = (sink: BindingSink, node: number) => void

/** By the kind of a node; most kinds have none. */
const VISITORS: readonly (Visitor | undefined)[] = table([
  [
    [Kind.identifier],
    (sink, node) => {
      if (sink.handled[node] === 0) sink.load(node)
      if (sink.kindOf(sink.tree.parent[node]) === Kind.type) sink.typeNames.add(sink.nameOf(node))
    },
  ],
  [[Kind.attribute], (sink, node) => sink.ignore((sink.tree.last[node] ?? 0) - 1)],
  [[Kind.keyword_argument, Kind.keyword_pattern], (sink, node) => sink.ignore(node + 1)],
  [[Kind.string, Kind.concatenated_string], string],
  [[Kind.dotted_name], dottedName],
  [[Kind.import_statement], importStatement],
  [[Kind.import_from_statement], importFrom],
  [[Kind.function_definition], functionDefinition],
  [[Kind.lambda], lambda],
  [[Kind.class_definition], classDefinition],
  [
    [Kind.list_comprehension, Kind.set_comprehension, Kind.dictionary_comprehension, Kind.generator_expression],
    comprehension,
  ],
  [[Kind.assignment], assignment],
  [[Kind.augmented_assignment], augmentedAssignment],
  [[Kind.named_expression], walrus],
  [[Kind.for_statement], forStatement],
  [[Kind.as_pattern], asPattern],
  [
    [Kind.splat_pattern],
    (sink, node) => {
      for (const name of sink.parts(node)) capture(sink, name, node)
    },
  ],
  [
    [Kind.delete_statement],
    (sink, node) => {
      for (const target of sink.parts(node)) sink.target(target, "deletion", -1, "whole")
    },
  ],
  [[Kind.global_statement], (sink, node) => declare(sink, node, "globals")],
  [[Kind.nonlocal_statement], (sink, node) => declare(sink, node, "nonlocals")],
  [[Kind.type_alias_statement], typeAlias],
  [
    [Kind.return_statement],
    (sink, node) => {
      for (const value of sink.parts(node)) {
        sink.flows.add({ into: sink.functionScope().returns, from: value, passage: "whole" })
      }
    },
  ],
])

function table(rows: readonly (readonly [readonly number[], Visitor])[]): (Visitor | undefined)[] {
  const visitors = new Array<Visitor | undefined>(KINDS.length).fill(undefined)
  for (const [kinds, visitor] of rows) for (const kind of kinds) visitors[kind] = visitor
  return visitors
}

function string(sink: BindingSink, node: number): void {
  const above = sink.kindOf(sink.tree.parent[node])
  // The statement that is a docstring, and parts of a string that is looked at as a whole.
  if (above === Kind.expression_statement || above === Kind.concatenated_string) return
  if (above === Kind.assignment) sink.strings.push([node, sink.scope])
  if (isQuotedAnnotation(sink.tree, node)) sink.quoted.set(node, sink.scope)
}

function declare(sink: BindingSink, statement: number, as: "globals" | "nonlocals"): void {
  for (const name of sink.parts(statement)) {
    sink.scope.declare(sink.nameOf(name), as)
    sink.ignore(name)
  }
}
