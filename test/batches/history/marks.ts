/** What code of a collection has processed, as the README says of triggers: up to which change of a bucket, and which documents. */
import type { Mark, ModelBatch, ModelCollection, ModelRun, Version } from "./entries.ts"

export function historyMarks(of: (id: string) => ModelCollection, batches: readonly ModelBatch[]) {
  /** By plugin and version: the code that is published. */
  const codes = new Map<string, string>()
  const codeOf = ({ plugin }: ModelCollection, version: Version) => codes.get(`${plugin} ${version}`) ?? "x"
  const nameOf = (collection: ModelCollection, version = collection.version) =>
    `${version}/${codeOf(collection, version)}`
  const keyOf = (collection: ModelCollection, bucket: string, filter: string | null) =>
    `${nameOf(collection)} ${bucket} ${filter ?? ""}`
  const partsKey = (collection: ModelCollection, filter: string | null) => `${nameOf(collection)} ${filter ?? ""}`

  /** How far runs that ended well reach from a mark on. */
  const reach = (collection: string, key: string, from: number): number => {
    for (let at = from; ; ) {
      const next = batches
        .flatMap(({ runs }) => runs)
        .filter((run) => run.collection === collection && ["COMPLETED", "COMPLETED_WITH_ERRORS"].includes(run.status))
        .flatMap(({ claim }) => (claim !== null && "end" in claim && claim.key === key ? [claim] : []))
        .filter(({ after, end }) => after <= at && end > at)
      if (next.length === 0) return at
      at = Math.max(...next.map(({ end }) => end))
    }
  }

  const record = (run: ModelRun) => {
    const collection = of(run.collection)
    if (run.claim === null || run.status === "FAILED") return
    if (!("end" in run.claim)) {
      const marked = collection.granules.get(run.claim.key) ?? new Set()
      for (const granule of run.granules) marked.add(granule)
      collection.granules.set(run.claim.key, marked)
      return
    }
    const { key, after, end, filtered } = run.claim
    const mark = collection.marks.get(key)
    if (after === 0) {
      const reached = mark === undefined ? end : mark.since <= end ? Math.max(mark.change, end) : end
      collection.marks.set(key, { since: 0, change: reached, version: run.version, filtered })
    } else if (mark !== undefined && mark.change >= after) mark.change = Math.max(mark.change, end)
    const now = collection.marks.get(key)
    if (now !== undefined) now.change = Math.max(now.change, reach(run.collection, key, now.change))
  }

  /** Rows are to run in it: other code under the number replaces what this one made, so that nothing counts that it had processed. */
  const enter = (collection: ModelCollection, version: Version) => {
    const code = codeOf(collection, version)
    if (collection.entered.get(version) === code) return
    const own = `${version}/${code} `
    for (const [key, mark] of collection.marks)
      if (mark.version === version && (mark.filtered || !key.startsWith(own))) collection.marks.delete(key)
    for (const key of collection.granules.keys())
      if (key.startsWith(`${version}/`) && !key.startsWith(own)) collection.granules.delete(key)
    for (const run of batches.flatMap(({ runs }) => runs))
      if (run.collection === collection.id && run.version === version && run.code !== code) run.claim = null
    collection.entered.set(version, code)
  }

  const unprocessedAfter = (collection: ModelCollection, bucket: string, filter: string | null) => {
    const { marks } = collection
    const done = marks.get(keyOf(collection, bucket, null))?.change ?? 0
    return filter === null ? done : Math.max(done, marks.get(keyOf(collection, bucket, filter))?.change ?? 0)
  }

  return {
    codeOf,
    bucketKey: keyOf,
    documentsKey: partsKey,
    enter,
    record,
    unprocessedAfter,
    publish: (plugin: string, version: Version, code: string) => void codes.set(`${plugin} ${version}`, code),

    /** A version that has made nothing yet goes on where the one before stands. */
    carry(collection: ModelCollection, from: Version): void {
      const { version } = collection
      if (collection.documents.some((one) => one.version === version)) return
      for (const bucket of collection.buckets) {
        const own = [...collection.marks].filter(([key, mark]) => mark.version === from && key.endsWith(` ${bucket} `))
        const key = keyOf(collection, bucket, null)
        if (own.length === 0 || collection.marks.has(key)) continue
        const done = Math.max(...own.map(([, mark]) => mark.change))
        const carried: Mark = { since: done, change: done, version, filtered: false }
        collection.marks.set(key, carried)
      }
    },

    /** Its documents are gone: nobody may count on what it did. */
    forget(collection: ModelCollection, version: Version): void {
      for (const [key, mark] of collection.marks)
        if (mark.version === version || mark.since > 0 || mark.filtered) collection.marks.delete(key)
      for (const key of collection.granules.keys()) if (key.startsWith(`${version}/`)) collection.granules.delete(key)
      for (const run of batches.flatMap(({ runs }) => runs))
        if (run.collection === collection.id && run.version === version) run.claim = null
    },
  }
}

export type HistoryMarks = ReturnType<typeof historyMarks>
