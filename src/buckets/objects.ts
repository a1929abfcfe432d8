/**
 * Objects of a bucket. The way in is always: bytes to disk, held → one transaction that checks, writes and counts → what
 * the transaction stopped naming is removed → a batch, if asked for.
 */
import type { BlobStore, Hold } from "../archives/blobs.ts"
import type { UniqueKeyPolicy } from "../contract/buckets.ts"
import {
  CreateObject,
  type CreateObjectsResponse,
  type ListObjects,
  type ListObjectsResponse,
  type ObjectModel,
} from "../contract/objects.ts"
import type { Page } from "../contract/pagination.ts"
import { ApplianceError, fieldProblems, invalid, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import type { BucketRow } from "../metadata/buckets.ts"
import type { ObjectRow } from "../metadata/objects.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { storedBlobs } from "../metadata/stored-blobs.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { QuotaBook } from "../organizations/quotas.ts"
import type { BlobFiles } from "./blob-files.ts"
import { downloadUrl, objectAnswer, type SignUrl, selectFields } from "./object-answer.ts"
import { mergeBlobs, mergeFields } from "./object-changes.ts"
import {
  assembleDraft,
  type Draft,
  type DraftDeps,
  type OpenBucket,
  openBucket,
  prepareBlobs,
  userFields,
} from "./object-drafts.ts"
import { listObjects } from "./object-listing.ts"
import { countWritten, rewriteObject, type Written, writeObject } from "./object-writes.ts"
import { policyFor } from "./unique-key.ts"

/** Objects of one bulk request whose bytes are decoded and landed at the same time. */
const PREPARED_TOGETHER = 8

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  blobs: BlobStore
  files: BlobFiles
  quotas: Pick<QuotaBook, "demandRoom">
  signUrl: SignUrl
  /** Creates and submits a batch over new objects; called after they are committed (auto_process). */
  startBatch: (namespace: Namespace, bucketId: string, objectIds: readonly string[]) => Promise<void> | void
  now: () => Date
}

export interface CreateOptions {
  readonly policy?: UniqueKeyPolicy | undefined
  readonly autoProcess: boolean
}

type Prepared =
  | { readonly draft: Draft; readonly uploads: readonly string[]; readonly skipDuplicates: boolean }
  | { readonly error: ApplianceError }

export function objects({ metadata, blobs, files, quotas, signUrl, startBatch, now }: Deps) {
  const drafts: DraftDeps = {
    blobs,
    findUpload: (bucketId, uploadId) => {
      const upload = metadata.read.bucketUploads.get(bucketId, uploadId)
      return upload?.status === "COMPLETED" ? upload : undefined
    },
    holdsFile: (bucketId, sha256) => metadata.read.objects.holdsFile(bucketId, sha256),
  }
  const findBucket = (read: Metadata["read"], namespace: Namespace, identifier: string): BucketRow => {
    const row = read.buckets.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("bucket", identifier)
    return row
  }
  const findObject = (read: Metadata["read"], bucketId: string, objectId: string): ObjectRow => {
    const row = read.objects.get(bucketId, objectId)
    if (row === undefined) throw notFound("object", objectId)
    return row
  }
  const presigner = (bucketId: string) => (sha256: string) => downloadUrl(signUrl, bucketId, sha256, now())

  const prepare = async (namespace: Namespace, bucket: OpenBucket, input: unknown, hold: Hold): Promise<Prepared> => {
    try {
      const request = readRequest(input)
      const fields = userFields(request)
      const stored = await prepareBlobs(drafts, namespace, bucket, request.blobs ?? [], hold)
      return {
        draft: assembleDraft(bucket, request.key_prefix ?? null, fields, stored),
        uploads: (request.blobs ?? []).flatMap((blob) => (blob.upload_id == null ? [] : [blob.upload_id])),
        skipDuplicates: request.skip_duplicates ?? false,
      }
    } catch (error) {
      if (error instanceof ApplianceError) return { error }
      throw error
    }
  }

  const write = (
    tx: Transaction,
    bucket: OpenBucket,
    prepared: Prepared,
    policy: UniqueKeyPolicy,
    at: string,
  ): Written => {
    if ("error" in prepared) return { kind: "refused", error: prepared.error }
    const written = writeObject(tx, bucket, prepared.draft, { policy, skipDuplicates: prepared.skipDuplicates }, at)
    if (written.kind === "created" || written.kind === "updated") {
      for (const uploadId of prepared.uploads) tx.write.bucketUploads.adopt(uploadId, written.row.object_id)
    }
    return written
  }

  const settle = async (namespace: Namespace, bucketId: string, written: readonly Written[], autoProcess: boolean) => {
    files.release(
      namespace,
      bucketId,
      written.flatMap((one) => ("released" in one ? one.released : [])),
    )
    const changed = written.flatMap((one) =>
      one.kind === "created" || one.kind === "updated" ? [one.row.object_id] : [],
    )
    if (!autoProcess || changed.length === 0) return {}
    try {
      await startBatch(namespace, bucketId, changed)
      return {}
    } catch (error) {
      // The objects are there, and a refusal now would have them sent again: the answer says that nothing processes them.
      if (error instanceof ApplianceError) return { auto_process_error: error.message }
      throw error
    }
  }

  /** Prepares blobs outside, joins them with the stored object inside the transaction. */
  const change = async (
    namespace: Namespace,
    bucketIdentifier: string,
    objectId: string,
    request: CreateObject,
    join: (
      bucket: OpenBucket,
      stored: ObjectRow,
      fields: Record<string, unknown>,
      blobs: Parameters<typeof mergeBlobs>[1] | null,
    ) => Draft,
  ): Promise<ObjectModel> => {
    const bucket = openBucket(findBucket(metadata.read, namespace, bucketIdentifier))
    findObject(metadata.read, bucket.bucketId, objectId)
    const fields = userFields(request)
    using hold = files.hold()
    const stored = request.blobs == null ? null : await prepareBlobs(drafts, namespace, bucket, request.blobs, hold)
    const at = now().toISOString()
    const written = metadata.transact((tx) => {
      findBucket(tx.read, namespace, bucket.bucketId)
      const row = findObject(tx.read, bucket.bucketId, objectId)
      const rewritten = rewriteObject(tx, bucket, row, join(bucket, row, fields, stored), at)
      if (rewritten.kind === "refused") throw rewritten.error
      countWritten(tx, quotas, bucket, [rewritten], at)
      for (const blob of request.blobs ?? [])
        if (blob.upload_id != null) tx.write.bucketUploads.adopt(blob.upload_id, objectId)
      return rewritten
    })
    await settle(namespace, bucket.bucketId, [written], false)
    return objectAnswer(written.row, null)
  }

  return {
    /**
     * @throws ValidationError, NotFoundError (bucket; or the object that policy update looks for), AlreadyExistsError for a
     * unique key that is taken, BadRequestError without a policy
     */
    async create(
      namespace: Namespace,
      bucketIdentifier: string,
      request: CreateObject,
      options: CreateOptions,
      remember: Remember,
    ): Promise<ObjectModel> {
      const bucket = openBucket(findBucket(metadata.read, namespace, bucketIdentifier))
      const policy = policyFor(bucket.uniqueKey, options.policy)
      using hold = files.hold()
      const prepared = await prepare(namespace, bucket, request, hold)
      if ("error" in prepared) throw prepared.error
      const { written, answer } = metadata.transact((tx) => {
        findBucket(tx.read, namespace, bucket.bucketId)
        const at = now().toISOString()
        const one = write(tx, bucket, prepared, policy, at)
        if (one.kind === "refused") throw one.error
        countWritten(tx, quotas, bucket, [one], at)
        const created = objectAnswer(one.row, null)
        remember(tx, created)
        return { written: one, answer: created }
      })
      return { ...answer, ...(await settle(namespace, bucket.bucketId, [written], options.autoProcess)) }
    },

    /** Up to 100 in one transaction; what is wrong with some is told beside those that were created. */
    async createMany(
      namespace: Namespace,
      bucketIdentifier: string,
      requests: readonly unknown[],
      options: CreateOptions,
      remember: Remember,
    ): Promise<CreateObjectsResponse> {
      const bucket = openBucket(findBucket(metadata.read, namespace, bucketIdentifier))
      const policy = policyFor(bucket.uniqueKey, options.policy)
      using hold = files.hold()
      const prepared: Prepared[] = []
      for (let first = 0; first < requests.length; first += PREPARED_TOGETHER) {
        const slice = requests.slice(first, first + PREPARED_TOGETHER)
        prepared.push(...(await Promise.all(slice.map((request) => prepare(namespace, bucket, request, hold)))))
      }
      const { written, answer } = metadata.transact((tx) => {
        findBucket(tx.read, namespace, bucket.bucketId)
        const at = now().toISOString()
        const all = prepared.map((one) => write(tx, bucket, one, policy, at))
        countWritten(tx, quotas, bucket, all, at)
        const response = bulkAnswer(all)
        remember(tx, response)
        return { written: all, answer: response }
      })
      return { ...answer, ...(await settle(namespace, bucket.bucketId, written, options.autoProcess)) }
    },

    get(namespace: Namespace, bucketIdentifier: string, objectId: string, presign: boolean): ObjectModel {
      const { bucket_id: bucketId } = findBucket(metadata.read, namespace, bucketIdentifier)
      return objectAnswer(findObject(metadata.read, bucketId, objectId), presign ? presigner(bucketId) : null)
    },

    async list(
      namespace: Namespace,
      bucketIdentifier: string,
      page: Page,
      listing: Partial<ListObjects>,
    ): Promise<ListObjectsResponse> {
      const { bucket_id: bucketId, object_count: count } = findBucket(metadata.read, namespace, bucketIdentifier)
      const { rows, pagination } = await listObjects(metadata.read, bucketId, count, page, listing)
      const presign = listing.return_presigned_urls === true || listing.return_url === true ? presigner(bucketId) : null
      const answers = rows.map((row) => objectAnswer(row, presign))
      const { select } = listing
      return {
        results: select == null ? answers : answers.map((answer) => selectFields(answer, select)),
        pagination,
        stats: { total_objects: count },
      }
    },

    /** Blobs, metadata and each named field are replaced; what is not named stays. */
    replace: (namespace: Namespace, bucketIdentifier: string, objectId: string, request: CreateObject) =>
      change(namespace, bucketIdentifier, objectId, request, (bucket, row, fields, stored) =>
        assembleDraft(
          bucket,
          request.key_prefix === undefined ? row.key_prefix : request.key_prefix,
          { ...parseExactly<Record<string, unknown>>(row.fields), ...fields },
          stored ?? storedBlobs(row),
        ),
      ),

    /** Objects are merged key by key, null removes, a property's blobs are replaced by those given for it. */
    patch: (namespace: Namespace, bucketIdentifier: string, objectId: string, request: CreateObject) =>
      change(namespace, bucketIdentifier, objectId, request, (bucket, row, fields, stored) =>
        assembleDraft(
          bucket,
          request.key_prefix === undefined ? row.key_prefix : request.key_prefix,
          mergeFields(parseExactly(row.fields), request.metadata === null ? { ...fields, metadata: null } : fields),
          mergeBlobs(storedBlobs(row), stored ?? []),
        ),
      ),

    remove(namespace: Namespace, bucketIdentifier: string, objectId: string): void {
      const { bucket_id: bucketId } = findBucket(metadata.read, namespace, bucketIdentifier)
      const released = metadata.transact((tx) => {
        const row = findObject(tx.read, bucketId, objectId)
        const hashes = tx.read.objects.files(objectId)
        tx.write.objects.remove(bucketId, objectId)
        tx.write.buckets.countRemoved(bucketId, row.size_bytes)
        return hashes
      })
      files.release(namespace, bucketId, released)
    },
  }
}

export type Objects = ReturnType<typeof objects>

/** Entries of a bulk request come unread; a single request was read already and passes unchanged. */
function readRequest(input: unknown): CreateObject {
  const parsed = CreateObject.safeParse(input)
  if (parsed.success) return parsed.data
  const problems = fieldProblems("body", parsed.error.issues)
  const first = problems[0]
  throw invalid(`The object is not valid at ${first?.location.join(".")}: ${first?.message}`, problems)
}

function bulkAnswer(written: readonly Written[]): CreateObjectsResponse {
  const succeeded = written.flatMap((one) => (one.kind === "refused" ? [] : [objectAnswer(one.row, null)]))
  const failed = written.flatMap((one, index) =>
    one.kind === "refused"
      ? [
          {
            object_index: index,
            error: one.error.message,
            error_type: one.error.type,
            details: one.error.details ?? {},
          },
        ]
      : [],
  )
  return {
    succeeded,
    failed,
    total_requested: written.length,
    succeeded_count: succeeded.length,
    failed_count: failed.length,
  }
}
