/** Functions, lambdas, classes and comprehensions: their scopes, parameters and names. */
import type { BindingSink } from "./binding-sink.ts"
import { Kind } from "./node-kinds.ts"
import type { Scope } from "./scopes.ts"

export function functionDefinition(sink: BindingSink, node: number): void {
  const parts = sink.parts(node)
  const [name, ...rest] = parts
  const body = parts.at(-1)
  if (name === undefined || body === undefined) return
  const outer = withTypeParameters(sink, rest)
  const scope = sink.newScope("function", node, outer, sink.nameOf(name))
  sink.definitions.set(node, scope)
  sink.enter(body, scope)
  sink.bind(name, "definition")
  const parameters = rest.find((part) => sink.kindOf(part) === Kind.parameters)
  if (parameters !== undefined) bindParameters(sink, parameters, scope)
}

export function lambda(sink: BindingSink, node: number): void {
  const parts = sink.parts(node)
  const body = parts.at(-1)
  if (body === undefined) return
  const scope = sink.newScope("function", node, sink.scope)
  sink.definitions.set(node, scope)
  sink.enter(body, scope)
  sink.flows.add({ into: scope.returns, from: body, passage: "whole" })
  const parameters = parts[0]
  if (parameters !== undefined && sink.kindOf(parameters) === Kind.lambda_parameters)
    bindParameters(sink, parameters, scope)
}

function bindParameters(sink: BindingSink, node: number, scope: Scope): void {
  for (const parameter of sink.parts(node)) {
    const kind = sink.kindOf(parameter)
    const parts = kind === Kind.identifier ? [] : sink.parts(parameter)
    const named = kind === Kind.identifier ? parameter : parts[0]
    if (named === undefined) continue
    const defaulted = kind === Kind.default_parameter || kind === Kind.typed_default_parameter
    sink.target(kind === Kind.typed_parameter || defaulted ? named : parameter, "parameter", -1, "whole", scope)
    const slot = scope.slots.get(sink.nameOf(named))
    if (slot === undefined) continue
    if (kind !== Kind.list_splat_pattern && kind !== Kind.dictionary_splat_pattern) scope.parameters.push(slot)
    const value = defaulted ? parts.at(-1) : undefined
    if (value !== undefined) sink.flows.add({ into: slot, from: value, passage: "whole" })
  }
}

export function classDefinition(sink: BindingSink, node: number): void {
  const parts = sink.parts(node)
  const [name, ...rest] = parts
  const body = parts.at(-1)
  if (name === undefined || body === undefined) return
  const scope = sink.newScope("class", node, withTypeParameters(sink, rest))
  sink.enter(body, scope)
  sink.bind(name, "definition")
  for (const list of rest) {
    if (sink.kindOf(list) !== Kind.argument_list) continue
    for (const base of sink.parts(list)) sink.inherit(name, base)
  }
  // Not a function: a call of it answers an instance, of which nothing is known.
  sink.definitions.set(node, scope)
}

/** PEP 695: type parameters live in a scope of their own around the definition. */
function withTypeParameters(sink: BindingSink, parts: number[]): Scope {
  const list = parts.find((part) => sink.kindOf(part) === Kind.type_parameter)
  if (list === undefined) return sink.scope
  const scope = sink.newScope("function", -1, sink.scope)
  for (const part of parts) if (sink.kindOf(part) !== Kind.block) sink.enter(part, scope)
  for (const type of sink.parts(list)) typeParameter(sink, type, scope)
  return scope
}

function typeParameter(sink: BindingSink, type: number, scope: Scope): void {
  let at: number | undefined = type
  while (at !== undefined && sink.kindOf(at) !== Kind.identifier) at = sink.parts(at)[0]
  if (at !== undefined) sink.bind(at, "parameter", -1, "whole", scope)
}

export function typeAlias(sink: BindingSink, node: number): void {
  const [name, ...rest] = sink.parts(node)
  if (name === undefined) return
  sink.bind(name, "assignment")
  withTypeParameters(sink, rest)
}

export function comprehension(sink: BindingSink, node: number): void {
  const outer = sink.scope
  const scope = sink.newScope("comprehension", -1, outer)
  sink.enter(node, scope)
  const clauses = sink.parts(node).filter((part) => sink.kindOf(part) === Kind.for_in_clause)
  clauses.forEach((clause, index) => {
    const [left, ...right] = sink.parts(clause)
    if (left === undefined) return
    sink.target(left, "assignment", right[0] ?? -1, "element", scope)
    // The first iterable is evaluated outside, before the comprehension starts.
    if (index === 0) for (const iterable of right) sink.enter(iterable, outer)
  })
}
