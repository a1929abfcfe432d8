/** Names that import statements bind. */
import type { BindingSink } from "./binding-sink.ts"
import { Kind } from "./node-kinds.ts"
import { dottedNameOf } from "./python-tree.ts"

export function importStatement(sink: BindingSink, node: number): void {
  for (const item of sink.parts(node)) {
    const { name, alias } = importedName(sink, item)
    const module = dottedNameOf(sink.tree, name)
    // `import a.b` binds `a`, the first part of the dotted name.
    const bound = sink.nameOf(alias ?? name + 1)
    sink.bindImport(bound, item, (into) => {
      const bindsTop = alias === undefined
      sink.imports.push({
        statement: node,
        node: item,
        level: 0,
        module,
        name: null,
        into,
        bindsTop,
        scope: sink.scope,
      })
    })
  }
}

export function importFrom(sink: BindingSink, node: number): void {
  const [source = node, ...items] = sink.parts(node)
  const { level, module } = importSource(sink, source)
  for (const item of items) {
    const common = { statement: node, node: item, level, module, bindsTop: false, scope: sink.scope }
    if (sink.kindOf(item) === Kind.wildcard_import) {
      sink.imports.push({ ...common, name: "*", into: null })
      continue
    }
    const { name: named, alias } = importedName(sink, item)
    const name = dottedNameOf(sink.tree, named)
    const bound = sink.nameOf(alias ?? named + 1)
    sink.bindImport(bound, item, (into) => sink.imports.push({ ...common, name, into }))
  }
}

function importedName(sink: BindingSink, item: number): { name: number; alias: number | undefined } {
  const [name = item, alias] = sink.kindOf(item) === Kind.aliased_import ? sink.parts(item) : [item]
  sink.ignore(name)
  sink.ignore(alias)
  return { name, alias }
}

function importSource(sink: BindingSink, node: number): { level: number; module: string } {
  if (sink.kindOf(node) === Kind.dotted_name) {
    sink.ignore(node)
    return { level: 0, module: dottedNameOf(sink.tree, node) }
  }
  const [prefix = node, name] = sink.parts(node)
  sink.ignore(name)
  const dots = sink.tree.text.slice(sink.tree.start[prefix], sink.tree.end[prefix])
  return { level: dots.split(".").length - 1, module: name === undefined ? "" : dottedNameOf(sink.tree, name) }
}
