/** What a report says beside its violations: imports of modules that the environment lacks. They pass the scan. */
import type { FileBindings } from "./binding-records.ts"
import { APPLIANCE, OwnModules } from "./own-modules.ts"
import { linePlaces } from "./source-text.ts"
import { STANDARD_LIBRARY } from "./standard-library.ts"

export interface Note {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 0, in characters of the line. */
  readonly column: number
  readonly message: string
}

/** One per module is enough; past this a person reads no more. */
const MAX_NOTES = 200

/** The first import of each module that is neither the plugin's, nor Python's, nor in `environment`. */
export function unknownImports(files: ReadonlyMap<string, FileBindings>, environment: ReadonlySet<string>): Note[] {
  const own = new OwnModules(new Set(files.keys()))
  const seen = new Set<string>()
  const notes: Note[] = []
  for (const [file, { imports, tree }] of files) {
    for (const { level, module, statement } of imports) {
      const top = module.split(".", 1)[0] ?? module
      if (level > 0 || seen.has(top) || STANDARD_LIBRARY.has(top) || APPLIANCE.has(top) || environment.has(top))
        continue
      if (own.find("", top) !== null || own.find(OwnModules.packageOf(file, 1), top) !== null) continue
      seen.add(top)
      if (notes.length >= MAX_NOTES) return notes
      const index = tree.start[statement] ?? 0
      const { line, column } = linePlaces(tree.text, [index]).get(index) ?? { line: 1, column: 0 }
      notes.push({ file, line, column, message: `The environment has no module ${top}: the import will fail there` })
    }
  }
  return notes
}
