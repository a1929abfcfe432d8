/** When the code of a file's functions can run first, by who mentions their names. */
import type { FileBindings, Import } from "./binding-records.ts"
import { Kind } from "./node-kinds.ts"
import { children, type PythonTree } from "./python-tree.ts"
import type { Scope } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"

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
/** Nodes looked at around reads and lambdas; past it they run where they stand. Sound code needs ten for each. */
const BUDGET = 5_000_000
export const NEVER = Number.POSITIVE_INFINITY

export class FirstRuns {
  private readonly tree: PythonTree
  private runs: Map<number, number> | null = null
  /** The first import of a file that imports this one. */
  private back: number | null = null
  private budget = BUDGET

  /** `importedBack`: the imports during which other files may call this one's functions. */
  constructor(
    private readonly file: FileBindings,
    private readonly plugin: Pick<SharedNames, "defines" | "names" | "readsAnnotations">,
    private readonly importedBack: () => readonly Import[],
  ) {
    this.tree = file.tree
  }

  /** The first node of module code at which code of `scope` may run; `NEVER` when none sets it running. */
  of(scope: Scope): number {
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
    while (KEEPING.has(kind[parent[at] ?? 0] ?? Kind.other)) {
      if (this.budget-- < 0) return null
      at = parent[at] ?? 0
    }
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
      if (this.budget-- < 0) return null
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
}

/** The function nearest to `owner` that `scope` is, or lies in; null when the code runs where the owner's code runs. */
export function outermostFunction(scope: Scope, owner: Scope): Scope | null {
  let found: Scope | null = null
  for (let at: Scope | null = scope; at !== null && at !== owner; at = at.parent) {
    if (at.kind === "function" && at.definition >= 0) found = at
  }
  return found
}
