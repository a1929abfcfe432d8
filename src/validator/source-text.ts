/**
 * Bytes of a Python file to text, as CPython reads them: PEP 263 cookie, byte order mark, universal newlines. Only UTF-8
 * and its subset ASCII are accepted: an encoding that can spell `eval` in other bytes would hide it from the reader of a
 * violation, and the scan would have to carry CPython's codecs.
 */
export type SourceText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string; readonly line: number; readonly column: number }

/** PEP 263: a comment in the first two lines; the second counts only when the first is blank or a comment. */
const COOKIE = /^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)/
const BLANK_OR_COMMENT = /^[ \t\f]*(?:#.*)?$/
const UTF8_NAMES = new Set(["utf-8", "utf8", "utf-8-sig", "u8", "utf"])
const ASCII_NAMES = new Set(["ascii", "us-ascii", "646"])

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false })

/** Lines end in `\n` in the answer whatever the file uses, as for CPython, so that line numbers agree with it. */
export function decodeSource(bytes: Uint8Array): SourceText {
  let decoded: string
  try {
    decoded = decoder.decode(bytes)
  } catch {
    return {
      ok: false,
      reason: "the file is not valid UTF-8. Save it as UTF-8",
      ...placeOf(bytes, firstInvalidByte(bytes)),
    }
  }
  const text = decoded.includes("\r") ? decoded.replace(/\r\n?/g, "\n") : decoded
  const nul = text.indexOf("\0")
  if (nul >= 0) return { ok: false, reason: "source code cannot contain null bytes", ...positionAt(text, nul) }
  const cookie = encodingCookie(text)
  if (cookie !== null) {
    const ascii = ASCII_NAMES.has(cookie.name)
    if (!ascii && !UTF8_NAMES.has(cookie.name)) {
      const reason = `the encoding '${cookie.written}' is not accepted. Save the file as UTF-8 and drop the encoding line`
      return { ok: false, reason, line: cookie.line, column: 0 }
    }
    const foreign = ascii ? text.search(/[^\0-\x7f]/) : -1
    if (foreign >= 0)
      return { ok: false, reason: "the file declares ASCII but holds other characters", ...positionAt(text, foreign) }
  }
  return { ok: true, text }
}

/** Line from 1, column from 0 in characters (code points, not UTF-16 units) of the line. */
export function positionAt(text: string, index: number): { line: number; column: number } {
  return linePlaces(text, [index]).get(index) ?? { line: 1, column: 0 }
}

/** Places of many indexes in one pass over the text. */
export function linePlaces(text: string, indexes: readonly number[]): Map<number, { line: number; column: number }> {
  const places = new Map<number, { line: number; column: number }>()
  let line = 1
  let lineStart = 0
  let lineEnd = text.indexOf("\n")
  for (const index of [...new Set(indexes)].sort((a, b) => a - b)) {
    while (lineEnd >= 0 && lineEnd < index) {
      line++
      lineStart = lineEnd + 1
      lineEnd = text.indexOf("\n", lineStart)
    }
    places.set(index, { line, column: countCharacters(text, lineStart, index) })
  }
  return places
}

/** Characters between two UTF-16 indexes: a surrogate pair is one. */
export function countCharacters(text: string, from: number, to: number): number {
  let count = 0
  for (let at = from; at < to; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0xdc00 || unit > 0xdfff) count++
  }
  return count
}

function encodingCookie(text: string): { name: string; written: string; line: number } | null {
  const [first = "", second = ""] = text.slice(0, 2048).split("\n", 2)
  const inFirst = COOKIE.exec(first)?.[1]
  if (inFirst !== undefined) return { name: normalizedEncoding(inFirst), written: inFirst, line: 1 }
  if (!BLANK_OR_COMMENT.test(first)) return null
  const inSecond = COOKIE.exec(second)?.[1]
  return inSecond === undefined ? null : { name: normalizedEncoding(inSecond), written: inSecond, line: 2 }
}

/** As CPython's tokenizer: case and underscores do not count, `utf-8-unix` and the like are utf-8. */
function normalizedEncoding(name: string): string {
  const plain = name.toLowerCase().replaceAll("_", "-")
  return plain.startsWith("utf-8-") ? "utf-8" : plain
}

/** Index of the first byte that no UTF-8 text can have there: the longest valid prefix is found by halving. */
function firstInvalidByte(bytes: Uint8Array): number {
  let valid = 0
  let invalid = bytes.length
  const streaming = () => new TextDecoder("utf-8", { fatal: true })
  while (valid + 1 < invalid) {
    const middle = (valid + invalid) >> 1
    try {
      streaming().decode(bytes.subarray(0, middle), { stream: true })
      valid = middle
    } catch {
      invalid = middle
    }
  }
  return valid
}

function placeOf(bytes: Uint8Array, index: number): { line: number; column: number } {
  // Streaming leaves out a sequence that has only begun: its first byte is the place.
  const before = new TextDecoder("utf-8").decode(bytes.subarray(0, index), { stream: true }).replace(/\r\n?/g, "\n")
  return positionAt(before, before.length)
}
