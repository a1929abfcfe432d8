/**
 * Refuses what no CPython of 3.10 to 3.13 compiles, at the first place it would not go on. The grammar of tree-sitter is
 * made for editors and reads far more than Python; this reads exactly Python and keeps nothing but the verdict.
 *
 * Tokens first (`tokenizer.ts`), then one parse without a tree (`expressions.ts`, `patterns.ts`, `statements.ts`), which
 * takes the names of each statement to the symbol table (`scope-table.ts`). Linear in the text.
 */
import { StatementReader } from "./statements.ts"
import { tokenize } from "./tokenizer.ts"
import { SyntaxProblem } from "./tokens.ts"

export function checkSyntax(text: string): { readonly index: number; readonly message: string } | null {
  try {
    new StatementReader(tokenize(text)).file()
    return null
  } catch (thrown) {
    if (!(thrown instanceof SyntaxProblem)) throw thrown
    return { index: thrown.index, message: `Syntax error: ${thrown.message}` }
  }
}
