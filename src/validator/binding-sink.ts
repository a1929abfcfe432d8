/** Collects what a file binds; knows how targets of every shape take names apart. The visitors of `bindings.ts` fill it. */
import { type ContainerFlow, type FileBindings, Flows, type Import, type Passage } from "./binding-records.ts"
import { Kind } from "./node-kinds.ts"
import { children, type PythonTree } from "./python-tree.ts"
import { type BindingKind, nonlocalHome, Scope, type ScopeKind, Slot } from "./scopes.ts"
import type { Workspace } from "./syntax/workspace.ts"

const UNPACKED = new Set<number>([
  Kind.tuple_pattern,
  Kind.list_pattern,
  Kind.pattern_list,
  Kind.tuple,
  Kind.list,
  Kind.expression_list,
])
const TRANSPARENT_TARGETS = new Set<number>([
  Kind.as_pattern_target,
  Kind.list_splat_pattern,
  Kind.dictionary_splat_pattern,
  Kind.list_splat,
  Kind.parenthesized_expression,
])
const LITERAL_SEQUENCES = new Set<number>([Kind.tuple, Kind.list, Kind.expression_list, Kind.pattern_list])
const STARRED = new Set<number>([Kind.list_splat, Kind.list_splat_pattern])

export class BindingSink {
  readonly module: Scope
  readonly scopes: Scope[] = []
  readonly readIn: Int32Array
  readonly quoted = new Map<number, Scope>()
  readonly flows: Flows
  /** Strings given to a name by an assignment. */
  readonly strings: [number, Scope][] = []
  /** Assignments with their values. */
  readonly assigned: { readonly target: number; readonly value: number }[] = []
  /** Names that stand for the type in an annotation. */
  readonly typeNames = new Set<number>()
  readonly imports: Import[] = []
  readonly defined = new Set<number>()
  readonly attributeTargets: { node: number; deleted: boolean }[] = []
  readonly definitions = new Map<number, Scope>()
  /** For each node whose subtree runs in a scope of its own one more than the scope's number; the walk enters it. */
  readonly entered: Int32Array
  /** 1 for identifiers and dotted names that do not read a name. */
  readonly handled: Uint8Array
  /** The scope of the node that is being visited. */
  scope: Scope
  private readonly containerFlows: ContainerFlow[] = []
  private readonly nonlocalBindings: (() => void)[] = []

  constructor(
    readonly tree: PythonTree,
    private readonly file: number,
    workspace: Workspace,
  ) {
    const { handled, entered } = workspace.marksFor(tree.size)
    this.handled = handled
    this.entered = entered
    this.readIn = new Int32Array(tree.size)
    this.flows = new Flows(tree.kind)
    this.module = this.newScope("module", -1, null)
    this.scope = this.module
  }

  /** To be called once, after the whole file was visited: only then is it known where a nonlocal name lives. */
  finish(): FileBindings {
    for (const bind of this.nonlocalBindings) bind()
    const { tree, module, scopes, readIn, quoted, flows, containerFlows, imports, definitions } = this
    const { defined, attributeTargets } = this
    const typesMade = this.assigned.filter(({ target }) => this.typeNames.has(target)).map(({ value }) => value)
    return {
      tree,
      module,
      scopes,
      readIn,
      quoted,
      flows,
      typesMade,
      containerFlows,
      imports,
      defined,
      attributeTargets,
      definitions,
    }
  }

  parts(node: number): number[] {
    return children(this.tree, node)
  }

  kindOf(node: number | undefined): number {
    return node === undefined ? Kind.other : (this.tree.kind[node] ?? Kind.other)
  }

  ignore(node: number | undefined): void {
    if (node !== undefined && node >= 0) this.handled[node] = 1
  }

  load(node: number): void {
    this.readIn[node] = this.scope.number + 1
  }

  /** A scope whose `def` or `lambda`, when it has one, is `definition`; what its calls answer has `name`. */
  newScope(kind: ScopeKind, definition: number, parent: Scope | null, name = 0): Scope {
    const scope = new Scope(kind, this.scopes.length, definition, parent, new Slot(name, this.file))
    this.scopes.push(scope)
    return scope
  }

  enter(node: number, scope: Scope): void {
    this.entered[node] = scope.number + 1
  }

  nameOf(node: number): number {
    return this.tree.name[node] ?? 0
  }

  /** Binds the name of an identifier node in the scope it belongs to, which `global` and `nonlocal` move. */
  bind(node: number, kind: BindingKind, from = -1, passage: Passage = "whole", scope = this.scope): void {
    this.ignore(node)
    const name = this.nameOf(node)
    const slot = this.homeOf(name, scope)
    if (slot !== null) this.bindSlot(slot, node, kind, scope, from, passage)
    else
      this.nonlocalBindings.push(() =>
        this.bindSlot(nonlocalHome(scope, name).slotOf(name), node, kind, scope, from, passage),
      )
    // What a class body binds is read through its instances as an attribute.
    if (scope.kind === "class" && from >= 0) this.flows.add({ attribute: name, from, passage })
  }

  /** The slot that a binding in `scope` fills; null for a nonlocal name, whose home is not known yet. */
  private homeOf(name: number, scope: Scope): Slot | null {
    if (scope.globals.has(name)) return this.module.slotOf(name)
    return scope.nonlocals.has(name) ? null : scope.slotOf(name)
  }

  private bindSlot(slot: Slot, node: number, kind: BindingKind, scope: Scope, from: number, passage: Passage): void {
    if (kind === "definition" || scope.kind === "class") this.defined.add(slot.name)
    const callable = (kind === "definition" ? this.definitions.get(this.tree.parent[node] ?? -1) : undefined) ?? null
    slot.bindings.push({ kind, node, from: scope, callable })
    if (from >= 0) this.flows.add({ into: slot, from, passage })
  }

  /** A class that was just bound has what its base has. */
  inherit(name: number, base: number): void {
    const slot = this.homeOf(this.nameOf(name), this.scope)
    if (slot !== null) this.flows.add({ into: slot, from: base, passage: "inherited" })
  }

  /** Binds what an import names, `node` in its statement. */
  bindImport(name: number, node: number, then: (slot: Slot) => void): void {
    const { scope } = this
    const place = (slot: Slot) => {
      this.bindSlot(slot, node, "import", scope, -1, "whole")
      then(slot)
    }
    const slot = this.homeOf(name, scope)
    if (slot !== null) place(slot)
    else this.nonlocalBindings.push(() => place(nonlocalHome(scope, name).slotOf(name)))
  }

  /** An assignment target of any shape. `from` is the value's node, -1 when nothing is known of it. */
  target(root: number, kind: BindingKind, from: number, passage: Passage, scope = this.scope): void {
    if (this.kindOf(root) === Kind.identifier) {
      this.bind(root, kind, from, passage, scope)
      return
    }
    const pending: { node: number; from: number; passage: Passage }[] = [{ node: root, from, passage }]
    for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
      const nodeKind = this.kindOf(item.node)
      if (nodeKind === Kind.identifier) this.bind(item.node, kind, item.from, item.passage, scope)
      else if (TRANSPARENT_TARGETS.has(nodeKind)) {
        // A starred target holds a list of the elements that are left.
        const passage = STARRED.has(nodeKind) && item.passage === "element" ? "stored" : item.passage
        for (const part of this.parts(item.node)) pending.push({ node: part, from: item.from, passage })
      } else if (UNPACKED.has(nodeKind)) {
        const targets = this.parts(item.node)
        const values = item.passage === "whole" ? this.elementwise(targets, item.from) : null
        targets.forEach((part, index) => {
          const value = values?.[index]
          if (value !== undefined) pending.push({ node: part, from: value, passage: "whole" })
          else pending.push({ node: part, from: item.from, passage: item.from < 0 ? "whole" : "element" })
        })
      } else if (nodeKind === Kind.attribute) {
        this.attributeTargets.push({ node: item.node, deleted: kind === "deletion" })
        this.defined.add(this.nameOf((this.tree.last[item.node] ?? 0) - 1))
        if (item.from < 0) continue
        const attribute = this.nameOf((this.tree.last[item.node] ?? 0) - 1)
        this.flows.add({ attribute, from: item.from, passage: item.passage })
      } else if (nodeKind === Kind.subscript && item.from >= 0) {
        const container = this.parts(item.node)[0]
        if (container !== undefined) this.containerFlows.push({ container, from: item.from })
      }
    }
  }

  /** The values of `a, b = x, y` one by one; null unless both sides are plain and of the same length. */
  private elementwise(targets: number[], from: number): number[] | null {
    if (from < 0 || !LITERAL_SEQUENCES.has(this.kindOf(from))) return null
    const values = this.parts(from)
    const plain = (nodes: number[]) => nodes.every((node) => !STARRED.has(this.kindOf(node)))
    return values.length === targets.length && plain(targets) && plain(values) ? values : null
  }

  functionScope(): Scope {
    let scope = this.scope
    while (scope.kind === "comprehension" && scope.parent !== null) scope = scope.parent
    return scope
  }
}
