/** The value of a literal, written so that two literals that are equal to Python are equal here. */

const SIMPLE: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
}
const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g

/** Of adjacent strings or bytes, as they are written. */
export function stringKey(literals: readonly string[]): string {
  const bytes = /^[rR]?[bB]/.test(literals[0] ?? "")
  return `${bytes ? "b" : "s"}:${literals.map(decoded).join("")}`
}

function decoded(literal: string): string {
  const quoteAt = literal.search(/['"]/)
  const single = literal.charAt(quoteAt)
  const length = literal.startsWith(single.repeat(3), quoteAt) && literal.length - quoteAt >= 6 ? 3 : 1
  const content = literal.slice(quoteAt + length, literal.length - length)
  const prefix = literal.slice(0, quoteAt).toLowerCase()
  if (prefix.includes("r") || !content.includes("\\")) return content
  return content.replace(ESCAPE, (whole, byte, short, long, octal, other) => {
    if (prefix.includes("b") && (short ?? long) !== undefined) return whole
    const hex = byte ?? short ?? long
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
    return SIMPLE[other] ?? whole
  })
}

/** Of a number, with its sign: `-1`, `1.0`, `1+2j`. */
export function numberKey(written: string): string {
  const parts = written.replaceAll("_", "").match(/-?(?:0[xob][\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?j?)/gi) ?? []
  let real = "0"
  let imaginary = "0"
  for (const part of parts) {
    if (/j$/i.test(part)) imaginary = realKey(part.slice(0, -1))
    else real = realKey(part)
  }
  return imaginary === "0" ? real : `${real}+${imaginary}j`
}

function realKey(written: string): string {
  const negative = written.startsWith("-")
  const digits = negative ? written.slice(1) : written
  const whole = /^0[xob]/i.test(digits) || /^\d+$/.test(digits)
  const float = Number(digits)
  if (!whole && !Number.isInteger(float)) return negative ? `-${float}` : `${float}`
  const value = whole ? BigInt(digits) : BigInt(float)
  return (negative ? -value : value).toString()
}
