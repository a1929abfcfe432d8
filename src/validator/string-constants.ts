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

/** The text of a string literal without interpolation, or null. Longer ones name nothing. */
export function stringConstant(tree: PythonTree, node: number): string | null {
  const kind = tree.kind[node]
  if (kind !== Kind.string && kind !== Kind.concatenated_string && kind !== Kind.parenthesized_expression) return null
  if (kind === Kind.string && PLAIN.test(textOf(tree, node))) return textOf(tree, node).slice(1, -1)
  const parts = children(tree, node)
  if (kind === Kind.parenthesized_expression && parts.length === 1)
    return parts[0] === undefined ? null : stringConstant(tree, parts[0])
  if (kind === Kind.concatenated_string) {
    const texts = parts.map((part) => stringConstant(tree, part))
    return texts.includes(null) ? null : texts.join("")
  }
  if (kind !== Kind.string || parts.some((part) => tree.kind[part] === Kind.interpolation)) return null
  const [, prefix = "", , body = ""] = LITERAL.exec(textOf(tree, node)) ?? []
  if (/b/i.test(prefix) || body.length > 200) return null
  return /r/i.test(prefix) ? body : unescaped(body)
}

function unescaped(body: string): string {
  return body.replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{1,3}|[\s\S])/gi, (whole, code: string) => {
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
    if (/^[xuU]./.test(code)) {
      const point = Number.parseInt(code.slice(1), 16)
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole
    }
    return SIMPLE_ESCAPES[code] ?? whole
  })
}
