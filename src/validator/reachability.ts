/**
 * Whether a module's (or class's) own name is surely bound when a piece of code reads it. Until it is, Python falls through
 * to the builtin, so a binding that comes later, sits in a branch or may have failed does not hide `open`.
 */
import type { FileBindings, Import } from "./binding-records.ts"
import { Kind } from "./node-kinds.ts"
import { children, type PythonTree } from "./python-tree.ts"
import type { Scope, Slot } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"

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
/** A function in these is not called by being put there. */
const KEEPING = new Set<number>([Kind.pair, Kind.dictionary, Kind.list, Kind.tuple, Kind.parenthesized_expression])
/** Decorators of the standard library and of common libraries that do not call what they decorate. */
const WRAPPERS = new Set(
  `staticmethod classmethod property abstractmethod cached_property lru_cache cache wraps dataclass total_ordering overload
  override final contextmanager asynccontextmanager singledispatch singledispatchmethod setter getter deleter
  runtime_checkable unique no_grad inference_mode fixture parametrize field_validator model_validator validator
  root_validator field_serializer computed_field retry njit jit vectorize define frozen`.split(/\s+/),
)
const RUN_BY_DEFINITIONS = ["__init_subclass__", "__set_name__", "metaclass", "__mro_entries__", "__class_getitem__"]
const NEVER = Number.POSITIVE_INFINITY
/** Nodes looked at for one file, all its reads together. Sound code needs some tens for each read of a builtin's name. */
const BUDGET = 5_000_000

interface OwnerBindings {
  /** Some code takes the name away again. */
  readonly unbinds: boolean
  /** Nodes that bind it in the owner's own code, ascending. */
  readonly inline: readonly number[]
}

export class Reachability {
  private readonly tree: PythonTree
  private runs: Map<number, number> | null = null
  /** The first import of a file that imports this one. */
  private back: number | null = null
  private budget = BUDGET
  private readonly owners = new Map<Slot, OwnerBindings>()

  /** `importedBack`: the imports during which other files may call this one's functions. */
  constructor(
    private readonly file: FileBindings,
    private readonly plugin: Pick<SharedNames, "defines" | "names" | "readsAnnotations">,
    private readonly importedBack: () => readonly Import[],
  ) {
    this.tree = file.tree
  }

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
  private boundInSameFunction({ bindings }: Slot, node: number, scope: Scope): boolean {
    if (scope.kind !== "function") return false
    const own = bindings.filter(({ kind, from }) => from === scope && kind !== "annotation").map(({ node }) => node)
    return own.some((binding) => binding < node && this.boundBefore(binding, node, own))
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
    return outermost === null ? node : this.earliestRun(outermost)
  }

  private earliestRun(scope: Scope): number {
    const names = this.callNames(scope)
    if (names === null) return scope.definition
    this.runs ??= this.earliestMentions()
    const runs = this.runs
    this.back ??= Math.min(
      NEVER,
      ...this.importedBack().map(({ node, scope: around }) => {
        const outermost = outermostFunction(around, this.file.module)
        return outermost === null ? node : outermost.definition
      }),
    )
    return Math.min(this.back, ...names.map((name) => runs.get(name) ?? NEVER))
  }

  /** The names by which module code can set a function running; null when it may run where it stands. */
  private callNames(scope: Scope): number[] | null {
    const names: number[] = []
    for (let at: Scope | null = scope; at !== null; at = at.parent) {
      if (at.definition < 0) continue
      const { kind, parent, name } = this.tree
      if (kind[at.definition] === Kind.lambda) {
        const kept = this.keptUnder(at.definition)
        if (kept === null) return null
        names.push(kept)
        continue
      }
      const around = parent[at.definition] ?? 0
      if (kind[around] === Kind.decorated_definition && !this.isOnlyWrapped(around)) return null
      names.push(name[at.definition + 1] ?? 0)
    }
    return names.length === 0 ? null : names
  }

  /** The name whose value a lambda is, or is kept in; null when it may run where it stands. */
  private keptUnder(lambda: number): number | null {
    const { kind, parent, name } = this.tree
    let at = lambda
    while (KEEPING.has(kind[parent[at] ?? 0] ?? Kind.other)) at = parent[at] ?? 0
    const around = parent[at] ?? 0
    if (kind[around] !== Kind.assignment || kind[around + 1] !== Kind.identifier) return null
    return name[around + 1] ?? 0
  }

  /** Whether all decorators are known to call nothing but what they are there for, and later. */
  private isOnlyWrapped(decorated: number): boolean {
    const { kind, last, name, names } = this.tree
    return children(this.tree, decorated).every((part) => {
      if (kind[part] !== Kind.decorator) return true
      let at = part + 1
      if (kind[at] === Kind.call) at++
      const named = kind[at] === Kind.attribute ? (last[at] ?? 0) - 1 : at
      const word = name[named] ?? 0
      const slot = this.file.module.slots.get(word)
      const isImported = slot?.bindings.every(
        (binding) => binding.kind === "import" && kind[binding.node] !== Kind.aliased_import,
      )
      return WRAPPERS.has(names.textOf(word)) && !this.plugin.defines(word) && isImported !== false
    })
  }

  /** Names of the functions or classes during whose run a read of module code happens; null when it does there and then. */
  private readDuring(node: number): number[] | null {
    const { kind, parent, name } = this.tree
    // A class's own code and that of its metaclass may run when it gets a subclass.
    const plain = !RUN_BY_DEFINITIONS.some((word) => this.plugin.names.known(word) > 0)
    for (let at = node, above = parent[at] ?? -1; above >= 0; at = above, above = parent[at] ?? -1) {
      if (kind[at] === Kind.block || kind[at] === Kind.call) return null
      if (plain && kind[above] === Kind.type && !this.plugin.readsAnnotations) return []
      const isDefault = kind[above] === Kind.default_parameter || kind[above] === Kind.typed_default_parameter
      const definition = isDefault ? (parent[parent[above] ?? 0] ?? 0) : above
      if (isDefault && at === node && kind[definition] === Kind.function_definition) return [name[definition + 1] ?? 0]
      if (plain && kind[above] === Kind.class_definition && kind[at] === Kind.argument_list)
        return [name[above + 1] ?? 0]
    }
    return null
  }

  /** For each name, the first node of running module code that mentions it, straight or through functions it mentions. */
  private earliestMentions(): Map<number, number> {
    const runs = new Map<number, number>()
    const mentionedBy = new Map<number, number[]>()
    const { scopes, readIn, module } = this.file
    for (let node = 0; node < readIn.length; node++) {
      const scope = scopes[(readIn[node] ?? 0) - 1]
      if (scope === undefined) continue
      const name = this.tree.name[node] ?? 0
      const outermost = outermostFunction(scope, module)
      const callers = outermost === null ? this.readDuring(node) : this.callNames(outermost)
      if (callers === null) {
        const at = outermost === null ? node : outermost.definition
        runs.set(name, Math.min(runs.get(name) ?? NEVER, at))
      } else {
        for (const caller of callers) {
          const mentions = mentionedBy.get(caller)
          if (mentions === undefined) mentionedBy.set(caller, [name])
          else mentions.push(name)
        }
      }
    }
    // A module that has hold of itself may call its functions as attributes.
    const attributes = this.plugin.names.known("modules") > 0 ? this.tree.size : 0
    for (let node = 0; node < attributes; node++) {
      const name = this.tree.name[node] ?? 0
      if (name > 0 && readIn[node] === 0 && this.tree.kind[this.tree.parent[node] ?? 0] === Kind.attribute)
        runs.set(name, Math.min(runs.get(name) ?? NEVER, node))
    }
    // Earliest first, so that each name is settled by the first that reaches it.
    const settled = new Set<number>()
    for (const [start, at] of [...runs].sort((a, b) => a[1] - b[1])) {
      const pending = [start]
      for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
        if (settled.has(name)) continue
        settled.add(name)
        runs.set(name, at)
        for (const mentioned of mentionedBy.get(name) ?? []) pending.push(mentioned)
      }
    }
    return runs
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

/** The function nearest to `owner` that `scope` is, or lies in; null when the code runs where the owner's code runs. */
function outermostFunction(scope: Scope, owner: Scope): Scope | null {
  let found: Scope | null = null
  for (let at: Scope | null = scope; at !== null && at !== owner; at = at.parent) {
    if (at.kind === "function" && at.definition >= 0) found = at
  }
  return found
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
