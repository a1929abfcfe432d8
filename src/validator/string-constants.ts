import { Kind } from "./node-kinds.ts"
import { children, type PythonTree, textOf } from "./python-tree.ts"

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
}
/** Nearly every literal: it stands for what is written. */
const PLAIN = /^(["'])[^\\"'\n]{0,200}\1$/
const LITERAL = /^([A-Za-z]{0,2})('''|"""|'|")([\s\S]*)\2$/

/** Of annotations in quotes; longer ones are refused where something reads them as code. */
export const MAX_QUOTED = 4_000
/** Longer ones name nothing. */
const MAX_NAME = 200

/**
 * The text of a string literal without interpolation, or null; null too when it is longer than `maxLength`, or holds a
 * character by a name (`\\N{…}`) that is none of an identifier.
 */
export function stringConstant(tree: PythonTree, node: number, maxLength = MAX_NAME): string | null {
  const kind = tree.kind[node]
  if (kind !== Kind.string && kind !== Kind.concatenated_string && kind !== Kind.parenthesized_expression) return null
  if (kind === Kind.string && PLAIN.test(textOf(tree, node))) return textOf(tree, node).slice(1, -1)
  const parts = children(tree, node)
  if (kind === Kind.parenthesized_expression && parts.length === 1)
    return parts[0] === undefined ? null : stringConstant(tree, parts[0], maxLength)
  if (kind === Kind.concatenated_string) {
    const texts = parts.map((part) => stringConstant(tree, part, maxLength))
    return texts.includes(null) ? null : texts.join("")
  }
  if (kind !== Kind.string || parts.some((part) => tree.kind[part] === Kind.interpolation)) return null
  const [, prefix = "", , body = ""] = LITERAL.exec(textOf(tree, node)) ?? []
  if (/b/i.test(prefix) || body.length > maxLength) return null
  return /r/i.test(prefix) ? body : unescaped(body)
}

function unescaped(body: string): string | null {
  let known = true
  const text = body.replace(ESCAPE, (whole, code: string) => {
    if (code.startsWith("N{")) {
      const character = characterNamed(code.slice(2, -1))
      known &&= character !== null
      return character ?? whole
    }
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
    if (/^[xuU]./.test(code)) {
      const point = Number.parseInt(code.slice(1), 16)
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole
    }
    return SIMPLE_ESCAPES[code] ?? whole
  })
  return known ? text : null
}

const ESCAPE = /\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|N\{[^{}]+\}|[0-7]{1,3}|[\s\S])/gi
const DIGITS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]
const PUNCTUATION: Readonly<Record<string, string>> = { "LOW LINE": "_", "FULL STOP": ".", SPACE: " " }

/** Characters that names are made of, by their Unicode names, which Python reads in any letter case. */
function characterNamed(name: string): string | null {
  const upper = name.toUpperCase()
  const [, size, letter] = /^LATIN (SMALL|CAPITAL) LETTER ([A-Z])$/.exec(upper) ?? []
  if (letter !== undefined) return size === "SMALL" ? letter.toLowerCase() : letter
  const digit = upper.startsWith("DIGIT ") ? DIGITS.indexOf(upper.slice(6)) : -1
  return digit >= 0 ? String(digit) : (PUNCTUATION[upper] ?? null)
}
