/** What the first pass over a file finds: its scopes, and what flows into which name. */
import type { PythonTree } from "./python-tree.ts"
import type { Scope, Slot } from "./scopes.ts"

/** The value of `from` reaches a slot: as it is, as an element of it, or as an element put into the slot's container. */
export type Passage = "whole" | "element" | "stored"

export interface Flow {
  readonly into: Slot
  readonly from: number
  readonly passage: Passage
}

export interface AttributeFlow {
  readonly attribute: string
  readonly from: number
  readonly passage: Passage
}

/** `container[key] = value`, where container is an expression. */
export interface ContainerFlow {
  readonly container: number
  readonly from: number
}

/** One name of an import statement. `level` counts the dots of a relative import. */
export interface Import {
  readonly statement: number
  /** The place of the name inside the statement. */
  readonly node: number
  readonly level: number
  readonly module: string
  /** Null for `import a.b`; `*` for a star import. */
  readonly name: string | null
  /** Null for a star import. */
  readonly into: Slot | null
  /** `import a.b` binds `a`; `import a.b as c` binds `a.b`. */
  readonly bindsTop: boolean
  readonly scope: Scope
}

export interface FileBindings {
  readonly tree: PythonTree
  readonly module: Scope
  /** Reads of names, with the scope each is read in. */
  readonly loads: ReadonlyMap<number, Scope>
  /** Expressions a value can pass through, in preorder, loads included. */
  readonly expressions: readonly number[]
  /** Strings that are read as types, with the scope that their names are read in. */
  readonly quoted: ReadonlyMap<number, Scope>
  readonly flows: readonly Flow[]
  readonly attributeFlows: readonly AttributeFlow[]
  readonly containerFlows: readonly ContainerFlow[]
  readonly imports: readonly Import[]
  /** Scope of each lambda by its node, and of each `def` and `class`. */
  readonly definitions: ReadonlyMap<number, Scope>
}
