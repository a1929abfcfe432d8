/**
 * Scopes as Python has them: where a name is bound decides for the whole scope, classes are skipped from within functions,
 * comprehensions have their own, and a module's or class's name falls through to the builtin until it is bound. Names are
 * the numbers of `Names`.
 */
import { NOTHING, type Values } from "./values.ts"

export type ScopeKind = "module" | "class" | "function" | "comprehension"

/** Up to so many values a list is faster than a set. */
const FEW = 8
const NONE: ReadonlySet<number> = new Set()
const NOBODY: readonly number[] = []

export class Scope {
  readonly slots: Map<number, Slot>
  globals: ReadonlySet<number>
  nonlocals: ReadonlySet<number>
  readonly parameters: Slot[]

  constructor(
    readonly kind: ScopeKind,
    /** Its place among the scopes of its file. */
    readonly number: number,
    /** The `def`, `class` or `lambda`; -1 for a module or comprehension. */
    readonly definition: number,
    readonly parent: Scope | null,
    /** What calls of the function answer; has the function's name. */
    readonly returns: Slot,
  ) {
    this.slots = new Map()
    this.globals = NONE
    this.nonlocals = NONE
    this.parameters = []
  }

  slotOf(name: number): Slot {
    let slot = this.slots.get(name)
    if (slot === undefined) {
      slot = new Slot(name, this.returns.file)
      this.slots.set(name, slot)
    }
    return slot
  }

  declare(name: number, keyword: "globals" | "nonlocals"): void {
    const names = this[keyword] === NONE ? new Set<number>() : (this[keyword] as Set<number>)
    this[keyword] = names.add(name)
  }
}

export type BindingKind = "assignment" | "import" | "definition" | "parameter" | "exception" | "deletion" | "annotation"

export interface Binding {
  readonly kind: BindingKind
  /** The identifier (or statement of an import) that binds. */
  readonly node: number
  /** The scope whose code runs the binding: another one than the slot's for `global` and `nonlocal` names. */
  readonly from: Scope
  /** The scope of the function that a `def` makes. */
  readonly callable: Scope | null
}

/** One name of one scope, or of the attributes of all objects, with everything that may be in it. */
export class Slot {
  readonly bindings: Binding[]
  /** Qualified names as in `values.ts`; grows until the whole plugin is stable. */
  values: Values
  private known: Set<string> | null
  /** Files that have read it, by their number: what they made of it is stale when more comes in. */
  readers: readonly number[]

  constructor(
    readonly name: number,
    /** Number of the file whose name it is; -1 for attributes. */
    readonly file: number,
  ) {
    // Assigned here and shared while they are empty: a plugin has tens of thousands of slots, and few ever hold anything.
    this.bindings = []
    this.values = NOTHING
    this.known = null
    this.readers = NOBODY
  }

  /** False when it has held the value before. */
  add(value: string): boolean {
    if (this.values.length > FEW) this.known ??= new Set(this.values)
    if (this.known === null ? this.values.includes(value) : this.known.has(value)) return false
    this.known?.add(value)
    if (this.values === NOTHING) this.values = [value]
    else (this.values as string[]).push(value)
    return true
  }

  readBy(file: number): void {
    if (this.readers === NOBODY) this.readers = [file]
    else if (this.readers[this.readers.length - 1] !== file) (this.readers as number[]).push(file)
  }
}

export function moduleOf(scope: Scope): Scope {
  let at = scope
  while (at.parent !== null) at = at.parent
  return at
}

export interface Lookup {
  /** Every slot the name may be read from, innermost first. */
  readonly slots: readonly Slot[]
  /** True when a local of a function: then it never falls through to anything else. */
  readonly local: boolean
  /** The module or class scopes whose slot may still be empty when the name is read. */
  readonly mayBeUnbound: readonly Scope[]
}

/** Where a name read in `scope` may come from, before the builtins. */
export function lookUp(scope: Scope, name: number): Lookup {
  const slots: Slot[] = []
  const mayBeUnbound: Scope[] = []
  let at: Scope | null = scope
  let first = true
  while (at !== null) {
    if (first && at.globals.has(name)) {
      at = moduleOf(at)
      first = false
      continue
    }
    const slot = at.kind === "class" && !first ? undefined : at.slots.get(name)
    if (slot !== undefined && !(first && at.nonlocals.has(name))) {
      slots.push(slot)
      if (at.kind === "function" || at.kind === "comprehension") return { slots, local: true, mayBeUnbound }
      mayBeUnbound.push(at)
      if (at.kind === "class") {
        // A name that a class body binds is looked up in the class, then straight in the module.
        at = moduleOf(at)
        first = false
        continue
      }
    }
    // A comprehension sees what the code around it sees, so a `global` there counts for it too.
    first = first && at.kind === "comprehension" && at.parent?.kind !== "class"
    at = at.parent
  }
  return { slots, local: false, mayBeUnbound }
}

/** The function scope that a `nonlocal` name of `scope` means; the module when no function around binds it. */
export function nonlocalHome(scope: Scope, name: number): Scope {
  for (let at = scope.parent; at !== null; at = at.parent) {
    if (at.kind === "function" && at.slots.has(name) && !at.nonlocals.has(name)) return at
  }
  return moduleOf(scope)
}
