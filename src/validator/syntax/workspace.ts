import { Arena } from "./arena.ts"
import { Names } from "./names.ts"

/** In the order of the text. */
export class TokenArrays {
  readonly kind: Uint8Array
  /** UTF-16 indexes into the text. */
  readonly start: Int32Array
  readonly end: Int32Array
  /** Numbers of words in `Names`; 0 for whatever is none. */
  readonly name: Int32Array

  constructor(room: number, from?: TokenArrays) {
    this.kind = new Uint8Array(room)
    this.start = new Int32Array(room)
    this.end = new Int32Array(room)
    this.name = new Int32Array(room)
    if (from === undefined) return
    this.kind.set(from.kind)
    this.start.set(from.start)
    this.end.set(from.end)
    this.name.set(from.name)
  }
}

/** In postorder: a node follows its parts, and `first` is where its subtree begins. */
export class NodeArrays extends TokenArrays {
  readonly first: Int32Array

  constructor(room: number, from?: NodeArrays) {
    super(room, from)
    this.first = new Int32Array(room)
    if (from !== undefined) this.first.set(from.first)
  }
}

/**
 * What the files of a plugin have in common while they are read, one after the other: their words, and the arrays that one
 * file fills and the next overwrites. Arrays of its own for each file made a tenth of a scan's time.
 */
export class Workspace {
  readonly names = new Names()
  readonly arena = new Arena()
  tokens = new TokenArrays(0)
  nodes = new NodeArrays(0)

  private handled = new Uint8Array(0)
  private entered = new Int32Array(0)

  /** Zeros for each node of a tree, for one walk over it. */
  marksFor(nodes: number): { handled: Uint8Array; entered: Int32Array } {
    if (this.handled.length < nodes) {
      this.handled = new Uint8Array(nodes)
      this.entered = new Int32Array(nodes)
    } else {
      this.handled.fill(0, 0, nodes)
      this.entered.fill(0, 0, nodes)
    }
    return { handled: this.handled, entered: this.entered }
  }

  tokensFor(room: number): TokenArrays {
    if (this.tokens.kind.length < room) this.tokens = new TokenArrays(room)
    return this.tokens
  }

  nodesFor(room: number): NodeArrays {
    if (this.nodes.kind.length < room) this.nodes = new NodeArrays(room)
    return this.nodes
  }

  /** The same tokens with room for twice as many. */
  moreTokens(): TokenArrays {
    this.tokens = new TokenArrays(this.tokens.kind.length * 2, this.tokens)
    return this.tokens
  }

  moreNodes(): NodeArrays {
    this.nodes = new NodeArrays(this.nodes.kind.length * 2, this.nodes)
    return this.nodes
  }
}
