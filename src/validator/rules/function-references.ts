import { Kind } from "../node-kinds.ts"
import type { Finding, ForbiddenName, ScannedFile } from "./rule.ts"

/** Errors for every reference to a function of `table`, called or not, and for every from-import that names one. */
export function* functionReferences(
  { bindings, references, plugin }: ScannedFile,
  lookUp: (name: string) => ForbiddenName | null,
): Generator<Finding> {
  const { tree, imports } = bindings
  for (const [node, names] of references) {
    for (const name of names) {
      const entry = lookUp(name)
      if (entry === null) continue
      const index = tree.start[node] ?? 0
      const imported = isImportedName(tree.kind[tree.parent[node] ?? 0])
      const message = imported
        ? `Forbidden import: ${name}`
        : `Forbidden function: ${name} (${entry.reason}). ${entry.instead}`
      yield { index, message, severity: "error" }
    }
  }
  for (const { level, module, name, node } of imports) {
    const entry = level === 0 && name === null && !plugin.isOwn(module) ? lookUp(module) : null
    if (entry !== null)
      yield { index: tree.start[node] ?? 0, message: `Forbidden import: ${module}`, severity: "error" }
  }
}

function isImportedName(parent: number | undefined): boolean {
  return parent === Kind.import_from_statement
}
