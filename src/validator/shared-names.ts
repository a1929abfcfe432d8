import type { OwnModules } from "./own-modules.ts"
import type { Slot } from "./scopes.ts"
import type { Values } from "./values.ts"

/** What the files of a plugin share; see `references.ts`. */
export interface SharedNames {
  readonly own: OwnModules
  /** Some file reads annotations as values. */
  readonly readsAnnotations: boolean
  spend(steps: number): boolean
  add(slot: Slot, values: Values): void
  read(slot: Slot): ReadonlySet<string>
  addStar(stars: Set<string>, module: string): void
  attributeSlot(name: string): Slot
  attribute(value: string, attribute: string): string[]
  slotsOfAttribute(value: string, attribute: string): Slot[]
}
