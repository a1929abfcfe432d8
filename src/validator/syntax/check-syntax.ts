/**
 * Refuses what no CPython of 3.10 to 3.13 compiles, at the first place it would not go on. The grammar of tree-sitter is
 * made for editors and reads far more than Python; this reads exactly Python and keeps nothing but the verdict.
 *
 * Tokens first (`tokenizer.ts`), then one parse without a tree (`expressions.ts`, `patterns.ts`, `statements.ts`), which
 * takes the names of each statement to the symbol table (`scope-table.ts`). Linear in the text.
 */
import { StatementReader } from "./statements.ts"
import { type Edit, tokenize } from "./tokenizer.ts"
import { SyntaxProblem } from "./tokens.ts"

export interface SyntaxCheck {
  /** Null when some version compiles the text. */
  readonly problem: { readonly index: number; readonly message: string } | null
  /** Index before which all statements are sound; the last blocks may be open. */
  readonly sound: number
  readonly continuations: readonly Edit[]
}

export function checkSyntax(text: string): SyntaxCheck {
  const tokens = tokenize(text)
  const { continuations } = tokens
  const reader = new StatementReader(tokens)
  try {
    reader.file()
    return { problem: null, sound: text.length, continuations }
  } catch (thrown) {
    if (!(thrown instanceof SyntaxProblem)) throw thrown
    const problem = { index: thrown.index, message: `Syntax error: ${thrown.message}` }
    return { problem, sound: reader.statementStart, continuations }
  }
}

/** The text with its line continuations as blanks, each place where it was. */
export function withoutContinuations(text: string, continuations: readonly Edit[]): string {
  if (continuations.length === 0) return text
  const parts: string[] = []
  let kept = 0
  for (const { from, to, plain } of continuations) {
    parts.push(text.slice(kept, from), plain)
    kept = to
  }
  return parts.join("") + text.slice(kept)
}
