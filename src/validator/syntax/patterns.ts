import { Kind } from "../node-kinds.ts"
import { USE } from "./arena.ts"
import { ExpressionReader } from "./expressions.ts"
import { numberKey, stringKey } from "./pattern-keys.ts"
import { BYTES, FSTRING_START, NAME, NUMBER, T, TOKEN_NAMES, tokenKind } from "./tokens.ts"

const MINUS = tokenKind("-")
const PLUS = tokenKind("+")
const PIPE = tokenKind("|")
/** `True` equals 1. */
const SINGLETONS = new Map([
  [tokenKind("None"), "None"],
  [tokenKind("True"), "1"],
  [tokenKind("False"), "0"],
])

type Bound = Map<number, number>

/** The patterns of `case`. What a pattern binds is kept by name with the token that binds it. */
export abstract class PatternReader extends ExpressionReader {
  /** The patterns of one case; true when they match everything. */
  protected casePatterns(bound: Bound): boolean {
    const starred = this.kind === T.star
    const irrefutable = this.maybeStarred(bound)
    if (this.kind !== T.comma) {
      if (starred) throw this.problem("a starred pattern stands in a sequence")
      return irrefutable
    }
    this.sequence(bound, -1, starred)
    return false
  }

  /** The rest of a sequence after its first element, up to `close`; -1 for a sequence without brackets. */
  private sequence(bound: Bound, close: number, firstStarred: boolean): void {
    let starred = firstStarred
    while (this.take(T.comma)) {
      if (this.kind === close || (close < 0 && (this.kind === T.colon || this.kind === T.if))) return
      if (this.kind === T.star) {
        if (starred) throw this.problem("multiple starred expressions in sequence pattern")
        starred = true
      }
      this.maybeStarred(bound)
    }
  }

  private maybeStarred(bound: Bound): boolean {
    if (this.kind !== T.star) return this.pattern(bound)
    const { at } = this
    const first = this.tree.size
    this.splat(bound, true)
    this.node(Kind.case_pattern, first, at)
    return false
  }

  private splat(bound: Bound, mayDrop: boolean): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.capture(bound, mayDrop)
    this.node(Kind.splat_pattern, first, at)
  }

  private pattern(bound: Bound): boolean {
    const { at } = this
    const first = this.tree.size
    const irrefutable = this.alternatives(bound)
    if (this.kind === T.as) {
      this.node(Kind.case_pattern, first, at)
      this.at++
      this.capture(bound, false)
      this.node(Kind.as_pattern, first, at)
    }
    this.node(Kind.case_pattern, first, at)
    return irrefutable
  }

  private capture(bound: Bound, mayDrop: boolean): void {
    if (this.kind === NAME && this.textOf(this.at) === "_") {
      if (!mayDrop) throw this.problem("cannot use '_' as a target")
      this.at++
      return
    }
    const token = this.expectName()
    const name = this.nameOf(token)
    this.refuseDebug(token)
    if (bound.has(name)) throw this.problem(`multiple assignments to name '${this.textOf(token)}' in pattern`, token)
    bound.set(name, token)
  }

  private alternatives(bound: Bound): boolean {
    const begin = this.at
    const node = this.tree.size
    const first: Bound = new Map()
    let irrefutable = this.closed(first)
    const several = this.kind === PIPE
    while (this.take(PIPE)) {
      if (irrefutable) throw this.problem("a pattern that matches everything makes the next ones unreachable", begin)
      const other: Bound = new Map()
      irrefutable = this.closed(other)
      if (other.size !== first.size || [...other.keys()].some((name) => !first.has(name))) {
        throw this.problem("alternative patterns bind different names", begin)
      }
    }
    for (const [name, token] of first) {
      if (bound.has(name)) throw this.problem(`multiple assignments to name '${this.textOf(token)}' in pattern`, token)
      bound.set(name, token)
    }
    if (several) this.node(Kind.union_pattern, node, begin)
    return irrefutable
  }

  private closed(bound: Bound): boolean {
    const { kind } = this
    if (kind === NAME) return this.named(bound)
    if (kind === T.open || kind === T.openSquare) return this.bracketed(bound)
    if (kind === T.openBrace) this.mapping(bound)
    else this.literal()
    return false
  }

  /** The literal's value as `pattern-keys.ts` writes it. */
  private literal(): string {
    const from = this.at
    const singleton = SINGLETONS.get(this.kind)
    if (singleton !== undefined) {
      this.leaf(Kind.other)
      return singleton
    }
    const bytes = this.kind === BYTES
    if (!this.isString(this.kind)) {
      this.number()
      return numberKey(this.tokensFrom(from).join(""))
    }
    const first = this.tree.size
    while (this.isString(this.kind)) {
      if (this.kind === FSTRING_START) throw this.problem("patterns may only match literals and attribute lookups")
      if ((this.kind === BYTES) !== bytes) throw this.problem("cannot mix bytes and nonbytes literals")
      this.leaf(Kind.string)
    }
    if (this.at - from > 1) this.node(Kind.concatenated_string, first, from)
    return stringKey(this.tokensFrom(from))
  }

  private tokensFrom(first: number): string[] {
    return Array.from({ length: this.at - first }, (_, index) => this.textOf(first + index))
  }

  private number(): void {
    const { at } = this
    const first = this.tree.size
    this.take(MINUS)
    const real = this.at
    this.numberLeaf()
    if (this.kind !== PLUS && this.kind !== MINUS) return
    if (/[jJ]$/.test(this.textOf(real))) throw this.problem("real number required in complex literal", real)
    this.at++
    if (this.kind === NUMBER && !/[jJ]$/.test(this.textOf(this.at))) {
      throw this.problem("imaginary number required in complex literal")
    }
    this.numberLeaf()
    this.node(Kind.other, first, at)
  }

  private numberLeaf(): void {
    if (this.kind !== NUMBER) throw this.unexpected(TOKEN_NAMES[NUMBER])
    this.leaf(this.numberKind(this.at))
  }

  /** A capture, a value with dots, or a class pattern. */
  private named(bound: Bound): boolean {
    const { at } = this
    const first = this.tree.size
    if (this.kindAfter(1) !== T.dot && this.kindAfter(1) !== T.open) {
      if (this.textOf(this.at) === "_") this.at++
      else {
        this.capture(bound, false)
        this.node(Kind.dotted_name, first, at)
      }
      return true
    }
    this.dotted()
    if (this.kind !== T.open) return false
    this.classPattern(bound)
    this.node(Kind.class_pattern, first, at)
    return false
  }

  private dotted(): void {
    const { at } = this
    const first = this.tree.size
    this.nameLeaf(USE.load)
    while (this.take(T.dot)) this.expectName()
    this.node(Kind.dotted_name, first, at)
  }

  private classPattern(bound: Bound): void {
    this.at++
    const attributes = new Set<number>()
    let named = false
    while (this.kind !== T.close) {
      if (this.kind === NAME && this.kindAfter(1) === T.equals) {
        const name = this.nameOf(this.at)
        if (attributes.has(name))
          throw this.problem(`attribute name repeated in class pattern: ${this.textOf(this.at)}`)
        this.refuseDebug(this.at)
        attributes.add(name)
        named = true
        this.keywordPattern(bound)
      } else if (named) throw this.problem("positional patterns follow keyword patterns")
      else this.pattern(bound)
      if (!this.take(T.comma)) break
    }
    this.expect(T.close)
  }

  private keywordPattern(bound: Bound): void {
    const { at } = this
    const first = this.tree.size
    this.expectName()
    this.at++
    this.pattern(bound)
    this.node(Kind.keyword_pattern, first, at)
    this.node(Kind.case_pattern, first, at)
  }

  /** In brackets: a sequence, or in parentheses the pattern itself. */
  private bracketed(bound: Bound): boolean {
    const { at } = this
    const node = this.tree.size
    const round = this.kind === T.open
    const close = round ? T.close : T.closeSquare
    this.at++
    if (this.take(close)) {
      this.node(round ? Kind.tuple_pattern : Kind.list_pattern, node, at)
      return false
    }
    const starred = this.kind === T.star
    const irrefutable = this.maybeStarred(bound)
    const alone = this.kind !== T.comma
    if (round && alone && starred) throw this.problem("a starred pattern stands in a sequence")
    this.sequence(bound, close, starred)
    this.expect(close)
    this.node(round ? (alone ? Kind.parenthesized_expression : Kind.tuple_pattern) : Kind.list_pattern, node, at)
    return round && alone && irrefutable
  }

  private mapping(bound: Bound): void {
    const { at: begin } = this
    const first = this.tree.size
    const keys = new Set<string>()
    this.at++
    while (this.kind !== T.closeBrace) {
      if (this.kind === T.doubleStar) {
        this.splat(bound, false)
        this.take(T.comma)
        break
      }
      const { at } = this
      if (this.kind === NAME) {
        if (this.kindAfter(1) !== T.dot) throw this.problem("mapping pattern keys are literals or have dots")
        this.dotted()
      } else {
        const key = this.literal()
        if (keys.has(key)) throw this.problem(`mapping pattern checks duplicate key (${this.textOf(at)})`, at)
        keys.add(key)
      }
      this.expect(T.colon)
      this.pattern(bound)
      if (!this.take(T.comma)) break
    }
    this.expect(T.closeBrace)
    this.node(Kind.dict_pattern, first, begin)
  }
}
