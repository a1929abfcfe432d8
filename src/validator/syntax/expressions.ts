import { N, USE } from "./arena.ts"
import { AtomReader, STARTS, T } from "./atoms.ts"
import { kindSet, NAME } from "./tokens.ts"

const UNARY = kindSet("+ - ~")
const BITWISE = kindSet("+ - * / // % @ & | ^ << >> **")
const COMPARISONS = kindSet("< > <= >= == != in is")

/** Operators, calls, subscripts, lambdas and parameters. Chains of operators are loops: only brackets nest calls. */
export class ExpressionReader extends AtomReader {
  expression(): number {
    const { arena } = this
    const from = arena.size
    let lambdas: { first: number; body: number; token: number }[] | null = null
    let composed = false
    let node = from
    for (;;) {
      if (this.kind === T.lambda) {
        const lambda = { first: arena.size, body: 0, token: this.at++ }
        this.parameters(T.colon)
        this.expect(T.colon)
        lambda.body = arena.size
        lambdas ??= []
        lambdas.push(lambda)
        continue
      }
      const { at } = this
      node = this.disjunction()
      if (!this.take(T.if)) break
      composed = true
      this.disjunction()
      if (this.kind !== T.else) throw this.problem("expected 'else' after 'if' expression", at)
      this.at++
    }
    const token = arena.token[from] ?? this.at
    for (let lambda = lambdas?.pop(); lambda !== undefined; lambda = lambdas?.pop()) {
      arena.add(N.lambdaBody, lambda.body, lambda.token)
      node = arena.add(N.lambda, lambda.first, lambda.token)
    }
    return composed ? arena.add(N.other, from, token) : node
  }

  /** Operands between operators; only those that bind tighter than comparisons when `bitwise`. */
  protected disjunction(bitwise = false): number {
    const { arena, at } = this
    const from = arena.size
    let composed = false
    let mayNegate = !bitwise
    for (;;) {
      while (mayNegate && this.take(T.not)) composed = true
      while (UNARY[this.kind] === 1) {
        this.at++
        composed = true
      }
      const node = this.primary()
      const { kind } = this
      if (BITWISE[kind] === 1) mayNegate = false
      else if (bitwise) return composed ? arena.add(N.other, from, at) : node
      else if (COMPARISONS[kind] === 1) {
        mayNegate = false
        if (kind === T.is && this.kindAfter(1) === T.not) this.at++
      } else if (kind === T.not && this.kindAfter(1) === T.in) {
        mayNegate = false
        this.at++
      } else if (kind === T.and || kind === T.or) mayNegate = true
      else return composed ? arena.add(N.other, from, at) : node
      this.at++
      composed = true
    }
  }

  protected primary(): number {
    const { arena, at: begin } = this
    const from = arena.size
    const awaited = this.take(T.await)
    let node = this.atom()
    for (;;) {
      const { kind, at } = this
      if (kind === T.dot) {
        this.at++
        node = arena.add(N.attribute, from, this.expectName())
      } else if (kind === T.open) {
        this.at++
        this.call(true)
        node = arena.add(N.call, from, at)
      } else if (kind === T.openSquare) {
        this.at++
        this.slices()
        node = arena.add(N.subscript, from, at)
      } else return awaited ? arena.add(N.await, from, begin) : node
    }
  }

  /** Arguments up to the closing bracket. Only a call's lone argument may be a generator without its own brackets. */
  protected call(mayGenerate: boolean): void {
    const { arena } = this
    const from = arena.size
    let keywords: Set<string> | null = null
    let named = false
    let mapped = false
    for (let count = 0; this.kind !== T.close; count++) {
      const { at, kind } = this
      if (kind === T.star) {
        if (mapped) throw this.problem("iterable argument unpacking follows keyword argument unpacking")
        this.at++
        this.expression()
      } else if (kind === T.doubleStar) {
        this.at++
        mapped = true
        this.expression()
      } else if (kind === NAME && this.kindAfter(1) === T.equals) {
        this.refuseDebug(at)
        keywords ??= new Set()
        const name = this.nameOf(at)
        if (keywords.has(name)) throw this.problem(`keyword argument repeated: ${name}`)
        keywords.add(name)
        named = true
        this.at += 2
        this.expression()
      } else {
        const first = this.namedExpression()
        if (this.startsClauses()) {
          if (!mayGenerate || count > 0) throw this.problem("Generator expression must be parenthesized", at)
          this.clauses(first)
          arena.add(N.generator, from, at)
          if (this.kind !== T.close) throw this.problem("Generator expression must be parenthesized", at)
          break
        }
        if (mapped) throw this.problem("positional argument follows keyword argument unpacking", at)
        if (named) throw this.problem("positional argument follows keyword argument", at)
      }
      if (!this.take(T.comma)) break
    }
    this.expect(T.close)
  }

  private slices(): void {
    const { arena, at } = this
    const from = arena.size
    let count = 0
    do {
      if (count > 0 && this.kind === T.closeSquare) break
      count++
      if (this.take(T.star)) this.expression()
      else this.slice()
    } while (this.take(T.comma))
    this.expect(T.closeSquare)
    // A node over the index, so that the last part of a subscript is never taken for its value.
    arena.add(N.other, from, at)
  }

  private slice(): void {
    if (this.kind !== T.colon) {
      const first = this.namedExpression()
      if (this.kind !== T.colon || this.arena.kind[first] === N.named) return
    }
    this.expect(T.colon)
    if (STARTS[this.kind] === 1 && this.kind !== T.star) this.expression()
    if (this.take(T.colon) && STARTS[this.kind] === 1 && this.kind !== T.star) this.expression()
  }

  /** The parameters of a function or lambda up to `close`; annotations only where brackets are around them. */
  protected parameters(close: number): void {
    const annotated = close === T.close
    let count = 0
    let positionalOnly = false
    let starred = false
    let defaults = false
    while (this.kind !== close) {
      if (this.kind === T.slash) {
        if (count === 0) throw this.problem("at least one argument must precede /")
        if (positionalOnly) throw this.problem("/ may appear only once")
        if (starred) throw this.problem("/ must be ahead of *")
        positionalOnly = true
        this.at++
      } else if (this.kind === T.star) {
        if (starred) throw this.problem("* argument may appear only once")
        starred = true
        this.at++
        if (this.kind === T.comma) {
          if (this.kindAfter(1) !== NAME) throw this.problem("named arguments must follow bare *", this.at - 1)
        } else {
          this.parameter(annotated, true)
          if (this.kind === T.equals) throw this.problem("var-positional argument cannot have default value")
        }
      } else if (this.kind === T.doubleStar) {
        this.at++
        this.parameter(annotated, false)
        if (this.kind === T.equals) throw this.problem("var-keyword argument cannot have default value")
        this.take(T.comma)
        if (this.kind !== close) throw this.problem("arguments cannot follow var-keyword argument")
        return
      } else {
        this.parameter(annotated, false)
        if (this.take(T.equals)) {
          defaults = true
          this.expression()
        } else if (defaults && !starred) {
          throw this.problem("parameter without a default follows parameter with a default", this.at - 1)
        }
      }
      count++
      if (!this.take(T.comma)) return
    }
  }

  private parameter(annotated: boolean, starred: boolean): void {
    const { arena } = this
    if (this.kind === T.open) throw this.problem("a parameter cannot be a tuple")
    const token = this.expectName()
    this.refuseDebug(token)
    arena.leaf(N.parameter, token)
    if (!annotated || !this.take(T.colon)) return
    const from = arena.size
    const { at } = this
    if (starred && this.take(T.star)) this.disjunction(true)
    else this.expression()
    arena.add(N.annotation, from, at)
  }

  /** `with` and `except` bind a name, attribute, subscript or tuple of them. */
  protected boundTarget(): void {
    this.assignTo(this.starTarget(), USE.store)
  }
}
