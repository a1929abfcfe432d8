/** Names that assignments of every form bind, patterns of match statements included. */
import type { BindingSink } from "./binding-sink.ts"
import { Kind } from "./node-kinds.ts"

export function assignment(sink: BindingSink, node: number): void {
  const { last } = sink.tree
  const left = node + 1
  const stop = last[node] ?? 0
  let right = last[left] ?? stop
  if (sink.kindOf(right) === Kind.type) right = last[right] ?? stop
  if (right >= stop) {
    sink.target(left, "annotation", -1, "whole")
    return
  }
  let value = right
  while (sink.kindOf(value) === Kind.assignment) value = sink.parts(value).at(-1) ?? -1
  if (sink.kindOf(left) === Kind.identifier) sink.assigned.push({ target: sink.nameOf(left), value })
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
  if (matchedBy(sink, node).length > 0) {
    capture(sink, target, node)
    return
  }
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
    for (const part of parts) capture(sink, part, node)
  } else {
    for (const part of parts.slice(1)) sink.ignore(part)
  }
}

const WHOLE_PATTERNS = new Set<number>([
  Kind.dotted_name,
  Kind.as_pattern,
  Kind.as_pattern_target,
  Kind.union_pattern,
  Kind.case_pattern,
  Kind.parenthesized_expression,
])

/** Binds what a part of a pattern captures: what is matched, or, inside a pattern of parts, something taken out of it. */
export function capture(sink: BindingSink, target: number, pattern: number): void {
  const { kind, parent } = sink.tree
  const starred = kind[pattern] === Kind.splat_pattern
  let whole = !starred
  for (let at = pattern; at >= 0 && kind[at] !== Kind.case_clause; at = parent[at] ?? -1)
    whole &&= WHOLE_PATTERNS.has(kind[at] ?? Kind.other)
  const passage = whole ? "whole" : starred ? "stored" : "element"
  const subjects = matchedBy(sink, pattern)
  for (const subject of subjects.length === 0 ? [-1] : subjects) sink.target(target, "assignment", subject, passage)
}

/** What the match statement around a pattern looks at; several with commas between. Empty outside of patterns. */
function matchedBy(sink: BindingSink, pattern: number): number[] {
  const { kind, parent } = sink.tree
  for (let at = pattern; at >= 0; at = parent[at] ?? -1) {
    if (kind[at] === Kind.block) return []
    if (kind[parent[at] ?? -1] !== Kind.case_clause) continue
    let statement = parent[at] ?? -1
    if (kind[at] !== Kind.case_pattern) return []
    while (statement >= 0 && kind[statement] !== Kind.match_statement) statement = parent[statement] ?? -1
    return sink.parts(statement).filter((part) => kind[part] !== Kind.block && kind[part] !== Kind.case_clause)
  }
  return []
}
