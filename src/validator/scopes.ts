/**
 * Scopes as Python has them: where a name is bound decides for the whole scope, classes are skipped from within functions,
 * comprehensions have their own, and a module's or class's name falls through to the builtin until it is bound.
 */
export type ScopeKind = "module" | "class" | "function" | "comprehension"

export interface Scope {
  readonly kind: ScopeKind
  /** The node whose subtree runs in this scope: a function's or class's body, a comprehension, the module. */
  readonly node: number
  /** The `def`, `class` or `lambda`; -1 for a module or comprehension. */
  readonly definition: number
  readonly parent: Scope | null
  readonly slots: Map<string, Slot>
  readonly globals: Set<string>
  readonly nonlocals: Set<string>
  readonly parameters: Slot[]
  /** What calls of the function answer. */
  readonly returns: Slot
}

export type BindingKind = "assignment" | "import" | "definition" | "parameter" | "exception" | "deletion" | "annotation"

export interface Binding {
  readonly kind: BindingKind
  /** The identifier (or statement of an import) that binds. */
  readonly node: number
  /** The scope whose code runs the binding: another one than the slot's for `global` and `nonlocal` names. */
  readonly from: Scope
  /** The scope of the function that a `def` or a lambda given to a plain name makes. */
  readonly callable: Scope | null
}

/** One name of one scope, with everything that may be in it. */
export interface Slot {
  readonly name: string
  readonly bindings: Binding[]
  /** Qualified names as in `values.ts`; grows until the whole plugin is stable. */
  readonly values: Set<string>
  /** Files that have read it, by their number: what they made of it is stale when more comes in. */
  readonly readers: Set<number>
}

export function newSlot(name: string): Slot {
  return { name, bindings: [], values: new Set(), readers: new Set() }
}

export function newScope(kind: ScopeKind, node: number, definition: number, parent: Scope | null): Scope {
  return {
    kind,
    node,
    definition,
    parent,
    slots: new Map(),
    globals: new Set(),
    nonlocals: new Set(),
    parameters: [],
    returns: newSlot("return"),
  }
}

export function slotOf(scope: Scope, name: string): Slot {
  let slot = scope.slots.get(name)
  if (slot === undefined) {
    slot = newSlot(name)
    scope.slots.set(name, slot)
  }
  return slot
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
export function lookUp(scope: Scope, name: string): Lookup {
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
export function nonlocalHome(scope: Scope, name: string): Scope {
  for (let at = scope.parent; at !== null; at = at.parent) {
    if (at.kind === "function" && at.slots.has(name) && !at.nonlocals.has(name)) return at
  }
  return moduleOf(scope)
}
