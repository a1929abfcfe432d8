import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { Metadata } from "../metadata/open.ts"

/** Fewer rows than this are not worth a worker's hop, when they are small. */
const MIN_PARTITION_ROWS = 500
/**
 * Of a partition's objects, texts and files together: what is read, held on disk, done again after a death and told as one step
 * of progress. A hundred photographs, some videos, or 16,000 texts of 4 KB.
 * Of documents the stored size counts, compressed texts and vectors.
 */
const PARTITION_BYTES = 64 * 1024 ** 2

/** Rows in a partition of a run of so many: enough partitions to keep all workers busy, none larger than the setting. */
export function rowsPerPartition(
  { partitionRows, workers }: { readonly partitionRows: number; readonly workers: number },
  rows: number,
  bytesPerRow: number,
): number {
  const byCount = Math.min(partitionRows, Math.max(MIN_PARTITION_ROWS, Math.ceil(rows / (workers * 4))))
  if (bytesPerRow === 0) return byCount
  return Math.max(1, Math.min(byCount, Math.floor(PARTITION_BYTES / bytesPerRow)))
}

/** On average, of a run's rows: of the objects of its batch's bucket, or of the documents that it reads; 0 when that is not known. */
export function bytesPerRow(
  read: Pick<Metadata["read"], "buckets" | "runSources">,
  batch: BatchRow,
  run: Pick<RunRow, "collection_id" | "source">,
): number {
  if (run.source !== null) return read.runSources.bytesPerRow(batch.batch_id, run.collection_id)
  const bucket = read.buckets.get(batch.namespace_id, batch.bucket_id)
  return bucket === undefined || bucket.object_count === 0 ? 0 : bucket.total_size_bytes / bucket.object_count
}
