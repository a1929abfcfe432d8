/**
 * The file's tree while it is read, in postorder. Nodes are numbers in arrays; nothing is allocated for one, and `inPreorder` turns the arrays around once the file is read.
 */
import { Kind } from "../node-kinds.ts"
import type { PythonTree } from "../python-tree.ts"
import type { Names } from "./names.ts"
import type { NodeArrays, Workspace } from "./workspace.ts"

/** Kinds as an expression, by the kinds they have as an assignment's target. */
const AS_TARGET = new Int16Array(256).fill(-1)
AS_TARGET[Kind.expression_list] = Kind.pattern_list
AS_TARGET[Kind.list] = Kind.list_pattern
AS_TARGET[Kind.list_splat] = Kind.list_splat_pattern
AS_TARGET[Kind.parenthesized_expression] = Kind.tuple_pattern
AS_TARGET[Kind.tuple] = Kind.tuple_pattern

export class TreeBuilder {
  size = 0
  arrays: NodeArrays
  /** Of the statements and blocks around the place that is read, the outermost first: kind, first node and start. */
  private readonly open: number[] = []
  private soundSize = 0
  private soundOpen = 0

  constructor(
    characters: number,
    private readonly workspace: Workspace,
  ) {
    // Sound Python has about one node for every five to ten characters; the arrays grow when a file has more.
    this.arrays = workspace.nodesFor(Math.max(64, characters >> 2))
  }

  /** A node over all nodes from `first` on. `name` is that of an identifier. */
  add(kind: number, first: number, start: number, end: number, name = 0): void {
    const node = this.size
    if (node === this.arrays.kind.length) this.arrays = this.workspace.moreNodes()
    const { arrays } = this
    arrays.kind[node] = kind
    arrays.start[node] = start
    arrays.end[node] = end
    arrays.first[node] = first
    arrays.name[node] = name
    this.size = node + 1
  }

  leaf(kind: number, start: number, end: number, name = 0): void {
    this.add(kind, this.size, start, end, name)
  }

  /** Begins a statement or block, which `close` ends. */
  begin(kind: number, start: number): void {
    this.open.push(kind, this.size, start)
  }

  /** Ends the innermost statement or block with its last part. */
  close(): void {
    const { open } = this
    const top = open.length - 3
    const first = open[top + 1] ?? 0
    const start = open[top + 2] ?? 0
    this.add(open[top] ?? 0, first, start, this.size > first ? (this.arrays.end[this.size - 1] ?? start) : start)
    open.length = top
    this.keep()
  }

  /** All that was read so far is sound. */
  keep(): void {
    this.soundSize = this.size
    this.soundOpen = this.open.length
  }

  /** Drops what was read since `keep` and ends what was open then. */
  backToSound(): void {
    this.size = this.soundSize
    this.open.length = this.soundOpen
    while (this.open.length > 0) this.close()
  }

  /** The last node is assigned to: its brackets and commas are those of targets. */
  lastAsTarget(): void {
    const { kind, first } = this.arrays
    if ((AS_TARGET[kind[this.size - 1] ?? 0] ?? -1) < 0) return
    const pending = [this.size - 1]
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const target = AS_TARGET[kind[node] ?? 0] ?? -1
      if (target < 0) continue
      kind[node] = target
      const from = first[node] ?? node
      for (let part = node - 1; part >= from; part = (first[part] ?? part) - 1) pending.push(part)
    }
  }
}

function grown(from: Int32Array, room: number): Int32Array<ArrayBuffer> {
  const into = new Int32Array(room)
  into.set(from)
  return into
}

/**
 * The nodes with each before its parts. `tooDeepAt` is null, or where the first node begins that has more than `maxDepth`
 * nodes around it. A node's place is the number of nodes that end before it begins plus the number of those around it.
 */
export function inPreorder(
  text: string,
  names: Names,
  nodes: TreeBuilder,
  maxDepth: number,
): { tree: PythonTree; tooDeepAt: number | null } {
  const { size, arrays } = nodes
  const { first } = arrays
  const kind = new Int16Array(size)
  const start = new Int32Array(size)
  const end = new Int32Array(size)
  const last = new Int32Array(size)
  const parent = new Int32Array(size)
  const name = new Int32Array(size)
  const inner = new Int32Array(size)
  // Of the nodes around: where each one's subtree begins in postorder, and its place.
  let firsts = new Int32Array(256)
  let places = new Int32Array(256)
  let depth = 0
  let tooDeep = size
  for (let node = size - 1; node >= 0; node--) {
    while (depth > 0 && node < (firsts[depth - 1] ?? 0)) depth--
    const from = first[node] ?? node
    const place = from + depth
    inner[node] = place
    kind[place] = arrays.kind[node] ?? 0
    start[place] = arrays.start[node] ?? 0
    end[place] = arrays.end[node] ?? 0
    name[place] = arrays.name[node] ?? 0
    last[place] = place + node - from + 1
    parent[place] = depth === 0 ? -1 : (places[depth - 1] ?? 0)
    if (depth > maxDepth && place < tooDeep) tooDeep = place
    if (from === node) continue
    if (depth === firsts.length) {
      firsts = grown(firsts, depth * 2)
      places = grown(places, depth * 2)
    }
    firsts[depth] = from
    places[depth] = place
    depth++
  }
  const tree = { text, names, size, kind, start, end, last, parent, name, inner }
  return { tree, tooDeepAt: tooDeep < size ? (start[tooDeep] ?? 0) : null }
}
