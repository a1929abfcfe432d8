/**
 * JSON of which whole numbers survive that a JavaScript number would round, such as hashes of 64 bits: each of them is what
 * `JSON.rawJSON` makes of its digits, which `JSON.stringify` writes out again. Whatever else is looked at is as of `JSON.parse`.
 */

/** An object that holds the digits; the typings know neither it nor the reviver's third argument yet. */
declare global {
  interface JSON {
    rawJSON(text: string): unknown
    isRawJSON(value: unknown): boolean
  }
}

/** Sixteen digits may be too many. Texts that look like numbers only cost the slower way. */
const LONG_NUMBER = /(?:^|[:,[\s])-?\d{16,}/
const WHOLE = /^-?\d+$/

/** @throws SyntaxError for what is no JSON */
export function parseExactly(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
}

/** It is an object, and yet no value that holds others. */
export const isExactNumber = (value: unknown): boolean => JSON.isRawJSON(value)

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value
  const source = context?.source
  return source !== undefined && WHOLE.test(source) ? JSON.rawJSON(source) : value
}
