import { SyntaxProblem } from "./tokens.ts"

/** What may stand before the quote of a string, in lower case. */
const PREFIXES = new Set(["", "r", "u", "b", "br", "rb", "f", "fr", "rf"])

export interface StringStart {
  readonly raw: boolean
  readonly bytes: boolean
  readonly formatted: boolean
  /** `'` or `"`, three of it when tripled. */
  readonly quote: string
  /** Index after the opening quote. */
  readonly content: number
}

/** The start of the string whose prefix begins at `at` and whose quote stands at `quoteAt`; null when no string can. */
export function stringStart(text: string, at: number, quoteAt: number): StringStart | null {
  const prefix = text.slice(at, quoteAt).toLowerCase()
  if (!PREFIXES.has(prefix)) return null
  const [single, tripled] = text.charCodeAt(quoteAt) === 0x27 ? ["'", "'''"] : ['"', '"""']
  const quote = text.startsWith(tripled, quoteAt) ? tripled : single
  return {
    raw: prefix.includes("r"),
    bytes: prefix.includes("b"),
    formatted: prefix.includes("f"),
    quote,
    content: quoteAt + quote.length,
  }
}

/** Index after the closing quote of a string that is not formatted. */
export function endOfString(text: string, at: number, start: StringStart): number {
  const quote = start.quote.charCodeAt(0)
  const tripled = start.quote.length === 3
  let backslashes = false
  for (let here = start.content; here < text.length; here++) {
    const unit = text.charCodeAt(here)
    if (unit === 0x5c) {
      backslashes = true
      here++
    } else if (unit === quote && (!tripled || text.startsWith(start.quote, here))) {
      if (start.bytes) checkBytes(text, start.content, here)
      if (backslashes && !start.raw) checkEscapes(text, start.content, here, start.bytes)
      return here + start.quote.length
    } else if (unit === 0x0a && !tripled) break
  }
  throw new SyntaxProblem(at, tripled ? "unterminated triple-quoted string literal" : "unterminated string literal")
}

function checkBytes(text: string, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    if (text.charCodeAt(at) >= 0x80) throw new SyntaxProblem(at, "bytes can only contain ASCII literal characters")
  }
}

const ESCAPE = /\\(?:x([\da-fA-F]{0,2})|u([\da-fA-F]{0,4})|U([\da-fA-F]{0,8})|N(\{[^{}]+\})?|[\s\S])/y

/** The escapes between two indexes; those that mean nothing stay as they are written. */
export function checkEscapes(text: string, from: number, to: number, bytes: boolean): void {
  for (let at = text.indexOf("\\", from); at >= 0 && at < to; at = text.indexOf("\\", ESCAPE.lastIndex)) {
    ESCAPE.lastIndex = at
    const found = ESCAPE.exec(text)
    if (found === null) return
    const [written, byte, short, long, named] = found
    const letter = written.charAt(1)
    if (letter === "x" && byte?.length !== 2) throw new SyntaxProblem(at, "invalid \\x escape: it takes two hex digits")
    if (bytes) continue
    if (letter === "u" && short?.length !== 4) throw new SyntaxProblem(at, "truncated \\uXXXX escape")
    if (letter === "U") {
      if (long?.length !== 8) throw new SyntaxProblem(at, "truncated \\UXXXXXXXX escape")
      if (Number.parseInt(long, 16) > 0x10ffff) throw new SyntaxProblem(at, "illegal Unicode character")
    }
    if (letter === "N" && named === undefined) throw new SyntaxProblem(at, "malformed \\N character escape")
  }
}
