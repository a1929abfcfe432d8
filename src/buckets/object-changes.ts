import { isRecord } from "../is-record.ts"
import type { StoredBlob } from "../metadata/stored-blobs.ts"

/** A JSON merge: objects key by key, anything else replaces, null removes. */
export function mergeFields(
  stored: Readonly<Record<string, unknown>>,
  change: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged = new Map(Object.entries(stored))
  for (const [key, value] of Object.entries(change)) {
    if (value === null) merged.delete(key)
    else if (isRecord(value)) {
      const before = merged.get(key)
      merged.set(key, mergeFields(isRecord(before) ? before : {}, value))
    } else merged.set(key, value)
  }
  return Object.fromEntries(merged)
}

/** The blobs of a property are replaced together; other properties keep theirs. */
export function mergeBlobs(stored: readonly StoredBlob[], change: readonly StoredBlob[]): StoredBlob[] {
  const changed = new Set(change.map((blob) => blob.property))
  return [...stored.filter((blob) => !changed.has(blob.property)), ...change]
}
