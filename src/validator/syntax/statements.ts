import { Kind } from "../node-kinds.ts"
import { USE } from "./arena.ts"
import { holdItems, startsMatch } from "./lookahead.ts"
import type { SyntaxScope } from "./scope-table.ts"
import { outside, SimpleStatementReader, type Surroundings } from "./simple-statements.ts"
import { DEDENT, END, INDENT, KEYWORDS, NAME, NEWLINE, T, tokenKind } from "./tokens.ts"

const word = (name: string) => KEYWORDS.get(name) ?? -1
const DEF = word("def")
const CLASS = word("class")
const WITH = word("with")
const ELIF = word("elif")
const EXCEPT = word("except")
const FINALLY = word("finally")
const AT = tokenKind("@")
const ARROW = tokenKind("->")

/** CPython's CO_MAXBLOCKS: loops, `with` and `try` inside one another in one function. */
const MAX_BLOCKS = 20

/** Whole files. Blocks nest no deeper than the tokenizer's limit on indentation, so recursion per block is bounded. */
export class StatementReader extends SimpleStatementReader {
  private readonly compound = this.compoundTable()

  private compoundTable(): ReadonlyMap<number, () => void> {
    const table: Record<string, () => void> = {
      if: () => this.ifStatement(),
      while: () => this.whileStatement(),
      for: () => this.forStatement(),
      try: () => this.tryStatement(),
      with: () => this.withStatement(),
      def: () => this.functionDefinition("function"),
      class: () => this.classDefinition(),
      async: () => this.asyncStatement(),
    }
    return new Map(Object.entries(table).map(([name, read]) => [word(name), read]))
  }

  /** Throws a `SyntaxProblem` at the first place that CPython refuses. */
  file(): void {
    this.tree.begin(Kind.module, 0)
    while (this.kind !== END) this.statement()
    this.table.finish()
    this.tree.close()
  }

  private begin(kind: number, token = this.at): void {
    this.tree.begin(kind, this.startOf(token))
  }

  private statement(): void {
    const { kind } = this
    this.tree.keep()
    const read = kind === AT ? () => this.decorated() : this.compound.get(kind)
    if (read !== undefined) {
      this.futureAllowed = false
      read()
    } else if (kind === NAME && startsMatch(this.tokens, this.at)) {
      this.futureAllowed = false
      this.matchStatement()
    } else this.simpleStatements()
  }

  private block(): void {
    this.expect(T.colon)
    if (this.kind !== NEWLINE) {
      this.begin(Kind.block)
      this.simpleStatements()
    } else {
      this.at++
      if (this.kind !== INDENT) throw this.unexpected("an indented block")
      this.at++
      this.begin(Kind.block)
      while (this.kind !== DEDENT) {
        if (this.kind === END) throw this.unexpected()
        this.statement()
      }
      this.at++
    }
    this.tree.close()
  }

  /** A block whose surroundings differ from those here. */
  private blockIn(change: Partial<Surroundings>, counted: number): void {
    const before = this.around
    const blocks = before.blocks + counted
    if (blocks > MAX_BLOCKS) throw this.problem("too many statically nested blocks")
    this.around = { ...before, ...change, blocks }
    this.block()
    this.around = before
  }

  private loopBody(): void {
    this.blockIn({ loop: true, starHandlerOfLoop: false }, 1)
  }

  private header(): void {
    this.at++
    this.namedExpression()
    this.finishExpressions()
  }

  private ifStatement(): void {
    this.begin(Kind.if_statement)
    this.header()
    this.block()
    while (this.kind === ELIF) {
      this.begin(Kind.elif_clause)
      this.header()
      this.block()
      this.tree.close()
    }
    this.elseBlock()
    this.tree.close()
  }

  private elseBlock(): void {
    if (this.kind !== T.else) return
    this.begin(Kind.else_clause)
    this.at++
    this.block()
    this.tree.close()
  }

  private whileStatement(): void {
    this.begin(Kind.while_statement)
    this.header()
    this.loopBody()
    this.elseBlock()
    this.tree.close()
  }

  private forStatement(begin = this.at): void {
    this.begin(Kind.for_statement, begin)
    this.at++
    this.targets(USE.store)
    this.expect(T.in)
    this.values()
    this.finishExpressions()
    this.loopBody()
    this.elseBlock()
    this.tree.close()
  }

  private tryStatement(): void {
    const { at } = this
    this.begin(Kind.try_statement)
    this.at++
    this.blockIn({}, 1)
    let starred: boolean | null = null
    let bare = -1
    while (this.kind === EXCEPT) {
      if (bare >= 0) throw this.problem("default 'except:' must be last", bare)
      bare = this.kindAfter(1) === T.colon ? this.at : -1
      starred = this.handler(starred)
    }
    if (starred === null && this.kind !== FINALLY) {
      throw this.kind === DEDENT || this.kind === END || this.kind === NEWLINE
        ? this.problem("expected 'except' or 'finally' block", at)
        : this.problem("expected 'except' or 'finally' block")
    }
    if (starred !== null) this.elseBlock()
    if (this.kind === FINALLY) {
      this.begin(Kind.finally_clause)
      this.at++
      this.blockIn({}, 1)
      this.tree.close()
    }
    this.tree.close()
  }

  private handler(before: boolean | null): boolean {
    const { at } = this
    this.begin(Kind.except_clause)
    this.at++
    const starred = this.take(T.star)
    if (before !== null && starred !== before) {
      throw this.problem("cannot have both 'except' and 'except*' on the same 'try'", at)
    }
    if (starred && this.kind === T.colon) throw this.problem("expected one or more exception types")
    if (this.kind !== T.colon) this.caught(at)
    this.finishExpressions()
    this.blockIn(starred ? { starHandler: true, starHandlerOfLoop: true } : {}, 1)
    this.tree.close()
    return starred
  }

  private caught(handler: number): void {
    const { at } = this
    const first = this.tree.size
    this.expression()
    if (this.kind === T.comma) throw this.problem("multiple exception types must be parenthesized", handler)
    if (!this.take(T.as)) return
    const target = this.tree.size
    const token = this.expectName()
    this.node(Kind.as_pattern_target, target, token)
    this.node(Kind.as_pattern, first, at)
    this.refuseDebug(token)
    this.table.bind(this.nameOf(token), this.startOf(token))
  }

  private withStatement(begin = this.at): void {
    this.begin(Kind.with_statement, begin)
    this.at++
    const { at } = this
    const first = this.tree.size
    const items = holdItems(this.tokens, this.at) ? this.itemsInBrackets() : this.items()
    this.node(Kind.with_clause, first, at)
    this.finishExpressions()
    this.blockIn({}, items)
    this.tree.close()
  }

  private itemsInBrackets(): number {
    this.at++
    let count = 0
    while (this.kind !== T.close) {
      this.item()
      count++
      if (!this.take(T.comma)) break
    }
    this.expect(T.close)
    return count
  }

  private items(): number {
    let count = 0
    do {
      this.item()
      count++
    } while (this.take(T.comma))
    return count
  }

  private item(): void {
    const { at } = this
    const first = this.tree.size
    this.expression()
    if (this.take(T.as)) {
      this.boundTarget()
      this.node(Kind.as_pattern, first, at)
    }
    this.node(Kind.with_item, first, at)
  }

  private asyncStatement(): void {
    const { at } = this
    this.at++
    if (this.kind === DEF) {
      this.functionDefinition("async", at)
      return
    }
    if (this.kind !== T.for && this.kind !== WITH) throw this.unexpected("def, for or with")
    if (this.table.current.kind !== "async") {
      throw this.problem(`'async ${this.textOf(this.at)}' outside async function`, at)
    }
    if (this.kind === WITH) this.withStatement(at)
    else this.forStatement(at)
  }

  private decorated(): void {
    this.begin(Kind.decorated_definition)
    while (this.kind === AT) {
      const begin = this.at++
      const first = this.tree.size
      this.namedExpression()
      this.node(Kind.decorator, first, begin)
      this.expect(NEWLINE)
    }
    this.finishExpressions()
    const { at } = this
    if (this.kind === CLASS) this.classDefinition()
    else this.functionDefinition(this.take(T.async) ? "async" : "function", at)
    this.tree.close()
  }

  private definedName(): number {
    this.at++
    const token = this.expectName()
    this.refuseDebug(token)
    this.table.bind(this.nameOf(token), this.startOf(token))
    return token
  }

  private functionDefinition(kind: "function" | "async", begin = this.at): void {
    if (this.kind !== DEF) throw this.unexpected("def")
    this.begin(Kind.function_definition, begin)
    this.definedName()
    const types = this.enterTypes()
    const { at } = this
    const first = this.tree.size
    this.expect(T.open)
    this.parameters(T.close)
    this.expect(T.close)
    this.node(Kind.parameters, first, at)
    if (this.take(ARROW)) this.annotationOf()
    const scope = this.table.enter(kind)
    this.table.current = types?.parent ?? scope.parent ?? scope
    this.finishExpressions(scope, types)
    this.table.current = scope
    this.body()
    this.table.leave()
    if (types !== null) this.table.leave()
    this.tree.close()
  }

  private enterTypes(): SyntaxScope | null {
    if (this.kind !== T.openSquare) return null
    const scope = this.table.enter("types")
    this.typeParameters()
    return scope
  }

  private body(): void {
    const before = this.around
    this.around = outside()
    this.block()
    this.around = before
  }

  private classDefinition(): void {
    this.begin(Kind.class_definition)
    const name = this.definedName()
    const types = this.enterTypes()
    if (this.kind === T.open) this.callArguments(false)
    this.finishExpressions()
    this.table.enter("class", this.nameOf(name))
    this.body()
    this.table.leave()
    if (types !== null) this.table.leave()
    this.tree.close()
  }

  private matchStatement(): void {
    this.begin(Kind.match_statement)
    this.at++
    this.subject()
    this.finishExpressions()
    this.expect(T.colon)
    this.expect(NEWLINE)
    if (this.kind !== INDENT) throw this.unexpected("an indented block")
    this.at++
    this.begin(Kind.block)
    let irrefutable = -1
    do {
      if (irrefutable >= 0) {
        throw this.problem("a pattern that matches everything makes the next cases unreachable", irrefutable)
      }
      irrefutable = this.caseBlock()
    } while (this.kind !== DEDENT)
    this.at++
    this.tree.close()
    this.tree.close()
  }

  private subject(): void {
    const node = this.starNamed()
    if (this.kind !== T.comma) this.refuseStarred(node)
    while (this.take(T.comma) && this.kind !== T.colon) this.starNamed()
  }

  /** The token of the case when it matches everything, else -1. */
  private caseBlock(): number {
    if (this.kind !== NAME || this.textOf(this.at) !== "case") throw this.unexpected("case")
    this.begin(Kind.case_clause)
    this.at++
    const { at } = this
    const bound = new Map<number, number>()
    const irrefutable = this.casePatterns(bound)
    for (const [name, token] of bound) this.table.bind(name, this.startOf(token))
    const guarded = this.kind === T.if
    if (guarded) this.guard()
    this.finishExpressions()
    this.block()
    this.tree.close()
    return irrefutable && !guarded ? at : -1
  }

  private guard(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.namedExpression()
    this.node(Kind.other, first, at)
  }
}
