/**
 * What must be visible after a history of requests that each ended before the next: objects, documents of every collection and
 * version, what a trigger takes, which rows failed. It knows nothing of parts, partitions and SQLite.
 */
import type {
  FailedRow,
  Filter,
  ModelBatch,
  ModelCollection,
  ModelDocument,
  ModelObject,
  ModelRun,
  Row,
  Version,
} from "./entries.ts"
import { historyMarks } from "./marks.ts"
import { plannedRuns } from "./planned.ts"

export function historyModel(made: readonly ModelCollection[]) {
  const objects = new Map<string, ModelObject>()
  const collections = new Map(made.map((collection) => [collection.id, collection]))
  const batches: ModelBatch[] = []
  let change = 0

  const of = (id: string): ModelCollection => {
    const found = collections.get(id)
    if (found === undefined) throw new Error(`no collection ${id}`)
    return found
  }
  const readersOf = (id: string) => [...collections.values()].filter(({ sources }) => sources.includes(id))
  const living = (key: string) =>
    [...collections.values()].some(({ documents }) => documents.some((one) => one.key === key))

  /** With what was made of them. */
  const forgetDocuments = (collection: ModelCollection, keys: ReadonlySet<string>): void => {
    collection.documents = collection.documents.filter((one) => !keys.has(one.key))
    for (const reader of readersOf(collection.id)) {
      const made = reader.documents.filter((one) => keys.has(one.source))
      if (made.length > 0) forgetDocuments(reader, new Set(made.map(({ key }) => key)))
    }
  }

  const marks = historyMarks(of, batches)
  const { codeOf, bucketKey, documentsKey, enter, record, unprocessedAfter } = marks

  const fails = ({ bad }: ModelCollection, version: Version, words: readonly string[]) =>
    words.length === 0 || words.some((word) => word === bad || (word === `${bad}1` && version === "1.0.0"))

  /** Before it comes to a word that fails. */
  const hangs = ({ bad, hangs: never }: ModelCollection, version: Version, words: readonly string[]) =>
    version === "1.0.0" && words.find((word) => [bad, `${bad}1`, never].includes(word)) === never

  /** Rows through the plugin; what it makes replaces what older batches made of the same. Answers those that came through. */
  const process = (batch: ModelBatch, run: ModelRun, rows: readonly Row[]): readonly Row[] => {
    const collection = of(run.collection)
    const granule = `${batch.number}.${batch.retry} ${collection.id}`
    const through: Row[] = []
    for (const row of rows) {
      const words = collection.cut(row.text)
      if (hangs(collection, run.version, words)) {
        run.hanging.rows++
        run.untried.set(row.source, { source: row.source, object: row.root, retries: 0 })
        continue
      }
      through.push(row)
      if (fails(collection, run.version, words)) {
        run.failed.set(row.source, {
          source: row.source,
          object: row.root,
          retries: run.failed.get(row.source)?.retries ?? 0,
        })
        continue
      }
      run.done++
      run.failed.delete(row.source)
      collection.documents = collection.documents.filter(
        (one) => one.version !== run.version || one.source !== row.source || one.batch === batch.number,
      )
      for (const [place, said] of words.entries()) {
        const key = `${collection.id} ${run.version}/${run.code} (${row.source}) ${place}`
        collection.documents.push({
          key,
          version: run.version,
          source: row.source,
          root: row.root,
          place,
          said,
          batch: batch.number,
          granule,
        })
      }
    }
    return through
  }

  /** Of the root objects that a run over documents saw, what was made of documents that live no more goes. */
  const takeOrphans = (run: ModelRun, roots: ReadonlySet<string>) => {
    const collection = of(run.collection)
    collection.documents = collection.documents.filter((one) => !roots.has(one.root) || living(one.source))
  }

  const end = (run: ModelRun) => {
    run.status = run.hanging.rows > 0 ? "HANGS" : run.untried.size > 0 ? "FAILED" : endOf(run)
    if (run.status !== "HANGS") record(run)
  }
  const endOf = (run: ModelRun) =>
    run.failed.size === 0 ? "COMPLETED" : run.done === 0 ? "FAILED" : "COMPLETED_WITH_ERRORS"

  const documentsOf = (sources: readonly string[], granules: ReadonlySet<string>) =>
    sources.flatMap((id) => of(id).documents.filter((one) => granules.has(one.granule)))

  const overDocuments = (batch: ModelBatch, run: ModelRun, granules: ReadonlySet<string>) => {
    const { takes } = of(run.collection)
    const rows = documentsOf(run.sources ?? [], granules).map(
      (one): Row => ({ source: one.key, root: one.root, text: one.said, place: one.place }),
    )
    const [own, others] = [rows.filter((row) => takes(row) && run.takes(row)), new Set(rows)]
    for (const row of own) others.delete(row)
    takeOrphans(run, new Set([...process(batch, run, own), ...others].map(({ root }) => root)))
    for (const granule of granules) run.granules.add(granule)
  }

  /** Runs of a batch whose sources have ended; one of which a source failed fails. */
  const goOn = (batch: ModelBatch) => {
    for (const run of batch.runs) {
      if (run.status !== "PENDING") continue
      const above = batch.runs.filter(({ collection }) => run.tier > 0 && run.sources?.includes(collection))
      if (above.some(({ status }) => status === "HANGS" || status === "PENDING")) continue
      if (above.some(({ status }) => status === "FAILED" || status === "CANCELED")) run.status = "FAILED"
      else {
        const all = new Set((run.sources ?? []).flatMap((id) => of(id).documents.map((one) => one.granule)))
        const own = [...all].filter((granule) => granule.startsWith(`${batch.number}.`) && !run.granules.has(granule))
        overDocuments(batch, run, new Set(own))
        end(run)
      }
    }
    const statuses = new Set(batch.runs.map(({ status }) => status))
    if (statuses.has("HANGS")) batch.status = "HANGS"
    else batch.status = statuses.size === 1 ? ([...statuses][0] ?? "") : "COMPLETED_WITH_ERRORS"
  }

  const { newRun, chain } = plannedRuns([...collections.values()], marks)

  const batchOver = (id: string, bucket: string, members: readonly string[] | null, runs: ModelRun[]): ModelBatch => {
    const batch = { number: batches.length + 1, id, bucket, objects: members, runs, retry: 0, status: "" }
    for (const run of runs) enter(of(run.collection), run.version)
    batches.push(batch)
    return batch
  }

  const overObjects = (batch: ModelBatch, run: ModelRun, ids: Iterable<string>) => {
    const rows = [...ids].flatMap((id): Row[] => {
      const object = objects.get(id)
      return object === undefined ? [] : [{ source: id, root: id, text: object.text, place: 0 }]
    })
    process(
      batch,
      run,
      rows.filter((row) => of(run.collection).takes(row) && run.takes(row)),
    )
    end(run)
  }

  const inBucket = (bucket: string) => [...objects.values()].filter((object) => object.bucket === bucket)

  return {
    objects,
    batches,
    write(id: string, bucket: string, text: string, changed = true) {
      change++
      const known = objects.get(id)
      if (known === undefined) objects.set(id, { id, bucket, text, change })
      else if (changed) Object.assign(known, { text, change })
    },
    remove: (id: string) => objects.delete(id),

    /** A batch of a bucket that ran over what `members` names; `after` is null for a full one. */
    ranOverBucket(
      id: string,
      bucket: string,
      targets: readonly string[],
      members: readonly string[],
      how: { kind: "changes" | "all"; filter: string | null } | { kind: "explicit"; filter: Filter | null },
      after = 0,
    ): ModelBatch {
      const first = targets.map((target) => newRun(of(target), 0, null))
      for (const run of first) {
        const collection = of(run.collection)
        if (how.kind === "explicit") {
          const from = unprocessedAfter(collection, bucket, null)
          const all = inBucket(bucket).every((object) => object.change <= from || members.includes(object.id))
          if (how.filter !== null) run.takes = how.filter.takes
          run.claim =
            all && how.filter === null
              ? { key: bucketKey(collection, bucket, null), after: from, end: change, filtered: false }
              : null
        } else {
          const filtered = how.filter !== null
          run.claim = {
            key: bucketKey(collection, bucket, how.filter),
            after: filtered ? 0 : after,
            end: change,
            filtered,
          }
        }
      }
      const batch = batchOver(id, bucket, members, chain(first))
      for (const run of batch.runs) if (run.tier === 0) overObjects(batch, run, members)
      goOn(batch)
      return batch
    },

    /** What a trigger of new and changed takes, and after which change it begins. */
    newOf(collection: string, bucket: string, filter: Filter | null) {
      const after = unprocessedAfter(of(collection), bucket, filter?.name ?? null)
      const members = inBucket(bucket)
        .filter((object) => object.change > after)
        .filter(
          (object) =>
            filter === null || filter.takes({ source: object.id, root: object.id, text: object.text, place: 0 }),
        )
        .map((object) => object.id)
      return { after, members }
    },

    /** Documents above a collection over collections; `fresh`: only those that its code has not processed. */
    above(collection: string, sources: readonly string[], filter: string | null, fresh: boolean) {
      const { granules } = of(collection)
      const done = new Set([
        ...(granules.get(documentsKey(of(collection), null)) ?? []),
        ...(granules.get(documentsKey(of(collection), filter)) ?? []),
      ])
      const all = sources.flatMap((id) => of(id).documents).filter((one) => !fresh || !done.has(one.granule))
      return { documents: all.length, granules: new Set(all.map(({ granule }) => granule)) }
    },

    ranOverDocuments(
      id: string,
      bucket: string,
      collection: string,
      sources: readonly string[],
      granules: ReadonlySet<string>,
      takes: (row: Row) => boolean,
      claim: { filter: string | null } | null,
    ): ModelBatch {
      const first = { ...newRun(of(collection), 0, sources), takes }
      first.claim = claim === null ? null : { key: documentsKey(of(collection), claim.filter) }
      const batch = batchOver(id, bucket, null, chain([first]))
      const [run = first] = batch.runs
      overDocuments(batch, run, granules)
      end(run)
      goOn(batch)
      return batch
    },

    /** Of a batch that hangs. */
    cancel(batch: ModelBatch): void {
      for (const run of batch.runs) {
        if (run.status === "HANGS" || run.status === "PENDING") run.status = "CANCELED"
        run.hanging = { rows: 0, failed: 0 }
      }
      batch.status = "CANCELED"
    },

    /** Rows that a retry of the batch runs again; it has ended when this is answered. */
    retried(batch: ModelBatch, tiers: readonly number[] | null, maxRetries: number): number {
      const again: { run: ModelRun; rows: FailedRow[]; untried: FailedRow[] }[] = []
      for (const run of batch.runs) {
        if (tiers !== null && !tiers.includes(run.tier)) continue
        if (!of(run.collection).enabled) continue
        const rows = [...run.failed.values()].filter(({ retries }) => retries < maxRetries)
        const untried = [...run.untried.values()]
        if (rows.length + untried.length > 0) again.push({ run, rows, untried })
      }
      if (again.length === 0) return 0
      batch.retry++
      const inCode = (run: ModelRun) => {
        const collection = of(run.collection)
        enter(collection, collection.version)
        const code = codeOf(collection, collection.version)
        if (run.version !== collection.version || run.code !== code) run.claim = null
        Object.assign(run, { version: collection.version, code })
      }
      const open = new Set(again.map(({ run }) => run.collection))
      const awaiting = new Set<ModelRun>()
      for (const run of batch.runs) {
        const below = run.tier > 0 && (run.sources ?? []).some((id) => open.has(id))
        if (below) open.add(run.collection)
        if (below && of(run.collection).enabled) awaiting.add(run)
      }
      for (const { run } of again) inCode(run)
      for (const run of awaiting) inCode(run)
      for (const run of batch.runs) {
        const own = again.find((one) => one.run === run)
        if (own !== undefined) retryRows(batch, run, own.rows, own.untried)
        if (awaiting.has(run)) run.status = "PENDING"
        else if (own !== undefined) end(run)
        if (awaiting.has(run)) goOn(batch)
      }
      goOn(batch)
      return again.reduce((sum, { rows, untried }) => sum + rows.length + untried.length, 0)
    },

    move(id: string, version: Version) {
      const collection = of(id)
      const from = collection.version
      collection.version = version
      if (from === version) return
      marks.carry(collection, from)
    },

    drop(id: string, version: Version): number {
      const collection = of(id)
      const gone = collection.documents.filter((one) => one.version === version)
      forgetDocuments(collection, new Set(gone.map(({ key }) => key)))
      marks.forget(collection, version)
      return gone.length
    },

    /** Of the documents that no version before has of the same object or document. */
    shown(id: string): ModelDocument[] {
      const { documents, version } = of(id)
      const current = new Set(documents.filter((one) => one.version === version).map((one) => one.source))
      return documents.filter((one) => one.version === version || !current.has(one.source))
    },
    living,
    publish: marks.publish,
  }

  function retryRows(
    batch: ModelBatch,
    run: ModelRun,
    failedRows: readonly FailedRow[],
    untriedRows: readonly FailedRow[],
  ) {
    const collection = of(run.collection)
    const sources = new Map<string, Row>()
    if (run.sources === null) {
      for (const { source } of [...failedRows, ...untriedRows]) {
        const object = objects.get(source)
        if (object !== undefined) sources.set(source, { source, root: source, text: object.text, place: 0 })
      }
    } else {
      for (const one of documentsOf(run.sources, run.granules))
        sources.set(one.key, { source: one.key, root: one.root, text: one.said, place: one.place })
    }
    const through: Row[] = []
    for (const [index, before] of [...failedRows, ...untriedRows].entries()) {
      const failed = index < failedRows.length
      const row = sources.get(before.source)
      ;(failed ? run.failed : run.untried).delete(before.source)
      if (row === undefined) continue
      if (!collection.takes(row) || !run.takes(row)) {
        through.push(row)
        continue
      }
      const came = process(batch, run, [row])
      through.push(...came)
      if (!failed) continue
      const again = run.failed.get(row.source)
      if (again !== undefined) again.retries = before.retries + 1
      if (came.length > 0) continue
      // When it is canceled, it has failed as before.
      run.untried.delete(row.source)
      run.failed.set(row.source, before)
      run.hanging.failed++
    }
    if (run.sources !== null) takeOrphans(run, new Set(through.map(({ root }) => root)))
  }
}

export type HistoryModel = ReturnType<typeof historyModel>
