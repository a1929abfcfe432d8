/**
 * Spellings that the grammar reads but CPython 3.10 to 3.13 refuses. A file that CPython cannot compile never runs, so a
 * spelling missing here lets nothing dangerous through; it only leaves the mistake to be found later.
 */
import { Kind } from "../node-kinds.ts"
import { children, type PythonTree } from "../python-tree.ts"
import type { Rule } from "./rule.ts"

const PYTHON_2: ReadonlyMap<number, string> = new Map([
  [Kind.print_statement, "print is a function; write print(…)"],
  [Kind.exec_statement, "exec is not a statement"],
  [Kind["<>"], "write != for <>"],
])
const LOOPS = new Set<number>([Kind.for_statement, Kind.while_statement])
const FUNCTIONS = new Set<number>([Kind.function_definition, Kind.lambda])
const TARGETS = new Set<number>([Kind.with_item, Kind.except_clause, Kind.case_pattern])
/** `0777` and `10L` are of Python 2; `00` is a zero. */
const OLD_INTEGER = /^(?:0[0-9_]*[1-9][0-9_]*|.*[lL])$/

export const syntax: Rule = function* ({ bindings: { tree } }) {
  for (let node = 0; node < tree.size; node++) {
    const reason = problemOf(tree, node, tree.kind[node] ?? Kind.other)
    if (reason !== null) yield { index: tree.start[node] ?? 0, message: `Syntax error: ${reason}`, severity: "error" }
  }
}

function problemOf(tree: PythonTree, node: number, kind: number): string | null {
  switch (kind) {
    case Kind.print_statement:
      // `print >> stream, text` is an expression of Python 3 too; it fails when it runs.
      return tree.kind[node + 1] === Kind.chevron ? null : (PYTHON_2.get(kind) ?? null)
    case Kind.exec_statement:
    case Kind["<>"]:
      return PYTHON_2.get(kind) ?? null
    case Kind.integer:
      return OLD_INTEGER.test(tree.text.slice(tree.start[node], tree.end[node])) ? "not an integer of Python 3" : null
    case Kind.string:
      return endsOnItsLine(tree, node) ? null : "unterminated string literal"
    case Kind.block:
      // The bodies of match statements hold clauses, so they count as filled too.
      return (tree.last[node] ?? 0) === node + 1 ? "expected an indented block" : null
    case Kind.return_statement:
      return insideFunction(tree, node) ? null : "'return' outside function"
    case Kind.yield:
      return insideFunction(tree, node) ? null : "'yield' outside function"
    case Kind.break_statement:
      return insideLoop(tree, node) ? null : "'break' outside loop"
    case Kind.continue_statement:
      return insideLoop(tree, node) ? null : "'continue' not properly in loop"
    case Kind.as_pattern:
      return mayBindHere(tree, node) ? null : "invalid syntax"
    case Kind.except_clause: {
      const parts = children(tree, node)
      return parts.length > 2 ? "multiple exception types must be parenthesized" : null
    }
    case Kind.try_statement: {
      const closed = children(tree, node).some(
        (part) => tree.kind[part] === Kind.except_clause || tree.kind[part] === Kind.finally_clause,
      )
      return closed ? null : "expected 'except' or 'finally' block"
    }
    case Kind.tuple_pattern: {
      const parent = tree.kind[tree.parent[node] ?? 0]
      return parent === Kind.parameters || parent === Kind.lambda_parameters ? "a parameter cannot be a tuple" : null
    }
    default:
      return null
  }
}

/** `as` stands in with, except and case; the grammar reads the brackets of a with statement as a tuple's. */
function mayBindHere(tree: PythonTree, node: number): boolean {
  let above = tree.parent[node] ?? 0
  while (tree.kind[above] === Kind.parenthesized_expression || tree.kind[above] === Kind.tuple)
    above = tree.parent[above] ?? 0
  const directly = above === tree.parent[node]
  return tree.kind[above] === Kind.with_item || (directly && TARGETS.has(tree.kind[above] ?? Kind.other))
}

/** Outside of an f-string's expressions, a string in single quotes goes on only behind a backslash. */
function endsOnItsLine(tree: PythonTree, node: number): boolean {
  const text = tree.text.slice(tree.start[node], tree.end[node])
  if (!text.includes("\n") || /^[A-Za-z]*(?:"""|''')/.test(text)) return true
  let at = tree.start[node] ?? 0
  const holes = children(tree, node).filter((part) => tree.kind[part] === Kind.interpolation)
  for (const hole of [...holes, -1]) {
    const to = hole < 0 ? (tree.end[node] ?? at) : (tree.start[hole] ?? at)
    if (/\n/.test(tree.text.slice(at, to).replace(/\\[\s\S]/g, ""))) return false
    at = tree.end[hole] ?? at
  }
  return true
}

function insideFunction(tree: PythonTree, node: number): boolean {
  for (let at = tree.parent[node] ?? -1; at >= 0; at = tree.parent[at] ?? -1) {
    const kind = tree.kind[at] ?? Kind.other
    if (FUNCTIONS.has(kind)) return true
    if (kind === Kind.class_definition) return false
  }
  return false
}

function insideLoop(tree: PythonTree, node: number): boolean {
  let from = node
  for (let at = tree.parent[node] ?? -1; at >= 0; at = tree.parent[at] ?? -1) {
    const kind = tree.kind[at] ?? Kind.other
    // A loop's `else` is no longer in the loop.
    if (LOOPS.has(kind) && tree.kind[from] === Kind.block) return true
    if (FUNCTIONS.has(kind) || kind === Kind.class_definition) return false
    from = at
  }
  return false
}
