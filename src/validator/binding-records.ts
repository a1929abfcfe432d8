/** What the first pass over a file finds: its scopes, and what flows into which name. */
import { EXPRESSIONS } from "./expression-kinds.ts"
import { Kind } from "./node-kinds.ts"
import type { PythonTree } from "./python-tree.ts"
import { lookUp, type Scope, type Slot } from "./scopes.ts"

/** The value of `from` reaches a slot: as it is, as an element of it, put into the slot's container, or as a base of its class. */
export type Passage = "whole" | "element" | "stored" | "inherited"

export interface Flow {
  readonly into: Slot
  readonly from: number
  readonly passage: Passage
}

export interface AttributeFlow {
  readonly attribute: number
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

/** What flows from each expression into a name or an attribute. */
export class Flows {
  private readonly flows: (Flow | AttributeFlow)[] = []
  /** For each flow one more than the place of the flow before it that comes from the same node. */
  private readonly before: number[] = []
  private readonly last: Int32Array

  constructor(private readonly kind: Int16Array) {
    this.last = new Int32Array(kind.length)
  }

  add(flow: Flow | AttributeFlow): void {
    // Numbers, operations and the like have no value.
    const kind = this.kind[flow.from] ?? 0
    if (kind !== Kind.identifier && EXPRESSIONS[kind] === 0) return
    this.before.push(this.last[flow.from] ?? 0)
    this.last[flow.from] = this.flows.push(flow)
  }

  forEachFrom(node: number, pass: (flow: Flow | AttributeFlow) => void): void {
    for (let place = this.last[node] ?? 0; place > 0; place = this.before[place - 1] ?? 0) {
      const flow = this.flows[place - 1]
      if (flow !== undefined) pass(flow)
    }
  }
}

export interface FileBindings {
  readonly tree: PythonTree
  readonly module: Scope
  /** By their numbers. */
  readonly scopes: readonly Scope[]
  /** For each node that reads a name one more than the number of the scope it reads it in; 0 for every other node. */
  readonly readIn: Int32Array
  /** Strings that are read as types, with the scope that their names are read in. */
  readonly quoted: ReadonlyMap<number, Scope>
  readonly flows: Flows
  /** What is assigned to names that stand for types in annotations. */
  readonly typesMade: readonly number[]
  readonly containerFlows: readonly ContainerFlow[]
  readonly imports: readonly Import[]
  /** Names of functions, classes and of what classes and objects are given. */
  readonly defined: ReadonlySet<number>
  /** Attributes that are assigned to or deleted. */
  readonly attributeTargets: readonly { readonly node: number; readonly deleted: boolean }[]
  /** Scope of each lambda by its node, and of each `def` and `class`. */
  readonly definitions: ReadonlyMap<number, Scope>
}

/** Whether a name means the builtin, or what an import brings under its own name. */
export function isUnchangedName(bindings: FileBindings, node: number): boolean {
  const scope = scopeOfRead(bindings, node)
  if (scope === undefined) return false
  const { kind, name } = bindings.tree
  return lookUp(scope, name[node] ?? 0).slots.every((slot) =>
    slot.bindings.every((binding) => binding.kind === "import" && kind[binding.node] !== Kind.aliased_import),
  )
}

/** The scope that a node reads a name in, when it reads one. */
export function scopeOfRead({ scopes, readIn }: FileBindings, node: number): Scope | undefined {
  return scopes[(readIn[node] ?? 0) - 1]
}
