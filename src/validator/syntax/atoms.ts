import { Kind } from "../node-kinds.ts"
import { N, USE } from "./arena.ts"
import { isInteger } from "./numbers.ts"
import { STRINGS, StringReader } from "./string-reader.ts"
import { kindSet, NAME, NUMBER, T } from "./tokens.ts"

const {
  dictionary: DICTIONARY,
  dictionary_comprehension: DICTIONARY_COMPREHENSION,
  dictionary_splat: DICTIONARY_SPLAT,
  expression_list: EXPRESSION_LIST,
  float: FLOAT,
  for_in_clause: FOR_IN_CLAUSE,
  generator_expression: GENERATOR_EXPRESSION,
  integer: INTEGER,
  list: LIST,
  list_comprehension: LIST_COMPREHENSION,
  list_splat: LIST_SPLAT,
  named_expression: NAMED_EXPRESSION,
  other: OTHER,
  pair: PAIR,
  parenthesized_expression: PARENTHESIZED,
  set: SET,
  set_comprehension: SET_COMPREHENSION,
  tuple: TUPLE,
  yield: YIELD,
} = Kind
const LITERALS = kindSet("number None True False ...")
/** What an expression, starred or not, can start with. */
export const STARTS = kindSet(
  "name number string bytes fstring_start None True False ... ( [ { + - ~ * not lambda await",
)

/** Names, literals, what brackets hold, strings with their replacement fields. */
export abstract class AtomReader extends StringReader {
  abstract expression(): number
  protected abstract disjunction(bitwise?: boolean): number

  protected atom(): number {
    const { kind } = this
    if (kind === NAME) return this.nameLeaf(USE.load)
    if (LITERALS[kind] === 1) {
      this.leaf(kind === NUMBER ? this.numberKind(this.at) : OTHER)
      return this.arena.leaf(N.literal, this.at - 1)
    }
    if (STRINGS[kind] === 1) return this.strings()
    if (kind === T.open) return this.group()
    if (kind === T.openSquare) return this.list()
    if (kind === T.openBrace) return this.braces()
    throw this.unexpected()
  }

  protected numberKind(token: number): number {
    const { start, end, text } = this.tokens
    return isInteger(text, start[token] ?? 0, end[token] ?? 0) ? INTEGER : FLOAT
  }

  /** `name := value`, or an expression. */
  protected namedExpression(): number {
    if (this.kind !== NAME || this.kindAfter(1) !== T.walrus) return this.expression()
    const { arena, at } = this
    const first = this.tree.size
    const from = this.nameLeaf(USE.walrus)
    this.at++
    this.expression()
    this.node(NAMED_EXPRESSION, first, at)
    return arena.add(N.named, from, at)
  }

  protected starNamed(): number {
    return this.kind === T.star ? this.starred() : this.namedExpression()
  }

  protected starred(): number {
    const { at } = this
    const from = this.arena.size
    const first = this.tree.size
    this.at++
    this.disjunction(true)
    this.node(LIST_SPLAT, first, at)
    return this.arena.add(N.starred, from, at)
  }

  /** Expressions between commas: one of them alone, or a tuple. */
  protected starExpressions(): number {
    const { arena, at } = this
    const from = arena.size
    const first = this.tree.size
    let only = this.kind === T.star ? this.starred() : this.expression()
    if (this.kind !== T.comma) return only
    while (this.take(T.comma) && STARTS[this.kind] === 1) {
      only = this.kind === T.star ? this.starred() : this.expression()
    }
    this.node(EXPRESSION_LIST, first, at)
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
    const first = this.tree.size
    this.at++
    if (this.take(T.from)) {
      this.expression()
      this.node(YIELD, first, at)
      return arena.add(N.yieldFrom, from, at)
    }
    if (STARTS[this.kind] === 1) this.values()
    this.node(YIELD, first, at)
    return arena.add(N.yield, from, at)
  }

  private group(): number {
    const { arena, at } = this
    const from = arena.size
    const begin = this.tree.size
    this.at++
    if (this.take(T.close)) {
      this.node(TUPLE, begin, at)
      return arena.add(N.bracketedTuple, from, at)
    }
    if (this.kind === T.yield) {
      this.yieldExpression()
      this.expect(T.close)
      this.node(PARENTHESIZED, begin, at)
      return arena.add(N.parenthesized, from, at)
    }
    const first = this.starNamed()
    if (this.startsClauses()) {
      this.clauses(first)
      this.expect(T.close)
      this.node(GENERATOR_EXPRESSION, begin, at)
      return arena.add(N.generator, from, at)
    }
    if (this.kind === T.comma) {
      this.elements(T.close)
      this.node(TUPLE, begin, at)
      return arena.add(N.bracketedTuple, from, at)
    }
    this.expect(T.close)
    if (arena.kind[first] === N.starred) throw this.problemAt(first, "cannot use starred expression here")
    this.node(PARENTHESIZED, begin, at)
    return arena.add(N.parenthesized, from, at)
  }

  private list(): number {
    const { arena, at } = this
    const from = arena.size
    const begin = this.tree.size
    this.at++
    if (this.take(T.closeSquare)) {
      this.node(LIST, begin, at)
      return arena.add(N.list, from, at)
    }
    const first = this.starNamed()
    if (this.startsClauses()) {
      this.clauses(first)
      this.expect(T.closeSquare)
      this.node(LIST_COMPREHENSION, begin, at)
      return arena.add(N.comprehension, from, at)
    }
    this.elements(T.closeSquare)
    this.node(LIST, begin, at)
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
    const begin = this.tree.size
    this.at++
    let kind: number = N.other
    let shape = DICTIONARY
    if (this.kind === T.doubleStar) this.pairs()
    else if (this.kind !== T.closeBrace) {
      const key = this.at
      const first = this.starNamed()
      const firstKind = arena.kind[first] ?? N.other
      if (this.kind === T.colon && firstKind !== N.starred && firstKind !== N.named) {
        this.at++
        this.expression()
        this.node(PAIR, begin, key)
        if (this.startsClauses()) {
          this.clauses(first)
          kind = N.comprehension
          shape = DICTIONARY_COMPREHENSION
        } else if (this.take(T.comma)) this.pairs()
      } else if (this.startsClauses()) {
        this.clauses(first)
        kind = N.comprehension
        shape = SET_COMPREHENSION
      } else {
        this.elements(T.closeBrace)
        this.node(SET, begin, at)
        return arena.add(kind, from, at)
      }
    }
    this.expect(T.closeBrace)
    this.node(shape, begin, at)
    return arena.add(kind, from, at)
  }

  private pairs(): void {
    while (this.kind !== T.closeBrace) {
      const { at } = this
      const first = this.tree.size
      if (this.take(T.doubleStar)) {
        this.disjunction(true)
        this.node(DICTIONARY_SPLAT, first, at)
      } else {
        this.expression()
        this.expect(T.colon)
        this.expression()
        this.node(PAIR, first, at)
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
      const begin = this.at
      const first = this.tree.size
      if (this.kind === T.async) arena.leaf(N.asyncFor, this.at++)
      this.at++
      this.targets(USE.iteration)
      const { at } = this
      this.expect(T.in)
      const from = arena.size
      this.disjunction()
      arena.add(iterable, from, at)
      iterable = N.iterable
      this.node(FOR_IN_CLAUSE, first, begin)
      while (this.kind === T.if) this.condition()
    }
  }

  private condition(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.disjunction()
    this.node(OTHER, first, at)
  }

  /** The targets of a `for`, up to its `in`. */
  protected targets(use: number): void {
    const { arena, at } = this
    const from = arena.size
    const first = this.tree.size
    let node = this.starTarget()
    if (this.kind === T.comma) {
      while (this.take(T.comma) && this.kind !== T.in) this.starTarget()
      this.node(EXPRESSION_LIST, first, at)
      node = arena.add(N.tuple, from, at)
    }
    this.tree.lastAsTarget()
    this.assignTo(node, use)
  }

  protected starTarget(): number {
    const { at } = this
    const from = this.arena.size
    const first = this.tree.size
    if (!this.take(T.star)) return this.primary()
    this.primary()
    this.node(LIST_SPLAT, first, at)
    return this.arena.add(N.starred, from, at)
  }

  protected abstract primary(): number
}
