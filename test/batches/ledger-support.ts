/** The ledger on a real database, without a server and without workers: what a batch's rows go through. */

import { batchLogs } from "../../src/batches/batch-logs.ts"
import { batches } from "../../src/batches/batches.ts"
import { ledger, type RowFault } from "../../src/batches/ledger.ts"
import { batchProgress } from "../../src/batches/progress.ts"
import type { BatchState } from "../../src/batches/states.ts"
import { suspension } from "../../src/batches/suspension.ts"
import type { CreateBatch } from "../../src/contract/batches.ts"
import { newId } from "../../src/identifiers.ts"
import { createLog } from "../../src/log.ts"
import type { PartitionRow } from "../../src/metadata/partitions.ts"
import type { Namespace } from "../../src/organizations/namespaces.ts"
import type { RegisteredPlugin } from "../../src/plugins/registry.ts"
import { nothing, openDomain } from "../buckets/support.ts"

export function openLedger() {
  const domain = openDomain()
  const { metadata } = domain
  const stopped: string[] = []
  let seconds = 0
  const now = () => new Date(Date.UTC(2026, 0, 10, 12, 0, seconds++))
  const log = createLog("silent")
  const progress = batchProgress(() => performance.now())
  const onStopped = (id: string) => void stopped.push(id)
  let size = 2
  let atLease = Number.POSITIVE_INFINITY
  const book = ledger({
    metadata,
    workersPerNamespace: null,
    rowsPerPartition: () => size,
    rowsAtLease: () => atLease,
    onStopped,
    progress,
    now,
    log,
  })
  const suspended = suspension({ metadata, now, log })
  // Only what is fixed of it at submit is looked at.
  const plugin = { codeHash: "0".repeat(64) } as RegisteredPlugin
  const made = batches({
    metadata,
    ledger: book,
    suspension: suspended,
    now,
    pluginById: () => plugin,
    rowsPerPartition: () => 2,
    progress,
    logs: batchLogs(now),
    onSubmitted: nothing,
    onRetried: nothing,
    onChanged: nothing,
    onCanceled: nothing,
    onSuspended: nothing,
    onResumed: nothing,
  })

  /** A bucket and collections over it; the ledger never looks at its objects. */
  const source = (collections = 1, namespace: Namespace = domain.namespace) => {
    const at = now().toISOString()
    const request = { bucket_name: newId("bkt"), bucket_schema: { properties: { content: { type: "text" as const } } } }
    const bucket = domain.buckets.create(namespace, request, nothing)
    for (let count = 0; count < collections; count++) {
      const collectionId = newId("col")
      metadata.transact((tx) =>
        tx.write.collections.insert(
          {
            collection_id: collectionId,
            namespace_id: namespace.namespaceId,
            collection_name: collectionId,
            description: null,
            source: "{}",
            feature_extractor: '{"feature_extractor_name":"x","version":"1.0.0"}',
            plugin_id: "x_1_0_0",
            input_schema: "{}",
            output_schema: "{}",
            vector_indexes: "[]",
            enabled: 1,
            metadata: null,
            applications: "{}",
            created_at: at,
            updated_at: at,
          },
          { bucketIds: [bucket.bucket_id], collectionIds: [] },
        ),
      )
    }
    return bucket.bucket_id
  }

  const draft = (
    bucketId: string,
    rows: number,
    request: CreateBatch = {},
    namespace: Namespace = domain.namespace,
  ) => {
    const ids = Array.from({ length: rows }, (_, row) => `obj_${row}`)
    return made.create(namespace, bucketId, { object_ids: ids, ...request }, true, nothing).batch_id
  }

  /** Submitted and started, in partitions of so many rows. */
  const start = (
    bucketId: string,
    rows: number,
    partitionRows: number,
    request: CreateBatch = {},
    namespace: Namespace = domain.namespace,
  ): string => {
    const id = draft(bucketId, rows, request, namespace)
    made.submit(namespace, bucketId, id, {})
    book.plan(id)
    size = partitionRows
    book.start(id)
    return id
  }

  return {
    ...domain,
    ledger: book,
    suspension: suspended,
    batches: made,
    source,
    draft,
    start,
    /** From the next lease on. */
    leaseAtMost(rows: number): void {
      atLease = rows
    },
    stopped,
    progress,
    now,
    row: (batchId: string) => {
      const batch = metadata.read.batches.byId(batchId)
      if (batch === undefined) throw new Error(`no batch ${batchId}`)
      return { ...batch, status: batch.status as BatchState }
    },
    /** Of its task. */
    taskStatus: (batchId: string) => {
      const task = metadata.read.batches.byId(batchId)?.task_id
      return task == null ? null : metadata.read.tasks.get(domain.namespace.internalId, null, task)?.status
    },
    /** A partition whose first `failed` rows failed. */
    commit: (partition: PartitionRow, failed = 0): boolean =>
      book.commit(partition, {
        code: { plugin_version: "1.0.0", code_hash: plugin.codeHash },
        part: null,
        superseded: [],
        faults: Array.from({ length: failed }, (_, index) => raised(partition.first_ordinal + index, "obj")),
        done: partition.rows_in - failed,
        skipped: 0,
      }) === "committed",
    /** All rows of the batch's runs: in, done, failed, skipped. */
    counts: (batchId: string) => {
      const runs = metadata.read.batches.runs(batchId)
      const sum = (key: "rows_in" | "rows_done" | "rows_failed" | "rows_skipped") =>
        runs.reduce((total, run) => total + run[key], 0)
      return [sum("rows_in"), sum("rows_done"), sum("rows_failed"), sum("rows_skipped")]
    },
  }
}

export const raised = (ordinal: number, objectId: string): RowFault => ({
  ordinal,
  object_id: objectId,
  error_type: "runtime",
  exception: "ValueError",
  message: "no",
  traceback: null,
  stage: null,
  input: null,
})

export type OpenLedger = ReturnType<typeof openLedger>

export function leased(partition: PartitionRow | null): PartitionRow {
  if (partition === null) throw new Error("nothing was leased")
  return partition
}
