import { N, USE } from "./arena.ts"
import { TokenReader } from "./token-reader.ts"

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  [N.call]: "function call",
  [N.lambda]: "lambda",
  [N.named]: "named expression",
  [N.comprehension]: "comprehension",
  [N.generator]: "generator expression",
  [N.yield]: "yield expression",
  [N.yieldFrom]: "yield expression",
  [N.await]: "await expression",
  [N.literal]: "literal",
  [N.formatted]: "f-string expression",
  [N.starred]: "starred",
  [N.tuple]: "tuple",
  [N.bracketedTuple]: "tuple",
  [N.list]: "list",
}

/** What stands before an element of star-unpacking must fit in a byte of the instruction, what follows in three. */
const MAX_BEFORE_STARRED = 255

/** Which expressions may be assigned to, deleted or annotated. */
export abstract class TargetReader extends TokenReader {
  /** Marks the names in `root` as bound; refuses what cannot be a target. */
  protected assignTo(root: number, use: number = USE.store): void {
    const { arena } = this
    if (arena.kind[root] === N.starred) {
      throw this.problemAt(root, "starred assignment target must be in a list or tuple")
    }
    const pending = [root]
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const kind = arena.kind[node] ?? N.other
      if (kind === N.tuple || kind === N.bracketedTuple || kind === N.list) {
        const parts = arena.parts(node)
        this.checkStarred(parts)
        for (const part of parts) pending.push(arena.kind[part] === N.starred ? part - 1 : part)
      } else if (kind === N.parenthesized) pending.push(node - 1)
      else this.singleTarget(node, use, "assign to")
    }
  }

  private checkStarred(parts: readonly number[]): void {
    const starred = parts.filter((part) => this.arena.kind[part] === N.starred)
    const [first, second] = starred
    if (first !== undefined && second !== undefined) {
      throw this.problemAt(first, "multiple starred expressions in assignment")
    }
    if (first === undefined) return
    const before = parts.length - 1 - parts.indexOf(first)
    if (before > MAX_BEFORE_STARRED) {
      throw this.problemAt(first, "too many expressions before a starred assignment target")
    }
  }

  protected deleteTarget(root: number): void {
    const { arena } = this
    const pending = [root]
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const kind = arena.kind[node] ?? N.other
      if (kind === N.tuple || kind === N.bracketedTuple || kind === N.list) pending.push(...arena.parts(node))
      else if (kind === N.parenthesized) pending.push(node - 1)
      else this.singleTarget(node, USE.delete, "delete")
    }
  }

  /** A name, attribute or subscript, in parentheses or not: what may be annotated or augmented. */
  protected oneTarget(root: number, use: number, action: string): number {
    let node = root
    while (this.arena.kind[node] === N.parenthesized) node--
    this.singleTarget(node, use, action)
    return node
  }

  private singleTarget(node: number, use: number, action: string): void {
    const { arena } = this
    const kind = arena.kind[node] ?? N.other
    const token = arena.token[node] ?? 0
    if (kind === N.name) {
      this.refuseDebug(token)
      arena.use[node] = use
    } else if (kind === N.attribute) {
      if (use !== USE.delete) this.refuseDebug(token)
    } else if (kind !== N.subscript) {
      throw this.problemAt(node, `cannot ${action} ${DESCRIPTIONS[kind] ?? "expression"}`)
    }
  }
}
