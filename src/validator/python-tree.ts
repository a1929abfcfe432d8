/**
 * A parsed Python file as flat arrays in preorder. The scan works on the arrays: they need no recursion whatever the nesting
 * of the source. Comments, most punctuation and keywords are left out, so that a node's parts are found by their place among
 * its children. The kinds and shapes are those of tree-sitter-python but for what `test/validator/tree.test.ts` names.
 */
import { checkSyntax } from "./syntax/check-syntax.ts"
import type { Names } from "./syntax/names.ts"
import { inPreorder } from "./syntax/tree-builder.ts"
import { Workspace } from "./syntax/workspace.ts"

export interface PythonTree {
  readonly text: string
  readonly names: Names
  readonly size: number
  readonly kind: Int16Array
  /** UTF-16 indexes into `text`. */
  readonly start: Int32Array
  readonly end: Int32Array
  /** Index after the node's last descendant: `last[i]` is the next sibling, when that lies before `last[parent]`. */
  readonly last: Int32Array
  readonly parent: Int32Array
  /** Of identifiers: the number of the name in `names`; 0 for every other node. */
  readonly name: Int32Array
  /** All nodes, each after its parts, otherwise as in the source. */
  readonly inner: Int32Array
}

export interface SourceProblem {
  readonly index: number
  readonly message: string
}

/** `problem` is the first place that Python refuses, or the limit the file goes past; null for a sound tree. */
export interface ParsedSource {
  /** All of the file, or the statements before the problem; null past a limit. */
  readonly tree: PythonTree | null
  readonly problem: SourceProblem | null
}

/** The deepest expression that any of CPython 3.10 to 3.13 compiles has 9,996 levels (3.13), and stands in blocks. */
const MAX_DEPTH = 10_300

/** Parses one file, of up to `maxNodes` nodes. Time and memory are linear in the text. */
export function parsePython(text: string, maxNodes: number, workspace = new Workspace()): ParsedSource {
  const { problem, nodes } = checkSyntax(text, workspace)
  if (nodes.size > maxNodes) return { tree: null, problem: tooComplex(nodes.arrays.start[maxNodes] ?? 0) }
  const { tree, tooDeepAt } = inPreorder(text, workspace.names, nodes, MAX_DEPTH)
  if (tooDeepAt === null) return { tree, problem }
  return {
    tree: null,
    problem: problem ?? { index: tooDeepAt, message: "Syntax error: the code is nested too deeply" },
  }
}

function tooComplex(index: number): SourceProblem {
  return { index, message: "Too complex: the code cannot be read within its budget. Keep data out of the code" }
}

/** Direct children in order. */
export function children(tree: PythonTree, node: number): number[] {
  const found: number[] = []
  const stop = tree.last[node] ?? 0
  for (let child = node + 1; child < stop; child = tree.last[child] ?? stop) found.push(child)
  return found
}

/** The name of an identifier as CPython compares it; empty for any other node. */
export function nameOf(tree: PythonTree, node: number): string {
  return tree.names.textOf(tree.name[node] ?? 0)
}

export function textOf(tree: PythonTree, node: number): string {
  return tree.text.slice(tree.start[node], tree.end[node])
}

/** `a.b.c` of a dotted_name; blanks and line continuations between its parts do not count. */
export function dottedNameOf(tree: PythonTree, node: number): string {
  return children(tree, node)
    .map((part) => nameOf(tree, part))
    .join(".")
}
