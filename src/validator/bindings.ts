/**
 * One pass over a file's tree: makes its scopes, records what binds each name and which expression flows into it, and lists
 * the expressions whose value may matter. Nothing is resolved yet: a name may be bound further down.
 */
import { children, dottedNameOf, Kind, nameOf, type PythonTree } from "./python-tree.ts"
import { type BindingKind, newScope, nonlocalHome, type Scope, type Slot, slotOf } from "./scopes.ts"

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
  readonly flows: readonly Flow[]
  readonly attributeFlows: readonly AttributeFlow[]
  readonly containerFlows: readonly ContainerFlow[]
  readonly imports: readonly Import[]
  /** Scope of each lambda by its node, and of each `def` and `class`. */
  readonly definitions: ReadonlyMap<number, Scope>
}

const EXPRESSIONS = new Set<number>([
  Kind.attribute,
  Kind.member_type,
  Kind.subscript,
  Kind.call,
  Kind.await,
  Kind.parenthesized_expression,
  Kind.conditional_expression,
  Kind.boolean_operator,
  Kind.named_expression,
  Kind.tuple,
  Kind.list,
  Kind.set,
  Kind.dictionary,
  Kind.pair,
  Kind.expression_list,
  Kind.list_splat,
  Kind.dictionary_splat,
  Kind.list_comprehension,
  Kind.set_comprehension,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
  Kind.string,
  Kind.concatenated_string,
])

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
const SPLATS = new Set<number>([Kind.list_splat, Kind.list_splat_pattern])

export function collectBindings(tree: PythonTree): FileBindings {
  return new Collector(tree).run()
}

class Collector {
  private readonly module: Scope
  private readonly loads = new Map<number, Scope>()
  private readonly expressions: number[] = []
  private readonly flows: Flow[] = []
  private readonly attributeFlows: AttributeFlow[] = []
  private readonly containerFlows: ContainerFlow[] = []
  private readonly imports: Import[] = []
  private readonly definitions = new Map<number, Scope>()
  private readonly scopeAt = new Map<number, Scope>()
  /** 1 for identifiers and dotted names that do not read a name. */
  private readonly handled: Uint8Array
  private readonly nonlocalBindings: (() => void)[] = []
  private scope: Scope

  constructor(private readonly tree: PythonTree) {
    this.handled = new Uint8Array(tree.size)
    this.module = newScope("module", 0, -1, null)
    this.scope = this.module
  }

  run(): FileBindings {
    const { kind, last, size } = this.tree
    const open: { scope: Scope; stop: number }[] = [{ scope: this.module, stop: size + 1 }]
    for (let node = 0; node < size; node++) {
      while ((open.at(-1)?.stop ?? size) <= node) open.pop()
      const entered = this.scopeAt.get(node)
      if (entered !== undefined) open.push({ scope: entered, stop: last[node] ?? size })
      this.scope = open.at(-1)?.scope ?? this.module
      this.visit(node, kind[node] ?? Kind.other)
      // A comprehension's scope starts at the very node that makes it.
      const made = this.scopeAt.get(node)
      if (made !== undefined && made !== entered) open.push({ scope: made, stop: last[node] ?? size })
    }
    for (const bind of this.nonlocalBindings) bind()
    const { tree, module, loads, expressions, flows, attributeFlows, containerFlows, imports, definitions } = this
    return { tree, module, loads, expressions, flows, attributeFlows, containerFlows, imports, definitions }
  }

  private visit(node: number, kind: number): void {
    if (EXPRESSIONS.has(kind)) this.expressions.push(node)
    switch (kind) {
      case Kind.identifier:
        if (this.handled[node] === 0) this.load(node)
        break
      case Kind.attribute:
      case Kind.member_type:
        this.ignore(this.parts(node).at(-1))
        break
      case Kind.keyword_argument:
      case Kind.keyword_pattern:
        this.ignore(this.parts(node)[0])
        break
      case Kind.dotted_name:
        this.dottedName(node)
        break
      case Kind.import_statement:
        this.importStatement(node)
        break
      case Kind.import_from_statement:
      case Kind.future_import_statement:
        this.importFrom(node, kind)
        break
      case Kind.function_definition:
        this.functionDefinition(node)
        break
      case Kind.lambda:
        this.lambda(node)
        break
      case Kind.class_definition:
        this.classDefinition(node)
        break
      case Kind.list_comprehension:
      case Kind.set_comprehension:
      case Kind.dictionary_comprehension:
      case Kind.generator_expression:
        this.comprehension(node)
        break
      case Kind.assignment:
        this.assignment(node)
        break
      case Kind.augmented_assignment:
        this.augmentedAssignment(node)
        break
      case Kind.named_expression:
        this.walrus(node)
        break
      case Kind.for_statement:
        this.forStatement(node)
        break
      case Kind.as_pattern:
        this.asPattern(node)
        break
      case Kind.splat_pattern:
        for (const name of this.parts(node)) this.bind(name, "assignment")
        break
      case Kind.delete_statement:
        for (const target of this.parts(node)) this.target(target, "deletion", -1, "whole")
        break
      case Kind.global_statement:
      case Kind.nonlocal_statement:
        for (const name of this.parts(node)) {
          const declared = kind === Kind.global_statement ? this.scope.globals : this.scope.nonlocals
          declared.add(nameOf(this.tree, name))
          this.ignore(name)
        }
        break
      case Kind.type_alias_statement:
        this.typeAlias(node)
        break
      case Kind.return_statement:
        for (const value of this.parts(node)) {
          this.flows.push({ into: this.functionScope().returns, from: value, passage: "whole" })
        }
        break
    }
  }

  private parts(node: number): number[] {
    return children(this.tree, node)
  }

  private kindOf(node: number | undefined): number {
    return node === undefined ? Kind.other : (this.tree.kind[node] ?? Kind.other)
  }

  private ignore(node: number | undefined): void {
    if (node !== undefined && node >= 0) this.handled[node] = 1
  }

  private load(node: number): void {
    this.loads.set(node, this.scope)
    this.expressions.push(node)
  }

  /** Binds the name of an identifier node in the scope it belongs to, which `global` and `nonlocal` move. */
  private bind(node: number, kind: BindingKind, from = -1, passage: Passage = "whole", scope = this.scope): void {
    this.ignore(node)
    const name = nameOf(this.tree, node)
    this.bindName(name, node, kind, scope, (slot) => {
      if (from >= 0) this.flows.push({ into: slot, from, passage })
    })
    // What a class body binds is read through its instances as an attribute.
    if (scope.kind === "class" && from >= 0) this.attributeFlows.push({ attribute: name, from, passage })
  }

  private bindName(name: string, node: number, kind: BindingKind, scope: Scope, then: (slot: Slot) => void): void {
    const callable = (kind === "definition" ? this.definitions.get(this.tree.parent[node] ?? -1) : undefined) ?? null
    const place = (home: Scope) => {
      const slot = slotOf(home, name)
      slot.bindings.push({ kind, node, from: scope, callable })
      then(slot)
    }
    if (scope.globals.has(name)) place(this.module)
    else if (scope.nonlocals.has(name)) this.nonlocalBindings.push(() => place(nonlocalHome(scope, name)))
    else place(scope)
  }

  /** An assignment target of any shape. `from` is the value's node, -1 when nothing is known of it. */
  private target(root: number, kind: BindingKind, from: number, passage: Passage, scope = this.scope): void {
    const pending: { node: number; from: number; passage: Passage }[] = [{ node: root, from, passage }]
    for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
      const nodeKind = this.kindOf(item.node)
      if (nodeKind === Kind.identifier) this.bind(item.node, kind, item.from, item.passage, scope)
      else if (TRANSPARENT_TARGETS.has(nodeKind)) {
        for (const part of this.parts(item.node)) pending.push({ ...item, node: part })
      } else if (UNPACKED.has(nodeKind)) {
        const targets = this.parts(item.node)
        const values = item.passage === "whole" ? this.elementwise(targets, item.from) : null
        targets.forEach((part, index) => {
          const value = values?.[index]
          if (value !== undefined) pending.push({ node: part, from: value, passage: "whole" })
          else pending.push({ node: part, from: item.from, passage: item.from < 0 ? "whole" : "element" })
        })
      } else if (nodeKind === Kind.attribute && item.from >= 0) {
        const attribute = this.parts(item.node).at(-1)
        if (attribute !== undefined) {
          this.attributeFlows.push({ attribute: nameOf(this.tree, attribute), from: item.from, passage: item.passage })
        }
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
    const plain = (nodes: number[]) => nodes.every((node) => !SPLATS.has(this.kindOf(node)))
    return values.length === targets.length && plain(targets) && plain(values) ? values : null
  }

  /** In a pattern, one part captures and several read; everywhere else the parent has read the name already. */
  private dottedName(node: number): void {
    const parts = this.parts(node)
    const captures = parts.length === 1 && this.kindOf(this.tree.parent[node]) !== Kind.class_pattern
    if (this.handled[node] === 1) {
      for (const part of parts) this.ignore(part)
    } else if (captures) {
      for (const part of parts) this.bind(part, "assignment")
    } else {
      this.expressions.push(node)
      for (const part of parts.slice(1)) this.ignore(part)
    }
  }

  private importStatement(node: number): void {
    for (const item of this.parts(node)) {
      const { name, alias } = this.importedName(item)
      const module = dottedNameOf(this.tree, name)
      const bound = alias === undefined ? (module.split(".", 1)[0] ?? module) : nameOf(this.tree, alias)
      this.bindName(bound, item, "import", this.scope, (into) => {
        const bindsTop = alias === undefined
        this.imports.push({
          statement: node,
          node: item,
          level: 0,
          module,
          name: null,
          into,
          bindsTop,
          scope: this.scope,
        })
      })
    }
  }

  private importFrom(node: number, kind: number): void {
    const parts = this.parts(node)
    const source = kind === Kind.future_import_statement ? undefined : parts.shift()
    const { level, module } = source === undefined ? { level: 0, module: "__future__" } : this.importSource(source)
    for (const item of parts) {
      const common = { statement: node, node: item, level, module, bindsTop: false, scope: this.scope }
      if (this.kindOf(item) === Kind.wildcard_import) {
        this.imports.push({ ...common, name: "*", into: null })
        continue
      }
      const { name: named, alias } = this.importedName(item)
      const name = dottedNameOf(this.tree, named)
      const bound = alias === undefined ? name : nameOf(this.tree, alias)
      this.bindName(bound, item, "import", this.scope, (into) => this.imports.push({ ...common, name, into }))
    }
  }

  private importedName(item: number): { name: number; alias: number | undefined } {
    const [name = item, alias] = this.kindOf(item) === Kind.aliased_import ? this.parts(item) : [item]
    this.ignore(name)
    this.ignore(alias)
    return { name, alias }
  }

  private importSource(node: number): { level: number; module: string } {
    if (this.kindOf(node) === Kind.dotted_name) {
      this.ignore(node)
      return { level: 0, module: dottedNameOf(this.tree, node) }
    }
    const [prefix = node, name] = this.parts(node)
    this.ignore(name)
    const dots = this.tree.text.slice(this.tree.start[prefix], this.tree.end[prefix])
    return { level: dots.split(".").length - 1, module: name === undefined ? "" : dottedNameOf(this.tree, name) }
  }

  private functionDefinition(node: number): void {
    const parts = this.parts(node)
    const [name, ...rest] = parts
    const body = parts.at(-1)
    if (name === undefined || body === undefined) return
    const outer = this.withTypeParameters(rest)
    const scope = newScope("function", body, node, outer)
    this.definitions.set(node, scope)
    this.scopeAt.set(body, scope)
    this.bind(name, "definition")
    const parameters = rest.find((part) => this.kindOf(part) === Kind.parameters)
    if (parameters !== undefined) this.parameters(parameters, scope)
  }

  private lambda(node: number): void {
    const parts = this.parts(node)
    const body = parts.at(-1)
    if (body === undefined) return
    const scope = newScope("function", body, node, this.scope)
    this.definitions.set(node, scope)
    this.scopeAt.set(body, scope)
    this.flows.push({ into: scope.returns, from: body, passage: "whole" })
    const parameters = parts[0]
    if (parameters !== undefined && this.kindOf(parameters) === Kind.lambda_parameters)
      this.parameters(parameters, scope)
  }

  private parameters(node: number, scope: Scope): void {
    for (const parameter of this.parts(node)) {
      const kind = this.kindOf(parameter)
      const parts = this.parts(parameter)
      const named = kind === Kind.identifier ? parameter : parts[0]
      if (named === undefined) continue
      const defaulted = kind === Kind.default_parameter || kind === Kind.typed_default_parameter
      this.target(kind === Kind.typed_parameter || defaulted ? named : parameter, "parameter", -1, "whole", scope)
      const name = this.kindOf(named) === Kind.identifier ? nameOf(this.tree, named) : null
      const slot = name === null ? undefined : scope.slots.get(name)
      if (slot === undefined) continue
      if (kind !== Kind.list_splat_pattern && kind !== Kind.dictionary_splat_pattern) scope.parameters.push(slot)
      const value = defaulted ? parts.at(-1) : undefined
      if (value !== undefined) this.flows.push({ into: slot, from: value, passage: "whole" })
    }
  }

  private classDefinition(node: number): void {
    const parts = this.parts(node)
    const [name, ...rest] = parts
    const body = parts.at(-1)
    if (name === undefined || body === undefined) return
    const scope = newScope("class", body, node, this.withTypeParameters(rest))
    this.scopeAt.set(body, scope)
    this.bind(name, "definition")
    // Not a function: a call of it answers an instance, of which nothing is known.
    this.definitions.set(node, scope)
  }

  /** PEP 695: type parameters live in a scope of their own around the definition. */
  private withTypeParameters(parts: number[]): Scope {
    const list = parts.find((part) => this.kindOf(part) === Kind.type_parameter)
    if (list === undefined) return this.scope
    const scope = newScope("function", list, -1, this.scope)
    for (const part of parts) if (this.kindOf(part) !== Kind.block) this.scopeAt.set(part, scope)
    for (const type of this.parts(list)) this.typeParameter(type, scope)
    return scope
  }

  private typeParameter(type: number, scope: Scope): void {
    let at: number | undefined = type
    while (at !== undefined && this.kindOf(at) !== Kind.identifier) at = this.parts(at)[0]
    if (at !== undefined) this.bind(at, "parameter", -1, "whole", scope)
  }

  private typeAlias(node: number): void {
    const [left] = this.parts(node)
    const named = left === undefined ? undefined : this.parts(left)[0]
    if (named === undefined) return
    if (this.kindOf(named) === Kind.identifier) this.bind(named, "assignment")
    else if (this.kindOf(named) === Kind.generic_type) {
      const [name, ...rest] = this.parts(named)
      if (name === undefined) return
      this.bind(name, "assignment")
      const scope = this.withTypeParameters(rest)
      if (scope !== this.scope) this.scopeAt.set(this.parts(node)[1] ?? -1, scope)
    }
  }

  private comprehension(node: number): void {
    const outer = this.scope
    const scope = newScope("comprehension", node, -1, outer)
    this.scopeAt.set(node, scope)
    const clauses = this.parts(node).filter((part) => this.kindOf(part) === Kind.for_in_clause)
    clauses.forEach((clause, index) => {
      const [left, ...right] = this.parts(clause)
      if (left === undefined) return
      this.target(left, "assignment", right[0] ?? -1, "element", scope)
      // The first iterable is evaluated outside, before the comprehension starts.
      if (index === 0) for (const iterable of right) this.scopeAt.set(iterable, outer)
    })
  }

  private assignment(node: number): void {
    const [left, ...rest] = this.parts(node)
    if (left === undefined) return
    const right = rest.find((part) => this.kindOf(part) !== Kind.type)
    if (right === undefined) {
      this.target(left, "annotation", -1, "whole")
      return
    }
    let value = right
    while (this.kindOf(value) === Kind.assignment) value = this.parts(value).at(-1) ?? -1
    this.target(left, "assignment", value, "whole")
  }

  private augmentedAssignment(node: number): void {
    const [left, right] = this.parts(node)
    if (left === undefined || right === undefined) return
    this.target(left, "assignment", right, "whole")
    if (this.kindOf(left) === Kind.identifier) this.handled[left] = 0
  }

  private walrus(node: number): void {
    const [name, value] = this.parts(node)
    if (name === undefined || value === undefined) return
    this.bind(name, "assignment", value, "whole", this.functionScope())
  }

  private functionScope(): Scope {
    let scope = this.scope
    while (scope.kind === "comprehension" && scope.parent !== null) scope = scope.parent
    return scope
  }

  private forStatement(node: number): void {
    const [left, right] = this.parts(node)
    if (left !== undefined && right !== undefined) this.target(left, "assignment", right, "element")
  }

  private asPattern(node: number): void {
    const [value, target] = this.parts(node)
    if (value === undefined || target === undefined) return
    const inExcept = this.kindOf(this.tree.parent[node]) === Kind.except_clause
    this.target(target, inExcept ? "exception" : "assignment", inExcept ? -1 : value, "whole")
  }
}
