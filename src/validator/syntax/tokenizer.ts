/**
 * Python source to tokens, as CPython's tokenizer of 3.12 and later reads it: indentation with its tab rules, brackets,
 * f-strings with their own tokens. One pass; the arrays end where nothing more can be read, with a `broken` token.
 */
import { checkName } from "./name-characters.ts"
import { FIRST_NAME, type Names } from "./names.ts"
import { endOfNumber, isNamePart } from "./numbers.ts"
import { checkEscapes, endOfString, type StringStart, stringStart } from "./string-literals.ts"
import {
  BROKEN,
  BYTES,
  CLOSING,
  DEDENT,
  END,
  FSTRING_END,
  FSTRING_MIDDLE,
  FSTRING_START,
  INDENT,
  NAME,
  NEWLINE,
  NUMBER,
  OPENING,
  OPERATOR_KINDS,
  STRING,
  SyntaxProblem,
  tokenKind,
} from "./tokens.ts"
import type { TokenArrays, Workspace } from "./workspace.ts"

/** Good until the next file is read into the workspace. */
export interface Tokens {
  readonly text: string
  readonly size: number
  readonly kind: Uint8Array
  readonly start: Int32Array
  readonly end: Int32Array
  /** Numbers of words in `names`; whatever else has 0. */
  readonly name: Int32Array
  readonly names: Names
  /** `global` or `nonlocal` is among them. */
  readonly declares: boolean
  readonly problem: SyntaxProblem | null
}

/** CPython's MAXINDENT counts the outermost level. */
const MAX_INDENTS = 100
/** CPython's MAXLEVEL. */
const MAX_BRACKETS = 200
/** CPython's MAXFSTRINGLEVEL counts the code around. */
const MAX_FORMATTED = 150
const MAX_FORMAT_SPECS = 3

const SINGLE = new Uint8Array(128)
for (const [operator, kind] of OPERATOR_KINDS) if (operator.length === 1) SINGLE[operator.charCodeAt(0)] = kind
/** 1 for what may go on as a longer operator. */
const LONGER = new Uint8Array(128)
/** 1 for what may be second in one. */
const SECOND = new Uint8Array(128)
for (const operator of OPERATOR_KINDS.keys()) {
  if (operator.length === 1) continue
  LONGER[operator.charCodeAt(0)] = 1
  SECOND[operator.charCodeAt(1)] = 1
}
const COLON = tokenKind(":")
const GLOBAL = tokenKind("global")
const NONLOCAL = tokenKind("nonlocal")

interface Formatted {
  readonly start: StringStart
  readonly at: number
  /** Brackets open around the literal. */
  readonly outside: number
  /** Brackets open around each replacement field that is being read, its own brace included. */
  readonly fields: number[]
  /** The literal's own text or a format spec is being read, not an expression. */
  literal: boolean
}

export function tokenize(text: string, workspace: Workspace): Tokens {
  return new Tokenizer(text, workspace).run()
}

class Tokenizer {
  private tokens: TokenArrays
  private readonly names: Names
  private size = 0
  private declares = false
  private at = 0
  /** Where those that are open stand. */
  private readonly brackets: number[] = []
  private readonly formatted: Formatted[] = []
  private readonly columns = [0]
  private readonly alternatives = [0]

  constructor(
    private readonly text: string,
    private readonly workspace: Workspace,
  ) {
    this.tokens = workspace.tokensFor(Math.max(64, (text.length >> 1) + 16))
    this.names = workspace.names
  }

  run(): Tokens {
    let problem: SyntaxProblem | null = null
    try {
      this.read()
    } catch (thrown) {
      if (!(thrown instanceof SyntaxProblem)) throw thrown
      problem = thrown
      this.add(BROKEN, Math.min(problem.index, this.text.length), this.text.length)
    }
    const { text, size, names } = this
    const { kind, start, end, name } = this.tokens
    // What is asked for past the last token must not be one of another file.
    return { text, size, kind: kind.subarray(0, size), start, end, name, names, declares: this.declares, problem }
  }

  private add(kind: number, start: number, end: number, name = 0): void {
    if (this.size === this.tokens.kind.length) this.tokens = this.workspace.moreTokens()
    const { tokens, size } = this
    tokens.kind[size] = kind
    tokens.start[size] = start
    tokens.end[size] = end
    tokens.name[size] = name
    this.size = size + 1
  }

  private read(): void {
    const { text } = this
    let fresh = true
    let pending = false
    for (;;) {
      const inside = this.formatted.at(-1)
      if (inside?.literal) {
        this.literalPart(inside)
        continue
      }
      if (fresh) {
        fresh = false
        if (!this.indentation()) {
          fresh = this.at < text.length
          if (fresh) continue
        }
      }
      if (this.at >= text.length) break
      const unit = text.charCodeAt(this.at)
      if (unit === 0x20 || unit === 0x09 || unit === 0x0c) this.at++
      else if (unit === 0x0a) {
        if (this.brackets.length === 0) {
          if (pending) this.add(NEWLINE, this.at, this.at + 1)
          pending = false
          fresh = true
        }
        this.at++
      } else if (unit === 0x23) this.at = this.lineEnd()
      else if (unit === 0x5c) this.continuation()
      else {
        this.token(unit)
        pending = true
      }
    }
    const open = this.brackets.at(-1)
    const unfinished = this.formatted.at(-1)
    if (unfinished !== undefined) throw new SyntaxProblem(unfinished.at, "unterminated f-string literal")
    if (open !== undefined) throw new SyntaxProblem(open, `'${text.charAt(open)}' was never closed`)
    if (pending) this.add(NEWLINE, text.length, text.length)
    for (let level = this.columns.length; level > 1; level--) this.add(DEDENT, text.length, text.length)
    this.add(END, text.length, text.length)
  }

  private lineEnd(): number {
    const end = this.text.indexOf("\n", this.at)
    return end < 0 ? this.text.length : end
  }

  private continuation(): void {
    const next = this.text.charCodeAt(this.at + 1)
    if (this.at + 1 >= this.text.length || (next === 0x0a && this.at + 2 >= this.text.length)) {
      throw new SyntaxProblem(this.at, "unexpected end of the file after a line continuation")
    }
    if (next !== 0x0a) throw new SyntaxProblem(this.at + 1, "unexpected character after line continuation character")
    this.at += 2
  }

  /** Reads the blanks that start a line and opens or closes blocks; false for a line without code. */
  private indentation(): boolean {
    const { text } = this
    let column = 0
    let alternative = 0
    let continued: { column: number; alternative: number } | null = null
    for (; this.at < text.length; this.at++) {
      const unit = text.charCodeAt(this.at)
      if (unit === 0x20) {
        column++
        alternative++
      } else if (unit === 0x09) {
        column = (column >> 3) * 8 + 8
        alternative++
      } else if (unit === 0x0c) {
        column = 0
        alternative = 0
      } else if (unit === 0x5c) {
        // Indentation split by a backslash is that of the first of the lines.
        if (column > 0) continued ??= { column, alternative }
        this.continuation()
        this.at--
      } else break
    }
    const unit = text.charCodeAt(this.at)
    if (this.at >= text.length) return false
    if (unit === 0x23) this.at = this.lineEnd()
    if (unit === 0x23 || unit === 0x0a) {
      this.at++
      return false
    }
    this.indent(continued?.column ?? column, continued?.alternative ?? alternative)
    return true
  }

  /** Columns with tabs to eight and to one: both must agree, or the code means something else to another reader. */
  private indent(column: number, alternative: number): void {
    const { columns, alternatives, at } = this
    const inconsistent = () => new SyntaxProblem(at, "inconsistent use of tabs and spaces in indentation")
    const current = columns.at(-1) ?? 0
    if (column > current) {
      if (columns.length + 1 > MAX_INDENTS) throw new SyntaxProblem(at, "too many levels of indentation")
      if (alternative <= (alternatives.at(-1) ?? 0)) throw inconsistent()
      columns.push(column)
      alternatives.push(alternative)
      this.add(INDENT, at, at)
      return
    }
    while (columns.length > 1 && column < (columns.at(-1) ?? 0)) {
      columns.pop()
      alternatives.pop()
      this.add(DEDENT, at, at)
    }
    if (column !== columns.at(-1)) {
      throw new SyntaxProblem(at, "unindent does not match any outer indentation level")
    }
    if (alternative !== alternatives.at(-1)) throw inconsistent()
  }

  private token(unit: number): void {
    const { text, at } = this
    const next = text.charCodeAt(at + 1)
    if (unit === 0x22 || unit === 0x27) this.string(at)
    else if ((unit >= 0x30 && unit <= 0x39) || (unit === 0x2e && next >= 0x30 && next <= 0x39)) {
      this.at = endOfNumber(text, at)
      this.add(NUMBER, at, this.at)
    } else if (isNamePart(unit)) this.word()
    else this.operator(unit)
  }

  private word(): void {
    const { text, at } = this
    let end = at
    let ascii = true
    let hash = 0
    for (let unit = text.charCodeAt(end); isNamePart(unit); unit = text.charCodeAt(++end)) {
      ascii &&= unit < 0x80
      hash = (Math.imul(hash, 31) + unit) | 0
    }
    const unit = text.charCodeAt(end)
    if ((unit === 0x22 || unit === 0x27) && end - at <= 2 && this.string(end)) return
    if (!ascii) checkName(text, at, end)
    // CPython compares names after NFKC normalisation (PEP 3131), but no keyword is spelled that way.
    const name = ascii
      ? this.names.numberAt(text, at, end, hash)
      : this.names.numberOf(text.slice(at, end).normalize("NFKC"))
    const kind = ascii && name < FIRST_NAME ? name : NAME
    this.declares ||= kind === GLOBAL || kind === NONLOCAL
    this.add(kind, at, end, name)
    this.at = end
  }

  private operator(unit: number): void {
    const { text, at } = this
    const inside = this.formatted.at(-1)
    if (inside !== undefined && unit === 0x3a && this.brackets.length === inside.fields.at(-1)) {
      this.add(COLON, at, at + 1)
      this.at++
      inside.literal = true
      return
    }
    let kind = unit < 128 ? (SINGLE[unit] ?? 0) : 0
    let length = 1
    if (unit < 128 && LONGER[unit] === 1 && SECOND[text.charCodeAt(at + 1)] === 1) {
      const three = OPERATOR_KINDS.get(text.slice(at, at + 3))
      const two = three === undefined ? OPERATOR_KINDS.get(text.slice(at, at + 2)) : undefined
      if (three !== undefined && three !== kind) length = 3
      else if (two !== undefined && two !== kind) length = 2
      kind = three ?? two ?? kind
    }
    if (kind === 0) {
      throw new SyntaxProblem(at, `invalid character ${JSON.stringify(text.charAt(at))} outside a string`)
    }
    if (length === 1) this.bracket(unit, at, inside)
    this.add(kind, at, at + length)
    this.at += length
  }

  private bracket(unit: number, at: number, inside: Formatted | undefined): void {
    const { brackets, text } = this
    if (CLOSING[unit] !== 0) {
      if (brackets.length >= MAX_BRACKETS) throw new SyntaxProblem(at, "too many nested parentheses")
      brackets.push(at)
    } else if (OPENING[unit] !== 0) {
      const character = text.charAt(at)
      if (inside !== undefined && brackets.length === inside.outside) {
        throw new SyntaxProblem(at, `f-string: single '${character}' is not allowed`)
      }
      const open = brackets.pop()
      if (open === undefined) throw new SyntaxProblem(at, `unmatched '${character}'`)
      if (text.charCodeAt(open) !== OPENING[unit]) {
        throw new SyntaxProblem(at, `closing '${character}' does not match opening '${text.charAt(open)}'`)
      }
      if (inside !== undefined && brackets.length + 1 === inside.fields.at(-1)) {
        inside.fields.pop()
        inside.literal = true
      }
    }
  }

  /** Reads the string whose quote stands at `quoteAt`, its prefix before it; false when that is no string's prefix. */
  private string(quoteAt: number): boolean {
    const { text, at } = this
    const start = stringStart(text, at, quoteAt)
    if (start === null) return false
    if (!start.formatted) {
      this.at = endOfString(text, at, start)
      this.add(start.bytes ? BYTES : STRING, at, this.at)
      return true
    }
    if (this.formatted.length + 1 >= MAX_FORMATTED) throw new SyntaxProblem(at, "too many nested f-strings")
    this.add(FSTRING_START, at, start.content)
    this.at = start.content
    this.formatted.push({ start, at, outside: this.brackets.length, fields: [], literal: true })
    return true
  }

  /** The text of an f-string up to its end, or up to the brace that starts or ends a replacement field. */
  private literalPart(inside: Formatted): void {
    const { text } = this
    const { raw, quote } = inside.start
    const spec = inside.fields.length > 0
    const from = this.at
    let here = from
    let done = false
    let broken = false
    while (!done) {
      if (here >= text.length) throw new SyntaxProblem(inside.at, "unterminated f-string literal")
      const unit = text.charCodeAt(here)
      if (unit === 0x5c) {
        const next = text.charCodeAt(here + 1)
        if (!raw && next === 0x4e && text.charCodeAt(here + 2) === 0x7b) {
          const end = text.indexOf("}", here)
          here = end < 0 ? text.length : end + 1
        } else here += next === 0x7b || next === 0x7d ? 1 : 2
      } else if (unit === 0x7b || unit === 0x7d) {
        if (!spec && text.charCodeAt(here + 1) === unit) here += 2
        else done = true
      } else if (unit === 0x0a && quote.length === 1) {
        if (!spec) throw new SyntaxProblem(inside.at, "unterminated f-string literal")
        // CPython 3.12 and 3.13 end a format spec at a line's end, and wait for its brace.
        done = true
        broken = true
      } else if (text.startsWith(quote, here)) done = true
      else here++
    }
    if (here > from) {
      if (!raw) checkEscapes(text, from, here, false)
      this.add(FSTRING_MIDDLE, from, here)
    }
    this.at = here
    if (broken) inside.literal = false
    else if (text.startsWith(quote, here)) this.endFormatted(inside, quote)
    else this.field(inside, text.charCodeAt(here))
  }

  private endFormatted(inside: Formatted, quote: string): void {
    if (inside.fields.length > 0) throw new SyntaxProblem(this.at, "f-string: expecting '}'")
    this.add(FSTRING_END, this.at, this.at + quote.length)
    this.at += quote.length
    this.formatted.pop()
  }

  private field(inside: Formatted, brace: number): void {
    this.bracket(brace, this.at, inside)
    this.add(SINGLE[brace] ?? 0, this.at, this.at + 1)
    this.at++
    if (OPENING[brace] !== 0) return
    if (inside.fields.length >= MAX_FORMAT_SPECS) {
      throw new SyntaxProblem(this.at - 1, "f-string: expressions nested too deeply")
    }
    inside.fields.push(this.brackets.length)
    inside.literal = false
  }
}
