/** The kinds of tokens of Python, as small numbers: CPython's, with one for each keyword and operator. */
const WORDS =
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield"
const OPERATORS =
  "( ) [ ] { } , : ; . = -> := ... + - * / // % @ & | ^ ~ << >> ** < > <= >= == != <> += -= *= /= //= %= @= &= |= ^= <<= >>= **= !"

const PLAIN = [
  "end",
  "newline",
  "indent",
  "dedent",
  "name",
  "number",
  "string",
  "bytes",
  "fstring_start",
  "fstring_middle",
  "fstring_end",
  /** What no token can be read from; `Tokens.problem` says why. */
  "broken",
] as const

export const TOKEN_NAMES: readonly string[] = [...PLAIN, ...WORDS.split(" "), ...OPERATORS.split(" ")]

const numbers = new Map(TOKEN_NAMES.map((name, index) => [name, index]))

/** Number of a token by its name or spelling. */
export function tokenKind(name: string): number {
  return numbers.get(name) ?? -1
}

export const KEYWORDS: ReadonlyMap<string, number> = new Map(WORDS.split(" ").map((word) => [word, tokenKind(word)]))
export const OPERATOR_KINDS: ReadonlyMap<string, number> = new Map(
  OPERATORS.split(" ").map((operator) => [operator, tokenKind(operator)]),
)

/** 1 for the kinds named, separated by blanks, to be asked by number. */
export function kindSet(names: string): Uint8Array {
  const set = new Uint8Array(TOKEN_NAMES.length)
  for (const name of names.split(" ")) set[tokenKind(name)] = 1
  return set
}

export const END = tokenKind("end")
export const NEWLINE = tokenKind("newline")
export const INDENT = tokenKind("indent")
export const DEDENT = tokenKind("dedent")
export const NAME = tokenKind("name")
export const NUMBER = tokenKind("number")
export const STRING = tokenKind("string")
export const BYTES = tokenKind("bytes")
export const FSTRING_START = tokenKind("fstring_start")
export const FSTRING_MIDDLE = tokenKind("fstring_middle")
export const FSTRING_END = tokenKind("fstring_end")
export const BROKEN = tokenKind("broken")

/** Kinds of the tokens that the parser asks for. */
export const T = {
  open: tokenKind("("),
  close: tokenKind(")"),
  openSquare: tokenKind("["),
  closeSquare: tokenKind("]"),
  openBrace: tokenKind("{"),
  closeBrace: tokenKind("}"),
  comma: tokenKind(","),
  colon: tokenKind(":"),
  dot: tokenKind("."),
  equals: tokenKind("="),
  walrus: tokenKind(":="),
  star: tokenKind("*"),
  doubleStar: tokenKind("**"),
  slash: tokenKind("/"),
  exclamation: tokenKind("!"),
  ellipsis: tokenKind("..."),
  yield: tokenKind("yield"),
  from: tokenKind("from"),
  for: tokenKind("for"),
  async: tokenKind("async"),
  await: tokenKind("await"),
  in: tokenKind("in"),
  if: tokenKind("if"),
  else: tokenKind("else"),
  lambda: tokenKind("lambda"),
  not: tokenKind("not"),
  is: tokenKind("is"),
  and: tokenKind("and"),
  or: tokenKind("or"),
  as: tokenKind("as"),
} as const

/** By the character code of an opening bracket that of the one that closes it, and the other way round. */
export const CLOSING = new Uint8Array(128)
export const OPENING = new Uint8Array(128)
for (const [open, close] of ["()", "[]", "{}"].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)] as const)) {
  CLOSING[open] = close
  OPENING[close] = open
}

/** Thrown to leave the parse at the first problem; `checkSyntax` catches it. */
export class SyntaxProblem extends Error {
  constructor(
    readonly index: number,
    reason: string,
  ) {
    super(reason)
  }
}
