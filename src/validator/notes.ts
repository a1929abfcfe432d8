/**
 * What a report says beside its violations: imports of modules that the environment lacks, and of those that do their work in a
 * program of its own. They pass the scan.
 */
import type { FileBindings } from "./binding-records.ts"
import { Kind } from "./node-kinds.ts"
import { APPLIANCE, OwnModules } from "./own-modules.ts"
import { children, nameOf, type PythonTree } from "./python-tree.ts"
import { linePlaces } from "./source-text.ts"
import { STANDARD_LIBRARY } from "./standard-library.ts"

export interface Note {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 0, in characters of the line. */
  readonly column: number
  readonly message: string
  /** The module that the environment lacks: whoever installs more may know it. */
  readonly module?: string
}

/** Libraries that start a program, which no worker may (design/sandbox.md), and what decodes inside the process instead. */
const PROGRAM_STARTERS = new Map([
  ["ffmpeg", "PyAV (av) or opencv-python-headless"],
  ["imageio_ffmpeg", "PyAV (av) or opencv-python-headless"],
  ["moviepy", "PyAV (av) or opencv-python-headless"],
  ["pydub", "soundfile, librosa or PyAV (av)"],
  ["sox", "soundfile or librosa"],
  ["pdf2image", "pypdfium2 or pymupdf"],
  ["pytesseract", "a model on onnxruntime"],
])

/** One per module is enough; past this a person reads no more. */
const MAX_NOTES = 200

const TESTS = "tests/"

/** What an import raises where the module is missing. */
const MISSING = new Set(["ImportError", "ModuleNotFoundError", "Exception"])

/** The first import of each module that is neither the plugin's, nor Python's, nor in `environment`, nor done without. */
export function unknownImports(files: ReadonlyMap<string, FileBindings>, environment: ReadonlySet<string>): Note[] {
  const own = new OwnModules(new Set(files.keys()))
  const seen = new Set<string>()
  const notes: Note[] = []
  for (const [file, { imports, tree }] of files) {
    // `plugin test` runs these, with the author's pytest; no worker does.
    if (file.startsWith(TESTS)) continue
    for (const { level, module, statement } of imports) {
      const top = module.split(".", 1)[0] ?? module
      if (level > 0 || seen.has(top) || STANDARD_LIBRARY.has(top) || APPLIANCE.has(top)) continue
      const instead = PROGRAM_STARTERS.get(top)
      if (instead === undefined && (environment.has(top) || canFail(tree, statement))) continue
      if (own.find("", top) !== null || own.find(OwnModules.packageOf(file, 1), top) !== null) continue
      seen.add(top)
      if (notes.length >= MAX_NOTES) return notes
      const index = tree.start[statement] ?? 0
      const { line, column } = linePlaces(tree.text, [index]).get(index) ?? { line: 1, column: 0 }
      const message =
        instead === undefined
          ? `The environment has no module ${top}: name its package in dependencies or requirements.txt, or the import will fail there`
          : `${top} does its work in a program of its own, which a worker may not start; use ${instead} instead`
      notes.push({ file, line, column, message, ...(instead === undefined ? { module: top } : {}) })
    }
  }
  return notes
}

/** Whether it stands at the top of a `try` that goes on without the module. */
function canFail(tree: PythonTree, statement: number): boolean {
  const block = tree.parent[statement] ?? -1
  const attempt = tree.parent[block] ?? -1
  if (tree.kind[attempt] !== Kind.try_statement || block !== attempt + 1) return false
  return children(tree, attempt)
    .filter((clause) => tree.kind[clause] === Kind.except_clause)
    .some((clause) => {
      const body = children(tree, clause).at(-1) ?? clause
      // `except:` catches all; else one of the names before the body.
      if (body === clause + 1) return true
      for (let node = clause + 1; node < body; node++) if (MISSING.has(nameOf(tree, node))) return true
      return false
    })
}
