/**
 * A parsed Python file as flat arrays in preorder, read once from tree-sitter's cursor. The scan works on the arrays: they
 * need no recursion whatever the nesting of the source, no calls into wasm, and the tree-sitter tree is freed at once.
 * Comments and most punctuation are left out, so that a node's parts are found by their place among its children.
 */
import type { Language, Parser, TreeCursor } from "web-tree-sitter"
import { joinBracketedLines } from "./joined-lines.ts"
import { KINDS, Kind, type KindName } from "./node-kinds.ts"
import { checkSyntax, withoutContinuations } from "./syntax/check-syntax.ts"

/** Left out of the arrays: they hold no names, or their text is read from their parent. */
const SKIPPED = new Set([
  "comment",
  "line_continuation",
  "string_start",
  "string_content",
  "string_end",
  "escape_sequence",
])
const SKIP = -1

export interface PythonTree {
  readonly text: string
  readonly size: number
  readonly kind: Int16Array
  /** UTF-16 indexes into `text`. */
  readonly start: Int32Array
  readonly end: Int32Array
  /** Index after the node's last descendant: `last[i]` is the next sibling, when that lies before `last[parent]`. */
  readonly last: Int32Array
  readonly parent: Int32Array
}

export interface SourceProblem {
  readonly index: number
  readonly message: string
}

/** `problem` is the first place that Python refuses, or the limit the file goes past; null for a sound tree. */
export interface ParsedSource {
  readonly tree: PythonTree | null
  readonly problem: SourceProblem | null
}

/** CPython's tokenizer refuses more than 200 open brackets (MAXLEVEL) and 99 levels of indentation (MAXINDENT). */
const MAX_BRACKETS = 200
const MAX_BLOCKS = 100
/** The deepest expression that any of CPython 3.10 to 3.13 compiles has 9,996 levels (3.13), and stands in blocks. */
const MAX_DEPTH = 10_300
/** The parser reports progress every hundred steps or so; sound Python takes under 0.1 reports a character. */
const PROGRESS_PER_CHARACTER = 1
const PROGRESS_FLOOR = 20_000

const BRACKETED = new Set<number>([
  Kind.argument_list,
  Kind.dictionary,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
  Kind.list,
  Kind.list_comprehension,
  Kind.list_pattern,
  Kind.parameters,
  Kind.parenthesized_expression,
  Kind.set,
  Kind.set_comprehension,
  Kind.tuple,
  Kind.tuple_pattern,
])

/** Kind numbers by the grammar's symbol ids. */
export function kindTable(language: Language): Int16Array {
  const table = new Int16Array(language.nodeTypeCount).fill(SKIP)
  for (let id = 0; id < table.length; id++) {
    const name = language.nodeTypeForId(id)
    if (name === null || SKIPPED.has(name)) continue
    const kind = KINDS.indexOf(name as KindName)
    if (language.nodeTypeIsNamed(id)) table[id] = kind < 0 ? Kind.other : kind
    else if (name === "<>") table[id] = kind
  }
  return table
}

/** Parses one file. Time and memory are linear in the text; the tree-sitter tree does not outlive the call. */
export function parsePython(parser: Parser, kinds: Int16Array, text: string, maxNodes: number): ParsedSource {
  const { problem: refused, sound, continuations } = checkSyntax(text)
  const plain = withoutContinuations(text, continuations)
  if (refused !== null) {
    // Only what stands before the broken statement is scanned too: past an error the parser guesses, for minutes if the
    // file is made for it.
    const { tree } = parseOnce(parser, kinds, plain.slice(0, sound), text, maxNodes)
    return { tree, problem: refused }
  }
  const first = parseOnce(parser, kinds, plain, text, maxNodes)
  if (first.problem === null || first.tree === null) return first
  // The grammar ends a statement at a line that starts left of its block even between brackets, where CPython does not
  // care. Lines joined there read the same to CPython and are sound to the grammar.
  const joined = joinBracketedLines(plain)
  if (joined === null || joined === plain) return first
  const second = parseOnce(parser, kinds, joined, text, maxNodes)
  return second.problem === null && second.tree !== null ? second : first
}

/** `plain` is `text`, or reads the same to Python with every name in its place. */
function parseOnce(parser: Parser, kinds: Int16Array, plain: string, text: string, maxNodes: number): ParsedSource {
  let steps = Math.max(PROGRESS_FLOOR, text.length * PROGRESS_PER_CHARACTER)
  const tree = parser.parse(plain, null, {
    progressCallback: () => --steps < 0,
  })
  if (tree === null) {
    parser.reset()
    return { tree: null, problem: tooComplex(0) }
  }
  try {
    const cursor = tree.walk()
    try {
      const flat = flatten(cursor, kinds, text, maxNodes)
      if (flat.problem !== null || !tree.rootNode.hasError) return flat
      cursor.reset(tree.rootNode)
      return { tree: flat.tree, problem: firstBroken(cursor) }
    } finally {
      cursor.delete()
    }
  } finally {
    tree.delete()
  }
}

function flatten(cursor: TreeCursor, kinds: Int16Array, text: string, maxNodes: number): ParsedSource {
  // Sound Python has about one kept node for every five characters; the arrays grow when a file has more.
  let room = Math.max(64, text.length >> 2)
  let kind = new Int16Array(room)
  let start = new Int32Array(room)
  let end = new Int32Array(room)
  let last = new Int32Array(room)
  let parent = new Int32Array(room)
  let size = 0
  const open: number[] = []
  let brackets = 0
  let blocks = 0
  let current = -1
  for (;;) {
    const found = kinds[cursor.nodeTypeId] ?? Kind.other
    if (found !== SKIP) {
      if (size === maxNodes) return { tree: null, problem: tooComplex(cursor.startIndex) }
      if (size === room) {
        room *= 2
        kind = grown(kind, new Int16Array(room))
        start = grown(start, new Int32Array(room))
        end = grown(end, new Int32Array(room))
        last = grown(last, new Int32Array(room))
        parent = grown(parent, new Int32Array(room))
      }
      const from = cursor.startIndex
      kind[size] = found
      start[size] = from
      end[size] = cursor.endIndex
      parent[size] = current
      const node = size++
      if (cursor.gotoFirstChild()) {
        if (BRACKETED.has(found) && ++brackets > MAX_BRACKETS) return tooDeep(from, "too many nested parentheses")
        if (found === Kind.block && ++blocks > MAX_BLOCKS) return tooDeep(from, "too many levels of indentation")
        if (open.length > MAX_DEPTH) return tooDeep(from, "the code is nested too deeply")
        open.push(node)
        current = node
        continue
      }
      last[node] = size
    }
    let more = cursor.gotoNextSibling()
    while (!more) {
      const closed = open.pop()
      if (closed === undefined) break
      last[closed] = size
      const closedKind = kind[closed] ?? Kind.other
      if (BRACKETED.has(closedKind)) brackets--
      else if (closedKind === Kind.block) blocks--
      current = open.at(-1) ?? -1
      cursor.gotoParent()
      more = cursor.gotoNextSibling()
    }
    if (!more) return { tree: { text, size, kind, start, end, last, parent }, problem: null }
  }
}

function tooDeep(index: number, reason: string): ParsedSource {
  return { tree: null, problem: syntaxError(index, reason) }
}

function tooComplex(index: number): SourceProblem {
  return { index, message: "Too complex: the code cannot be read within its budget. Keep data out of the code" }
}

function syntaxError(index: number, reason: string): SourceProblem {
  return { index, message: `Syntax error: ${reason}` }
}

function grown<T extends Int16Array | Int32Array>(from: T, into: T): T {
  into.set(from)
  return into
}

/** The innermost broken place on the way to the first one: an error node may span everything from the file's start. */
function firstBroken(cursor: TreeCursor): SourceProblem {
  let broken: SourceProblem | null = null
  let brokenEnd = 0
  let depth = 0
  for (;;) {
    if (broken !== null && cursor.startIndex >= brokenEnd) return broken
    if (cursor.nodeIsMissing) return syntaxError(cursor.startIndex, `expected '${cursor.nodeType}'`)
    if (cursor.nodeType === "ERROR") {
      broken = syntaxError(cursor.startIndex, "invalid syntax")
      brokenEnd = cursor.endIndex
    }
    if (cursor.gotoFirstChild()) {
      depth++
      continue
    }
    while (!cursor.gotoNextSibling()) {
      if (depth === 0) return broken ?? syntaxError(0, "invalid syntax")
      cursor.gotoParent()
      depth--
    }
  }
}

/** Direct children in order. */
export function children(tree: PythonTree, node: number): number[] {
  const found: number[] = []
  const stop = tree.last[node] ?? 0
  for (let child = node + 1; child < stop; child = tree.last[child] ?? stop) found.push(child)
  return found
}

/** CPython compares names after NFKC normalisation (PEP 3131). */
export function nameOf(tree: PythonTree, node: number): string {
  const name = tree.text.slice(tree.start[node], tree.end[node])
  return /^[\0-\x7f]*$/.test(name) ? name : name.normalize("NFKC")
}

/** `a.b.c` of a dotted_name; blanks and line continuations between its parts do not count. */
export function dottedNameOf(tree: PythonTree, node: number): string {
  return children(tree, node)
    .map((part) => nameOf(tree, part))
    .join(".")
}
