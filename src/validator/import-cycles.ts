/**
 * Which files of a plugin import one another in a circle: each of them may be asked for while it is half made. Kosaraju's
 * two walks over the graph of imports, without recursion; linear in the number of imports.
 */
export function importCycles(imports: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<string, number> {
  const importedBy = new Map<string, string[]>()
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const known = importedBy.get(target)
      if (known === undefined) importedBy.set(target, [file])
      else known.push(file)
    }
  }
  const circle = new Map<string, number>()
  for (const start of finished(imports)) {
    if (circle.has(start)) continue
    const number = circle.size
    const pending = [start]
    for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
      if (circle.has(file)) continue
      circle.set(file, number)
      for (const other of importedBy.get(file) ?? []) pending.push(other)
    }
  }
  return circle
}

/** The files in the order in which a walk along the imports is done with them, the last first. */
function finished(imports: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const seen = new Set<string>()
  const order: string[] = []
  for (const root of imports.keys()) {
    if (seen.has(root)) continue
    seen.add(root)
    const path = [{ file: root, targets: [...(imports.get(root) ?? [])] }]
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.targets.pop()
      if (next === undefined) {
        order.push(top.file)
        path.pop()
      } else if (!seen.has(next)) {
        seen.add(next)
        path.push({ file: next, targets: [...(imports.get(next) ?? [])] })
      }
    }
  }
  return order.reverse()
}
