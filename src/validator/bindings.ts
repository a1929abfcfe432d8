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
import { EXPRESSIONS } from "./expression-kinds.ts"
import { Kind } from "./node-kinds.ts"
import { nameOf, type PythonTree } from "./python-tree.ts"
import { isQuotedAnnotation } from "./quoted-annotations.ts"
import type { Scope } from "./scopes.ts"

export function collectBindings(tree: PythonTree): FileBindings {
  const sink = new BindingSink(tree)
  const { kind, last, size } = tree
  const open: { scope: Scope; stop: number }[] = [{ scope: sink.module, stop: size + 1 }]
  for (let node = 0; node < size; node++) {
    while ((open.at(-1)?.stop ?? size) <= node) open.pop()
    const entered = sink.scopeAt.get(node)
    if (entered !== undefined) open.push({ scope: entered, stop: last[node] ?? size })
    sink.scope = open.at(-1)?.scope ?? sink.module
    visit(sink, node, kind[node] ?? Kind.other)
    // A comprehension's scope starts at the very node that makes it.
    const made = sink.scopeAt.get(node)
    if (made !== undefined && made !== entered) open.push({ scope: made, stop: last[node] ?? size })
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
    if (sink.typeNames.has(nameOf(sink.tree, target))) sink.quoted.set(node, scope)
  }
}

function visit(sink: BindingSink, node: number, kind: number): void {
  if (EXPRESSIONS.has(kind)) sink.expressions.push(node)
  switch (kind) {
    case Kind.identifier:
      if (sink.handled[node] === 0) sink.load(node)
      if (sink.kindOf(sink.tree.parent[node]) === Kind.type) sink.typeNames.add(nameOf(sink.tree, node))
      break
    case Kind.attribute:
      sink.ignore(sink.parts(node).at(-1))
      break
    case Kind.keyword_argument:
    case Kind.keyword_pattern:
      sink.ignore(sink.parts(node)[0])
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
        const declared = kind === Kind.global_statement ? sink.scope.globals : sink.scope.nonlocals
        declared.add(nameOf(sink.tree, name))
        sink.ignore(name)
      }
      break
    case Kind.type_alias_statement:
      typeAlias(sink, node)
      break
    case Kind.return_statement:
      for (const value of sink.parts(node)) {
        sink.flows.push({ into: sink.functionScope().returns, from: value, passage: "whole" })
      }
      break
  }
}
