import { Kind } from "../node-kinds.ts"
import { N } from "./arena.ts"
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
  T,
} from "./tokens.ts"

const {
  concatenated_string: CONCATENATED_STRING,
  format_expression: FORMAT_EXPRESSION,
  generator_expression: GENERATOR_EXPRESSION,
  interpolation: INTERPOLATION,
  other: OTHER,
  string: STRING_NODE,
} = Kind
/** What a string starts with. */
export const STRINGS = kindSet("string bytes fstring_start")

/** Strings, with the replacement fields of f-strings. */
export abstract class StringReader extends TargetReader {
  protected abstract yieldOrValues(): number
  protected abstract startsClauses(): boolean
  protected abstract clauses(element: number): void

  /** Adjacent literals, which become one. */
  protected strings(): number {
    const { arena, at } = this
    const from = arena.size
    const bytes = this.kind === BYTES
    const first = this.tree.size
    let formatted = false
    let count = 0
    for (; STRINGS[this.kind] === 1; ) {
      if ((this.kind === BYTES) !== bytes) throw this.problem("cannot mix bytes and nonbytes literals", at)
      if (this.kind === FSTRING_START) {
        formatted = true
        this.formattedString()
      } else this.leaf(STRING_NODE)
      count++
    }
    if (count > 1) this.node(CONCATENATED_STRING, first, at)
    return arena.add(formatted ? N.formatted : N.literal, from, at)
  }

  private formattedString(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.formattedParts(FSTRING_END, INTERPOLATION)
    this.at++
    this.node(STRING_NODE, first, at)
  }

  /** The text and replacement fields of an f-string or of a format spec, up to `close`. */
  private formattedParts(close: number, field: number): void {
    while (this.kind !== close) {
      if (this.take(FSTRING_MIDDLE)) continue
      const { at } = this
      const first = this.tree.size
      this.expect(T.openBrace)
      if (this.kind === T.closeBrace || this.kind === T.colon || this.kind === T.exclamation) {
        throw this.problem("f-string: valid expression required")
      }
      this.fieldExpression()
      this.take(T.equals)
      if (this.take(T.exclamation)) this.conversion()
      if (this.kind === T.colon) this.formatSpec()
      if (!this.take(T.closeBrace)) throw this.fieldProblem()
      this.node(field, first, at)
    }
  }

  private formatSpec(): void {
    const { at } = this
    const first = this.tree.size
    this.at++
    this.formattedParts(T.closeBrace, FORMAT_EXPRESSION)
    this.node(OTHER, first, at)
  }

  private fieldExpression(): void {
    const { arena, at } = this
    const from = arena.size
    const first = this.tree.size
    const node = this.yieldOrValues()
    // Up to 3.11 an expression is read as if it stood in parentheses.
    if (!this.startsClauses() || arena.kind[node] === N.tuple) return
    this.clauses(node)
    this.node(GENERATOR_EXPRESSION, first, at)
    arena.add(N.generator, from, at)
  }

  private conversion(): void {
    const adjacent = this.tokens.end[this.at - 1] === this.startOf(this.at)
    if (this.kind !== NAME || !adjacent || !/^[sra]$/.test(this.textOf(this.at))) {
      throw this.problem("f-string: invalid conversion: expected 's', 'r', or 'a'")
    }
    this.at++
    this.node(OTHER, this.tree.size, this.at - 2)
  }

  private fieldProblem(): SyntaxProblem {
    return this.tokens.kind[this.at] === NUMBER ? this.problem("f-string: invalid syntax") : this.unexpected("}")
  }

  protected isString(kind: number): boolean {
    return kind === STRING || kind === BYTES || kind === FSTRING_START
  }
}
