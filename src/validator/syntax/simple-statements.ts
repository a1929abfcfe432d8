import { N, USE } from "./arena.ts"
import { STARTS, T } from "./atoms.ts"
import { recordNames } from "./expression-scopes.ts"
import { PatternReader } from "./patterns.ts"
import { FLAG, ScopeTable, type SyntaxScope } from "./scope-table.ts"
import { KEYWORDS, kindSet, NAME, NEWLINE, STRING, type SyntaxProblem, tokenKind } from "./tokens.ts"

const SEMICOLON = tokenKind(";")
const AUGMENTED = kindSet("+= -= *= /= //= %= @= &= |= ^= <<= >>= **=")
const IMPORT = tokenKind("import")
const ENDS_IMPORT = kindSet("newline ; )")

/** The features that CPython 3.10 to 3.13 know; `braces` is refused by name. */
const FUTURE_FEATURES = new Set([
  "nested_scopes",
  "generators",
  "division",
  "absolute_import",
  "with_statement",
  "print_function",
  "unicode_literals",
  "barry_as_FLUFL",
  "generator_stop",
  "annotations",
])
const PYTHON_2: Readonly<Record<string, string>> = {
  print: "print is a function; write print(…)",
  exec: "exec is not a statement of Python 3",
}

/** What the code around a statement allows. */
export interface Surroundings {
  loop: boolean
  /** In an `except*` handler, seen from a `return`. */
  starHandler: boolean
  /** In an `except*` handler, and no loop between. */
  starHandlerOfLoop: boolean
  /** Statements around that the interpreter keeps a block for. */
  blocks: number
}

export const outside = (): Surroundings => ({ loop: false, starHandler: false, starHandlerOfLoop: false, blocks: 0 })

/** The statements of one line. */
export abstract class SimpleStatementReader extends PatternReader {
  protected readonly table = new ScopeTable()
  protected around = outside()
  /** Only the docstring and other future imports have been read. */
  protected futureAllowed = true
  private deferred = false
  private readonly simple = this.simpleTable()

  private simpleTable(): ReadonlyMap<number, () => void> {
    const table: Record<string, () => void> = {
      pass: () => this.at++,
      break: () => this.leaveLoop("break"),
      continue: () => this.leaveLoop("continue"),
      return: () => this.returnStatement(),
      raise: () => this.raise(),
      del: () => this.del(),
      assert: () => this.assert(),
      global: () => this.declaration("global"),
      nonlocal: () => this.declaration("nonlocal"),
      import: () => this.importStatement(),
      from: () => this.importFrom(),
    }
    return new Map(Object.entries(table).map(([word, read]) => [KEYWORDS.get(word) ?? -1, read]))
  }

  protected simpleStatements(): void {
    do {
      if (this.kind === NEWLINE) break
      this.simpleStatement()
    } while (this.take(SEMICOLON))
    if (this.kind !== NEWLINE) throw this.trailing()
    this.at++
  }

  /** What follows a complete statement on its line. */
  private trailing(): SyntaxProblem {
    const before = this.at > 0 ? this.textOf(this.at - 1) : ""
    const message = PYTHON_2[before]
    if (message !== undefined && STARTS[this.kind] === 1) return this.problem(message, this.at - 1)
    return this.unexpected()
  }

  private simpleStatement(): void {
    const { kind } = this
    const read = this.simple.get(kind)
    const future = this.futureAllowed
    if (read !== undefined) {
      if (kind !== T.from) this.futureAllowed = false
      read()
    } else if (kind === NAME && this.kindAfter(1) === NAME && this.textOf(this.at) === "type") {
      this.futureAllowed = false
      this.typeAlias()
    } else {
      const first = this.at === 0
      const node = this.expressionStatement()
      this.futureAllowed = future && first && this.isDocstring(node)
    }
    this.finishExpressions()
  }

  private isDocstring(expression: number): boolean {
    const { arena } = this
    let node = expression
    while (arena.kind[node] === N.parenthesized) node--
    return arena.kind[node] === N.literal && this.tokens.kind[arena.token[node] ?? 0] === STRING
  }

  /** Takes the names read so far to their scopes. */
  protected finishExpressions(parameters: SyntaxScope | null = null, annotations: SyntaxScope | null = null): void {
    if (this.arena.size === 0) return
    const { arena, table, deferred } = this
    const places = { nameOf: (token: number) => this.nameOf(token), startOf: (token: number) => this.startOf(token) }
    recordNames(arena, table, places, { parameters, annotations, deferred })
    arena.size = 0
  }

  private expressionStatement(): number {
    const yields = this.kind === T.yield
    let node = yields ? this.yieldExpression() : this.starExpressions()
    if (this.kind === T.equals) {
      while (this.take(T.equals)) {
        this.assignTo(node)
        node = this.kind === T.yield ? this.yieldExpression() : this.starExpressions()
      }
      this.refuseStarred(node)
    } else if (this.kind === T.colon && !yields) this.annotation(node)
    else if (AUGMENTED[this.kind] === 1) {
      this.oneTarget(node, USE.store, "assign to")
      this.at++
      this.yieldOrValues()
    } else this.refuseStarred(node)
    return node
  }

  private annotation(node: number): void {
    const { arena } = this
    const plain = arena.kind[node] === N.name
    const kind = arena.kind[node]
    if (kind === N.tuple || kind === N.bracketedTuple || kind === N.list) {
      throw this.problemAt(node, "only single target (not tuple or list) can be annotated")
    }
    const target = this.oneTarget(node, USE.annotated, "annotate")
    this.at++
    const from = arena.size
    const { at } = this
    this.expression()
    arena.add(N.annotation, from, at)
    const assigned = this.take(T.equals)
    if (assigned) this.yieldOrValues()
    // A name in parentheses is not touched without a value.
    if (!plain && arena.kind[target] === N.name) arena.use[target] = assigned ? USE.store : USE.none
  }

  private leaveLoop(word: "break" | "continue"): void {
    const { around } = this
    if (around.starHandlerOfLoop) {
      throw this.problem("'break', 'continue' and 'return' cannot appear in an except* block")
    }
    if (!around.loop) {
      throw this.problem(word === "break" ? "'break' outside loop" : "'continue' not properly in loop")
    }
    this.at++
  }

  private returnStatement(): void {
    const { current } = this.table
    if (current.kind !== "function" && current.kind !== "async") throw this.problem("'return' outside function")
    if (this.around.starHandler) {
      throw this.problem("'break', 'continue' and 'return' cannot appear in an except* block")
    }
    const { at } = this
    this.at++
    if (STARTS[this.kind] !== 1) return
    this.values()
    if (current.returnsAt < 0) current.returnsAt = this.startOf(at)
  }

  private raise(): void {
    this.at++
    if (STARTS[this.kind] !== 1) return
    this.expression()
    if (this.take(T.from)) this.expression()
  }

  private assert(): void {
    this.at++
    this.expression()
    if (this.take(T.comma)) this.expression()
  }

  private del(): void {
    const { arena } = this
    const { at } = this
    this.at++
    const from = arena.size
    let node = this.primary()
    if (this.kind === T.comma) {
      while (this.take(T.comma) && STARTS[this.kind] === 1) this.primary()
      node = arena.add(N.tuple, from, at)
    }
    if (this.kind !== NEWLINE && this.kind !== SEMICOLON) throw this.unexpected()
    this.deleteTarget(node)
  }

  private declaration(keyword: "global" | "nonlocal"): void {
    this.at++
    do {
      const token = this.expectName()
      this.table.declare(this.nameOf(token), keyword, this.startOf(token))
    } while (this.take(T.comma))
  }

  private bindToken(token: number, flag: number = FLAG.imported): void {
    this.refuseDebug(token)
    this.table.bind(this.nameOf(token), this.startOf(token), flag)
  }

  private importStatement(): void {
    this.at++
    do {
      const first = this.expectName()
      while (this.take(T.dot)) this.expectName()
      this.bindToken(this.take(T.as) ? this.expectName() : first)
    } while (this.take(T.comma))
  }

  private importFrom(): void {
    const { at } = this
    this.at++
    let relative = false
    for (; this.kind === T.dot || this.kind === T.ellipsis; this.at++) relative = true
    const from = this.at
    if (this.kind !== IMPORT || !relative) {
      this.expectName()
      while (this.take(T.dot)) this.expectName()
    }
    const future = !relative && this.at === from + 1 && this.nameOf(from) === "__future__"
    this.expect(IMPORT)
    if (future && !this.futureAllowed) {
      throw this.problem("from __future__ imports must occur at the beginning of the file", at)
    }
    if (!future) this.futureAllowed = false
    if (this.take(T.star)) {
      if (future) throw this.problem("future feature * is not defined", at)
      if (this.table.current.kind !== "module") throw this.problem("import * only allowed at module level", at)
      return
    }
    this.importedNames(future)
  }

  private importedNames(future: boolean): void {
    const bracketed = this.take(T.open)
    for (;;) {
      const token = this.expectName()
      const name = this.nameOf(token)
      if (future && !FUTURE_FEATURES.has(name)) throw this.problem(`future feature ${name} is not defined`, token)
      if (future && name === "annotations") this.deferred = true
      this.bindToken(this.take(T.as) ? this.expectName() : token)
      if (!this.take(T.comma)) break
      if (ENDS_IMPORT[this.kind] === 1) {
        if (!bracketed) throw this.problem("trailing comma not allowed without surrounding parentheses", this.at - 1)
        break
      }
    }
    if (bracketed) this.expect(T.close)
  }

  private typeAlias(): void {
    this.at++
    this.bindToken(this.expectName(), FLAG.local)
    this.table.enter("types")
    this.typeParameters()
    this.expect(T.equals)
    this.expression()
    this.finishExpressions()
    this.table.leave()
  }

  /** The type parameters of a definition, in the current scope of kind `types`; nothing when there are none. */
  protected typeParameters(): void {
    if (!this.take(T.openSquare)) return
    if (this.kind === T.closeSquare) throw this.problem("type parameter list cannot be empty")
    let defaults = false
    while (this.kind !== T.closeSquare) {
      const unpacks = this.take(T.star)
      const starred = unpacks || this.take(T.doubleStar)
      const token = this.expectName()
      this.refuseDebug(token)
      this.table.bind(this.nameOf(token), this.startOf(token), FLAG.typeParameter)
      if (this.kind === T.colon) {
        if (starred) throw this.problem("only a plain type parameter may have a bound")
        this.at++
        this.expression()
      }
      if (this.take(T.equals)) {
        defaults = true
        if (unpacks && this.kind === T.star) this.starred()
        else this.expression()
      } else if (defaults) {
        throw this.problem(`type parameter '${this.nameOf(token)}' without a default follows one with a default`, token)
      }
      if (!this.take(T.comma)) break
    }
    this.expect(T.closeSquare)
    this.finishExpressions()
  }
}
