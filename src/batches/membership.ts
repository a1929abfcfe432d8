import type { Filter } from "../filtering.ts"
import type { BatchRow } from "../metadata/batches.ts"
import type { Metadata } from "../metadata/open.ts"

/** Objects looked at per transaction: one of two million ids would block the event loop for seconds (architecture.md §4). */
const MEMBERSHIP_SLICE = 10_000

interface Slice {
  readonly objectIds: readonly string[]
  /** Where the next slice begins. */
  readonly until: number
}

/**
 * The next members of a batch that selects its objects: of all in the order of arrival, or of the new and changed in the
 * order of changes. An object that is written meanwhile moves behind the end, for the next trigger. Null when none is left.
 */
export function membershipSlice(
  { objects }: Metadata["read"],
  { bucket_id: bucketId, membership_next: after, changes_after: changesAfter }: BatchRow,
  end: number,
  room: number,
  filter: Filter | null,
): Slice | null {
  // A slice is bounded by what is looked at, not by what passes: a filter that fits little must not block the loop.
  const through =
    changesAfter === null
      ? objects.scanEnd(bucketId, after, MEMBERSHIP_SLICE)
      : objects.changeScanEnd(bucketId, after, MEMBERSHIP_SLICE)
  if (through === null) return null
  const until = Math.min(through, end)
  const slice =
    changesAfter === null
      ? objects.membershipSlice(bucketId, after, until, room, filter)
      : objects.changedSlice(bucketId, after, until, room, filter)
  return { objectIds: slice.map((object) => object.object_id), until }
}
