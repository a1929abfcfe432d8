/**
 * CPython's symbol table, as far as it refuses code: what `global` and `nonlocal` may say, names given twice, where
 * `yield`, `await` and `:=` may stand. Names are recorded in the order of the statements.
 */
import type { Names } from "./names.ts"
import { SyntaxProblem } from "./tokens.ts"

export type ScopeKind = "module" | "class" | "function" | "async" | "lambda" | "comprehension" | "types" | "annotation"

export interface SyntaxScope {
  readonly kind: ScopeKind
  readonly parent: SyntaxScope | null
  /** Flags of each name. */
  readonly names: Map<number, number>
  /** The class whose private names are mangled here, or 0. */
  readonly className: number
  yields: boolean
  /** Where the first `return` with a value stands, or -1. */
  returnsAt: number
  /** A comprehension that is a generator expression. */
  generator: boolean
  /** A comprehension that awaits. */
  awaits: boolean
}

export const FLAG = {
  local: 1,
  used: 2,
  parameter: 4,
  global: 8,
  nonlocal: 16,
  iteration: 32,
  annotated: 64,
  /** Bound by `:=` in a comprehension of this scope. */
  passedOn: 128,
  typeParameter: 256,
  /** By an import, which a `global` may follow. */
  imported: 512,
} as const

const BOUND = FLAG.local | FLAG.parameter | FLAG.typeParameter | FLAG.imported
const TOUCHED = FLAG.local | FLAG.parameter | FLAG.typeParameter | FLAG.used | FLAG.annotated
/** What CPython itself binds around the functions of a class. */
const CLASS_CELLS = new Set(["__class__", "__classdict__"])

export class ScopeTable {
  current: SyntaxScope
  private readonly nonlocals: { scope: SyntaxScope; name: number; at: number }[] = []

  constructor(private readonly words: Names) {
    this.current = newScope("module", null, 0)
  }

  enter(kind: ScopeKind, className = this.current.className): SyntaxScope {
    this.current = newScope(kind, this.current, className)
    return this.current
  }

  leave(): void {
    const { kind, yields, returnsAt, parent } = this.current
    if (kind === "async" && yields && returnsAt >= 0) {
      throw new SyntaxProblem(returnsAt, "'return' with value in async generator")
    }
    this.current = parent ?? this.current
  }

  /** Binds a name in the current scope. */
  bind(written: number, at: number, flag: number = FLAG.local): void {
    this.record(this.current, written, flag, at)
  }

  record(scope: SyntaxScope, written: number, flag: number, at: number): void {
    const name = this.mangled(written, scope.className)
    const before = scope.names.get(name) ?? 0
    if ((before & flag) === flag && (flag & (FLAG.parameter | FLAG.typeParameter)) === 0) return
    if ((before & flag & FLAG.parameter) !== 0) {
      throw new SyntaxProblem(at, `duplicate argument '${this.words.textOf(written)}' in function definition`)
    }
    if ((before & flag & FLAG.typeParameter) !== 0) {
      throw new SyntaxProblem(at, `duplicate type parameter '${this.words.textOf(written)}'`)
    }
    if ((flag & FLAG.annotated) !== 0 && (before & (FLAG.global | FLAG.nonlocal)) !== 0 && scope.kind !== "module") {
      throw new SyntaxProblem(
        at,
        `annotated name '${this.words.textOf(written)}' can't be ${before & FLAG.global ? "global" : "nonlocal"}`,
      )
    }
    const both = before | flag
    if ((both & FLAG.iteration) !== 0 && (both & FLAG.passedOn) !== 0) {
      throw new SyntaxProblem(
        at,
        `assignment expression cannot rebind comprehension iteration variable '${this.words.textOf(written)}'`,
      )
    }
    scope.names.set(name, both)
  }

  declare(written: number, keyword: "global" | "nonlocal", at: number): void {
    const scope = this.current
    const name = this.mangled(written, scope.className)
    const before = scope.names.get(name) ?? 0
    if (keyword === "nonlocal" && scope.kind === "module") {
      throw new SyntaxProblem(at, "nonlocal declaration not allowed at module level")
    }
    if ((before & TOUCHED) !== 0) {
      if ((before & FLAG.parameter) !== 0)
        throw new SyntaxProblem(at, `name '${this.words.textOf(written)}' is parameter and ${keyword}`)
      const happened = (before & FLAG.annotated) !== 0 ? "annotated" : (before & FLAG.local) !== 0 ? "assigned" : "used"
      throw new SyntaxProblem(
        at,
        `name '${this.words.textOf(written)}' is ${happened} before its ${keyword} declaration`,
      )
    }
    const other = keyword === "global" ? FLAG.nonlocal : FLAG.global
    if ((before & other) !== 0)
      throw new SyntaxProblem(at, `name '${this.words.textOf(written)}' is nonlocal and global`)
    scope.names.set(name, before | FLAG[keyword])
    if (keyword === "nonlocal") this.nonlocals.push({ scope, name, at })
  }

  /** `:=` binds in the nearest scope that is no comprehension. */
  bindWalrus(from: SyntaxScope, written: number, at: number): void {
    let scope = from
    for (; scope.kind === "comprehension" && scope.parent !== null; scope = scope.parent) {
      this.record(scope, written, FLAG.passedOn, at)
    }
    if (scope !== from && scope.kind === "class") {
      throw new SyntaxProblem(at, "assignment expression within a comprehension cannot be used in a class body")
    }
    if (scope.kind === "types") {
      throw new SyntaxProblem(at, "named expression cannot be used within type parameters or a type alias")
    }
    this.record(scope, written, FLAG.local, at)
  }

  /** A private name of a class as its code sees it: `__name` is `_Class__name`. */
  private mangled(name: number, className: number): number {
    if (className === 0) return name
    const text = this.words.textOf(name)
    if (text.charCodeAt(0) !== 0x5f || !text.startsWith("__") || text.endsWith("__")) return name
    const stripped = this.words.textOf(className).replace(/^_+/, "")
    return stripped === "" ? name : this.words.numberOf(`_${stripped}${text}`)
  }

  /** To be called when the whole file was read: only then is it known what the functions around bind. */
  finish(): void {
    for (const { scope, name, at } of this.nonlocals) {
      const found = bindingAround(scope, name, this.words)
      if (found === "parameter")
        throw new SyntaxProblem(at, `nonlocal binding not allowed for type parameter '${this.words.textOf(name)}'`)
      if (found === "none") throw new SyntaxProblem(at, `no binding for nonlocal '${this.words.textOf(name)}' found`)
    }
  }
}

function bindingAround(scope: SyntaxScope, name: number, words: Names): "function" | "parameter" | "none" {
  for (let around = scope.parent; around !== null && around.kind !== "module"; around = around.parent) {
    if (around.kind === "class") {
      if (CLASS_CELLS.has(words.textOf(name))) return "function"
      continue
    }
    const flags = around.names.get(name) ?? 0
    if ((flags & FLAG.global) !== 0) return "none"
    if ((flags & FLAG.nonlocal) !== 0) continue
    if ((flags & FLAG.typeParameter) !== 0) return "parameter"
    if ((flags & BOUND) !== 0) return "function"
  }
  return "none"
}

export function newScope(kind: ScopeKind, parent: SyntaxScope | null, className: number): SyntaxScope {
  return { kind, parent, names: new Map(), className, yields: false, returnsAt: -1, generator: false, awaits: false }
}
