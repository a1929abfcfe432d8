/**
 * JSON of which whole numbers survive that a JavaScript number would round, such as hashes of 64 bits: they are bigints, which
 * `JSON.stringify` writes as the digits that they were. Whatever else is looked at is as of `JSON.parse`.
 */

/** The typings know neither these nor the reviver's third argument yet. */
declare global {
  interface JSON {
    rawJSON(text: string): unknown
  }
  interface BigInt {
    toJSON(): unknown
  }
}

// Without it `JSON.stringify` throws at a bigint.
BigInt.prototype.toJSON = function () {
  return JSON.rawJSON(this.toString())
}

/** Told first, since nearly all texts end here: 0.1 ns a byte. */
const DIGITS = /\d{16}/
/** Sixteen digits may be too many. Texts that look like numbers only cost the slower way. */
const LONG_NUMBER = /(?:^|[:,[\s])-?\d{16,}/
/** As many digits as Python writes at most: what has more comes from nobody who counts, and a bigint of millions takes minutes. */
const WHOLE = /^-?\d{1,4300}$/

/** @throws SyntaxError for what is no JSON */
export function parseExactly<T = unknown>(text: string): T {
  return hasLongNumber(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
}

/** Whether a number in it may be one that a JavaScript number would round. */
export function hasLongNumber(text: string): boolean {
  return DIGITS.test(text) && LONG_NUMBER.test(text)
}

/** A reviver. */
export function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value
  const source = context?.source
  return source !== undefined && WHOLE.test(source) ? BigInt(source) : value
}

/** A number as it is once JSON has carried it: doubles past 53 bits, which JSON writes as digits, are bigints as well. */
export function asCarried(value: unknown): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value
  const text = JSON.stringify(value)
  return WHOLE.test(text) ? BigInt(text) : value
}
