/**
 * What a collection has processed with which code, so that a trigger takes only the new and changed. No row per object or
 * document: every write of an object has a number, and a mark per (collection, bucket, code) says how far runs have come; of
 * what collections made, which never changes, there is a mark per (collection, part, code). Marks are made in the transaction
 * that ends a run, so a kill can only leave too few: then objects and documents are done once more, never left out.
 */
import { codeFingerprint } from "../collections/fingerprint.ts"
import { parseExactly } from "../exact-json.ts"
import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { sha256 } from "../sha256.ts"

type Read = Metadata["read"]
/** The code of a run as it was fixed at submit. */
type Code = Pick<RunRow, "collection_id" | "plugin_id" | "code_hash" | "feature_extractor">

/** Members of an explicit batch up to which it is asked whether they are all that changed (auto_process). */
const MAX_COMPARED = 10_000

interface Claim {
  readonly fingerprint: string
  readonly after: number
  readonly end: number
}

/**
 * The change after which an incremental run of this code begins. What runs under way have in hand is left to them: when
 * they fail, the mark stays before it and the next trigger takes it.
 */
export function unprocessedAfter(read: Read, code: Code, bucketId: string, filters: string | null): number {
  const whole = keyOf(code, bucketId, null)
  const done = read.processedChanges.get(whole)?.change ?? 0
  if (filters === null) return read.processedChanges.inHand(whole, done)
  return Math.max(done, read.processedChanges.get(keyOf(code, bucketId, filters))?.change ?? 0)
}

/** What the run will have processed when it ends well; null when that is nothing that a later trigger could build on. */
export function claimOf(read: Read, batch: BatchRow, code: Code): Claim | null {
  const { bucket_id: bucketId, membership_filters: filters } = batch
  const end = read.objects.lastChange()
  if (batch.membership === "bucket") {
    if (batch.membership_limit !== null) return null
    const { fingerprint } = keyOf(code, bucketId, filters)
    // What a filtered run leaves out was processed already, so it stands for all that fits.
    return { fingerprint, after: filters === null ? (batch.changes_after ?? 0) : 0, end }
  }
  if (batch.object_count > MAX_COMPARED || filters !== null) return null
  const { fingerprint } = keyOf(code, bucketId, null)
  const after = unprocessedAfter(read, code, bucketId, null)
  return read.objects.areMembers(bucketId, after, batch.batch_id) ? { fingerprint, after, end } : null
}

/** The parts of the collection's sources that an incremental run of this code takes. `filters` are the request's, as JSON. */
export function unprocessedParts(
  read: Read,
  code: Code,
  sources: readonly string[],
  filters: string | null,
): readonly string[] {
  return read.processedParts.left(partsKey(code, fingerprintOf(code, filters)), sources)
}

/** Called before what a run of this code will have processed is claimed, or rows of another are run again in it. */
export function enterCode(tx: Transaction, code: Code): void {
  const { collection_id: collectionId, plugin_id: pluginId, code_hash: codeHash } = code
  tx.write.processedCode.enter({ collectionId, pluginId, codeHash, code: fingerprintOf(code, null) })
}

/** Called when a run over documents is submitted. `claim` is null for one that proves nothing of the parts that it reads. */
export function claimParts(
  tx: Transaction,
  batchId: string,
  code: Code,
  claim: { readonly filters: string | null } | null,
): void {
  if (claim === null) return
  const fingerprint = fingerprintOf(code, claim.filters)
  tx.write.batches.claim(batchId, code.collection_id, { fingerprint, after: null, end: null })
}

/** Called in the transaction in which a run ended with every row done, or failed on its own. */
export function recordProcessed(tx: Transaction, batch: BatchRow, run: RunRow, at: string): void {
  const { fingerprint, changes_after: after, changes_end: end } = run
  if (fingerprint === null) return
  if (run.source !== null) tx.write.processedParts.add(run.batch_id, partsKey(run, fingerprint), run.plugin_id)
  if (after === null || end === null) return
  const key = { collectionId: run.collection_id, bucketId: batch.bucket_id, fingerprint }
  const plugin = { pluginId: run.plugin_id, filtered: batch.membership_filters !== null }
  tx.write.processedChanges.add(key, plugin, after, end, at)
  const reached = tx.read.processedChanges.get(key)?.change
  if (reached === undefined) return
  // Runs that went on where this one was to end, and ended before it.
  const further = tx.read.processedChanges.done(key, reached)
  if (further > reached) tx.write.processedChanges.add(key, plugin, reached, further, at)
}

function keyOf(code: Code, bucketId: string, filters: string | null) {
  return { collectionId: code.collection_id, bucketId, fingerprint: fingerprintOf(code, filters) }
}

function partsKey(code: Code, fingerprint: string) {
  return { collectionId: code.collection_id, code: fingerprintOf(code, null), fingerprint }
}

function fingerprintOf(code: Code, filters: string | null): string {
  const own = codeFingerprint(code.plugin_id, code.code_hash, parseExactly(code.feature_extractor))
  return filters === null ? own : sha256(`${own}\n${filters}`)
}
