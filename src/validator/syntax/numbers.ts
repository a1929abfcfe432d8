import { SyntaxProblem } from "./tokens.ts"

const NUMBER =
  /0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?[jJ]?/y
const RADIX_NAMES: Readonly<Record<string, string>> = { x: "hexadecimal", o: "octal", b: "binary" }
const IMAGINARY_OR_FLOAT = /[.eEjJ]/
/** CPython refuses longer decimal integers (`sys.int_info.default_max_str_digits`). */
const MAX_DECIMAL_DIGITS = 4300
/** The keywords that may follow a number without a blank (deprecated since 3.12, not refused). */
const KEYWORD_AFTER = /and|else|for|if|in|is|or|not/y

/** Index after the number that starts at `at`. */
export function endOfNumber(text: string, at: number): number {
  NUMBER.lastIndex = at
  NUMBER.test(text)
  const end = NUMBER.lastIndex
  const radix = text.charCodeAt(at) === 0x30 ? RADIX_NAMES[text.charAt(at + 1).toLowerCase()] : undefined
  const name = radix ?? (text.charAt(end - 1) === "j" || text.charAt(end - 1) === "J" ? "imaginary" : "decimal")
  if (radix !== undefined && end === at + 1) throw new SyntaxProblem(at, `invalid ${name} literal`)
  const next = text.charCodeAt(end)
  if (isNamePart(next)) {
    KEYWORD_AFTER.lastIndex = end
    if (!KEYWORD_AFTER.test(text)) throw new SyntaxProblem(at, `invalid ${name} literal`)
  }
  if (radix !== undefined || end - at === 1) return end
  const written = text.slice(at, end)
  if (IMAGINARY_OR_FLOAT.test(written)) return end
  if (written.startsWith("0") && /[1-9]/.test(written)) {
    throw new SyntaxProblem(at, "leading zeros in decimal integers are not permitted; use an 0o prefix for octal")
  }
  if (written.length > MAX_DECIMAL_DIGITS && written.replaceAll("_", "").length > MAX_DECIMAL_DIGITS) {
    throw new SyntaxProblem(at, `an integer of more than ${MAX_DECIMAL_DIGITS} digits must be hexadecimal`)
  }
  return end
}

/** Whether the number between two indexes is written without a point or an exponent. */
export function isInteger(text: string, from: number, to: number): boolean {
  if (to - from === 1) return true
  const radix = text.charCodeAt(from + 1) | 0x20
  if (radix === 0x78) return true
  for (let at = from; at < to; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x2e || unit === 0x65 || unit === 0x45) return false
  }
  return true
}

/** May be part of a name, as the tokenizer sees it before it looks closer. */
export function isNamePart(unit: number): boolean {
  return (
    (unit >= 0x61 && unit <= 0x7a) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    (unit >= 0x30 && unit <= 0x39) ||
    unit === 0x5f ||
    unit >= 0x80
  )
}
