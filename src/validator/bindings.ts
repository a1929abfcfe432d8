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
import { Kind } from "./node-kinds.ts"
import type { PythonTree } from "./python-tree.ts"
import { isQuotedAnnotation } from "./quoted-annotations.ts"

/** `file` is the file's number in the plugin. */
export function collectBindings(tree: PythonTree, file: number): FileBindings {
  const sink = new BindingSink(tree, file)
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
    visit(sink, node, kind[node] ?? Kind.other)
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

function visit(sink: BindingSink, node: number, kind: number): void {
  switch (kind) {
    case Kind.identifier:
      if (sink.handled[node] === 0) sink.load(node)
      if (sink.kindOf(sink.tree.parent[node]) === Kind.type) sink.typeNames.add(sink.nameOf(node))
      break
    case Kind.attribute:
      sink.ignore((sink.tree.last[node] ?? 0) - 1)
      break
    case Kind.keyword_argument:
    case Kind.keyword_pattern:
      sink.ignore(node + 1)
      break
    case Kind.string:
    case Kind.concatenated_string: {
      const above = sink.kindOf(sink.tree.parent[node])
      // The statement that is a docstring, and parts of a string that is looked at as a whole.
      if (above === Kind.expression_statement || above === Kind.concatenated_string) break
      if (above === Kind.assignment) sink.strings.push([node, sink.scope])
      if (isQuotedAnnotation(sink.tree, node)) sink.quoted.set(node, sink.scope)
      break
    }
    case Kind.dotted_name:
      dottedName(sink, node)
      break
    case Kind.import_statement:
      importStatement(sink, node)
      break
    case Kind.import_from_statement:
      importFrom(sink, node)
      break
    case Kind.function_definition:
      functionDefinition(sink, node)
      break
    case Kind.lambda:
      lambda(sink, node)
      break
    case Kind.class_definition:
      classDefinition(sink, node)
      break
    case Kind.list_comprehension:
    case Kind.set_comprehension:
    case Kind.dictionary_comprehension:
    case Kind.generator_expression:
      comprehension(sink, node)
      break
    case Kind.assignment:
      assignment(sink, node)
      break
    case Kind.augmented_assignment:
      augmentedAssignment(sink, node)
      break
    case Kind.named_expression:
      walrus(sink, node)
      break
    case Kind.for_statement:
      forStatement(sink, node)
      break
    case Kind.as_pattern:
      asPattern(sink, node)
      break
    case Kind.splat_pattern:
      for (const name of sink.parts(node)) capture(sink, name, node)
      break
    case Kind.delete_statement:
      for (const target of sink.parts(node)) sink.target(target, "deletion", -1, "whole")
      break
    case Kind.global_statement:
    case Kind.nonlocal_statement:
      for (const name of sink.parts(node)) {
        sink.scope.declare(sink.nameOf(name), kind === Kind.global_statement ? "globals" : "nonlocals")
        sink.ignore(name)
      }
      break
    case Kind.type_alias_statement:
      typeAlias(sink, node)
      break
    case Kind.return_statement:
      for (const value of sink.parts(node)) {
        sink.flows.add({ into: sink.functionScope().returns, from: value, passage: "whole" })
      }
      break
  }
}
