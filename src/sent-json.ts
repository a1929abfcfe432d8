/**
 * JSON as a client sent it: what is stored of it is what was sent, or it is refused. Each check costs only the texts that look
 * as if they needed it, by a test of less than a nanosecond a byte.
 */
import { ApplianceError } from "./errors.ts"
import { hasLongNumber, keepDigits } from "./exact-json.ts"
import { isRecord } from "./is-record.ts"
import { jsonDepth, MAX_JSON_DEPTH } from "./json-depth.ts"

/** What Python, SQLite and Parquet hold as whole numbers; readers past them round. */
const LEAST = -(2n ** 63n)
const GREATEST = 2n ** 64n - 1n
const MAX_PLACE = 200

/**
 * Whole numbers past 53 bits are bigints. `what` begins the refusals: "The JSON body".
 * @throws BadRequestError for JSON that is too deep, a number that no double or 64 bits hold, half a surrogate pair, which is
 * no text, and a key `__proto__`; SyntaxError for what is no JSON
 */
export function parseSent(text: string, what: string): unknown {
  if (mayBeTooDeep(text) && jsonDepth(text) > MAX_JSON_DEPTH) {
    throw new ApplianceError("BadRequestError", `${what} is nested deeper than ${MAX_JSON_DEPTH} levels.`)
  }
  const value = mayRound(text) ? parseNumbers(text, what) : (JSON.parse(text) as unknown)
  if (hasLoneSurrogate(text)) refuseLoneSurrogate(value, what)
  if (mayNamePrototype(text)) refusePrototype(value, what)
  return value
}

/** The second spells a part of it by an escape. */
function mayNamePrototype(text: string): boolean {
  return text.includes("__proto__") || /\\u00[567]/.test(text)
}

/** As a key of an object it is lost by a copy, or makes a prototype. */
function refusePrototype(value: unknown, what: string): void {
  const place = placeOf(value, isNothing, (key) => key === "__proto__")
  if (place !== null)
    throw refused(what, "a key '__proto__'{}, which is no name for a field. Name it otherwise.", place)
}

const isNothing = () => false

/** A number below 10^200 stays below 10^300 by an exponent of two digits. Strings may look like one. */
function mayRound(text: string): boolean {
  return hasLongNumber(text) || /[eE]\+?\d{3,}\s*[,\]}]/.test(text)
}

/** What is not taken stands in the value as this until its place is known. */
const REFUSED = Symbol("refused")

/** What JSON.parse makes Infinity would be stored as null, and nobody be told. */
function parseNumbers(text: string, what: string): unknown {
  let problem: string | null = null
  const value: unknown = JSON.parse(text, (key: string, parsed: unknown, context?: { source?: string }) => {
    if (parsed === Number.POSITIVE_INFINITY || parsed === Number.NEGATIVE_INFINITY) {
      problem ??= "a number that is too large{}; the largest is about 1.8e308. Send it as a string."
      return REFUSED
    }
    const exact = keepDigits(key, parsed, context)
    if (typeof exact !== "bigint" || (exact >= LEAST && exact <= GREATEST)) return exact
    // Digits as JavaScript and others write a double are one.
    if (exact === BigInt(Number(exact)) || String(exact) === String(Number(exact))) return Number(exact)
    problem ??= "a whole number of more than 64 bits{}, which would be rounded. Send it as a string."
    return REFUSED
  })
  if (problem !== null)
    throw refused(
      what,
      problem,
      placeOf(value, (member) => member === REFUSED),
    )
  return value
}

/** Whether an escape names half a character. There is no `\` outside strings, and escapes follow one another from the left. */
function hasLoneSurrogate(text: string): boolean {
  if (!text.includes("\\u") || !/\\u[dD][89a-fA-F]/.test(text)) return false
  /** Where the other half has to stand. */
  let awaited = -1
  for (let at = text.indexOf("\\"); at >= 0; ) {
    const half = halfAt(text, at)
    if (awaited >= 0 ? at !== awaited || half !== "low" : half === "low") return true
    awaited = half === "high" ? at + ESCAPE : -1
    at = text.indexOf("\\", at + (half === null ? 2 : ESCAPE))
  }
  return awaited >= 0
}

/** Characters of `\udc00`. */
const ESCAPE = 6

function halfAt(text: string, at: number): "high" | "low" | null {
  if (text[at + 1] !== "u" || (text[at + 2] !== "d" && text[at + 2] !== "D")) return null
  const third = Number.parseInt(text[at + 3] ?? "", 16)
  return third < 8 ? null : third < 12 ? "high" : "low"
}

function refuseLoneSurrogate(value: unknown, what: string): void {
  const place = placeOf(value, (member) => typeof member === "string" && !member.isWellFormed())
  // A value that a later one of the same name replaced is nobody's.
  if (place !== null) {
    throw refused(
      what,
      "half a surrogate pair{}: \\ud800 to \\udfff are no characters by themselves. Send both halves, or leave it out.",
      place,
    )
  }
}

/** The way to the first value or key that is wrong; null where none is. As deep as JSON may be here. */
function placeOf(
  value: unknown,
  wrong: (member: unknown) => boolean,
  wrongKey: (key: string) => boolean = wrong,
): string[] | null {
  if (wrong(value)) return []
  if (!Array.isArray(value) && !isRecord(value)) return null
  for (const [key, member] of Object.entries(value)) {
    if (wrongKey(key)) return [key]
    const place = placeOf(member, wrong, wrongKey)
    if (place !== null) return [key, ...place]
  }
  return null
}

function refused(what: string, problem: string, place: readonly string[] | null): ApplianceError {
  const path = (place ?? []).join(".").toWellFormed().slice(0, MAX_PLACE).toWellFormed()
  return new ApplianceError(
    "BadRequestError",
    `${what} has ${problem.replace("{}", () => (path === "" ? "" : ` at '${path}'`))}`,
  )
}

/** What opens so seldom is not deep: most texts need not be looked at character by character. */
function mayBeTooDeep(text: string): boolean {
  let openings = 0
  for (const opening of ["{", "["]) {
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1)) {
      if (++openings > MAX_JSON_DEPTH) return true
    }
  }
  return false
}
