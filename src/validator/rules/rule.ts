import type { FileBindings } from "../binding-records.ts"

/** What a rule has to know of the files beside its own. */
export interface ScannedPlugin {
  /** Some file makes values of annotations. */
  readonly readsAnnotations: boolean
  /** Whether files of the plugin lie in a folder of this name. */
  hasFolder(name: string): boolean
  /** Whether an absolute import of a module surely finds the plugin's own. */
  isOwn(module: string): boolean
  /** Whether a function, a class, or something that a class or object of the plugin holds, has this name, by its number. */
  defines(name: number): boolean
}

/** One Python file with every reference in it resolved. */
export interface ScannedFile {
  /** Inside the plugin. */
  readonly path: string
  readonly plugin: ScannedPlugin
  readonly bindings: FileBindings
  /** For an expression's node, the qualified names it may stand for (`os.system`, `builtins.eval`, `pickle`). */
  readonly references: ReadonlyMap<number, readonly string[]>
}

export interface RuleOptions {
  readonly strict: boolean
  /** Builtins of the seed's table that the rule set lets pass. */
  readonly allows: ReadonlySet<string>
}

export interface Finding {
  /** UTF-16 index into the file's text. */
  readonly index: number
  readonly message: string
  readonly severity: "error" | "warning"
}

/** A rule looks at resolved references only; how names are followed is no concern of it. Findings are taken as needed. */
export type Rule = (file: ScannedFile, options: RuleOptions) => Iterable<Finding>

/** One entry of a table of forbidden names. */
export interface ForbiddenName {
  readonly reason: string
  /** What to use in its place. */
  readonly instead: string
}
