/**
 * What was removed goes away here, in bounded slices between requests: contents of deleted namespaces, buckets and
 * collections, their idle workers and those of deleted plugins, expired idempotency keys. Everything it takes is invisible already, and every step may be repeated.
 */
import { setImmediate as nextTurn } from "node:timers/promises"
import type { BucketUploads } from "../buckets/bucket-uploads.ts"
import type { Buckets } from "../buckets/buckets.ts"
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"

const SLICE_ROWS = 2000
const EVERY_MS = 60_000
/** Longer than any query or commit runs. */
const DOCUMENT_FILES_MS = 3600_000

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  buckets: Pick<Buckets, "removed" | "sweepBucket">
  uploads: Pick<BucketUploads, "expire">
  /** Ends live batches and their workers. */
  endBatches: (batchIds: readonly string[]) => void
  /** Ends one collection's share of live batches and its workers; what the batches do for others goes on. */
  endRuns: (batchIds: readonly string[], collectionId: string) => void
  /** Ends idle workers of collections and plugins that are gone. */
  endUnwantedWorkers: () => Promise<void>
  removeCollectionFiles: (collection: { org_id: string; namespace_id: string; collection_id: string }) => Promise<void>
  /** Removes files of documents that no row names and that are older than this. */
  sweepDocuments: (minAgeMs: number) => Promise<number>
  erasePlugins: (namespace: { orgId: string; namespaceId: string }) => Promise<void>
  sweepIdempotency: () => void
  /** Removes environments that no plugin has named for long. */
  collectEnvironments: () => Promise<unknown>
  now: () => Date
  log: Log
}

export function sweeper(deps: Deps) {
  const { metadata, buckets, endBatches, now, log } = deps
  let running: Promise<void> | null = null
  let again = false
  let stopped = false
  let documentsSwept = now().getTime()
  const timer = setInterval(() => soon(), EVERY_MS)

  function soon(): void {
    if (stopped) return
    if (running !== null) {
      again = true
      return
    }
    running = sweep()
      .catch((error: unknown) => log.error({ event: "sweep_failed", err: error }, "sweep failed; it is tried again"))
      .finally(() => {
        running = null
        if (!again) return
        again = false
        soon()
      })
  }

  async function sweep(): Promise<void> {
    deps.sweepIdempotency()
    while (!stopped && deps.uploads.expire(SLICE_ROWS) === SLICE_ROWS) await nextTurn()
    const gone = metadata.read.organizations.removedNamespaces()
    for (const { namespace_id: id } of gone) {
      endBatches(metadata.read.batches.liveOf(id))
      metadata.transact((tx) => tx.write.collections.removeAll(id, now().toISOString()))
    }
    await deps.endUnwantedWorkers()
    for (const collection of metadata.read.collections.removed()) {
      if (stopped) return
      deps.endRuns(metadata.read.batches.liveOf(collection.collection_id), collection.collection_id)
      metadata.transact((tx) => tx.write.parts.removeOf(collection.collection_id))
      await deps.removeCollectionFiles(collection)
      metadata.transact((tx) => tx.write.collections.eraseIfUnreferenced(collection.collection_id))
    }
    for (const { bucket_id: id } of buckets.removed()) {
      endBatches(metadata.read.batches.liveOf(id))
      while (!stopped && (await buckets.sweepBucket(id, SLICE_ROWS))) await nextTurn()
    }
    for (const namespace of gone) {
      if (stopped) return
      await eraseNamespace(namespace)
    }
    await deps.collectEnvironments()
    if (now().getTime() - documentsSwept < DOCUMENT_FILES_MS) return
    documentsSwept = now().getTime()
    await deps.sweepDocuments(DOCUMENT_FILES_MS)
  }

  async function eraseNamespace({
    namespace_id: id,
    org_id: orgId,
  }: {
    namespace_id: string
    org_id: string
  }): Promise<void> {
    for (const batchId of metadata.read.batches.of(id)) {
      metadata.transact((tx) => tx.write.batches.erase(batchId))
      await nextTurn()
    }
    await deps.erasePlugins({ orgId, namespaceId: id })
    metadata.transact((tx) => {
      for (const collection of tx.read.collections.removed()) {
        if (collection.namespace_id === id) tx.write.collections.eraseIfUnreferenced(collection.collection_id)
      }
      tx.write.buckets.eraseAll(id)
      tx.write.batchSizes.removeOf(id)
      tx.write.organizations.eraseNamespace(id)
      tx.write.tasks.finishDeletion(id, now().toISOString())
    })
  }

  return {
    soon,
    async [Symbol.asyncDispose]() {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}
