/**
 * Reads exactly the Python that some CPython of 3.10 to 3.13 compiles, and refuses all else at the first place it would not
 * go on.
 *
 * Tokens first (`tokenizer.ts`), then one parse (`expressions.ts`, `patterns.ts`, `statements.ts`), which leaves the nodes
 * of the file's tree (`tree-builder.ts`) and takes the names of each statement to the symbol table (`scope-table.ts`).
 * Linear in the text.
 */
import { StatementReader } from "./statements.ts"
import { tokenize } from "./tokenizer.ts"
import { SyntaxProblem } from "./tokens.ts"
import type { TreeBuilder } from "./tree-builder.ts"
import { Workspace } from "./workspace.ts"

export interface SyntaxCheck {
  /** Null when some version compiles the text. */
  readonly problem: { readonly index: number; readonly message: string } | null
  /** The tree of the file, or of the statements before the problem; the blocks around it end there. */
  readonly nodes: TreeBuilder
}

/** The nodes are good until the next file is read into the workspace. */
export function checkSyntax(text: string, workspace = new Workspace()): SyntaxCheck {
  const reader = new StatementReader(tokenize(text, workspace), workspace)
  const { tree: nodes } = reader
  try {
    reader.file()
    return { problem: null, nodes }
  } catch (thrown) {
    if (!(thrown instanceof SyntaxProblem)) throw thrown
    nodes.backToSound()
    return { problem: { index: thrown.index, message: `Syntax error: ${thrown.message}` }, nodes }
  }
}
