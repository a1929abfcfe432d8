/**
 * Follows names through a whole plugin: every expression gets the set of qualified names it may stand for. Each round walks
 * every file's expressions from the inside out and lets values flow into the names and attributes they are bound to; the
 * rounds end when nothing new arrives. Only names that the rules' tables speak of are followed, so the sets stay tiny.
 */
import type { FileBindings, Passage } from "./bindings.ts"
import { OwnModules } from "./own-modules.ts"
import { children, Kind, nameOf } from "./python-tree.ts"
import { Reachability } from "./reachability.ts"
import { type Lookup, lookUp, newSlot, type Scope, type Slot } from "./scopes.ts"
import { stringConstant } from "./string-constants.ts"
import { attributeOf, builtinValue, EXTERNAL, itemOf, moduleValue, reachedModule } from "./vocabulary.ts"

/** Marks a value as the content of a list, dict or the like. */
const CONTAINED = "[]"
/** Each round settles a whole chain of names in source order at least; code that a person wrote needs two or three. */
const MAX_ROUNDS = 40
const NOTHING: readonly string[] = []

const CONTAINERS = new Set<number>([
  Kind.tuple,
  Kind.list,
  Kind.set,
  Kind.dictionary,
  Kind.expression_list,
  Kind.list_comprehension,
  Kind.set_comprehension,
  Kind.dictionary_comprehension,
  Kind.generator_expression,
])
const NAMING = new Set<number>([
  Kind.identifier,
  Kind.attribute,
  Kind.member_type,
  Kind.dotted_name,
  Kind.aliased_import,
  Kind.subscript,
  Kind.call,
])
const ITEM_METHODS = new Set(["get", "pop", "setdefault", "popitem", "__getitem__"])
const VIEW_METHODS = new Set(["values", "items", "copy"])
const ATTRIBUTE_METHODS = new Set(["__getattribute__", "__getattr__"])
const IMPORT_FUNCTIONS = new Set(["builtins.__import__", "importlib.import_module", "importlib.__import__"])

export interface PluginReferences {
  /** By file, then by node of the file's tree. */
  readonly byFile: ReadonlyMap<string, ReadonlyMap<number, readonly string[]>>
  /** False when names chase one another past the limit; the plugin is then not sound to judge. */
  readonly settled: boolean
}

export function resolveReferences(files: ReadonlyMap<string, FileBindings>): PluginReferences {
  const plugin = new PluginNames(files)
  let settled = false
  for (let round = 0; round < MAX_ROUNDS && !settled; round++) settled = !plugin.round()
  return { byFile: plugin.results(), settled }
}

class PluginNames {
  readonly own: OwnModules
  readonly files = new Map<string, FileNames>()
  /** What is ever assigned to an attribute of this name, on whatever object. Modules only: functions are found at once. */
  readonly attributes = new Map<string, Slot>()
  changed = false

  constructor(files: ReadonlyMap<string, FileBindings>) {
    this.own = new OwnModules(new Set(files.keys()))
    for (const [path, bindings] of files) this.files.set(path, new FileNames(this, path, bindings))
  }

  round(): boolean {
    this.changed = false
    for (const file of this.files.values()) file.round()
    return this.changed
  }

  results(): Map<string, ReadonlyMap<number, readonly string[]>> {
    return new Map([...this.files].map(([path, file]) => [path, file.named()]))
  }

  add(slot: Slot, values: readonly string[]): void {
    for (const value of values) {
      if (slot.values.has(value)) continue
      slot.values.add(value)
      this.changed = true
    }
  }

  attributeSlot(name: string): Slot {
    let slot = this.attributes.get(name)
    if (slot === undefined) {
      slot = newSlot(name)
      this.attributes.set(name, slot)
    }
    return slot
  }

  /** What `value.attribute` may be, through the plugin's own modules too. */
  attribute(value: string, attribute: string, seen: Set<string> = new Set()): string[] {
    const path = OwnModules.pathOf(value)
    if (path === null) {
      const known = attributeOf(value, attribute)
      return known === null ? [] : [known]
    }
    const found: string[] = []
    const submodule = this.own.submodule(path, attribute)
    if (submodule !== null) found.push(submodule)
    const file = this.files.get(path)
    if (file === undefined || seen.has(path)) return found
    seen.add(path)
    const slot = file.bindings.module.slots.get(attribute)
    if (slot !== undefined) found.push(...slot.values)
    for (const star of file.stars) found.push(...this.attribute(star, attribute, seen))
    return found
  }

  slotsOfAttribute(value: string, attribute: string): Slot[] {
    const path = OwnModules.pathOf(value)
    const slot = path === null ? undefined : this.files.get(path)?.bindings.module.slots.get(attribute)
    return slot === undefined ? [] : [slot]
  }
}

class FileNames {
  /** Values of this round's and earlier rounds' expressions; absent means none. */
  readonly values = new Map<number, readonly string[]>()
  readonly stars = new Set<string>()
  private readonly reachability: Reachability
  private readonly lookups = new Map<Scope, Map<string, Lookup>>()
  private readonly builtins = new Map<number, string | null>()

  constructor(
    private readonly plugin: PluginNames,
    private readonly path: string,
    readonly bindings: FileBindings,
  ) {
    this.reachability = new Reachability(bindings)
  }

  round(): void {
    const { expressions, flows, attributeFlows, containerFlows } = this.bindings
    this.importNames()
    for (let index = expressions.length - 1; index >= 0; index--) {
      const node = expressions[index] ?? 0
      const values = this.evaluate(node)
      if (values.length > 0) this.values.set(node, values)
    }
    for (const { into, from, passage } of flows) this.plugin.add(into, this.passed(from, passage))
    for (const { attribute, from, passage } of attributeFlows) {
      const modules = this.passed(from, passage)
      if (modules.length > 0) this.plugin.add(this.plugin.attributeSlot(attribute), modules)
    }
    for (const { container, from } of containerFlows) {
      const stored = this.passed(from, "stored")
      if (stored.length > 0) for (const slot of this.containerSlots(container)) this.plugin.add(slot, stored)
    }
  }

  /** Values of the expressions that name something; those that only hand a value on would repeat it. */
  named(): Map<number, readonly string[]> {
    const { kind } = this.bindings.tree
    return new Map([...this.values].filter(([node]) => NAMING.has(kind[node] ?? Kind.other)))
  }

  private valuesOf(node: number | undefined): readonly string[] {
    return node === undefined ? NOTHING : (this.values.get(node) ?? NOTHING)
  }

  private passed(from: number, passage: Passage): readonly string[] {
    const values = this.valuesOf(from)
    if (values.length === 0 || passage === "whole") return values
    return passage === "element"
      ? values.map(uncontained)
      : values.map((value) => CONTAINED + value.replace(CONTAINED, ""))
  }

  private importNames(): void {
    for (const { node, level, module, name, into, bindsTop } of this.bindings.imports) {
      const modules = this.modulesNamed(level, bindsTop && name === null ? (module.split(".", 1)[0] ?? module) : module)
      if (name === "*") {
        for (const value of modules) {
          if (this.stars.has(value)) continue
          this.stars.add(value)
          this.plugin.changed = true
        }
      } else if (into !== null) {
        const values = name === null ? modules : modules.flatMap((value) => this.plugin.attribute(value, name))
        this.plugin.add(into, values)
        if (name !== null && values.length > 0) this.values.set(node, unique(values))
      }
    }
  }

  private modulesNamed(level: number, module: string): string[] {
    if (level > 0) {
      const own = this.plugin.own.find(OwnModules.packageOf(this.path, level), module)
      return own === null ? [] : [own]
    }
    // A plugin's files import one another absolutely too, by the folder they lie in or by the plugin's top.
    const own = [this.plugin.own.find("", module), this.plugin.own.find(OwnModules.packageOf(this.path, 1), module)]
    return unique([moduleValue(module), ...own.filter((found) => found !== null)])
  }

  private evaluate(node: number): readonly string[] {
    const { tree } = this.bindings
    const kind = tree.kind[node] ?? Kind.other
    if (kind === Kind.identifier) return this.name(node)
    if (kind === Kind.string || kind === Kind.concatenated_string) return NOTHING
    const parts = children(tree, node)
    const [first, second] = parts
    switch (kind) {
      case Kind.attribute:
      case Kind.member_type:
        return this.attribute(first, second)
      case Kind.dotted_name: {
        let values: readonly string[] = this.valuesOf(first)
        for (const part of parts.slice(1))
          values = values.flatMap((value) => this.plugin.attribute(value, nameOf(tree, part)))
        return values
      }
      case Kind.subscript:
        return this.item(this.valuesOf(first), second)
      case Kind.call:
        return this.call(first, second)
      case Kind.conditional_expression:
        return this.union([first, parts[2]].filter((part) => part !== undefined))
      case Kind.named_expression:
        return this.valuesOf(second)
      case Kind.pair:
        return this.valuesOf(second)
      case Kind.list_splat:
      case Kind.dictionary_splat:
        return this.valuesOf(first).map(uncontained)
      default: {
        const values = this.union(CONTAINERS.has(kind) && isComprehension(kind) ? parts.slice(0, 1) : parts)
        return CONTAINERS.has(kind) ? values.map((value) => CONTAINED + value.replace(CONTAINED, "")) : values
      }
    }
  }

  private union(nodes: readonly number[]): readonly string[] {
    let found: string[] | null = null
    for (const node of nodes) {
      const values = this.values.get(node)
      if (values === undefined) continue
      if (found === null) found = [...values]
      else found.push(...values)
    }
    return found === null ? NOTHING : unique(found)
  }

  private name(node: number): readonly string[] {
    const scope = this.bindings.loads.get(node)
    if (scope === undefined) return NOTHING
    const name = nameOf(this.bindings.tree, node)
    const lookup = this.lookUp(scope, name)
    const found: string[] = []
    for (const slot of lookup.slots) found.push(...slot.values)
    if (!lookup.local) {
      for (const star of this.stars)
        found.push(...this.plugin.attribute(star, name).filter((value) => value !== EXTERNAL))
      const builtin = this.builtin(node, name, scope, lookup)
      if (builtin !== null) found.push(builtin)
    }
    return found.length === 0 ? NOTHING : unique(found)
  }

  private lookUp(scope: Scope, name: string): Lookup {
    let byName = this.lookups.get(scope)
    if (byName === undefined) {
      byName = new Map()
      this.lookups.set(scope, byName)
    }
    let lookup = byName.get(name)
    if (lookup === undefined) {
      lookup = lookUp(scope, name)
      byName.set(name, lookup)
    }
    return lookup
  }

  private builtin(node: number, name: string, scope: Scope, { slots, mayBeUnbound }: Lookup): string | null {
    const value = builtinValue(name)
    if (value === null) return null
    const known = this.builtins.get(node)
    if (known !== undefined) return known
    const hidden = mayBeUnbound.some((owner) => {
      const slot = owner.slots.get(name)
      return slot !== undefined && slots.includes(slot) && !this.reachability.mayBeUnbound(owner, slot, node, scope)
    })
    this.builtins.set(node, hidden ? null : value)
    return hidden ? null : value
  }

  private attribute(object: number | undefined, attribute: number | undefined): readonly string[] {
    if (object === undefined || attribute === undefined) return NOTHING
    const name = nameOf(this.bindings.tree, attribute)
    const values = this.valuesOf(object)
    if (values.length > 0) return unique(values.flatMap((value) => this.plugin.attribute(value, name)))
    const slot = this.plugin.attributes.get(name)
    return slot === undefined ? NOTHING : [...slot.values].filter(isModule)
  }

  private item(values: readonly string[], key: number | undefined): readonly string[] {
    if (values.length === 0) return NOTHING
    const constant = key === undefined ? null : stringConstant(this.bindings.tree, key)
    const found: string[] = []
    for (const value of values) {
      if (value.startsWith(CONTAINED)) found.push(uncontained(value))
      else if (constant !== null) found.push(...[itemOf(value, constant)].filter((item) => item !== null))
    }
    return unique(found)
  }

  private call(callee: number | undefined, list: number | undefined): readonly string[] {
    if (callee === undefined || list === undefined) return NOTHING
    const { tree } = this.bindings
    const args = tree.kind[list] === Kind.argument_list ? children(tree, list) : []
    const found: string[] = []
    for (const value of this.valuesOf(callee)) {
      if (IMPORT_FUNCTIONS.has(value)) found.push(...this.importedBy(value, args))
      else if (value === "builtins.getattr") found.push(...this.attributeNamed(this.valuesOf(args[0]), args[1]))
      else if (value === "builtins.vars") {
        found.push(...this.valuesOf(args[0]).flatMap((module) => this.plugin.attribute(module, "__dict__")))
      }
    }
    if (tree.kind[callee] === Kind.attribute) found.push(...this.methodCall(callee, args))
    for (const scope of this.callables(callee)) {
      this.passArguments(scope, args)
      found.push(...scope.returns.values)
    }
    return found.length === 0 ? NOTHING : unique(found)
  }

  private importedBy(importer: string, args: readonly number[]): string[] {
    const name = args[0] === undefined ? null : stringConstant(this.bindings.tree, args[0])
    if (name === null) return []
    // `__import__("os.path")` answers `os`, unless a list of names is given with it.
    const top = importer.endsWith("__import__") ? [name.split(".", 1)[0] ?? name, name] : [name]
    return top.map(reachedModule)
  }

  private attributeNamed(values: readonly string[], name: number | undefined): string[] {
    const constant = name === undefined ? null : stringConstant(this.bindings.tree, name)
    return constant === null ? [] : values.flatMap((value) => this.plugin.attribute(value, constant))
  }

  private methodCall(callee: number, args: readonly number[]): readonly string[] {
    const [object, method] = children(this.bindings.tree, callee)
    const values = this.valuesOf(object)
    if (values.length === 0 || method === undefined) return NOTHING
    const name = nameOf(this.bindings.tree, method)
    if (ITEM_METHODS.has(name)) return this.item(values, args[0])
    if (VIEW_METHODS.has(name)) return values.filter((value) => value.startsWith(CONTAINED))
    return ATTRIBUTE_METHODS.has(name) ? this.attributeNamed(values, args[0]) : NOTHING
  }

  /** The functions of the plugin that a call surely may mean: named straight, or a lambda in place. */
  private callables(callee: number): Scope[] {
    const { tree, definitions } = this.bindings
    let node = callee
    while (tree.kind[node] === Kind.parenthesized_expression) node = node + 1
    if (tree.kind[node] === Kind.lambda) return [definitions.get(node)].filter((scope) => scope !== undefined)
    return this.slotsRead(node).flatMap(({ bindings }) =>
      bindings.map(({ callable }) => callable).filter((scope) => scope !== null),
    )
  }

  private slotsRead(node: number): readonly Slot[] {
    const { tree, loads } = this.bindings
    const scope = loads.get(node)
    if (scope !== undefined) return this.lookUp(scope, nameOf(tree, node)).slots
    if (tree.kind[node] !== Kind.attribute) return []
    const [object, attribute] = children(tree, node)
    if (attribute === undefined) return []
    return this.valuesOf(object).flatMap((value) => this.plugin.slotsOfAttribute(value, nameOf(tree, attribute)))
  }

  private passArguments(scope: Scope, args: readonly number[]): void {
    const { tree } = this.bindings
    args.forEach((argument, index) => {
      const keyword = tree.kind[argument] === Kind.keyword_argument
      const [name, value] = keyword ? children(tree, argument) : [undefined, argument]
      const values = this.valuesOf(value)
      if (values.length === 0) return
      const parameter = name === undefined ? scope.parameters[index] : scope.slots.get(nameOf(tree, name))
      if (parameter !== undefined) this.plugin.add(parameter, values)
    })
  }

  private containerSlots(node: number): readonly Slot[] {
    const { tree } = this.bindings
    if (tree.kind[node] !== Kind.attribute) return this.slotsRead(node)
    const attribute = children(tree, node)[1]
    return attribute === undefined ? [] : [this.plugin.attributeSlot(nameOf(tree, attribute))]
  }
}

function isComprehension(kind: number): boolean {
  return (
    kind !== Kind.tuple &&
    kind !== Kind.list &&
    kind !== Kind.set &&
    kind !== Kind.dictionary &&
    kind !== Kind.expression_list
  )
}

/** Functions are reported where they are named; following them through attributes of unknown objects would cry wolf. */
function isModule(value: string): boolean {
  const plain = uncontained(value)
  return plain !== EXTERNAL && (OwnModules.pathOf(plain) !== null || reachedModule(plain) === plain)
}

function uncontained(value: string): string {
  return value.startsWith(CONTAINED) ? value.slice(CONTAINED.length) : value
}

function unique(values: readonly string[]): string[] {
  return values.length < 2 ? [...values] : [...new Set(values)]
}
