/**
 * The expressions of one statement in postorder: a node follows its parts, and `first` is where its subtree begins. Kept
 * only until the statement's names have reached their scopes; literals and operators are told apart no further than the
 * rules on targets and scopes need.
 */
export const N = {
  other: 0,
  name: 1,
  attribute: 2,
  subscript: 3,
  call: 4,
  /** Without brackets around it. */
  tuple: 5,
  bracketedTuple: 6,
  list: 7,
  starred: 8,
  parenthesized: 9,
  named: 10,
  lambda: 11,
  lambdaBody: 12,
  comprehension: 13,
  generator: 14,
  firstIterable: 15,
  iterable: 16,
  yield: 17,
  yieldFrom: 18,
  await: 19,
  literal: 20,
  parameter: 21,
  annotation: 22,
  formatted: 23,
  asyncFor: 24,
} as const

const SPECIAL = new Uint8Array(256)
for (const kind of [N.parameter, N.lambda, N.lambdaBody, N.comprehension, N.generator, N.firstIterable, N.iterable]) {
  SPECIAL[kind] = 1
}
for (const kind of [N.annotation, N.asyncFor, N.yield, N.yieldFrom, N.await, N.named]) SPECIAL[kind] = 1

/** How a name is used; 0 is a read. */
export const USE = { load: 0, store: 1, delete: 2, walrus: 3, iteration: 4, annotated: 5, none: 6 } as const

export class Arena {
  size = 0
  /** Not 0 when the statement has nodes with scopes of their own, or rules on where they may stand. */
  special = 0
  kind = new Uint8Array(1024)
  use = new Uint8Array(1024)
  first = new Int32Array(1024)
  token = new Int32Array(1024)

  /** A node over all nodes from `first` on. */
  add(kind: number, first: number, token: number): number {
    if (this.size === this.kind.length) this.grow()
    const node = this.size++
    this.kind[node] = kind
    this.use[node] = 0
    this.special |= SPECIAL[kind] ?? 0
    this.first[node] = first
    this.token[node] = token
    return node
  }

  leaf(kind: number, token: number): number {
    return this.add(kind, this.size, token)
  }

  /** Parts of a node, last one first. */
  parts(node: number): number[] {
    const found: number[] = []
    const from = this.first[node] ?? node
    for (let part = node - 1; part >= from; part = (this.first[part] ?? part) - 1) found.push(part)
    return found
  }

  clear(): void {
    this.size = 0
    this.special = 0
  }

  private grow(): void {
    const room = this.size * 2
    const kind = new Uint8Array(room)
    kind.set(this.kind)
    this.kind = kind
    const use = new Uint8Array(room)
    use.set(this.use)
    this.use = use
    const first = new Int32Array(room)
    first.set(this.first)
    this.first = first
    const token = new Int32Array(room)
    token.set(this.token)
    this.token = token
  }
}
