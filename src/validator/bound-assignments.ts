/** Names that assignments of every form bind, patterns of match statements included. */
import type { BindingSink } from "./binding-sink.ts"
import { Kind } from "./node-kinds.ts"

export function assignment(sink: BindingSink, node: number): void {
  const [left, ...rest] = sink.parts(node)
  if (left === undefined) return
  const right = rest.find((part) => sink.kindOf(part) !== Kind.type)
  if (right === undefined) {
    sink.target(left, "annotation", -1, "whole")
    return
  }
  let value = right
  while (sink.kindOf(value) === Kind.assignment) value = sink.parts(value).at(-1) ?? -1
  sink.target(left, "assignment", value, "whole")
}

export function augmentedAssignment(sink: BindingSink, node: number): void {
  const [left, right] = sink.parts(node)
  if (left === undefined || right === undefined) return
  sink.target(left, "assignment", right, "whole")
  if (sink.kindOf(left) === Kind.identifier) sink.handled[left] = 0
}

export function walrus(sink: BindingSink, node: number): void {
  const [name, value] = sink.parts(node)
  if (name === undefined || value === undefined) return
  sink.bind(name, "assignment", value, "whole", sink.functionScope())
}

export function forStatement(sink: BindingSink, node: number): void {
  const [left, right] = sink.parts(node)
  if (left !== undefined && right !== undefined) sink.target(left, "assignment", right, "element")
}

export function asPattern(sink: BindingSink, node: number): void {
  const [value, target] = sink.parts(node)
  if (value === undefined || target === undefined) return
  const inExcept = sink.kindOf(sink.tree.parent[node]) === Kind.except_clause
  sink.target(target, inExcept ? "exception" : "assignment", inExcept ? -1 : value, "whole")
}

/** In a pattern, one part captures and several read; everywhere else the parent has read the name already. */
export function dottedName(sink: BindingSink, node: number): void {
  const parts = sink.parts(node)
  const captures = parts.length === 1 && sink.kindOf(sink.tree.parent[node]) !== Kind.class_pattern
  if (sink.handled[node] === 1) {
    for (const part of parts) sink.ignore(part)
  } else if (captures) {
    for (const part of parts) sink.bind(part, "assignment")
  } else {
    sink.expressions.push(node)
    for (const part of parts.slice(1)) sink.ignore(part)
  }
}
