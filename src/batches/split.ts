/**
 * How a partition is cut: to the rows that it is leased with; and, when its worker died or ran out of memory, until the row stands
 * alone, where it does not go on with fewer rows a call. The call that it died in is known mostly and cut out at once; where it is
 * not, or where what is said of it cannot be, the partition is halved. Cut by rows, not by ordinals: those of a retry may be far apart.
 */
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { PartitionRange, PartitionRow } from "../metadata/partitions.ts"
import type { CallMark } from "./call-mark.ts"

type Read = Pick<Metadata["read"], "batches" | "objects" | "partitions">

/** A call after so many of its size that went well has rows that are the reason, not its size. */
const STEADY_CALLS = 2

export interface Death {
  readonly call: CallMark | null
  /** Of too little memory. */
  readonly memory: boolean
  /** Rows a call had at most; null: as many as the steps take. */
  readonly batchRows: number | null
}

export type Continuation =
  | { readonly kind: "alone" }
  | { readonly kind: "narrow"; readonly batch_rows: number | null; readonly suspect: 0 | 1 }
  | { readonly kind: "split"; readonly parts: readonly PartitionRange[] }

export function continuation(
  read: Read,
  partition: PartitionRow,
  { call: told, memory, batchRows }: Death,
): Continuation {
  if (partition.rows_in === 1) return { kind: "alone" }
  const call = told !== null && told.first >= partition.first_ordinal && told.last < partition.end_ordinal ? told : null
  if (call === null) return { kind: "split", parts: halves(read, partition) }
  const rows = Math.min(call.rows, batchRows ?? call.rows, partition.rows_in)
  if (memory && rows > 1) {
    const fewer = Math.floor(rows / 2)
    if (call.calls <= STEADY_CALLS) return { kind: "narrow", batch_rows: fewer, suspect: 0 }
    return { kind: "split", parts: around(read, partition, call, { batch_rows: fewer, suspect: 0 }) }
  }
  const parts = around(read, partition, call, { batch_rows: null, suspect: 1 })
  if (parts.length > 1) return { kind: "split", parts }
  // All its rows are that one call: they are tried one by one, and after that no such word is taken.
  if (partition.suspect === 0) return { kind: "narrow", batch_rows: partition.batch_rows, suspect: 1 }
  return { kind: "split", parts: halves(read, partition) }
}

/** Of a partition of more than one row. */
export function halves(read: Read, partition: PartitionRow): PartitionRange[] {
  const middle = read.partitions.ordinalAt(partition, Math.floor(partition.rows_in / 2))
  return cut(read, partition, [middle])
}

/** A partition that waits, with `most` rows or fewer; the others wait in one of their own, whose size is decided at its turn. */
export function withAtMost(tx: Transaction, partition: PartitionRow, most: number): PartitionRow {
  if (partition.rows_in <= most) return partition
  const [front = partition, ...rest] = cut(
    tx.read,
    partition,
    [tx.read.partitions.ordinalAt(partition, most)],
    partition.deaths,
  )
  tx.write.partitions.shorten(partition.partition_id, front)
  for (const range of rest) tx.write.partitions.insert(range)
  return { ...partition, ...front }
}

/** The rows before the call as they were, the call's rows by themselves and otherwise, and those behind it. */
function around(
  read: Read,
  partition: PartitionRow,
  { first, last }: CallMark,
  ofCall: Pick<PartitionRange, "batch_rows" | "suspect">,
): PartitionRange[] {
  // What went well beside it says nothing of how many rows are too many.
  const outside = { batch_rows: null, suspect: 0 as const }
  return cut(read, partition, [first, last + 1]).map((part) => ({
    ...part,
    ...(part.first_ordinal === first ? ofCall : outside),
  }))
}

/** Its parts between these ordinals, in order, without those that are empty. */
function cut(
  read: Read,
  partition: PartitionRow,
  ordinals: readonly number[],
  deaths = partition.deaths + 1,
): PartitionRange[] {
  const { first_ordinal: first, end_ordinal: end, rows_in: all } = partition
  const bounds = [first, ...ordinals, end]
  const before = bounds.map((ordinal) => (ordinal === end ? all : read.partitions.rowsBefore(partition, ordinal)))
  return bounds.slice(1).flatMap((until, index) => {
    const placeBefore = before[index] ?? 0
    const rows = (before[index + 1] ?? 0) - placeBefore
    if (rows <= 0) return []
    return [
      {
        ...partition,
        first_ordinal: bounds[index] ?? first,
        end_ordinal: until,
        after_seq: seqAt(read, partition, placeBefore),
        until_seq: until === end ? partition.until_seq : seqAt(read, partition, before[index + 1] ?? 0),
        rows_in: rows,
        deaths,
      },
    ]
  })
}

/** Of a partition of a whole bucket: up to which object so many come first. Of those that are there: others may have gone. */
function seqAt(read: Read, partition: PartitionRow, rows: number): number | null {
  const { batch_id: batchId, after_seq: after, until_seq: until } = partition
  if (after === null || until === null || rows === 0) return after
  const bucketId = read.batches.byId(batchId)?.bucket_id ?? ""
  return read.objects.stretch(bucketId, after, until, rows).last ?? until
}
