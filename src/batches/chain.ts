/** Which collections a batch runs, tier by tier: those it begins with, then whatever reads them, each after all it reads. */
import { ApplianceError } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import type { RunRow } from "../metadata/batches.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { RunSource } from "../metadata/run-sources.ts"
import type { BatchState } from "./states.ts"

/** What one batch runs at most: each is a run of its own, with all its rows. */
const MAX_RUNS = 1000

export interface PlannedRun {
  readonly collection: CollectionRow
  readonly tier: number
  /** Null: the batch's objects. */
  readonly source: RunSource | null
  /**
   * Of a run over documents: that it takes what of its parts passes the request's filter (JSON, beside the collection's own), so that
   * they need no other run. Null where objects are named.
   */
  readonly claim?: { readonly filters: string | null } | null
}

/**
 * `first`, and every enabled collection below it. `stranded` have lost all that they read: they stand in the first tier
 * below the buckets, to fail there, where somebody sees it. Ordered by tier.
 */
export function chainFrom(
  read: Metadata["read"],
  first: readonly PlannedRun[],
  stranded: readonly CollectionRow[] = [],
): PlannedRun[] {
  const members = new Map<string, CollectionRow>()
  const visit = (collection: CollectionRow) => {
    if (members.has(collection.collection_id)) return
    members.set(collection.collection_id, collection)
    if (members.size > MAX_RUNS) {
      throw new ApplianceError(
        "BadRequestError",
        `More than ${MAX_RUNS} collections would run in one batch; name some of them in collection_ids.`,
      )
    }
    for (const reader of read.collections.readersOf(collection.collection_id)) if (reader.enabled === 1) visit(reader)
  }
  for (const { collection } of first) visit(collection)
  for (const collection of stranded) visit(collection)

  const planned = new Map(first.map((run) => [run.collection.collection_id, run]))
  const plan = (collection: CollectionRow): PlannedRun => {
    const known = planned.get(collection.collection_id)
    if (known !== undefined) return known
    const above = read.collections
      .sources(collection.collection_id)
      .flatMap((sourceId) => members.get(sourceId) ?? [])
      .map(plan)
    const run: PlannedRun = {
      collection,
      tier: 1 + Math.max(0, ...above.map(({ tier }) => tier)),
      source: {
        collection_ids: above.map((source) => source.collection.collection_id),
        filters: ownFilters(collection),
      },
      claim: { filters: null },
    }
    planned.set(collection.collection_id, run)
    return run
  }
  return [...members.values()].map(plan).sort((one, other) => one.tier - other.tier)
}

/** What the collection itself takes of its sources. */
export function ownFilters({ source }: Pick<CollectionRow, "source">): unknown[] {
  const { source_filters: own }: { source_filters?: { filters?: unknown } } = parseExactly(source)
  return own?.filters == null ? [] : [own.filters]
}

/** The runs of the same batch that a run reads. */
export function runsAbove(run: RunRow, runs: readonly RunRow[]): readonly RunRow[] {
  if (run.source === null || run.tier === 0) return []
  const { collection_ids: ids }: RunSource = JSON.parse(run.source)
  return runs.filter((other) => ids.includes(other.collection_id))
}

/** The runs of the same batch that read these collections, or read what reads them. `runs` are ordered by tier. */
export function runsBelow(collectionIds: readonly string[], runs: readonly RunRow[]): readonly RunRow[] {
  const above = new Set(collectionIds)
  return runs.filter((run) => {
    const below = runsAbove(run, runs).some((source) => above.has(source.collection_id))
    if (below) above.add(run.collection_id)
    return below
  })
}

/** How runs ended together, once each has. */
export function jointStatus(runs: readonly Pick<RunRow, "status">[]): BatchState {
  const statuses = new Set(runs.map((run) => run.status as BatchState))
  return statuses.size === 1 ? ([...statuses][0] ?? "COMPLETED") : "COMPLETED_WITH_ERRORS"
}
