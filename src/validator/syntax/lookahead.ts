/** What only the rest of the line tells. */
import type { Tokens } from "./tokenizer.ts"
import { END, NEWLINE, T } from "./tokens.ts"

const NOT_A_SUBJECT = new Set<number>([T.equals, T.dot, NEWLINE, T.comma, T.colon])

/** Whether the name at `at` starts a match statement: `match` is a name unless its line ends in a colon. */
export function startsMatch({ text, kind, start, end }: Tokens, at: number): boolean {
  if (text.slice(start[at], end[at]) !== "match" || NOT_A_SUBJECT.has(kind[at + 1] ?? END)) return false
  let last = at + 1
  while (kind[last] !== NEWLINE && (kind[last] ?? END) !== END) last++
  return kind[last - 1] === T.colon
}

/** Whether the bracket at `at` holds the items of a `with`, not an expression. */
export function holdItems({ kind }: Tokens, at: number): boolean {
  if (kind[at] !== T.open) return false
  let depth = 0
  let binds = false
  for (let token = at; ; token++) {
    const found = kind[token] ?? END
    if (found === END || found === NEWLINE) return false
    if (found === T.open || found === T.openSquare || found === T.openBrace) depth++
    else if (found === T.close || found === T.closeSquare || found === T.closeBrace) {
      if (--depth === 0) return binds && kind[token + 1] === T.colon
    } else if (found === T.as && depth === 1) binds = true
  }
}
