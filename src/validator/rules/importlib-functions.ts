/** Functions of `importlib` that import by a computed name. */
import { functionReferences } from "./function-references.ts"
import type { ForbiddenName, Rule } from "./rule.ts"

const dynamicImport: ForbiddenName = { reason: "dynamic import", instead: "Use an import statement." }

export const IMPORTLIB_FUNCTIONS: ReadonlyMap<string, ForbiddenName> = new Map([
  ["importlib.import_module", dynamicImport],
  ["importlib.__import__", dynamicImport],
])

export function importlibFunction(name: string): ForbiddenName | null {
  return IMPORTLIB_FUNCTIONS.get(name) ?? null
}

export const importlibFunctions: Rule = (file) => functionReferences(file, importlibFunction)
