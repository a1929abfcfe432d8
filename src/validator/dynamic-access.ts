/** Modules and members reached by a name that is a string. */
import { COMPUTED, reachedModule, SENSITIVE_MODULES } from "./vocabulary.ts"

const IMPORT_FUNCTIONS = new Set(["builtins.__import__", "importlib.import_module", "importlib.__import__"])

/** What a call of `importer` with this constant gives; nothing when it imports nothing, or by a computed name. */
export function moduleImportedBy(importer: string, name: string | null): string[] {
  if (name === null || !IMPORT_FUNCTIONS.has(importer)) return []
  // `__import__("os.path")` answers `os`, unless a list of names is given with it.
  const modules = importer.endsWith("__import__") ? [name.split(".", 1)[0] ?? name, name] : [name]
  return modules.map(reachedModule)
}

/** Some member of a module, by a name that only the run will tell. */
export function memberNamed(module: string): string[] {
  return SENSITIVE_MODULES.has(module) ? [module + COMPUTED] : []
}
