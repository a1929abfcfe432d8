/** What a commit was made of and what must not have changed since: the transaction asks, and what has is looked at again. */
import type { Metadata } from "../metadata/open.ts"

export interface RestsOn {
  /** Parts, with their dead files as they were looked at; undefined was gone. */
  readonly parts: ReadonlyMap<string, string | null | undefined>
  /**
   * Objects of this bucket: how many had been deleted when it was asked which of them are there, and which these were; null where
   * none had been since the rows were read. Somebody who deletes other objects all the time must not put a commit off for ever.
   */
  readonly bucket: {
    readonly bucket_id: string
    readonly removals: number
    readonly there: readonly string[] | null
  } | null
}

export function stillHolds(
  read: Pick<Metadata["read"], "buckets" | "objects" | "parts">,
  { parts, bucket }: RestsOn,
): boolean {
  for (const [partId, deadFile] of parts) if (read.parts.deadFile(partId) !== deadFile) return false
  if (bucket === null || read.buckets.removals(bucket.bucket_id) === bucket.removals) return true
  return bucket.there !== null && read.objects.gone(bucket.there).length === 0
}
