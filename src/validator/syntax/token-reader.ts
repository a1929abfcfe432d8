import { Kind } from "../node-kinds.ts"
import { type Arena, N, USE } from "./arena.ts"
import { DEBUG } from "./names.ts"
import type { Tokens } from "./tokenizer.ts"
import { BROKEN, DEDENT, END, INDENT, NAME, NEWLINE, SyntaxProblem, TOKEN_NAMES, tokenKind } from "./tokens.ts"
import { TreeBuilder } from "./tree-builder.ts"
import type { Workspace } from "./workspace.ts"

const IDENTIFIER = Kind.identifier

/** A place in the tokens and the nodes read since the statement began; what every part of the parser stands on. */
export abstract class TokenReader {
  protected at = 0
  readonly arena: Arena

  readonly tree: TreeBuilder

  constructor(
    readonly tokens: Tokens,
    workspace: Workspace,
  ) {
    this.arena = workspace.arena
    this.arena.clear()
    this.tree = new TreeBuilder(tokens.text.length, workspace)
  }

  protected get kind(): number {
    return this.tokens.kind[this.at] ?? END
  }

  protected kindAfter(distance: number): number {
    return this.tokens.kind[this.at + distance] ?? END
  }

  startOf(token: number): number {
    return this.tokens.start[token] ?? 0
  }

  /** A node of the file's tree over all of its nodes from `first` on; its text begins with a token and ends here. */
  protected node(kind: number, first: number, begin: number): void {
    this.tree.add(kind, first, this.tokens.start[begin] ?? 0, this.tokens.end[this.at - 1] ?? 0)
  }

  /** Takes one token, which is a node of its own. */
  protected leaf(kind: number): void {
    this.tree.leaf(kind, this.tokens.start[this.at] ?? 0, this.tokens.end[this.at] ?? 0)
    this.at++
  }

  textOf(token: number): string {
    return this.tokens.text.slice(this.tokens.start[token], this.tokens.end[token])
  }

  nameOf(token: number): number {
    return this.tokens.name[token] ?? 0
  }

  protected take(kind: number): boolean {
    if (this.kind !== kind) return false
    this.at++
    return true
  }

  protected expect(kind: number): void {
    if (this.kind !== kind) throw this.unexpected(TOKEN_NAMES[kind])
    this.at++
  }

  /** The token of a name, which becomes an identifier of the tree; keywords are none. */
  protected expectName(): number {
    if (this.kind !== NAME) throw this.unexpected("a name")
    const token = this.at++
    this.tree.leaf(IDENTIFIER, this.tokens.start[token] ?? 0, this.tokens.end[token] ?? 0, this.nameOf(token))
    return token
  }

  protected unexpected(wanted?: string): SyntaxProblem {
    const { kind, problem } = this.tokens
    const found = kind[this.at] ?? END
    if (found === BROKEN && problem !== null) return problem
    if (found === INDENT) return this.problem("unexpected indent")
    if (found === DEDENT) return this.problem("unexpected unindent")
    if (wanted === undefined) return this.problem("invalid syntax")
    const spelled = /^[a-z]/.test(wanted) && tokenKind(wanted) < 0 ? wanted : `'${wanted}'`
    if (found === NEWLINE || found === END) return this.problem(`expected ${spelled} before the end of the line`)
    return this.problem(`expected ${spelled}`)
  }

  protected problem(reason: string, token = this.at): SyntaxProblem {
    return new SyntaxProblem(this.startOf(token), reason)
  }

  /** Index into the text where a node of the arena begins. */
  protected nodeStart(node: number): number {
    const { arena } = this
    const own = this.startOf(arena.token[node] ?? 0)
    const first = arena.first[node] ?? node
    return first === node ? own : Math.min(own, this.startOf(arena.token[first] ?? 0))
  }

  protected problemAt(node: number, reason: string): SyntaxProblem {
    return new SyntaxProblem(this.nodeStart(node), reason)
  }

  protected nameLeaf(use: number): number {
    const node = this.arena.leaf(N.name, this.expectName())
    this.arena.use[node] = use
    if (use !== USE.load) this.refuseDebug(this.arena.token[node] ?? 0)
    return node
  }

  protected refuseDebug(token: number): void {
    if (this.nameOf(token) === DEBUG) throw this.problem("cannot assign to __debug__", token)
  }
}
