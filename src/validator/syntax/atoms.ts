import { N, USE } from "./arena.ts"
import { TargetReader } from "./targets.ts"
import {
  BYTES,
  FSTRING_END,
  FSTRING_MIDDLE,
  FSTRING_START,
  kindSet,
  NAME,
  NUMBER,
  STRING,
  type SyntaxProblem,
  tokenKind,
} from "./tokens.ts"

export const T = {
  open: tokenKind("("),
  close: tokenKind(")"),
  openSquare: tokenKind("["),
  closeSquare: tokenKind("]"),
  openBrace: tokenKind("{"),
  closeBrace: tokenKind("}"),
  comma: tokenKind(","),
  colon: tokenKind(":"),
  dot: tokenKind("."),
  equals: tokenKind("="),
  walrus: tokenKind(":="),
  star: tokenKind("*"),
  doubleStar: tokenKind("**"),
  slash: tokenKind("/"),
  exclamation: tokenKind("!"),
  ellipsis: tokenKind("..."),
  yield: tokenKind("yield"),
  from: tokenKind("from"),
  for: tokenKind("for"),
  async: tokenKind("async"),
  await: tokenKind("await"),
  in: tokenKind("in"),
  if: tokenKind("if"),
  else: tokenKind("else"),
  lambda: tokenKind("lambda"),
  not: tokenKind("not"),
  is: tokenKind("is"),
  and: tokenKind("and"),
  or: tokenKind("or"),
  as: tokenKind("as"),
} as const

const LITERALS = kindSet("number None True False ...")
const STRINGS = kindSet("string bytes fstring_start")
/** What an expression, starred or not, can start with. */
export const STARTS = kindSet(
  "name number string bytes fstring_start None True False ... ( [ { + - ~ * not lambda await",
)

/** Names, literals, what brackets hold, strings with their replacement fields. */
export abstract class AtomReader extends TargetReader {
  abstract expression(): number
  protected abstract disjunction(bitwise?: boolean): number

  protected atom(): number {
    const { kind } = this
    if (kind === NAME) return this.nameLeaf(USE.load)
    if (LITERALS[kind] === 1) return this.arena.leaf(N.literal, this.at++)
    if (STRINGS[kind] === 1) return this.strings()
    if (kind === T.open) return this.group()
    if (kind === T.openSquare) return this.list()
    if (kind === T.openBrace) return this.braces()
    throw this.unexpected()
  }

  /** `name := value`, or an expression. */
  protected namedExpression(): number {
    if (this.kind !== NAME || this.kindAfter(1) !== T.walrus) return this.expression()
    const { arena, at } = this
    const from = this.nameLeaf(USE.walrus)
    this.at++
    this.expression()
    return arena.add(N.named, from, at)
  }

  protected starNamed(): number {
    return this.kind === T.star ? this.starred() : this.namedExpression()
  }

  protected starred(): number {
    const { at } = this
    const from = this.arena.size
    this.at++
    this.disjunction(true)
    return this.arena.add(N.starred, from, at)
  }

  /** Expressions between commas: one of them alone, or a tuple. */
  protected starExpressions(): number {
    const { arena, at } = this
    const from = arena.size
    let only = this.kind === T.star ? this.starred() : this.expression()
    if (this.kind !== T.comma) return only
    while (this.take(T.comma) && STARTS[this.kind] === 1) {
      only = this.kind === T.star ? this.starred() : this.expression()
    }
    return arena.add(N.tuple, from, at)
  }

  /** As `starExpressions`, where a lone starred expression has no meaning. */
  protected values(): number {
    return this.refuseStarred(this.starExpressions())
  }

  protected refuseStarred(node: number): number {
    if (this.arena.kind[node] === N.starred) throw this.problemAt(node, "can't use starred expression here")
    return node
  }

  protected yieldOrValues(): number {
    return this.kind === T.yield ? this.yieldExpression() : this.values()
  }

  protected yieldExpression(): number {
    const { arena, at } = this
    const from = arena.size
    this.at++
    if (this.take(T.from)) {
      this.expression()
      return arena.add(N.yieldFrom, from, at)
    }
    if (STARTS[this.kind] === 1) this.values()
    return arena.add(N.yield, from, at)
  }

  private group(): number {
    const { arena, at } = this
    const from = arena.size
    this.at++
    if (this.take(T.close)) return arena.add(N.bracketedTuple, from, at)
    if (this.kind === T.yield) {
      this.yieldExpression()
      this.expect(T.close)
      return arena.add(N.parenthesized, from, at)
    }
    const first = this.starNamed()
    if (this.startsClauses()) {
      this.clauses(first)
      this.expect(T.close)
      return arena.add(N.generator, from, at)
    }
    if (this.kind === T.comma) {
      this.elements(T.close)
      return arena.add(N.bracketedTuple, from, at)
    }
    this.expect(T.close)
    if (arena.kind[first] === N.starred) throw this.problemAt(first, "cannot use starred expression here")
    return arena.add(N.parenthesized, from, at)
  }

  private list(): number {
    const { arena, at } = this
    const from = arena.size
    this.at++
    if (this.take(T.closeSquare)) return arena.add(N.list, from, at)
    const first = this.starNamed()
    if (this.startsClauses()) {
      this.clauses(first)
      this.expect(T.closeSquare)
      return arena.add(N.comprehension, from, at)
    }
    this.elements(T.closeSquare)
    return arena.add(N.list, from, at)
  }

  /** The rest of a bracket after its first element. */
  private elements(close: number): void {
    while (this.take(T.comma)) {
      if (this.kind === close) break
      this.starNamed()
    }
    this.expect(close)
  }

  private braces(): number {
    const { arena, at } = this
    const from = arena.size
    this.at++
    let kind: number = N.other
    if (this.kind === T.doubleStar) this.pairs()
    else if (this.kind !== T.closeBrace) {
      const first = this.starNamed()
      const firstKind = arena.kind[first] ?? N.other
      if (this.kind === T.colon && firstKind !== N.starred && firstKind !== N.named) {
        this.at++
        this.expression()
        if (this.startsClauses()) {
          this.clauses(first)
          kind = N.comprehension
        } else if (this.take(T.comma)) this.pairs()
      } else if (this.startsClauses()) {
        this.clauses(first)
        kind = N.comprehension
      } else {
        this.elements(T.closeBrace)
        return arena.add(kind, from, at)
      }
    }
    this.expect(T.closeBrace)
    return arena.add(kind, from, at)
  }

  private pairs(): void {
    while (this.kind !== T.closeBrace) {
      if (this.take(T.doubleStar)) this.disjunction(true)
      else {
        this.expression()
        this.expect(T.colon)
        this.expression()
      }
      if (!this.take(T.comma)) break
    }
  }

  protected startsClauses(): boolean {
    return this.kind === T.for || (this.kind === T.async && this.kindAfter(1) === T.for)
  }

  /** The `for` and `if` of a comprehension whose element is `element`. */
  protected clauses(element: number): void {
    const { arena } = this
    if (arena.kind[element] === N.starred) {
      throw this.problemAt(element, "iterable unpacking cannot be used in comprehension")
    }
    let iterable: number = N.firstIterable
    while (this.startsClauses()) {
      if (this.kind === T.async) arena.leaf(N.asyncFor, this.at++)
      this.at++
      this.targets(USE.iteration)
      const { at } = this
      this.expect(T.in)
      const from = arena.size
      this.disjunction()
      arena.add(iterable, from, at)
      iterable = N.iterable
      while (this.take(T.if)) this.disjunction()
    }
  }

  /** The targets of a `for`, up to its `in`. */
  protected targets(use: number): void {
    const { arena, at } = this
    const from = arena.size
    let node = this.starTarget()
    if (this.kind === T.comma) {
      while (this.take(T.comma) && this.kind !== T.in) this.starTarget()
      node = arena.add(N.tuple, from, at)
    }
    this.assignTo(node, use)
  }

  protected starTarget(): number {
    const { at } = this
    const from = this.arena.size
    if (!this.take(T.star)) return this.primary()
    this.primary()
    return this.arena.add(N.starred, from, at)
  }

  protected abstract primary(): number

  /** Adjacent literals, which become one. */
  private strings(): number {
    const { arena, at } = this
    const from = arena.size
    const bytes = this.kind === BYTES
    let formatted = false
    for (; STRINGS[this.kind] === 1; ) {
      if ((this.kind === BYTES) !== bytes) throw this.problem("cannot mix bytes and nonbytes literals", at)
      if (this.kind === FSTRING_START) {
        formatted = true
        this.at++
        this.formattedParts(FSTRING_END)
      } else this.at++
    }
    return arena.add(formatted ? N.formatted : N.literal, from, at)
  }

  /** The text and replacement fields of an f-string or of a format spec, which end at `close`. */
  private formattedParts(close: number): void {
    while (!this.take(close)) {
      if (this.take(FSTRING_MIDDLE)) continue
      this.expect(T.openBrace)
      if (this.kind === T.closeBrace || this.kind === T.colon || this.kind === T.exclamation) {
        throw this.problem("f-string: valid expression required")
      }
      this.fieldExpression()
      this.take(T.equals)
      if (this.take(T.exclamation)) this.conversion()
      if (this.take(T.colon)) this.formattedParts(T.closeBrace)
      else if (!this.take(T.closeBrace)) throw this.fieldProblem()
    }
  }

  private fieldExpression(): void {
    const { arena, at } = this
    const from = arena.size
    const node = this.yieldOrValues()
    // Up to 3.11 an expression is read as if it stood in parentheses.
    if (!this.startsClauses() || arena.kind[node] === N.tuple) return
    this.clauses(node)
    arena.add(N.generator, from, at)
  }

  private conversion(): void {
    const adjacent = this.tokens.end[this.at - 1] === this.startOf(this.at)
    if (this.kind !== NAME || !adjacent || !/^[sra]$/.test(this.textOf(this.at))) {
      throw this.problem("f-string: invalid conversion: expected 's', 'r', or 'a'")
    }
    this.at++
  }

  private fieldProblem(): SyntaxProblem {
    return this.tokens.kind[this.at] === NUMBER ? this.problem("f-string: invalid syntax") : this.unexpected("}")
  }

  protected isString(kind: number): boolean {
    return kind === STRING || kind === BYTES || kind === FSTRING_START
  }
}
