/** In which order a file's expressions are evaluated, and what each hands on. */
import type { AttributeFlow, FileBindings, Flow } from "./binding-records.ts"

export type NameFlow = Flow | AttributeFlow

/** The file's expressions in postorder: parts before the whole, otherwise as in the source. */
export function innerFirst({ expressions, tree: { last } }: FileBindings): number[] {
  const order: number[] = []
  const open: number[] = []
  for (const node of expressions) {
    for (let top = open.at(-1); top !== undefined && (last[top] ?? 0) <= node; top = open.at(-1)) {
      order.push(top)
      open.pop()
    }
    open.push(node)
  }
  return order.concat(open.reverse())
}

/** What flows from each expression into a name or an attribute. */
export function flowsByOrigin({ flows, attributeFlows }: FileBindings): ReadonlyMap<number, readonly NameFlow[]> {
  const byOrigin = new Map<number, NameFlow[]>()
  for (const some of [flows, attributeFlows]) {
    for (const flow of some) {
      const known = byOrigin.get(flow.from)
      if (known === undefined) byOrigin.set(flow.from, [flow])
      else known.push(flow)
    }
  }
  return byOrigin
}
