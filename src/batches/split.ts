/** What a partition that ended its worker is cut into. Cut by its rows: those of a retry may be far apart. */
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRange, PartitionRow } from "../metadata/partitions.ts"

type Read = Pick<Metadata["read"], "partitions">

/** Of a partition of more than one row. */
export function halves(read: Read, partition: PartitionRow): PartitionRange[] {
  const middle = read.partitions.ordinalAt(partition, Math.floor(partition.rows_in / 2))
  return cut(read, partition, [middle])
}

/** Its parts between these ordinals, in order, without those that are empty. */
function cut(read: Read, partition: PartitionRow, ordinals: readonly number[]): PartitionRange[] {
  const { first_ordinal: first, end_ordinal: end } = partition
  const bounds = [first, ...ordinals, end]
  const before = bounds.map((ordinal) =>
    ordinal === end ? partition.rows_in : read.partitions.rowsBefore(partition, ordinal),
  )
  return bounds.slice(1).flatMap((until, index) => {
    const rows = (before[index + 1] ?? 0) - (before[index] ?? 0)
    if (rows <= 0) return []
    return [
      {
        ...partition,
        first_ordinal: bounds[index] ?? first,
        end_ordinal: until,
        rows_in: rows,
        deaths: partition.deaths + 1,
      },
    ]
  })
}
