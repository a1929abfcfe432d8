/**
 * Follows names through a whole plugin: every expression gets the set of qualified names it may stand for. Each round walks
 * a file's expressions from the inside out and lets values flow into the names and attributes they are bound to; a file has
 * another round when something it has read has grown since, and the rounds end when none has. Only names that the rules' tables speak of are followed, so the sets stay tiny.
 */
import type { FileBindings } from "./binding-records.ts"
import { FileNames } from "./file-names.ts"
import { importCycles } from "./import-cycles.ts"
import { OwnModules } from "./own-modules.ts"
import { READING_NAMES, READS_ANNOTATIONS } from "./quoted-annotations.ts"
import type { ScannedPlugin } from "./rules/rule.ts"
import { Slot } from "./scopes.ts"
import type { CommonName } from "./shared-names.ts"
import type { Names } from "./syntax/names.ts"
import { ownModulePath, type Values } from "./values.ts"
import { attributeOf, attributeOfAny, builtinValue, COMPUTED, OWN_NAMESPACE } from "./vocabulary.ts"

/** A round settles at least one link of a chain of names; code that a person wrote needs two or three. */
const MAX_ROUNDS = 40
/** Values moved into names, all files and rounds together. Large plugins need some ten thousand. */
const BUDGET = 4_000_000

export interface PluginReferences {
  /** By file, then by node of the file's tree. */
  readonly byFile: ReadonlyMap<string, ReadonlyMap<number, Values>>
  readonly plugin: ScannedPlugin
  /** False when names chase one another past the limit; the plugin is then too complex to judge. */
  readonly settled: boolean
}

/**
 * The files with their numbers in order, as `collectBindings` was given them, and the names that they have in common.
 * `environment`: the top-level modules beside the standard library, when they are known.
 */
export function resolveReferences(
  files: ReadonlyMap<string, FileBindings>,
  names: Names,
  environment?: ReadonlySet<string>,
): PluginReferences {
  const plugin = new PluginNames(files, names, environment)
  let settled = false
  for (let round = 0; round < MAX_ROUNDS && !settled; round++) settled = !plugin.round()
  return { byFile: plugin.references(), plugin, settled: settled && plugin.budget > 0 }
}

/** The names that the files of a plugin share. */
class PluginNames {
  budget = BUDGET
  readonly own: OwnModules
  readonly extendsSearch: boolean
  readonly live: Int32Array
  readonly passedOver: Int32Array
  private readonly files = new Map<string, FileNames>()
  private readonly numbered: FileNames[] = []
  /** By name, once one has been asked for. */
  private readonly commons: (CommonName | undefined)[]
  /** By the number of a file: something it read, or passed over, has grown. */
  private readonly stale: boolean[]
  /** The file that is having its round, and the number of that round among all. */
  private reader = 0
  private rounds = 0
  private readingAnnotations: boolean | null = null
  private deleted: Set<number> | null = null
  private defined: Set<number> | null = null
  private cycles: ReadonlyMap<string, number> | null = null

  constructor(
    files: ReadonlyMap<string, FileBindings>,
    readonly names: Names,
    environment: ReadonlySet<string> | undefined,
  ) {
    this.live = new Int32Array(names.texts.length)
    this.passedOver = new Int32Array(names.texts.length)
    this.extendsSearch = names.known("sys") > 0 && (names.known("append") > 0 || names.known("insert") > 0)
    this.commons = new Array<CommonName | undefined>(names.texts.length)
    this.own = new OwnModules(new Set(files.keys()), environment)
    for (const [path, bindings] of files) {
      const file = new FileNames(this, path, bindings)
      this.files.set(path, file)
      this.numbered.push(file)
    }
    this.stale = new Array<boolean>(files.size).fill(true)
    // Imports first, so that most files settle in one round.
    for (const [number, file] of this.numbered.entries()) {
      this.reader = number
      file.importNames()
    }
  }

  hasFolder(name: string): boolean {
    return this.own.hasFolder(name)
  }

  isOwn(module: string): boolean {
    return this.own.isSurely(module)
  }

  deletes(name: number): boolean {
    if (this.names.known("__delattr__") > 0) return true
    this.deleted ??= new Set(
      this.numbered.flatMap(({ bindings: { attributeTargets, tree } }) =>
        attributeTargets.filter(({ deleted }) => deleted).map(({ node }) => tree.name[(tree.last[node] ?? 0) - 1] ?? 0),
      ),
    )
    return this.deleted.has(name)
  }

  inOneCycle(file: string, other: string): boolean {
    this.cycles ??= importCycles(
      new Map([...this.files].map(([path, { imports }]) => [path, new Set(imports.files())] as const)),
    )
    const circle = this.cycles.get(file)
    return circle !== undefined && circle === this.cycles.get(other)
  }

  defines(name: number): boolean {
    this.defined ??= new Set(this.numbered.flatMap(({ bindings }) => [...bindings.defined]))
    return this.defined.has(name)
  }

  get readsAnnotations(): boolean {
    // Nearly always as a name; in a string it may stand for `getattr` to read.
    this.readingAnnotations ??=
      READING_NAMES.some((name) => this.names.known(name) > 0) ||
      this.numbered.some(({ bindings }) => READS_ANNOTATIONS.test(bindings.tree.text))
    return this.readingAnnotations
  }

  /** True when a file has read what has grown since. */
  round(): boolean {
    if (this.budget < 0) return false
    for (const [number, file] of this.numbered.entries()) {
      if (this.stale[number] !== true) continue
      this.stale[number] = false
      this.reader = number
      file.round(++this.rounds)
    }
    return this.stale.includes(true)
  }

  /** What is in a slot now; the file that is having its round is told when more comes in. */
  read(slot: Slot): Values {
    slot.readBy(this.reader)
    return slot.values
  }

  references(): Map<string, ReadonlyMap<number, Values>> {
    return new Map([...this.files].map(([path, file]) => [path, file.references()]))
  }

  /** False once the plugin has used up its budget; what is left out then does not matter, as the plugin is refused. */
  spend(steps: number): boolean {
    this.budget -= steps
    return this.budget >= 0
  }

  add(slot: Slot, values: Values): void {
    this.spend(values.length)
    for (const value of values) {
      // Some unknown member of a module is reported where it is taken; handed on, it would accuse all that touches it.
      if (value.endsWith(COMPUTED) || !slot.add(value)) continue
      for (const reader of slot.readers) this.stale[reader] = true
      if (slot.values.length === 1 && slot.file >= 0) this.comesAlive(slot)
    }
  }

  /** A file passes over names of which nothing is known; what it passed over before there was something is stale. */
  private comesAlive({ name, file }: Slot): void {
    this.numbered[file]?.live.names.push(name)
    if (file !== this.reader || this.passedOver[name] === this.rounds) this.stale[file] = true
    if (file === this.reader) this.live[name] = this.rounds
  }

  addStar(stars: Set<string>, module: string): void {
    if (stars.has(module)) return
    stars.add(module)
    this.stale.fill(true)
  }

  common(name: number): CommonName {
    let common = this.commons[name]
    if (common === undefined) {
      const text = this.names.textOf(name)
      common = { text, builtin: builtinValue(text), ofAny: attributeOfAny(text), attribute: new Slot(name, -1) }
      this.commons[name] = common
    }
    return common
  }

  /** What `value.attribute` may be, through the plugin's own modules too. */
  attribute(value: string, attribute: string, seen: Set<string> = new Set()): string[] {
    const path = ownModulePath(value)
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
    if (attribute === "__dict__") found.push(OWN_NAMESPACE)
    const slot = file.bindings.module.slots.get(this.names.known(attribute))
    if (slot !== undefined) found.push(...this.read(slot))
    for (const star of file.stars) found.push(...this.attribute(star, attribute, seen))
    return found
  }

  surelyExports(value: string, name: number): boolean {
    const path = ownModulePath(value)
    return path !== null && this.files.get(path)?.surelyExports(name) === true
  }

  /** The slot behind `value.attribute` when value is a module of the plugin. */
  slotsOfAttribute(value: string, attribute: string): Slot[] {
    const path = ownModulePath(value)
    const module = path === null ? undefined : this.files.get(path)?.bindings.module
    const slot = module?.slots.get(this.names.known(attribute))
    return slot === undefined ? [] : [slot]
  }
}
