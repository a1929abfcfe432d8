import type { OwnModules } from "./own-modules.ts"
import type { Slot } from "./scopes.ts"
import type { Names } from "./syntax/names.ts"
import type { Values } from "./values.ts"

/** What a name means wherever it stands. */
export interface CommonName {
  readonly text: string
  /** What it is when nothing binds it, or null. */
  readonly builtin: string | null
  /** What an attribute of this name is on whatever object, or null. */
  readonly ofAny: string | null
  /** What the plugin gives to attributes of this name, on whatever object. */
  readonly attribute: Slot
}

/** What the files of a plugin share; see `references.ts`. */
export interface SharedNames {
  readonly names: Names
  readonly own: OwnModules
  /** Some file reads annotations as values. */
  readonly readsAnnotations: boolean
  /** Some file may put folders on the search path. */
  readonly extendsSearch: boolean
  /** For each name the last round of a file in which it had a value there, or was passed over as it had none. */
  readonly live: Int32Array
  readonly passedOver: Int32Array
  spend(steps: number): boolean
  add(slot: Slot, values: Values): void
  read(slot: Slot): Values
  addStar(stars: Set<string>, module: string): void
  common(name: number): CommonName
  attribute(value: string, attribute: string): string[]
  /** Some code deletes an attribute of this name, which may be that of a module. */
  deletes(name: number): boolean
  /** Whether a function or class of the plugin has this name. */
  defines(name: number): boolean
  /** Whether files of the plugin, by their paths, import one another, perhaps by way of others. */
  inOneCycle(file: string, other: string): boolean
  /** Whether a star import of a module surely binds the name. */
  surelyExports(value: string, name: number): boolean
  slotsOfAttribute(value: string, attribute: string): Slot[]
}
