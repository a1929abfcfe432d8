import { Kind } from "../node-kinds.ts"
import { N, USE } from "./arena.ts"
import { STARTS } from "./atoms.ts"
import { recordNames } from "./expression-scopes.ts"
import { PatternReader } from "./patterns.ts"
import { FLAG, ScopeTable, type SyntaxScope } from "./scope-table.ts"
import { KEYWORDS, kindSet, NAME, NEWLINE, STRING, type SyntaxProblem, T, tokenKind } from "./tokens.ts"

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
  protected readonly table = new ScopeTable(this.tokens.names)
  protected around = outside()
  /** Only the docstring and other future imports have been read. */
  protected futureAllowed = true
  private deferred = false
  private readonly simple = this.simpleTable()

  private simpleTable(): ReadonlyMap<number, () => void> {
    const table: Record<string, () => void> = {
      pass: () => this.leaf(Kind.other),
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
    const { declares } = this.tokens
    recordNames(arena, table, this, { parameters, annotations, declares, deferred })
    arena.clear()
  }

  private expressionStatement(): number {
    const { at } = this
    const first = this.tree.size
    const yields = this.kind === T.yield
    let node = yields ? this.yieldExpression() : this.starExpressions()
    if (this.kind === T.equals) node = this.assignment(node, first, at)
    else if (this.kind === T.colon && !yields) this.annotation(node, first, at)
    else if (AUGMENTED[this.kind] === 1) {
      this.oneTarget(node, USE.store, "assign to")
      this.at++
      this.yieldOrValues()
      this.node(Kind.augmented_assignment, first, at)
    } else this.refuseStarred(node)
    this.node(Kind.expression_statement, first, at)
    return node
  }

  /** `a = b = value`, each assignment the right side of the one before it. */
  private assignment(target: number, first: number, begin: number): number {
    let node = target
    const targets: number[] = []
    let from = first
    let at = begin
    while (this.take(T.equals)) {
      this.assignTo(node)
      this.tree.lastAsTarget()
      targets.push(from, at)
      from = this.tree.size
      at = this.at
      node = this.kind === T.yield ? this.yieldExpression() : this.starExpressions()
    }
    this.refuseStarred(node)
    for (let index = targets.length - 2; index >= 0; index -= 2) {
      this.node(Kind.assignment, targets[index] ?? 0, targets[index + 1] ?? 0)
    }
    return node
  }

  private annotation(node: number, first: number, begin: number): void {
    const { arena } = this
    const plain = arena.kind[node] === N.name
    const kind = arena.kind[node]
    if (kind === N.tuple || kind === N.bracketedTuple || kind === N.list) {
      throw this.problemAt(node, "only single target (not tuple or list) can be annotated")
    }
    const target = this.oneTarget(node, USE.annotated, "annotate")
    this.tree.lastAsTarget()
    this.at++
    this.annotationOf()
    const assigned = this.take(T.equals)
    if (assigned) this.yieldOrValues()
    this.node(Kind.assignment, first, begin)
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
    this.leaf(Kind.other)
  }

  private returnStatement(): void {
    const { current } = this.table
    if (current.kind !== "function" && current.kind !== "async") throw this.problem("'return' outside function")
    if (this.around.starHandler) {
      throw this.problem("'break', 'continue' and 'return' cannot appear in an except* block")
    }
    const { at } = this
    const first = this.tree.size
    this.at++
    const valued = STARTS[this.kind] === 1
    if (valued) this.values()
    this.node(Kind.return_statement, first, at)
    if (!valued) return
    if (current.returnsAt < 0) current.returnsAt = this.startOf(at)
  }

  private raise(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    if (STARTS[this.kind] === 1) {
      this.expression()
      if (this.take(T.from)) this.expression()
    }
    this.node(Kind.other, first, at)
  }

  private assert(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.expression()
    if (this.take(T.comma)) this.expression()
    this.node(Kind.assert_statement, first, at)
  }

  private del(): void {
    const { arena } = this
    const { at } = this
    const first = this.tree.size
    this.at++
    const from = arena.size
    const begin = this.at
    let node = this.primary()
    if (this.kind === T.comma) {
      while (this.take(T.comma) && STARTS[this.kind] === 1) this.primary()
      this.node(Kind.expression_list, first, begin)
      node = arena.add(N.tuple, from, at)
    }
    this.node(Kind.delete_statement, first, at)
    if (this.kind !== NEWLINE && this.kind !== SEMICOLON) throw this.unexpected()
    this.deleteTarget(node)
  }

  private declaration(keyword: "global" | "nonlocal"): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    do {
      const token = this.expectName()
      this.table.declare(this.nameOf(token), keyword, this.startOf(token))
    } while (this.take(T.comma))
    this.node(keyword === "global" ? Kind.global_statement : Kind.nonlocal_statement, first, at)
  }

  private bindToken(token: number, flag: number = FLAG.imported): void {
    this.refuseDebug(token)
    this.table.bind(this.nameOf(token), this.startOf(token), flag)
  }

  private importStatement(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    do {
      const item = this.tree.size
      const begin = this.at
      this.moduleName()
      this.imported(item, begin)
    } while (this.take(T.comma))
    this.node(Kind.import_statement, first, at)
  }

  private moduleName(): void {
    const { at } = this
    const first = this.tree.size
    this.expectName()
    while (this.take(T.dot)) this.expectName()
    this.node(Kind.dotted_name, first, at)
  }

  /** Binds what a name that was just read, or its alias, stands for. */
  private imported(item: number, begin: number): void {
    if (!this.take(T.as)) {
      this.bindToken(begin)
      return
    }
    this.bindToken(this.expectName())
    this.node(Kind.aliased_import, item, begin)
  }

  private importFrom(): void {
    const { at } = this
    this.at++
    const first = this.tree.size
    const prefix = this.at
    while (this.kind === T.dot || this.kind === T.ellipsis) this.at++
    const relative = this.at > prefix
    if (relative) this.node(Kind.import_prefix, first, prefix)
    const from = this.at
    if (this.kind !== IMPORT || !relative) this.moduleName()
    if (relative) this.node(Kind.relative_import, first, prefix)
    const future = !relative && this.at === from + 1 && this.textOf(from) === "__future__"
    this.expect(IMPORT)
    if (future && !this.futureAllowed) {
      throw this.problem("from __future__ imports must occur at the beginning of the file", at)
    }
    if (!future) this.futureAllowed = false
    if (this.take(T.star)) {
      if (future) throw this.problem("future feature * is not defined", at)
      if (this.table.current.kind !== "module") throw this.problem("import * only allowed at module level", at)
      this.node(Kind.wildcard_import, this.tree.size, this.at - 1)
    } else this.importedNames(future)
    this.node(Kind.import_from_statement, first, at)
  }

  private importedNames(future: boolean): void {
    const bracketed = this.take(T.open)
    for (;;) {
      const item = this.tree.size
      const token = this.expectName()
      this.node(Kind.dotted_name, item, token)
      const name = this.textOf(token)
      if (future && !FUTURE_FEATURES.has(name)) throw this.problem(`future feature ${name} is not defined`, token)
      if (future && name === "annotations") this.deferred = true
      this.imported(item, token)
      if (!this.take(T.comma)) break
      if (ENDS_IMPORT[this.kind] === 1) {
        if (!bracketed) throw this.problem("trailing comma not allowed without surrounding parentheses", this.at - 1)
        break
      }
    }
    if (bracketed) this.expect(T.close)
  }

  private typeAlias(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.bindToken(this.expectName(), FLAG.local)
    this.table.enter("types")
    this.typeParameters()
    this.expect(T.equals)
    const value = this.tree.size
    const begin = this.at
    this.expression()
    this.node(Kind.type, value, begin)
    this.node(Kind.type_alias_statement, first, at)
    this.finishExpressions()
    this.table.leave()
  }

  /** The type parameters of a definition, in the current scope of kind `types`; nothing when there are none. */
  protected typeParameters(): void {
    const { at: begin } = this
    const list = this.tree.size
    if (!this.take(T.openSquare)) return
    if (this.kind === T.closeSquare) throw this.problem("type parameter list cannot be empty")
    let defaults = false
    while (this.kind !== T.closeSquare) {
      const { at } = this
      const first = this.tree.size
      const unpacks = this.take(T.star)
      const starred = unpacks || this.take(T.doubleStar)
      const token = this.expectName()
      this.refuseDebug(token)
      this.table.bind(this.nameOf(token), this.startOf(token), FLAG.typeParameter)
      if (this.kind === T.colon) {
        if (starred) throw this.problem("only a plain type parameter may have a bound")
        this.at++
        this.typeOf(false)
      }
      if (this.take(T.equals)) {
        defaults = true
        this.typeOf(unpacks)
      } else if (defaults) {
        throw this.problem(`type parameter '${this.textOf(token)}' without a default follows one with a default`, token)
      }
      this.node(Kind.type, first, at)
      if (!this.take(T.comma)) break
    }
    this.expect(T.closeSquare)
    this.node(Kind.type_parameter, list, begin)
    this.finishExpressions()
  }

  /** The bound or default of a type parameter. */
  private typeOf(mayUnpack: boolean): void {
    const { at } = this
    const first = this.tree.size
    if (mayUnpack && this.kind === T.star) this.starred()
    else this.expression()
    this.node(Kind.type, first, at)
  }
}
