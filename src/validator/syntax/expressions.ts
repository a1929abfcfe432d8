import { Kind } from "../node-kinds.ts"
import { N, USE } from "./arena.ts"
import { AtomReader, STARTS } from "./atoms.ts"
import { kindSet, NAME, T, TOKEN_NAMES, tokenKind } from "./tokens.ts"

const UNARY = kindSet("+ - ~")

/** How tightly operators bind, as in the table of the language reference (6.17). */
const NOT = 3
const COMPARING = 4
const SIGN = 11
const POWER = 12
const BINDING = new Uint8Array(TOKEN_NAMES.length)
for (const [strength, operators] of [
  [1, "or"],
  [2, "and"],
  [COMPARING, "< > <= >= == != in is not"],
  [5, "|"],
  [6, "^"],
  [7, "&"],
  [8, "<< >>"],
  [9, "+ -"],
  [10, "* / // % @"],
  [POWER, "**"],
] as const) {
  for (const operator of operators.split(" ")) BINDING[tokenKind(operator)] = strength
}
const OPERATION = new Uint8Array(POWER + 1).fill(Kind.other)
OPERATION[1] = Kind.boolean_operator
OPERATION[2] = Kind.boolean_operator
OPERATION[COMPARING] = Kind.comparison_operator

/** Lambdas in one another's defaults: 745 is what the parser's stack (MAXSTACK) leaves in CPython 3.10 to 3.13. */
const MAX_LAMBDAS = 745

/** What is read of an expression whose end is that of a longer one. */
interface Unfinished {
  readonly kind: number
  /** First of its nodes in the file's tree, and the token it begins with. */
  readonly first: number
  readonly begin: number
  /** Of a lambda: its nodes in the arena. */
  readonly lambda: { readonly first: number; readonly body: number } | null
}

/** Operators, calls, subscripts, lambdas and parameters. Chains of operators are loops: only brackets nest calls. */
export class ExpressionReader extends AtomReader {
  /** Operators that wait for their right side: how tightly each binds, its first node and its first token. */
  private readonly waiting: number[] = []
  private lambdas = 0

  expression(): number {
    const { arena } = this
    const from = arena.size
    let unfinished: Unfinished[] | null = null
    let composed = false
    let node = from
    for (;;) {
      const { at } = this
      const first = this.tree.size
      if (this.kind === T.lambda) {
        const ownFirst = arena.size
        this.at++
        this.lambdaParameters()
        this.expect(T.colon)
        unfinished ??= []
        unfinished.push({ kind: Kind.lambda, first, begin: at, lambda: { first: ownFirst, body: arena.size } })
        continue
      }
      node = this.disjunction()
      if (!this.take(T.if)) break
      composed = true
      this.disjunction()
      if (this.kind !== T.else) throw this.problem("expected 'else' after 'if' expression", at)
      this.at++
      unfinished ??= []
      unfinished.push({ kind: Kind.conditional_expression, first, begin: at, lambda: null })
    }
    if (unfinished === null) return node
    const token = arena.token[from] ?? this.at
    for (let part = unfinished.pop(); part !== undefined; part = unfinished.pop()) {
      const { kind, first, begin, lambda } = part
      this.node(kind, first, begin)
      if (lambda === null) continue
      arena.add(N.lambdaBody, lambda.body, begin)
      node = arena.add(N.lambda, lambda.first, begin)
    }
    return composed ? arena.add(N.other, from, token) : node
  }

  private lambdaParameters(): void {
    const { at } = this
    const first = this.tree.size
    if (++this.lambdas > MAX_LAMBDAS) throw this.problem("too many nested lambdas")
    this.parameters(T.colon)
    this.lambdas--
    if (this.at > at) this.node(Kind.lambda_parameters, first, at)
  }

  /** Operands between operators; only those that bind tighter than comparisons when `bitwise`. */
  protected disjunction(bitwise = false): number {
    const { arena, at: begin, waiting } = this
    const from = arena.size
    const floor = waiting.length
    let mayNegate = !bitwise
    for (;;) {
      while (mayNegate && this.kind === T.not) this.wait(NOT, this.tree.size, this.at++)
      while (UNARY[this.kind] === 1) this.wait(SIGN, this.tree.size, this.at++)
      const { at } = this
      const first = this.tree.size
      const node = this.primary()
      const { kind } = this
      const binding = BINDING[kind] ?? 0
      const negated = kind === T.not
      if (binding === 0 || (bitwise && binding <= COMPARING) || (negated && this.kindAfter(1) !== T.in)) {
        if (waiting.length === floor) return node
        this.settle(floor)
        return arena.add(N.other, from, begin)
      }
      this.operator(floor, binding, first, at)
      this.at += negated || (kind === T.is && this.kindAfter(1) === T.not) ? 2 : 1
      mayNegate = binding <= 2
    }
  }

  private wait(binding: number, first: number, begin: number): void {
    this.waiting.push(binding, first, begin)
  }

  /** Takes the operands so far together as far as an operator binds less than those before; its left side begins there. */
  private operator(floor: number, binding: number, first: number, begin: number): void {
    const { waiting } = this
    let left = first
    let leftBegin = begin
    // Powers are read from the right, all else from the left.
    const strongest = binding === POWER ? POWER : binding - 1
    while (waiting.length > floor) {
      const top = waiting.length - 3
      const before = waiting[top] ?? 0
      if (binding === COMPARING && before === COMPARING) return
      if (before <= strongest) break
      left = waiting[top + 1] ?? 0
      leftBegin = waiting[top + 2] ?? 0
      this.node(OPERATION[before] ?? Kind.other, left, leftBegin)
      waiting.length = top
    }
    this.wait(binding, left, leftBegin)
  }

  private settle(floor: number): void {
    const { waiting } = this
    while (waiting.length > floor) {
      const top = waiting.length - 3
      this.node(OPERATION[waiting[top] ?? 0] ?? Kind.other, waiting[top + 1] ?? 0, waiting[top + 2] ?? 0)
      waiting.length = top
    }
  }

  protected primary(): number {
    const { arena, at: begin } = this
    const from = arena.size
    const first = this.tree.size
    const awaited = this.take(T.await)
    const operand = this.at
    let node = this.atom()
    for (;;) {
      const { kind, at } = this
      if (kind === T.dot) {
        this.at++
        node = arena.add(N.attribute, from, this.expectName())
        this.node(Kind.attribute, first, operand)
      } else if (kind === T.open) {
        this.callArguments(true)
        node = arena.add(N.call, from, at)
        this.node(Kind.call, first, operand)
      } else if (kind === T.openSquare) {
        this.at++
        this.slices()
        node = arena.add(N.subscript, from, at)
        this.node(Kind.subscript, first, operand)
      } else {
        if (!awaited) return node
        this.node(Kind.await, first, begin)
        return arena.add(N.await, from, begin)
      }
    }
  }

  /** Arguments up to the closing bracket. Only a call's lone argument may be a generator without its own brackets. */
  protected callArguments(mayGenerate: boolean): void {
    const { arena, at: begin } = this
    const from = arena.size
    const firstArgument = this.tree.size
    let shape: number = Kind.argument_list
    this.at++
    let keywords: Set<number> | null = null
    let named = false
    let mapped = false
    for (let count = 0; this.kind !== T.close; count++) {
      const { at, kind } = this
      const argument = this.tree.size
      if (kind === T.star) {
        if (mapped) throw this.problem("iterable argument unpacking follows keyword argument unpacking")
        this.at++
        this.expression()
        this.node(Kind.list_splat, argument, at)
      } else if (kind === T.doubleStar) {
        this.at++
        mapped = true
        this.expression()
        this.node(Kind.dictionary_splat, argument, at)
      } else if (kind === NAME && this.kindAfter(1) === T.equals) {
        this.refuseDebug(at)
        keywords ??= new Set()
        const name = this.nameOf(at)
        if (keywords.has(name)) throw this.problem(`keyword argument repeated: ${this.textOf(at)}`)
        keywords.add(name)
        named = true
        this.expectName()
        this.at++
        this.expression()
        this.node(Kind.keyword_argument, argument, at)
      } else {
        const first = this.namedExpression()
        if (this.startsClauses()) {
          if (!mayGenerate || count > 0) throw this.problem("Generator expression must be parenthesized", at)
          this.clauses(first)
          arena.add(N.generator, from, at)
          shape = Kind.generator_expression
          if (this.kind !== T.close) throw this.problem("Generator expression must be parenthesized", at)
          break
        }
        if (mapped) throw this.problem("positional argument follows keyword argument unpacking", at)
        if (named) throw this.problem("positional argument follows keyword argument", at)
      }
      if (!this.take(T.comma)) break
    }
    this.expect(T.close)
    this.node(shape, firstArgument, begin)
  }

  private slices(): void {
    const { arena, at } = this
    const from = arena.size
    let count = 0
    do {
      if (count > 0 && this.kind === T.closeSquare) break
      count++
      if (this.kind === T.star) this.starredIndex()
      else this.slice()
    } while (this.take(T.comma))
    this.expect(T.closeSquare)
    // A node over the index, so that the last part of a subscript is never taken for its value.
    arena.add(N.other, from, at)
  }

  private starredIndex(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.expression()
    this.node(Kind.list_splat, first, at)
  }

  private slice(): void {
    const { at } = this
    const begin = this.tree.size
    if (this.kind !== T.colon) {
      const first = this.namedExpression()
      if (this.kind !== T.colon || this.arena.kind[first] === N.named) return
    }
    this.expect(T.colon)
    if (STARTS[this.kind] === 1 && this.kind !== T.star) this.expression()
    if (this.take(T.colon) && STARTS[this.kind] === 1 && this.kind !== T.star) this.expression()
    this.node(Kind.slice, begin, at)
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
        this.leaf(Kind.other)
      } else if (this.kind === T.star) {
        if (starred) throw this.problem("* argument may appear only once")
        starred = true
        if (this.kindAfter(1) === T.comma) {
          this.leaf(Kind.other)
          if (this.kindAfter(1) !== NAME) throw this.problem("named arguments must follow bare *", this.at - 1)
        } else {
          this.parameter(annotated, Kind.list_splat_pattern)
          if (this.kind === T.equals) throw this.problem("var-positional argument cannot have default value")
        }
      } else if (this.kind === T.doubleStar) {
        this.parameter(annotated, Kind.dictionary_splat_pattern)
        if (this.kind === T.equals) throw this.problem("var-keyword argument cannot have default value")
        this.take(T.comma)
        if (this.kind !== close) throw this.problem("arguments cannot follow var-keyword argument")
        return
      } else {
        const { at } = this
        const first = this.tree.size
        const typed = this.parameter(annotated, 0)
        if (this.take(T.equals)) {
          defaults = true
          this.expression()
          this.node(typed ? Kind.typed_default_parameter : Kind.default_parameter, first, at)
        } else if (defaults && !starred) {
          throw this.problem("parameter without a default follows parameter with a default", this.at - 1)
        }
      }
      count++
      if (!this.take(T.comma)) return
    }
  }

  /** A parameter without its default; `shape` is the kind of its starred name, or 0. True when it has a type. */
  private parameter(annotated: boolean, shape: number): boolean {
    const { arena, at: begin } = this
    const first = this.tree.size
    if (shape !== 0) this.at++
    if (this.kind === T.open) throw this.problem("a parameter cannot be a tuple")
    const token = this.expectName()
    this.refuseDebug(token)
    arena.leaf(N.parameter, token)
    if (shape !== 0) this.node(shape, first, begin)
    if (!annotated || !this.take(T.colon)) return false
    this.annotationOf(shape === Kind.list_splat_pattern)
    if (this.kind !== T.equals) this.node(Kind.typed_parameter, first, begin)
    return true
  }

  /** The type after a colon or arrow. */
  protected annotationOf(mayUnpack = false): void {
    const { arena, at } = this
    const from = arena.size
    const first = this.tree.size
    if (mayUnpack && this.kind === T.star) {
      this.at++
      this.disjunction(true)
      this.node(Kind.list_splat, first, at)
    } else this.expression()
    this.node(Kind.type, first, at)
    arena.add(N.annotation, from, at)
  }

  /** `with` and `except` bind a name, attribute, subscript or tuple of them. */
  protected boundTarget(): void {
    const { at } = this
    const first = this.tree.size
    this.assignTo(this.starTarget(), USE.store)
    this.node(Kind.as_pattern_target, first, at)
  }
}
