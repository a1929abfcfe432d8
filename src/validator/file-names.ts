/** The names of one file: what each of its expressions may stand for, given what the whole plugin knows so far. */
import {
  type AttributeFlow,
  type FileBindings,
  type Flow,
  type Import,
  type Passage,
  scopeOfRead,
} from "./binding-records.ts"
import { getterOf, memberNamed, membersGot, moduleImportedBy } from "./dynamic-access.ts"
import { CONTAINERS, EXPRESSIONS, LED_THROUGH, LOOKED_INTO, NAMING } from "./expression-kinds.ts"
import { Kind } from "./node-kinds.ts"
import { OwnModules } from "./own-modules.ts"
import { children, nameOf } from "./python-tree.ts"
import { type QuotedCode, quotedCode } from "./quoted-annotations.ts"
import { quotedValues } from "./quoted-values.ts"
import { Reachability } from "./reachability.ts"
import { type Lookup, lookUp, type Scope, Slot } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"
import { MAX_QUOTED, stringConstant } from "./string-constants.ts"
import {
  contained,
  isContained,
  isModule,
  NOTHING,
  ownModule,
  ownModulePath,
  uncontained,
  unique,
  type Values,
} from "./values.ts"
import { answerOf, BUILTINS, EXTERNAL, itemOf, MODULES_BY_NAME, moduleValue, STANDARD } from "./vocabulary.ts"

const ITEM_METHODS = new Set(["get", "pop", "setdefault", "popitem", "__getitem__"])
const VIEW_METHODS = new Set(["values", "items", "copy"])
const ATTRIBUTE_METHODS = new Set(["__getattribute__", "__getattr__"])

/** Whether any rule speaks of a value. */
function isJudged(value: string): boolean {
  return value !== EXTERNAL && value !== STANDARD && !isContained(value) && !isOwnModule(value)
}

/** What a class has of the one it is derived from: its methods, when some table speaks of them. */
function isInherited(value: string): boolean {
  return value !== EXTERNAL && value !== STANDARD && !value.startsWith(".") && !isOwnModule(value)
}

function isOwnModule(value: string): boolean {
  return ownModulePath(value) !== null
}

export class FileNames {
  /** Modules that the file imports everything from. */
  readonly stars = new Set<string>()
  /** Absent means none. */
  private readonly values = new Map<number, Values>()
  /** Names of the file's own that have a value somewhere in it. */
  readonly alive: number[] = []
  /** 1 for nodes of whose parts some have a value; the others have none. */
  private readonly touched: Uint8Array
  private readonly reachability: Reachability
  private readonly lookups: (Map<number, Lookup> | undefined)[] = []
  private readonly modules: (readonly string[])[] = []
  private readonly quotedCodes = new Map<number, QuotedCode | null>()
  private readonly builtins = new Map<number, string | null>()

  constructor(
    private readonly plugin: SharedNames,
    private readonly path: string,
    readonly bindings: FileBindings,
  ) {
    this.reachability = new Reachability(bindings, plugin, () => this.importedBack())
    this.touched = new Uint8Array(bindings.tree.size)
    for (const node of bindings.quoted.keys()) this.touched[node] = 1
  }

  references(): Map<number, Values> {
    const { kind } = this.bindings.tree
    const found = new Map<number, Values>()
    for (const [node, values] of this.values) {
      // A container is not what it holds: that is reported where it is put in, and where it is taken out.
      const names = NAMING.has(kind[node] ?? Kind.other) || this.bindings.quoted.has(node)
      const named = names ? values.filter(isJudged) : NOTHING
      if (named.length > 0) found.set(node, named)
    }
    return found
  }

  /** In the order of the source, from the inside out, so that most names have their values when they are read. */
  round(round: number): void {
    const { live } = this.plugin
    for (const name of this.alive) live[name] = round
    this.importNames()
    const { flows, tree } = this.bindings
    for (let place = 0; place < tree.size; place++) {
      const node = tree.inner[place] ?? 0
      if (!this.mayHaveValue(node, round)) continue
      const values = this.evaluate(node)
      if (values.length === 0) continue
      this.values.set(node, values)
      this.touchAround(node)
      flows.forEachFrom(node, this.pass)
    }
    for (const { container, from } of this.bindings.containerFlows) {
      const stored = this.passed(from, "stored")
      if (stored.length > 0) for (const slot of this.containerSlots(container)) this.plugin.add(slot, stored)
    }
  }

  /** Nearly all nodes of a file have none, so this has to be quick. */
  private mayHaveValue(node: number, round: number): boolean {
    const { plugin, touched } = this
    const { tree, readIn } = this.bindings
    const kind = tree.kind[node] ?? 0
    if (kind === Kind.identifier) {
      if (readIn[node] === 0) return false
      const name = tree.name[node] ?? 0
      if (plugin.live[name] === round) return true
      plugin.passedOver[name] = round
      return this.stars.size > 0 || plugin.common(name).builtin !== null
    }
    if (touched[node] === 1) return EXPRESSIONS[kind] === 1
    if (kind === Kind.attribute) {
      const { attribute, ofAny, text } = plugin.common(tree.name[(tree.last[node] ?? 0) - 1] ?? 0)
      return ofAny !== null || plugin.read(attribute).length > 0 || text === "__self__"
    }
    return kind === Kind.call && this.callsByName(node + 1, round)
  }

  /** Whether what stands before the arguments may be a function of the plugin that answers something. */
  private callsByName(callee: number, round: number): boolean {
    const { kind, name } = this.bindings.tree
    let node = callee
    while (kind[node] === Kind.parenthesized_expression) node++
    return kind[node] === Kind.lambda || (kind[node] === Kind.identifier && this.plugin.live[name[node] ?? 0] === round)
  }

  private touchAround(node: number): void {
    const { kind, parent } = this.bindings.tree
    for (let at = parent[node] ?? -1; at >= 0 && this.touched[at] === 0; at = parent[at] ?? -1) {
      this.touched[at] = 1
      if (LED_THROUGH[kind[at] ?? 0] === 0) break
    }
  }

  private readonly pass = (flow: Flow | AttributeFlow): void => {
    if ("into" in flow) {
      this.plugin.add(flow.into, this.passed(flow.from, flow.passage))
    } else {
      // On unknown objects following functions too would cry wolf; they, too, were reported where they were named.
      const modules = this.passed(flow.from, flow.passage).filter(isModule)
      if (modules.length > 0) this.plugin.add(this.plugin.common(flow.attribute).attribute, modules)
    }
  }

  importNames(): void {
    for (const [index, { node, level, module, name, into, bindsTop }] of this.bindings.imports.entries()) {
      let modules = this.modules[index]
      if (modules === undefined) {
        modules = this.modulesNamed(level, bindsTop && name === null ? (module.split(".", 1)[0] ?? module) : module)
        this.modules.push(modules)
      }
      if (name === "*") {
        for (const value of modules) this.plugin.addStar(this.stars, value)
      } else if (into !== null) {
        const values = name === null ? modules : modules.flatMap((value) => this.plugin.attribute(value, name))
        this.plugin.add(into, values)
        if (name !== null && values.length > 0) this.values.set(node, unique(values))
      }
    }
  }

  private modulesNamed(level: number, module: string): string[] {
    const { own } = this.plugin
    if (level > 0) {
      const relative = own.find(OwnModules.packageOf(this.path, level), module)
      return relative === null ? [] : [relative]
    }
    // A plugin's files import one another absolutely too, by the folder they lie in or by the plugin's top.
    const absolute = [own.find("", module), own.find(OwnModules.packageOf(this.path, 1), module)]
    const found = absolute.filter((path) => path !== null)
    if (this.plugin.extendsSearch) found.push(...own.findAnywhere(module))
    return unique(found.length > 0 && own.isSurely(module) ? found : [moduleValue(module), ...found])
  }

  private valuesOf(node: number | undefined): Values {
    return node === undefined ? NOTHING : (this.values.get(node) ?? NOTHING)
  }

  private passed(from: number, passage: Passage): Values {
    const values = this.valuesOf(from)
    if (values.length === 0 || passage === "whole") return values
    if (passage === "inherited") return values.filter(isInherited)
    // Which element it is nobody knows. A function was reported where it was named, so only modules are followed on.
    return values.filter(isModule).map(passage === "element" ? uncontained : contained)
  }

  private evaluate(node: number): Values {
    const { tree } = this.bindings
    const kind = tree.kind[node] ?? Kind.other
    if (kind === Kind.identifier) return this.name(node)
    const quotedIn = this.bindings.quoted.get(node)
    if (quotedIn !== undefined) return this.quoted(node, quotedIn)
    if (!LOOKED_INTO.has(kind)) {
      const values = this.unionOfParts(node)
      return values.length > 0 && CONTAINERS.has(kind) ? unique(values.map(contained)) : values
    }
    const parts = children(tree, node)
    const [first, second] = parts
    switch (kind) {
      case Kind.attribute:
        return this.attribute(first, second)
      case Kind.dotted_name:
        return this.dottedName(parts)
      case Kind.subscript:
        return this.item(this.valuesOf(first), second)
      case Kind.call:
        return this.call(first, second)
      case Kind.conditional_expression:
        return this.union([first, parts[2]].filter((part) => part !== undefined))
      case Kind.named_expression:
      case Kind.pair:
        return this.valuesOf(second)
      case Kind.list_splat:
      case Kind.dictionary_splat:
        return this.valuesOf(first).map(uncontained)
      default:
        // A comprehension holds what its first part gives.
        return unique(this.valuesOf(first).map(contained))
    }
  }

  private unionOfParts(node: number): Values {
    const { last } = this.bindings.tree
    const stop = last[node] ?? 0
    let found: Values = NOTHING
    for (let part = node + 1; part < stop; part = last[part] ?? stop) {
      const values = this.values.get(part)
      if (values === undefined) continue
      this.plugin.spend(values.length)
      found = found.length === 0 ? values : unique([...found, ...values])
    }
    return found
  }

  private union(nodes: readonly number[]): Values {
    let found: string[] | null = null
    for (const node of nodes) {
      const values = this.values.get(node)
      if (values === undefined) continue
      this.plugin.spend(values.length)
      found = found === null ? [...values] : unique([...found, ...values])
    }
    return found ?? NOTHING
  }

  private name(node: number): Values {
    const scope = scopeOfRead(this.bindings, node)
    if (scope === undefined) return NOTHING
    const name = this.bindings.tree.name[node] ?? 0
    const lookup = this.lookUp(scope, name)
    let found: Values = NOTHING
    for (const slot of lookup.slots) {
      const values = this.plugin.read(slot)
      if (values.length > 0) found = found.length === 0 ? [...values] : [...found, ...values]
    }
    const common = this.plugin.common(name)
    if (!lookup.local && (this.stars.size > 0 || common.builtin !== null)) {
      const further = [...this.stars].flatMap((star) => this.plugin.attribute(star, common.text))
      const builtin = this.builtin(node, name, scope, lookup)
      found = [
        ...found,
        ...further.filter((value) => value !== EXTERNAL && value !== STANDARD),
        ...(builtin === null ? [] : [builtin]),
      ]
    }
    if (found.length === 0) return NOTHING
    this.plugin.spend(found.length)
    return found.length === 1 ? found : unique(found)
  }

  private quoted(node: number, scope: Scope): Values {
    const code = this.quotedCodeOf(node)
    return code === null
      ? NOTHING
      : quotedValues(code, this.plugin, this.stars, (name) => this.lookUp(scope, this.plugin.names.known(name)).slots)
  }

  private quotedCodeOf(node: number): QuotedCode | null {
    let code = this.quotedCodes.get(node)
    if (code === undefined) {
      const text = stringConstant(this.bindings.tree, node, MAX_QUOTED)
      code = text === null ? null : quotedCode(text)
      this.quotedCodes.set(node, code)
    }
    return code
  }

  private lookUp(scope: Scope, name: number): Lookup {
    let lookups = this.lookups[scope.number]
    if (lookups === undefined) {
      lookups = new Map()
      this.lookups[scope.number] = lookups
    }
    let lookup = lookups.get(name)
    if (lookup === undefined) {
      lookup = lookUp(scope, name)
      lookups.set(name, lookup)
    }
    return lookup
  }

  private builtin(node: number, name: number, scope: Scope, { mayBeUnbound }: Lookup): string | null {
    const value = this.plugin.common(name).builtin
    if (value === null) return null
    const known = this.builtins.get(node)
    if (known !== undefined) return known
    const hidden =
      !this.plugin.deletes(name) &&
      mayBeUnbound.some((owner) => {
        const slot = owner.slots.get(name)
        return slot !== undefined && !this.reachability.mayBeUnbound(owner, slot, node, scope)
      })
    const hides = hidden || (!this.plugin.deletes(name) && this.starHides(name, node, scope))
    this.builtins.set(node, hides ? null : value)
    return hides ? null : value
  }

  /** Imports of modules that import this one: while they run, they may call what is defined here further up. */
  private importedBack(): Import[] {
    return this.bindings.imports.filter(({ level, module, name }) =>
      this.modulesNamed(level, module).some((value) => {
        const path = ownModulePath(value)
        if (path === null) return false
        const submodule = name === null ? null : ownModulePath(this.plugin.own.submodule(path, name) ?? "")
        return [path, submodule].some((from) => from !== null && this.plugin.leadsTo(from, this.path))
      }),
    )
  }

  /** Paths of the plugin's files that this one imports from. */
  ownImports(): string[] {
    return this.bindings.imports.flatMap(({ level, module, name }) =>
      this.modulesNamed(level, module).flatMap((value) => {
        const path = ownModulePath(value)
        if (path === null) return []
        const submodule = name === null ? null : this.plugin.own.submodule(path, name)
        return [path, ...(submodule === null ? [] : [ownModulePath(submodule) ?? ""])]
      }),
    )
  }

  /** Whether `from .own import *` has surely bound the name. */
  private starHides(name: number, node: number, scope: Scope): boolean {
    return this.bindings.imports.some((statement) => {
      if (statement.name !== "*") return false
      if (statement.level === 0 && !this.plugin.own.isSurely(statement.module)) return false
      const star = new Slot(name, -1)
      star.bindings.push({ kind: "import", node: statement.node, from: statement.scope, callable: null })
      return (
        this.modulesNamed(statement.level, statement.module).some((value) => this.plugin.surelyExports(value, name)) &&
        !this.reachability.mayBeUnbound(this.bindings.module, star, node, scope)
      )
    })
  }

  /** Whether a star import of this file surely finds the name: bound at its end, in a file that waits for no other. */
  surelyExports(name: number): boolean {
    const { imports, module, tree } = this.bindings
    const slot = module.slots.get(name)
    if (slot === undefined || tree.names.textOf(name).startsWith("_")) return false
    if (module.slots.has(tree.names.known("__all__")) || this.stars.size > 0) return false
    // Files that import one another see each other half made.
    const waits = imports.some(({ level, module }) => this.modulesNamed(level, module).some(isOwnModule))
    return !waits && this.reachability.boundAtEnd(module, slot)
  }

  private attribute(object: number | undefined, attribute: number | undefined): Values {
    if (object === undefined || attribute === undefined) return NOTHING
    const values = this.valuesOf(object)
    const { text, ofAny, attribute: slot } = this.plugin.common(this.bindings.tree.name[attribute] ?? 0)
    const found =
      values.length > 0 ? values.flatMap((value) => this.plugin.attribute(value, text)) : [...this.plugin.read(slot)]
    if (ofAny !== null && !this.isOwnMethod(object, attribute)) found.push(ofAny)
    // Of a function that is written in C it is its module.
    if (text === "__self__") found.push(BUILTINS, "os")
    return unique(found)
  }

  /** `self.name` in a class whose body binds the name. */
  private isOwnMethod(object: number, attribute: number): boolean {
    const { name } = this.bindings.tree
    const scope = scopeOfRead(this.bindings, object)
    if (scope === undefined) return false
    const [slot] = this.lookUp(scope, name[object] ?? 0).slots
    for (let at: Scope | null = scope; at !== null; at = at.parent) {
      if (slot === undefined || at.parameters[0] !== slot || slot.bindings.length > 1) continue
      return at.parent?.kind === "class" && at.parent.slots.has(name[attribute] ?? 0)
    }
    return false
  }

  private dottedName([first, ...rest]: readonly number[]): Values {
    let values = this.valuesOf(first)
    for (const part of rest) {
      const name = nameOf(this.bindings.tree, part)
      values = values.flatMap((value) => this.plugin.attribute(value, name))
    }
    return values
  }

  private item(values: Values, key: number | undefined): Values {
    if (values.length === 0) return NOTHING
    const constant = key === undefined ? null : stringConstant(this.bindings.tree, key)
    const found = values.flatMap((value) => (isContained(value) ? [uncontained(value)] : itemOf(value, constant)))
    if (values.includes(MODULES_BY_NAME) && key !== undefined && nameOf(this.bindings.tree, key) === "__name__")
      found.push(ownModule(this.path))
    return unique(found)
  }

  private call(callee: number | undefined, list: number | undefined): Values {
    if (callee === undefined || list === undefined) return NOTHING
    const { tree } = this.bindings
    const args = tree.kind[list] === Kind.argument_list ? children(tree, list) : []
    const [first, second] = args
    const found: string[] = []
    for (const value of this.valuesOf(callee)) {
      found.push(...moduleImportedBy(value, first === undefined ? null : stringConstant(tree, first)))
      if (value === "builtins.getattr") found.push(...this.memberNamed(this.valuesOf(first), second))
      const answer = answerOf(value)
      if (answer !== null) found.push(answer)
      found.push(...getterOf(value, first === undefined ? null : stringConstant(tree, first)))
      found.push(...membersGot(value, this.valuesOf(first), (of, name) => this.plugin.attribute(of, name)))
      if (value === "builtins.vars")
        found.push(...this.valuesOf(first).flatMap((of) => this.plugin.attribute(of, "__dict__")))
    }
    if (tree.kind[callee] === Kind.attribute) found.push(...this.methodCall(callee, first))
    for (const scope of this.callables(callee)) {
      this.passArguments(scope, args)
      found.push(...this.plugin.read(scope.returns))
    }
    return found.length === 0 ? NOTHING : unique(found)
  }

  private memberNamed(values: Values, name: number | undefined): string[] {
    const constant = name === undefined ? null : stringConstant(this.bindings.tree, name)
    return values.flatMap((value) => (constant === null ? memberNamed(value) : this.plugin.attribute(value, constant)))
  }

  private methodCall(callee: number, argument: number | undefined): Values {
    const [object, method] = children(this.bindings.tree, callee)
    const values = this.valuesOf(object)
    if (values.length === 0 || method === undefined) return NOTHING
    const name = nameOf(this.bindings.tree, method)
    if (ITEM_METHODS.has(name)) return this.item(values, argument)
    if (VIEW_METHODS.has(name)) return values.filter(isContained)
    return ATTRIBUTE_METHODS.has(name) ? this.memberNamed(values, argument) : NOTHING
  }

  /** The functions of the plugin that a call surely may mean: named straight, or a lambda in place. */
  private callables(callee: number): Scope[] {
    const { tree, definitions } = this.bindings
    let node = callee
    while (tree.kind[node] === Kind.parenthesized_expression) node++
    if (tree.kind[node] === Kind.lambda) return [definitions.get(node)].filter((scope) => scope !== undefined)
    const found: Scope[] = []
    for (const { bindings } of this.slotsRead(node)) {
      if (!this.plugin.spend(bindings.length)) return found
      for (const { callable } of bindings) if (callable !== null) found.push(callable)
    }
    return found
  }

  private slotsRead(node: number): readonly Slot[] {
    const { tree } = this.bindings
    const scope = scopeOfRead(this.bindings, node)
    if (scope !== undefined) return this.lookUp(scope, tree.name[node] ?? 0).slots
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
      const parameter = name === undefined ? scope.parameters[index] : scope.slots.get(tree.name[name] ?? 0)
      if (parameter !== undefined) this.plugin.add(parameter, values)
    })
  }

  private containerSlots(node: number): readonly Slot[] {
    const { tree } = this.bindings
    if (tree.kind[node] !== Kind.attribute) return this.slotsRead(node)
    const attribute = children(tree, node)[1]
    return attribute === undefined ? [] : [this.plugin.common(tree.name[attribute] ?? 0).attribute]
  }
}
