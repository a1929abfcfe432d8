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

/** Marks what `operator.attrgetter("a.b")` answers; the attribute's name follows, empty when only the run will tell. */
const GETTER = "getter:"
const GETTERS = new Set([
  "operator.attrgetter",
  "operator.methodcaller",
  "_operator.attrgetter",
  "_operator.methodcaller",
])

/** What a call of `operator.attrgetter` or `methodcaller` answers: a function that reads an attribute. */
export function getterOf(value: string, name: string | null): string[] {
  return GETTERS.has(value) ? [GETTER + (name ?? "")] : []
}

/** What such a function answers for `objects`. */
export function membersGot(
  getter: string,
  objects: readonly string[],
  attribute: (object: string, name: string) => string[],
): string[] {
  if (!getter.startsWith(GETTER)) return []
  const name = getter.slice(GETTER.length)
  if (name === "") return objects.flatMap(memberNamed)
  return name.split(".").reduce((found, part) => found.flatMap((object) => attribute(object, part)), [...objects])
}
