/** The names of one file: what each of its expressions may stand for, given what the whole plugin knows so far. */
import { type AttributeFlow, type FileBindings, type Flow, type Passage, scopeOfRead } from "./binding-records.ts"
import { getterOf, memberNamed, membersGot, moduleImportedBy } from "./dynamic-access.ts"
import { CONTAINERS, LOOKED_INTO, NAMING } from "./expression-kinds.ts"
import { FileImports } from "./file-imports.ts"
import { FirstRuns } from "./first-runs.ts"
import { LiveNodes } from "./live-nodes.ts"
import { Kind } from "./node-kinds.ts"
import { children, nameOf } from "./python-tree.ts"
import { type QuotedCode, quotedCode } from "./quoted-annotations.ts"
import { quotedValues } from "./quoted-values.ts"
import { Reachability } from "./reachability.ts"
import { type Lookup, lookUp, type Scope, type Slot } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"
import { MAX_QUOTED, stringConstant } from "./string-constants.ts"
import {
  contained,
  isContained,
  isInherited,
  isJudged,
  isModule,
  NOTHING,
  ownModule,
  uncontained,
  unique,
  type Values,
} from "./values.ts"
import { answerOf, BUILTINS, EXTERNAL, itemOf, MODULES_BY_NAME, STANDARD } from "./vocabulary.ts"

const ITEM_METHODS = new Set(["get", "pop", "setdefault", "popitem", "__getitem__"])
const VIEW_METHODS = new Set(["values", "items", "copy"])
const ATTRIBUTE_METHODS = new Set(["__getattribute__", "__getattr__"])

export class FileNames {
  /** Modules that the file imports everything from. */
  readonly stars = new Set<string>()
  /** Absent means none. */
  private readonly values = new Map<number, Values>()
  readonly live: LiveNodes
  private readonly reachability: Reachability
  private readonly lookups: (Map<number, Lookup> | undefined)[] = []
  readonly imports: FileImports
  private readonly quotedCodes = new Map<number, QuotedCode | null>()
  private readonly builtins = new Map<number, string | null>()

  constructor(
    private readonly plugin: SharedNames,
    private readonly path: string,
    readonly bindings: FileBindings,
  ) {
    this.imports = new FileImports(plugin, path, bindings)
    this.reachability = new Reachability(bindings.tree, new FirstRuns(bindings, plugin, () => this.imports.back()))
    this.live = new LiveNodes(plugin, bindings, this.stars)
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
    this.live.begin(round)
    this.importNames()
    const { flows, tree } = this.bindings
    for (let place = this.live.next(0); place < tree.size; place = this.live.next(place + 1)) {
      const node = tree.inner[place] ?? 0
      const values = this.evaluate(node)
      if (values.length === 0) continue
      this.values.set(node, values)
      this.live.touchAround(node)
      flows.forEachFrom(node, this.pass)
    }
    for (const { container, from } of this.bindings.containerFlows) {
      const stored = this.passed(from, "stored")
      if (stored.length > 0) for (const slot of this.containerSlots(container)) this.plugin.add(slot, stored)
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
    for (const [index, statement] of this.bindings.imports.entries()) {
      const { node, name, into } = statement
      const modules = this.imports.modulesOf(index, statement)
      if (name === "*") {
        for (const value of modules) this.plugin.addStar(this.stars, value)
      } else if (into !== null) {
        const values = name === null ? modules : modules.flatMap((value) => this.plugin.attribute(value, name))
        this.plugin.add(into, values)
        if (name !== null && values.length > 0) this.values.set(node, unique(values))
      }
    }
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
    const hides = hidden || (!this.plugin.deletes(name) && this.imports.starHides(name, node, scope, this.reachability))
    this.builtins.set(node, hides ? null : value)
    return hides ? null : value
  }

  /** Whether a star import of this file surely finds the name: bound at its end, in a file that waits for no other. */
  surelyExports(name: number): boolean {
    const { module, tree } = this.bindings
    const slot = module.slots.get(name)
    if (slot === undefined || tree.names.textOf(name).startsWith("_")) return false
    if (module.slots.has(tree.names.known("__all__")) || this.stars.size > 0) return false
    // Files that import one another see each other half made.
    return this.imports.files().length === 0 && this.reachability.boundAtEnd(module, slot)
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
