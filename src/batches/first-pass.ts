import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { Transaction } from "../metadata/open.ts"

/** Partitions over the run's rows from `from` on. */
export function insertFirstPass(
  tx: Transaction,
  batch: BatchRow,
  { batch_id, collection_id, source }: Pick<RunRow, "batch_id" | "collection_id" | "source">,
  from: number,
  rows: number,
  size: number,
): void {
  const insert = (first_ordinal: number, rows_in: number, after_seq: number | null, until_seq: number | null) =>
    tx.write.partitions.insert({
      batch_id,
      collection_id,
      first_ordinal,
      end_ordinal: first_ordinal + rows_in,
      after_seq,
      until_seq,
      retry: 0,
      rows_in,
      deaths: 0,
      batch_rows: null,
      suspect: 0,
    })
  let after = 0
  for (let first = from; first < rows; first += size) {
    const left = Math.min(size, rows - first)
    if (source !== null || batch.whole_bucket === 0) {
      insert(first, left, null, null)
      continue
    }
    // What has gone since it was counted is in the last partition, where it will be skipped.
    const end = batch.membership_end ?? 0
    const { last } = tx.read.objects.stretch(batch.bucket_id, after, end, left)
    const until = last === null || first + left >= rows ? end : last
    insert(first, left, after, until)
    after = until
  }
}
