/**
 * What the workers of a batch print, the newest lines of each batch. In memory, and gone with a restart: the server's own log has the
 * same lines for good, at level debug.
 */
import type { BatchLogLine } from "../contract/batches.ts"
import { newestLines } from "../newest-lines.ts"

/** Together 32 MiB of text in characters of two bytes, however many batches print. */
const BOUNDS = { lines: 1_000, characters: 256 * 1024, keys: 64 }

export function batchLogs(now: () => Date) {
  const logs = newestLines<BatchLogLine>(BOUNDS)
  return {
    add(batchId: string, line: Omit<BatchLogLine, "time">): void {
      logs.open(batchId)
      logs.add(batchId, { time: now().toISOString(), ...line })
    },

    /** Oldest first, the newest `limit` of those of the named collections. */
    read: (batchId: string, limit: number, collectionIds: readonly string[]): BatchLogLine[] =>
      logs.read(batchId, limit, (line) => collectionIds.includes(line.collection_id)),

    forget: logs.forget,
  }
}

export type BatchLogs = ReturnType<typeof batchLogs>
