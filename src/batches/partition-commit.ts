/**
 * From a worker's files to visible documents: hostile copies, a part written by the documents process, one transaction.
 * Commits of one collection go one by one: what a part supersedes must not change between the look and the commit.
 */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import type { Documents } from "../documents/process.ts"
import { newId } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import { collectOutput, HostileOutput } from "./collect.ts"
import type { Ledger, RowFault } from "./ledger.ts"
import { embeddings, type PartitionRun } from "./partition-context.ts"
import { rowInputs, type WrittenRows } from "./rows.ts"

/** Outputs per input row that a plugin may emit on average over a partition (chunking). */
const OUTPUTS_PER_ROW = 1000

interface Deps {
  metadata: Pick<Metadata, "read">
  ledger: Pick<Ledger, "commit">
  documents: Pick<Documents, "writePart" | "findSuperseded">
  dataDir: string
  /** Result files of one partition together. */
  outputBytes: number
  now: () => Date
}

export function partitionCommit({ metadata, ledger, documents, dataDir, outputBytes, now }: Deps) {
  const committing = new Map<string, Promise<unknown>>()

  /**
   * Commits what the worker left in `output`; `spool` is the partition's own directory. Answers how many rows are done.
   * @throws HostileOutput when the files are not what they must be: nothing is committed then
   */
  async function commit(
    context: PartitionRun,
    partition: PartitionRow,
    rows: WrittenRows,
    output: string,
    spool: string,
  ): Promise<number> {
    const { run, plugin, namespace } = context
    const features = embeddings(plugin)
    const copies = join(spool, "copies")
    await mkdir(copies, { mode: 0o700 })
    const partId = newId("part")
    const file = join("documents", namespace.orgId, namespace.namespaceId, run.collection_id, partId)
    const collected = await collectOutput(output, copies, features, rows.objectIds, {
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
    const inputs = await rowInputs(metadata.read, context.plan, partition, rows, failedRows)
    const faults = collected.failures.map(({ row, ...failure }) => ({
      ...failure,
      ordinal: row,
      object_id: rows.objectIds.get(row) ?? "",
      input: inputs.get(row) ?? null,
    }))
    await oneByOne(run.collection_id, async () => {
      const superseded = await findSuperseded(context, rows, failedRows)
      ledger.commit(partition, {
        code: run,
        part:
          written.rows_out === 0
            ? null
            : {
                part_id: partId,
                collection_id: run.collection_id,
                batch_id: run.batch_id,
                plugin_id: run.plugin_id,
                code_hash: run.code_hash,
                file,
                features: JSON.stringify(features.map((feature, index) => ({ ...feature, file_index: index }))),
                document_rows: written.rows_out,
                dead_file: null,
                dead_rows: 0,
                size_bytes: written.bytes,
                created_at: now().toISOString(),
              },
        superseded,
        faults: [...faults, ...ownFaults(rows)],
        done: written.rows_done,
        skipped: rows.skipped,
      })
    })
    return written.rows_done
  }

  /** A newer run of the same plugin over an object replaces the documents that older batches made of it. */
  async function findSuperseded({ run }: PartitionRun, rows: WrittenRows, failedRows: readonly number[]) {
    const older = metadata.read.parts
      .ofCollection(run.collection_id)
      .filter((part) => part.batch_id !== run.batch_id && part.plugin_id === run.plugin_id)
    if (older.length === 0) return []
    const found = await documents.findSuperseded({
      parts: older.map((part) => ({
        part_id: part.part_id,
        path: join(dataDir, part.file),
        ...(part.dead_file === null ? {} : { dead_file: join(dataDir, part.dead_file) }),
        features: JSON.parse(part.features),
        rows: part.document_rows,
      })),
      lineage: rows.lineage,
      failed_rows: [...failedRows],
    })
    return found.map((dead) => ({ ...dead, dead_file: dead.dead_file.slice(dataDir.length + 1) }))
  }

  async function oneByOne(collectionId: string, step: () => Promise<void>): Promise<void> {
    const before = committing.get(collectionId) ?? Promise.resolve()
    const mine = before.then(step, step)
    committing.set(collectionId, mine)
    try {
      await mine
    } finally {
      if (committing.get(collectionId) === mine) committing.delete(collectionId)
    }
  }

  return commit
}

/** Rows that never reached the worker because their object cannot be an input. */
export function ownFaults(rows: WrittenRows): RowFault[] {
  return rows.failed.map(({ ordinal, object_id, message }) => ({
    ordinal,
    object_id,
    error_type: "validation",
    exception: "InputError",
    message,
    traceback: null,
    stage: "input",
    input: null,
  }))
}
