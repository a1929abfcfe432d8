/** Which runs a batch has. */
import type { ModelCollection, ModelRun } from "./entries.ts"
import type { HistoryMarks } from "./marks.ts"

const ANY = () => true

export function plannedRuns(collections: readonly ModelCollection[], { codeOf, documentsKey }: HistoryMarks) {
  const of = (id: string): ModelCollection => {
    const found = collections.find((collection) => collection.id === id)
    if (found === undefined) throw new Error(`no collection ${id}`)
    return found
  }
  const readersOf = (id: string) => collections.filter(({ sources }) => sources.includes(id))

  const newRun = (collection: ModelCollection, tier: number, sources: readonly string[] | null): ModelRun => ({
    collection: collection.id,
    tier,
    version: collection.version,
    code: codeOf(collection, collection.version),
    sources,
    takes: ANY,
    claim: sources === null ? null : { key: documentsKey(collection, null) },
    status: "PENDING",
    done: 0,
    failed: new Map(),
    untried: new Map(),
    hanging: { rows: 0, failed: 0 },
    granules: new Set(),
  })

  /** `first`, and every enabled collection below. */
  const chain = (first: readonly ModelRun[]): ModelRun[] => {
    const members = new Set<string>()
    const visit = (id: string) => {
      if (members.has(id)) return
      members.add(id)
      for (const reader of readersOf(id)) if (reader.enabled) visit(reader.id)
    }
    for (const { collection } of first) visit(collection)
    const planned = new Map(first.map((run) => [run.collection, run]))
    const plan = (id: string): ModelRun => {
      const known = planned.get(id)
      if (known !== undefined) return known
      const above = of(id)
        .sources.filter((source) => members.has(source))
        .map(plan)
      const tier = 1 + Math.max(...above.map((run) => run.tier))
      const run = newRun(
        of(id),
        tier,
        above.map(({ collection }) => collection),
      )
      planned.set(id, run)
      return run
    }
    return [...members].map(plan).sort((one, other) => one.tier - other.tier)
  }

  return { newRun, chain }
}
