/**
 * From a worker's files to visible documents: hostile copies, a part written by the documents process, one transaction.
 * Commits of one collection go one by one: what a part supersedes must not change between the look and the commit.
 */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { partRef, supersededIn } from "../collections/part-ref.ts"
import type { Documents } from "../documents/process.ts"
import { parseExactly } from "../exact-json.ts"
import { newId } from "../identifiers.ts"
import type { LearnedRows } from "../metadata/batch-sizes.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { PartRow } from "../metadata/parts.ts"
import type { RunSource } from "../metadata/run-sources.ts"
import { collectOutput, HostileOutput, type RowFailure } from "./collect.ts"
import { documentInputs, lookAtSources, type SourcesNow } from "./document-rows.ts"
import type { Ledger, RowFault } from "./ledger.ts"
import { embeddings, type PartitionRun, storedFeatures } from "./partition-context.ts"
import { type RowInput, rowInputs, type WrittenRows } from "./rows.ts"

/** Outputs per input row that a plugin may emit on average over a partition (chunking). */
const OUTPUTS_PER_ROW = 1000

/** Looked up in one turn of the event loop: some milliseconds. */
const OBJECTS_PER_TURN = 2_000

interface Deps {
  metadata: Pick<Metadata, "read">
  ledger: Pick<Ledger, "commit">
  documents: Pick<Documents, "writePart" | "findSuperseded" | "writeRows">
  dataDir: string
  /** Result files of one partition together. */
  outputBytes: number
  now: () => Date
}

export function partitionCommit({ metadata, ledger, documents, dataDir, outputBytes, now }: Deps) {
  const committing = new Map<string, Promise<unknown>>()

  /**
   * Commits what the worker left in `output`, and what was learned by it; `spool` is the partition's own directory, `failed` the rows
   * that earlier step groups failed of. Answers how many rows are done;
   * null when nothing was committed because another batch was faster with newer content of an object: rows are read anew.
   * @throws HostileOutput when the files are not what they must be: nothing is committed then
   */
  async function commitOutput(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    { directory: output, failed }: { readonly directory: string; readonly failed: readonly RowFailure[] },
    learned: LearnedRows | null,
    spool: string,
  ): Promise<number | null> {
    const { run, plugin, namespace } = context
    const features = embeddings(plugin)
    const copies = join(spool, "copies")
    await mkdir(copies, { mode: 0o700 })
    const partId = newId("part")
    const file = join("documents", namespace.orgId, namespace.namespaceId, run.collection_id, partId)
    const collected = await collectOutput(output, copies, features, {
      asked: rows.rows,
      failed,
      rows: rows.rows * OUTPUTS_PER_ROW,
      bytes: outputBytes,
    })
    const failedRows = collected.failures.map((failure) => failure.row)
    const written = await documents.writePart({
      lineage: rows.lineage,
      scalars: collected.scalars,
      vectors: [...collected.vectors],
      part: join(dataDir, file),
      identity: {
        collection_id: run.collection_id,
        plugin_id: run.plugin_id,
        plugin_version: run.plugin_version,
        code_hash: run.code_hash,
      },
      failed_rows: failedRows,
      created_at: now().toISOString(),
    })
    if (!written.ok) throw new HostileOutput(written.reason)
    const objects = await rows.objectIds(failedRows)
    const inputs = await inputsOf(context, partition, rows, objects, spool)
    const faults = collected.failures.map(({ row, ...failure }) => ({
      ...failure,
      ...identityOf(rows, objects, row),
      input: inputs.get(row) ?? null,
    }))
    const part: Omit<PartRow, "seq"> | null =
      written.rows_out === 0
        ? null
        : {
            part_id: partId,
            collection_id: run.collection_id,
            batch_id: run.batch_id,
            plugin_id: run.plugin_id,
            code_hash: run.code_hash,
            file,
            features: storedFeatures(plugin),
            document_rows: written.rows_out,
            dead_file: null,
            dead_rows: 0,
            size_bytes: written.bytes,
            created_at: now().toISOString(),
          }
    const committed = await settle(context, partition, rows, {
      part,
      faults,
      done: written.rows_done,
      failedRows,
      learned,
    })
    return committed ? written.rows_done : null
  }

  /**
   * Superseding goes by the order of commits, which is that of reading but for batches that run beside each other: one may
   * have read an object before it changed and commit after another that read it after. Asked only where both happened.
   */
  async function isOutdated({ run }: PartitionRun, rows: WrittenRows): Promise<boolean> {
    const { readAfter } = rows
    if (readAfter === null || rows.rows === 0) return false
    const beside = metadata.read.parts
      .ofCollection(run.collection_id)
      .filter((part) => part.seq > readAfter.part && part.batch_id !== run.batch_id && part.plugin_id === run.plugin_id)
    if (beside.length === 0) return false
    const objects = await rows.objectIds(null)
    const changed = new Set(metadata.read.objects.changedOf([...objects.values()], readAfter.change))
    if (changed.size === 0) return false
    const unchanged = [...objects].flatMap(([row, objectId]) => (changed.has(objectId) ? [] : [row]))
    const found = await documents.findSuperseded({
      parts: beside.map((part) => partRef(dataDir, part)),
      lineage: rows.lineage,
      failed_rows: unchanged,
    })
    return found.length > 0
  }

  /** What the plugin was given of rows that failed; `spool` is the partition's own directory. */
  function inputsOf(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    objects: ReadonlyMap<number, string>,
    spool: string,
  ): Promise<Map<number, RowInput>> {
    return rows.chain === null
      ? rowInputs(metadata.read, context.plan, context.batch.bucket_id, rows, objects)
      : documentInputs({ metadata, documents, dataDir, now }, context, partition, [...objects.keys()], spool)
  }

  /** No row reached a worker; of documents, what was made of those that live no more goes all the same. */
  async function commitNothing(context: PartitionRun, partition: PartitionRow, rows: WrittenRows): Promise<void> {
    await settle(context, partition, rows, { part: null, faults: [], done: 0, failedRows: [], learned: null })
  }

  interface Settled {
    readonly part: Omit<PartRow, "seq"> | null
    readonly faults: readonly RowFault[]
    readonly done: number
    readonly failedRows: readonly number[]
    readonly learned: LearnedRows | null
  }

  /** False when nothing was committed because the rows are outdated. */
  async function settle(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    settled: Settled,
  ): Promise<boolean> {
    const { part, done, failedRows, learned } = settled
    const faults = [...settled.faults, ...ownFaults(rows)]
    return oneByOne(context.run.collection_id, async () => {
      if (await isOutdated(context, rows)) return false
      for (;;) {
        const chain = await lookAtSources(metadata.read, dataDir, partition, rows)
        const objects = await lookAtObjects(context, rows)
        // A source that died since the row was written has been done again, an object that was deleted does not come back: what was
        // made of it before is not kept.
        const staleRows = chain?.staleRows ?? objects.goneRows
        const { superseded, deadFiles } = await findSuperseded(context, partition, rows, settled, { chain, staleRows })
        const stale = countWithout(staleRows, failedRows)
        const committed = ledger.commit(partition, {
          code: context.run,
          part,
          superseded,
          faults,
          done: done - stale,
          skipped: rows.skipped + stale,
          learned,
          restsOn: { parts: new Map([...(chain?.deadFiles ?? []), ...deadFiles]), bucket: objects.bucket },
        })
        if (committed !== "stale") return true
      }
    })
  }

  /** Which rows' objects were deleted since they were read. Asked only where some of their bucket were. */
  async function lookAtObjects({ batch }: PartitionRun, { readAfter, objectIds }: WrittenRows) {
    if (readAfter === null) return { bucket: null, goneRows: [] }
    const { bucket_id } = batch
    const removals = metadata.read.buckets.removals(bucket_id)
    if (removals === readAfter.removals) return { bucket: { bucket_id, removals, there: null }, goneRows: [] }
    const objects = [...(await objectIds(null))]
    const goneRows: number[] = []
    const there: string[] = []
    for (let at = 0; at < objects.length; at += OBJECTS_PER_TURN) {
      const some = objects.slice(at, at + OBJECTS_PER_TURN)
      const gone = new Set(metadata.read.objects.gone(some.map(([, objectId]) => objectId)))
      for (const [row, objectId] of some) {
        if (gone.has(objectId)) goneRows.push(row)
        else there.push(objectId)
      }
      await nextTurn()
    }
    return { bucket: { bucket_id, removals, there }, goneRows }
  }

  /**
   * A newer run of the same plugin over an object or document replaces what older batches made of it. With the dead files that the
   * parts had, since who drops a version above writes some too.
   */
  async function findSuperseded(
    { run }: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    { part, failedRows }: Settled,
    { chain, staleRows }: { readonly chain: SourcesNow | null; readonly staleRows: readonly number[] },
  ) {
    const others = metadata.read.parts
      .ofCollection(run.collection_id)
      .filter((other) => other.batch_id !== run.batch_id)
    const older = others.filter((other) => other.plugin_id === run.plugin_id)
    // What another version made of an object stays beside; what it made of a document lives as long as that does.
    const beside = chain === null ? [] : others.filter((other) => other.plugin_id !== run.plugin_id)
    const ref = (row: Parameters<typeof partRef>[1]) => partRef(dataDir, row)
    if (older.length + beside.length === 0 && staleRows.length === 0) return { superseded: [], deadFiles: [] }
    const source: RunSource | null = run.source === null ? null : parseExactly(run.source)
    const found = await documents.findSuperseded({
      parts: older.map(ref),
      lineage: rows.lineage,
      failed_rows: [...failedRows],
      stale_rows: [...staleRows],
      own: part === null ? null : ref(part),
      ...(chain === null || source === null
        ? {}
        : {
            chain: {
              sources: chain.sources.map((row) => ({ part: ref(row), first_ordinal: row.first_ordinal })),
              first_ordinal: partition.first_ordinal,
              end_ordinal: partition.end_ordinal,
              living: metadata.read.collections
                .sources(run.collection_id)
                .flatMap((id) => metadata.read.parts.ofCollection(id).map(ref)),
              beside: beside.map(ref),
            },
          }),
    })
    const replaced = new Set(found.map((dead) => dead.part_id))
    return {
      superseded: found.map((dead) => supersededIn(dataDir, dead)),
      deadFiles: others.flatMap(({ part_id: id, dead_file: was }) => (replaced.has(id) ? [[id, was] as const] : [])),
    }
  }

  async function oneByOne<T>(collectionId: string, step: () => Promise<T>): Promise<T> {
    const before = committing.get(collectionId) ?? Promise.resolve()
    const mine = before.then(step, step)
    committing.set(collectionId, mine)
    try {
      return await mine
    } finally {
      if (committing.get(collectionId) === mine) committing.delete(collectionId)
    }
  }

  return { commitOutput, commitNothing, inputsOf }
}

/** Rows that never reached the worker because their object cannot be an input. */
export function ownFaults(rows: WrittenRows): RowFault[] {
  return rows.failed.map(({ ordinal, object_id, document_id: documentId, message }) => ({
    ordinal,
    object_id,
    ...(documentId === undefined ? {} : { source_document_id: documentId }),
    error_type: "validation",
    exception: "InputError",
    message,
    traceback: null,
    stage: "input",
    input: null,
  }))
}

/** Which object, and which document of it, a row is. */
export function identityOf(rows: WrittenRows, objects: ReadonlyMap<number, string>, ordinal: number) {
  const documentId = rows.chain?.documentIds.get(ordinal)
  return {
    ordinal,
    object_id: objects.get(ordinal) ?? "",
    ...(documentId === undefined ? {} : { source_document_id: documentId }),
  }
}

function countWithout(rows: readonly number[], without: readonly number[]): number {
  const left = new Set(without)
  return rows.filter((row) => !left.has(row)).length
}
