/** Which nodes of a file may have a value: those some part of which has one, and names and attributes that mean something. */
import type { FileBindings } from "./binding-records.ts"
import { EXPRESSIONS, LED_THROUGH } from "./expression-kinds.ts"
import { Kind } from "./node-kinds.ts"
import type { SharedNames } from "./shared-names.ts"

export class LiveNodes {
  /** Names of the file's own that have a value somewhere in it. */
  readonly names: number[] = []
  /** 1 for nodes of whose parts some have a value; the others have none. */
  private readonly touched: Uint8Array
  private round = 0

  constructor(
    private readonly plugin: SharedNames,
    private readonly bindings: FileBindings,
    private readonly stars: ReadonlySet<string>,
  ) {
    this.touched = new Uint8Array(bindings.tree.size)
    for (const node of bindings.quoted.keys()) this.touched[node] = 1
  }

  begin(round: number): void {
    this.round = round
    for (const name of this.names) this.plugin.live[name] = round
  }

  /**
   * The first place from `from` on, in the order of `PythonTree.inner`, whose node may have a value; the number of nodes when
   * none has. Nearly all have none, so this has to be quick.
   */
  next(from: number): number {
    const { plugin, round, stars, touched } = this
    const { live, passedOver } = plugin
    const { tree, readIn } = this.bindings
    const { inner, kind, name, size } = tree
    for (let place = from; place < size; place++) {
      const node = inner[place] ?? 0
      const nodeKind = kind[node] ?? 0
      if (nodeKind === Kind.identifier) {
        if (readIn[node] === 0) continue
        const word = name[node] ?? 0
        if (live[word] === round) return place
        passedOver[word] = round
        if (stars.size > 0 || plugin.common(word).builtin !== null) return place
      } else if (touched[node] === 1) {
        if (EXPRESSIONS[nodeKind] === 1) return place
      } else if (nodeKind === Kind.attribute) {
        if (this.isKnownAttribute(node)) return place
      } else if (nodeKind === Kind.call && this.callsByName(node + 1)) return place
    }
    return size
  }

  private isKnownAttribute(node: number): boolean {
    const { tree } = this.bindings
    const { attribute, ofAny, text } = this.plugin.common(tree.name[(tree.last[node] ?? 0) - 1] ?? 0)
    return ofAny !== null || this.plugin.read(attribute).length > 0 || text === "__self__"
  }

  /** Whether what stands before the arguments may be a function of the plugin that answers something. */
  private callsByName(callee: number): boolean {
    const { kind, name } = this.bindings.tree
    let node = callee
    while (kind[node] === Kind.parenthesized_expression) node++
    return (
      kind[node] === Kind.lambda || (kind[node] === Kind.identifier && this.plugin.live[name[node] ?? 0] === this.round)
    )
  }

  /** Tells the nodes that a node is a part of that it has a value. */
  touchAround(node: number): void {
    const { kind, parent } = this.bindings.tree
    for (let at = parent[node] ?? -1; at >= 0 && this.touched[at] === 0; at = parent[at] ?? -1) {
      this.touched[at] = 1
      if (LED_THROUGH[kind[at] ?? 0] === 0) break
    }
  }
}
