/** Which stored files are named, and what happens to those that no longer are. */
import type { BlobScope, BlobStore, Hold } from "../archives/blobs.ts"
import { notFound } from "../errors.ts"
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import { storedBlobs } from "../metadata/stored-blobs.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  blobs: BlobStore
  log: Log
}

export interface BlobDownload {
  readonly file: Blob
  readonly bytes: number
  readonly mimeType: string
  readonly filename: string
  readonly sha256: string
}

export function blobFiles({ metadata, blobs, log }: Deps) {
  const isNamed = (bucketId: string, sha256: string) =>
    metadata.read.objects.holdsFile(bucketId, sha256) || metadata.read.bucketUploads.holds(bucketId, sha256)

  /** After the transaction that stopped naming them: what nothing else names goes away. */
  const release = (scope: BlobScope, bucketId: string, hashes: Iterable<string>): void => {
    for (const sha256 of hashes) {
      try {
        blobs.removeUnnamed(scope, bucketId, sha256, () => isNamed(bucketId, sha256))
      } catch (error) {
        // What the caller asked for is done; the file is found again by the sweep of the next start.
        log.warn({ event: "blob_not_removed", bucket_id: bucketId, sha256, err: error }, "a blob file was not removed")
      }
    }
  }

  return {
    release,

    /** For one request: files are kept until it ends, and those that it landed without naming them go then. */
    hold(): Hold {
      const inner = blobs.hold()
      const mine: { scope: BlobScope; bucketId: string; sha256: string }[] = []
      return {
        add(scope, bucketId, sha256) {
          inner.add(scope, bucketId, sha256)
          mine.push({ scope, bucketId, sha256 })
        },
        [Symbol.dispose]() {
          inner[Symbol.dispose]()
          for (const { scope, bucketId, sha256 } of mine.splice(0)) release(scope, bucketId, [sha256])
        },
      }
    },

    /** A file for its signed download URL. @throws NotFoundError when no object of a visible bucket has it */
    async open(bucketId: string, sha256: string): Promise<BlobDownload> {
      const place = metadata.read.buckets.place(bucketId)
      const owner = metadata.read.objects.fileOwner(bucketId, sha256)
      if (place === undefined || place.deleted_at !== null || owner === undefined) throw notFound("blob", sha256)
      const scope = { orgId: place.org_id, namespaceId: place.namespace_id }
      const bytes = await blobs.size(scope, bucketId, sha256)
      if (bytes === null) throw notFound("blob", sha256)
      const details = storedBlobs(owner).find((blob) => blob.sha256 === sha256)?.details
      return {
        file: Bun.file(blobs.path(scope, bucketId, sha256)),
        bytes,
        mimeType: details?.mime_type ?? "application/octet-stream",
        filename: details?.filename ?? sha256,
        sha256,
      }
    },

    /** Once per start, in the background: files a crash left, older than `startedAt`. Answers how many went. */
    sweepBlobs: (startedAt: Date): Promise<number> =>
      blobs.sweep(startedAt, (bucketId) => metadata.read.buckets.place(bucketId)?.swept_at === null, isNamed),
  }
}

export type BlobFiles = ReturnType<typeof blobFiles>
