/**
 * Whether a module's (or class's) own name is surely bound when a piece of code reads it. Until it is, Python falls through
 * to the builtin, so a binding that comes later, sits in a branch or may have failed does not hide `open`.
 */
import { type FirstRuns, NEVER, outermostFunction } from "./first-runs.ts"
import { Kind } from "./node-kinds.ts"
import { children, type PythonTree } from "./python-tree.ts"
import type { Scope, Slot } from "./scopes.ts"

const SEQUENCES = new Set<number>([Kind.module, Kind.block])
/** A walrus inside these may not be reached, or runs later. */
const UNSURE_EXPRESSIONS = new Set<number>([
  Kind.boolean_operator,
  Kind.comparison_operator,
  Kind.conditional_expression,
  Kind.lambda,
  Kind.list_comprehension,
  Kind.set_comprehension,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
  Kind.assert_statement,
])
/** What is evaluated whole, before anything else of the statement or operation is: its first part. */
const CONDITIONED = new Set<number>([
  Kind.if_statement,
  Kind.elif_clause,
  Kind.while_statement,
  Kind.match_statement,
  Kind.boolean_operator,
  Kind.comparison_operator,
])
const IN_ORDER = new Set<number>([
  Kind.argument_list,
  Kind.call,
  Kind.subscript,
  Kind.tuple,
  Kind.list,
  Kind.set,
  Kind.expression_list,
  Kind.with_clause,
])
/** Nodes looked at for one file, all its reads together. Sound code needs some tens for each read of a builtin's name. */
const BUDGET = 5_000_000

interface OwnerBindings {
  /** Some code takes the name away again. */
  readonly unbinds: boolean
  /** Nodes that bind it in the owner's own code, ascending. */
  readonly inline: readonly number[]
}

export class Reachability {
  private budget = BUDGET
  /** Where the function that was asked for last binds a name of another scope, ascending. */
  private inFunction: { slot: Slot; scope: Scope; nodes: readonly number[] } | null = null
  private readonly owners = new Map<Slot, OwnerBindings>()

  constructor(
    private readonly tree: PythonTree,
    private readonly firstRuns: FirstRuns,
  ) {}

  /** False only when `slot` of `owner` is bound on every path by the time `node`, in `scope`, can run. */
  mayBeUnbound(owner: Scope, slot: Slot, node: number, scope: Scope): boolean {
    const { unbinds, inline } = this.bindingsOf(owner, slot)
    if (unbinds) return !this.isCaughtAround(owner, slot, node, scope)
    if (this.boundInSameFunction(slot, node, scope)) return false
    const point = this.readingPoint(owner, node, scope)
    const after = firstAtLeast(inline, point)
    // `open.read() if (open := f()) else None`.
    if (this.isConditionOf(inline[after], point) && this.boundBefore(inline[after] ?? 0, point, inline)) return false
    // From the nearest backwards: that is the one that counts in sound code.
    for (let index = after - 1; index >= 0 && this.budget > 0; index--) {
      if (this.boundBefore(inline[index] ?? 0, point, inline)) return false
    }
    return true
  }

  /** Whether a module binds the name on every path to its end, and no code takes it away. */
  boundAtEnd(owner: Scope, slot: Slot): boolean {
    const { unbinds, inline } = this.bindingsOf(owner, slot)
    return !unbinds && inline.some((binding) => this.boundBefore(binding, NEVER, inline))
  }

  /** Inside an `except … as name` the name is bound, unless code in there takes it away. */
  private isCaughtAround(owner: Scope, { bindings }: Slot, node: number, scope: Scope): boolean {
    if (outermostFunction(scope, owner) !== null) return false
    const clauseOf = (binding: number) => {
      let at = binding
      while (at >= 0 && this.tree.kind[at] !== Kind.except_clause) at = this.tree.parent[at] ?? -1
      return at
    }
    return bindings.some(({ kind, node: binding, from }) => {
      if (kind !== "exception" || from !== owner) return false
      const clause = clauseOf(binding)
      this.budget -= bindings.length
      if (this.budget < 0 || !this.contains(clause, node) || node <= binding) return false
      return bindings.every(
        (other) =>
          other.node === binding ||
          (other.kind !== "deletion" && other.kind !== "exception") ||
          (other.from === owner && !this.contains(clause, other.node)),
      )
    })
  }

  /** `global name; name = …; name` in one function. */
  private boundInSameFunction(slot: Slot, node: number, scope: Scope): boolean {
    if (scope.kind !== "function") return false
    if (this.inFunction?.slot !== slot || this.inFunction.scope !== scope) {
      const own = slot.bindings.filter(({ kind, from }) => from === scope && kind !== "annotation")
      this.inFunction = { slot, scope, nodes: own.map((binding) => binding.node).sort((a, b) => a - b) }
    }
    const { nodes } = this.inFunction
    for (let index = firstAtLeast(nodes, node) - 1; index >= 0 && this.budget > 0; index--) {
      this.budget--
      if (this.boundBefore(nodes[index] ?? 0, node, nodes)) return true
    }
    return false
  }

  private isConditionOf(binding: number | undefined, point: number): boolean {
    const { kind, parent } = this.tree
    for (let at = binding ?? -1; at >= 0 && !SEQUENCES.has(kind[at] ?? Kind.other); at = parent[at] ?? -1) {
      if (this.contains(at, point)) return kind[at] === Kind.conditional_expression
    }
    return false
  }

  private bindingsOf(owner: Scope, slot: Slot): OwnerBindings {
    let known = this.owners.get(slot)
    if (known === undefined) {
      const inline = slot.bindings
        .filter(({ kind, from }) => kind !== "annotation" && from === owner)
        .map(({ node }) => node)
      const unbinds = slot.bindings.some(({ kind }) => kind === "deletion" || kind === "exception")
      known = { unbinds, inline: inline.sort((a, b) => a - b) }
      this.owners.set(slot, known)
    }
    return known
  }

  /** The node at which the reading code can run first, in the order of the owner's own code. */
  private readingPoint(owner: Scope, node: number, scope: Scope): number {
    const outermost = outermostFunction(scope, owner)
    return outermost === null ? node : this.firstRuns.of(outermost)
  }

  private boundBefore(binding: number, point: number, all: readonly number[]): boolean {
    const { parent, kind } = this.tree
    let at = binding
    for (let above = parent[at] ?? -1; above >= 0 && !this.contains(above, point); above = parent[at] ?? -1) {
      at = above
      this.budget--
    }
    const around = parent[at] ?? -1
    if (around < 0) return false
    const aroundKind = kind[around] ?? Kind.other
    if (SEQUENCES.has(aroundKind)) return this.surelyBinds(at, all)
    if (aroundKind === Kind.try_statement) {
      const inElse = kind[this.childTowards(around, point)] === Kind.else_clause
      return inElse && kind[at] === Kind.block && this.surelyBinds(at, all)
    }
    if (aroundKind === Kind.with_statement) return kind[at] === Kind.with_clause
    if (aroundKind === Kind.for_statement) return this.childTowards(around, point) === children(this.tree, around)[2]
    if (aroundKind === Kind.case_clause) return kind[at] === Kind.case_pattern
    if (this.isEvaluatedFirst(at, around)) return this.bindsUnconditionally(at, all)
    // All else is evaluated from the left to the right, but for keywords, which come after `*arguments`.
    if (kind[at] === Kind.keyword_argument) return false
    return IN_ORDER.has(aroundKind) && at < point && this.bindsUnconditionally(at, all)
  }

  private contains(node: number, point: number): boolean {
    // Past the file's end everything at module level has run: only the module contains that point.
    if (point === NEVER) return this.tree.parent[node] === -1
    return node <= point && point < (this.tree.last[node] ?? 0)
  }

  private childTowards(node: number, point: number): number {
    return children(this.tree, node).find((child) => this.contains(child, point)) ?? -1
  }

  /** Whether running `node` to its end binds the name. The depth of the recursion is that of nested blocks. */
  private surelyBinds(node: number, all: readonly number[]): boolean {
    const stop = this.tree.last[node] ?? 0
    const first = all[firstAtLeast(all, node)] ?? stop
    if (first >= stop) return false
    const parts = children(this.tree, node)
    this.budget -= parts.length
    if (this.budget < 0) return false
    const kindOf = (part: number) => this.tree.kind[part] ?? Kind.other
    const binds = (part: number) => this.surelyBinds(part, all)
    switch (kindOf(node)) {
      case Kind.block:
      case Kind.else_clause:
      case Kind.finally_clause:
        return parts.some(binds)
      case Kind.elif_clause:
      case Kind.except_clause:
        return parts.filter((part) => kindOf(part) === Kind.block).every((block) => binds(block) || this.leaves(block))
      case Kind.if_statement: {
        const [condition, ...branches] = parts
        if (condition !== undefined && this.bindsUnconditionally(condition, all)) return true
        if (!branches.some((part) => kindOf(part) === Kind.else_clause)) return false
        return branches.every((branch) => binds(branch) || this.leaves(branch))
      }
      case Kind.try_statement: {
        const of = (kind: number) => parts.filter((part) => kindOf(part) === kind)
        if (of(Kind.finally_clause).some(binds)) return true
        const body = [...of(Kind.block), ...of(Kind.else_clause)]
        return body.some(binds) && of(Kind.except_clause).every((clause) => binds(clause) || this.leaves(clause))
      }
      case Kind.with_statement: {
        // A manager may pass over what goes wrong in those after it.
        const item = parts.findIndex((part) => kindOf(part) === Kind.with_clause)
        const outermost = item < 0 ? undefined : children(this.tree, parts[item] ?? 0)[0]
        return outermost !== undefined && first < (this.tree.last[outermost] ?? 0)
      }
      case Kind.for_statement:
      case Kind.case_clause:
        return false
      case Kind.while_statement:
      case Kind.match_statement:
        return parts[0] !== undefined && this.bindsUnconditionally(parts[0], all)
      default:
        return this.bindsUnconditionally(node, all)
    }
  }

  private bindsUnconditionally(statement: number, all: readonly number[]): boolean {
    const stop = this.tree.last[statement] ?? 0
    for (let index = firstAtLeast(all, statement); (all[index] ?? stop) < stop; index++) {
      if (this.unconditionalWithin(all[index] ?? 0, statement)) return true
    }
    return false
  }

  private unconditionalWithin(binding: number, statement: number): boolean {
    const { kind, parent } = this.tree
    for (let at = binding; at !== statement; at = parent[at] ?? statement) {
      const around = parent[at] ?? statement
      if (UNSURE_EXPRESSIONS.has(kind[around] ?? Kind.other) && !this.isEvaluatedFirst(at, around)) return false
    }
    return true
  }

  /** The part of an expression that is evaluated before others, and whatever they are. */
  private isEvaluatedFirst(part: number, around: number): boolean {
    const kind = this.tree.kind[around] ?? Kind.other
    if (CONDITIONED.has(kind)) return part === around + 1
    // The condition stands between the two values.
    return kind === Kind.conditional_expression && part === children(this.tree, around)[1]
  }

  /** A branch that ends by leaving needs no binding: what follows is not reached through it. */
  private leaves(branch: number): boolean {
    const parts = children(this.tree, branch)
    const block = this.tree.kind[branch] === Kind.block ? branch : (parts.at(-1) ?? branch)
    const final = children(this.tree, block).at(-1)
    if (final === undefined) return false
    return /^(?:raise|return|continue|break)\b/.test(this.tree.text.slice(this.tree.start[final], this.tree.end[final]))
  }
}

/** Index of the first of the ascending numbers that is `bound` or more. */
function firstAtLeast(ascending: readonly number[], bound: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] ?? 0) < bound) low = middle + 1
    else high = middle
  }
  return low
}
