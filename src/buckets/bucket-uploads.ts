/**
 * Files that come by a signed URL: reserve → PUT streamed to disk under its hash → confirm, which compares what came with
 * what was announced and makes an object of it. Until then the upload's row is what keeps the bytes.
 */
import { type BlobStore, BrokenBody, type Hold, TooManyBytes } from "../archives/blobs.ts"
import type {
  BucketUploadModel,
  ConfirmBucketUpload,
  ConfirmedBucketUpload,
  CreateBucketUpload,
} from "../contract/bucket-uploads.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { newId } from "../identifiers.ts"
import type { BucketUploadRow } from "../metadata/bucket-uploads.ts"
import type { BucketRow } from "../metadata/buckets.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { QuotaBook } from "../organizations/quotas.ts"
import type { BlobFiles } from "./blob-files.ts"
import { downloadUrl, type SignUrl } from "./object-answer.ts"
import { assembleDraft, type DraftDeps, type OpenBucket, openBucket, prepareBlobs } from "./object-drafts.ts"
import { countWritten, writeObject } from "./object-writes.ts"
import { uploadAnswer, uploadTotals } from "./upload-answer.ts"
import { uploadTarget } from "./upload-target.ts"

/** An upload that was never confirmed is given up this long after its URL ended. */
const ABANDONED_AFTER_MS = 24 * 3600 * 1000

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  blobs: BlobStore
  files: BlobFiles
  quotas: Pick<QuotaBook, "demandRoom">
  signUrl: SignUrl
  /** Largest body of a signed PUT, in bytes. */
  uploadBytes: number
  now: () => Date
}

export function bucketUploads({ metadata, blobs, files, quotas, signUrl, uploadBytes, now }: Deps) {
  const findBucket = (namespace: Namespace, identifier: string): BucketRow => {
    const row = metadata.read.buckets.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("bucket", identifier)
    return row
  }
  const find = (bucketId: string, uploadId: string): BucketUploadRow => {
    const row = metadata.read.bucketUploads.get(bucketId, uploadId)
    if (row === undefined) throw notFound("upload", uploadId)
    return row
  }
  /** A PUT while it waits for bytes, a GET once an object has them. */
  const signedUrl = (row: BucketUploadRow): string | null => {
    const expiresAt = new Date(row.expires_at)
    if (row.status === "PENDING" && expiresAt > now()) {
      return signUrl({ method: "PUT", path: `objects/${row.upload_id}`, expiresAt, size: row.file_size_bytes })
    }
    const inObject = row.sha256 !== null && metadata.read.objects.holdsFile(row.bucket_id, row.sha256)
    return inObject && row.sha256 !== null ? downloadUrl(signUrl, row.bucket_id, row.sha256, now()) : null
  }
  const stillThere = (row: BucketUploadRow | undefined): row is BucketUploadRow =>
    row?.sha256 != null &&
    (metadata.read.objects.holdsFile(row.bucket_id, row.sha256) ||
      metadata.read.bucketUploads.holds(row.bucket_id, row.sha256))

  /** The object for a confirmed upload, its bytes held; null when the upload is to make none. */
  const prepare = async (namespace: Namespace, bucket: OpenBucket, upload: BucketUploadRow, hold: Hold) => {
    if (upload.create_object_on_confirm === 0) return null
    const drafts: DraftDeps = { blobs, findUpload: () => upload, holdsFile: () => false }
    const request = { property: upload.blob_property, type: upload.blob_type, upload_id: upload.upload_id }
    const stored = await prepareBlobs(drafts, namespace, bucket, [request], hold)
    const given: Record<string, unknown> =
      upload.object_metadata === null ? {} : { metadata: parseExactly<Record<string, unknown>>(upload.object_metadata) }
    return assembleDraft(bucket, null, given, stored)
  }

  return {
    /** @throws ValidationError when the file could not become a blob of this bucket; PayloadTooLargeError */
    create(
      namespace: Namespace,
      bucketIdentifier: string,
      request: CreateBucketUpload,
      remember: Remember,
    ): BucketUploadModel {
      const bucket = findBucket(namespace, bucketIdentifier)
      if ((request.file_size_bytes ?? 0) > uploadBytes) throw tooLarge(uploadBytes)
      const target = uploadTarget(request, openBucket(bucket).schema)
      const hash = request.file_hash ?? null
      const twin =
        hash !== null && request.skip_duplicates
          ? metadata.read.bucketUploads.completed(bucket.bucket_id, hash)
          : undefined
      if (stillThere(twin)) return uploadAnswer(namespace, twin, { presignedUrl: null, duplicateOf: twin })
      const at = now()
      const row: BucketUploadRow = {
        upload_id: newId("upl"),
        bucket_id: bucket.bucket_id,
        filename: request.filename,
        content_type: request.content_type,
        file_size_bytes: request.file_size_bytes ?? null,
        presigned_url_expiration: request.presigned_url_expiration,
        metadata: JSON.stringify(request.metadata ?? {}),
        create_object_on_confirm: request.create_object_on_confirm ? 1 : 0,
        object_metadata: request.object_metadata == null ? null : JSON.stringify(request.object_metadata),
        blob_property: target.property,
        blob_type: target.type,
        file_hash: hash,
        skip_duplicates: request.skip_duplicates ? 1 : 0,
        status: "PENDING",
        etag: null,
        received_bytes: null,
        sha256: null,
        object_id: null,
        message: null,
        expires_at: new Date(at.getTime() + request.presigned_url_expiration * 1000).toISOString(),
        created_at: at.toISOString(),
        completed_at: null,
      }
      return metadata.transact((tx) => {
        if (tx.read.buckets.get(namespace.namespaceId, bucket.bucket_id) === undefined)
          throw notFound("bucket", bucketIdentifier)
        quotas.demandRoom(tx.read, namespace.namespaceId, { bytes: row.file_size_bytes ?? 0 })
        tx.write.bucketUploads.insert(row)
        const answer = uploadAnswer(namespace, row, { presignedUrl: signedUrl(row), duplicateOf: null })
        remember(tx, answer)
        return answer
      })
    },

    /**
     * The body of a signed PUT, `announced` its Content-Length, `size` what the URL was signed for. A stream that breaks off leaves nothing, and what came before stays valid.
     * @throws NotFoundError, PayloadTooLargeError, BadRequestError for an empty body or a finished upload
     */
    async receive(
      uploadId: string,
      stream: AsyncIterable<Uint8Array> | null,
      { announced, size = null }: { readonly announced: number | null; readonly size?: number | null },
    ): Promise<{ etag: string }> {
      const upload = metadata.read.bucketUploads.byId(uploadId)
      const place = upload === undefined ? undefined : metadata.read.buckets.place(upload.bucket_id)
      if (upload === undefined || place === undefined || place.deleted_at !== null) throw notFound("upload", uploadId)
      if (upload.status !== "PENDING") throw finished(upload)
      if (stream === null) throw new ApplianceError("BadRequestError", "The body is empty; PUT the file's bytes.")
      const scope = { orgId: place.org_id, namespaceId: place.namespace_id }
      using hold = files.hold()
      const maxBytes = Math.min(uploadBytes, size ?? uploadBytes)
      if ((announced ?? 0) > maxBytes) throw tooLarge(maxBytes)
      const body = { stream, announced, maxBytes }
      const received = await blobs.receive(scope, upload.bucket_id, body, hold).catch((error: unknown) => {
        throw bodyError(error, maxBytes)
      })
      const taken = metadata.transact((tx) => {
        const current = tx.read.bucketUploads.byId(uploadId)
        const fits = received.bytes > 0 && current !== undefined
        const growth = received.bytes - (current?.received_bytes ?? 0)
        if (fits) quotas.demandRoom(tx.read, scope.namespaceId, { bytes: growth })
        return fits && tx.write.bucketUploads.receive(uploadId, received.md5, received.bytes, received.sha256)
          ? current
          : null
      })
      if (taken?.sha256 != null) files.release(scope, upload.bucket_id, [taken.sha256])
      if (received.bytes === 0) throw new ApplianceError("BadRequestError", "The body is empty; PUT the file's bytes.")
      if (taken === null) throw finished(metadata.read.bucketUploads.byId(uploadId) ?? upload)
      return { etag: received.md5 }
    },

    /** Repeatable: a completed upload answers as it did. @throws BadRequestError when the bytes are not those announced */
    async confirm(
      namespace: Namespace,
      bucketIdentifier: string,
      uploadId: string,
      request: ConfirmBucketUpload,
    ): Promise<ConfirmedBucketUpload> {
      const bucketRow = findBucket(namespace, bucketIdentifier)
      const upload = find(bucketRow.bucket_id, uploadId)
      if (upload.status === "COMPLETED") return confirmed(upload)
      if (upload.status === "FAILED") throw finished(upload)
      const sha256 = checkReceived(upload, request)
      const bucket = openBucket(bucketRow)
      using hold = files.hold()
      const twin =
        upload.skip_duplicates === 1 ? metadata.read.bucketUploads.completed(bucket.bucketId, sha256) : undefined
      const draft = twin?.object_id == null ? await prepare(namespace, bucket, upload, hold) : null
      const at = now().toISOString()
      const released = metadata.transact((tx) => {
        if (tx.read.buckets.get(namespace.namespaceId, bucket.bucketId) === undefined)
          throw notFound("bucket", bucketIdentifier)
        const existing = twin?.object_id == null ? undefined : tx.read.objects.get(bucket.bucketId, twin.object_id)
        if (existing !== undefined && twin !== undefined) {
          const message = `The same file came as ${twin.upload_id}; its object is answered.`
          if (!tx.write.bucketUploads.complete(uploadId, sha256, existing.object_id, message, at))
            throw changed(uploadId)
          return []
        }
        const choice = { policy: bucket.uniqueKey?.default_policy ?? ("insert" as const), skipDuplicates: false }
        const written = draft === null ? null : writeObject(tx, bucket, draft, choice, at)
        if (written?.kind === "refused") throw written.error
        const objectId = written?.row.object_id ?? null
        if (!tx.write.bucketUploads.complete(uploadId, sha256, objectId, null, at)) throw changed(uploadId)
        // After the upload is no more an open one, whose bytes count too.
        if (written !== null) countWritten(tx, quotas, bucket, [written], at)
        return written !== null && "released" in written ? written.released : []
      })
      files.release(namespace, bucket.bucketId, released)
      return confirmed(find(bucket.bucketId, uploadId))
    },

    get(namespace: Namespace, bucketIdentifier: string, uploadId: string, presign: boolean): BucketUploadModel {
      const row = find(findBucket(namespace, bucketIdentifier).bucket_id, uploadId)
      return uploadAnswer(namespace, row, { presignedUrl: presign ? signedUrl(row) : null, duplicateOf: null })
    },

    /** The newest 10,000, with counts over all. */
    list(namespace: Namespace, bucketIdentifier: string, presign: boolean) {
      const { bucket_id: bucketId } = findBucket(namespace, bucketIdentifier)
      return {
        results: metadata.read.bucketUploads
          .list(bucketId)
          .map((row) =>
            uploadAnswer(namespace, row, { presignedUrl: presign ? signedUrl(row) : null, duplicateOf: null }),
          ),
        stats: uploadTotals(metadata.read.bucketUploads.totals(bucketId)),
      }
    },

    /** The bytes go with it. @throws BadRequestError for a completed one: its object is what to delete */
    remove(namespace: Namespace, bucketIdentifier: string, uploadId: string): void {
      const { bucket_id: bucketId } = findBucket(namespace, bucketIdentifier)
      const row = find(bucketId, uploadId)
      if (!metadata.transact((tx) => tx.write.bucketUploads.remove(uploadId))) throw finished(row)
      if (row.sha256 !== null) files.release(namespace, bucketId, [row.sha256])
    },

    /** Gives up what nobody confirmed for a day. Answers how many; up to `limit` at a call. */
    expire(limit: number): number {
      const before = new Date(now().getTime() - ABANDONED_AFTER_MS).toISOString()
      const abandoned = metadata.read.bucketUploads.expired(before, limit)
      metadata.transact((tx) => {
        for (const row of abandoned) tx.write.bucketUploads.expire(row.upload_id, "Not confirmed before its URL ended.")
      })
      for (const row of abandoned) {
        const place = metadata.read.buckets.place(row.bucket_id)
        if (place === undefined || row.sha256 === null) continue
        files.release({ orgId: place.org_id, namespaceId: place.namespace_id }, row.bucket_id, [row.sha256])
      }
      return abandoned.length
    },
  }
}

export type BucketUploads = ReturnType<typeof bucketUploads>

/** The hash of what came, when it is what was announced. */
function checkReceived(upload: BucketUploadRow, request: ConfirmBucketUpload): string {
  const refuse = (message: string, details: Record<string, unknown>) =>
    new ApplianceError("BadRequestError", message, { details: { upload_id: upload.upload_id, ...details } })
  if (upload.sha256 === null || upload.received_bytes === null) {
    throw refuse("No file has come yet: PUT it to the presigned URL first.", { status: upload.status })
  }
  const etag = request.etag?.replace(/^(W\/)?"?|"?$/g, "").toLowerCase()
  if (etag !== undefined && etag !== "" && etag !== upload.etag) {
    throw refuse("The ETag is not that of the file that came.", { etag: upload.etag })
  }
  for (const announced of [request.file_size_bytes, upload.file_size_bytes]) {
    if (announced == null || announced === upload.received_bytes) continue
    throw refuse(`The file has ${upload.received_bytes} bytes, not ${announced}.`, {
      received_bytes: upload.received_bytes,
    })
  }
  if (upload.file_hash !== null && upload.file_hash !== upload.sha256) {
    throw refuse("The file's SHA-256 is not the announced file_hash.", { sha256: upload.sha256 })
  }
  return upload.sha256
}

function confirmed(row: BucketUploadRow): ConfirmedBucketUpload {
  return {
    upload_id: row.upload_id,
    status: "COMPLETED",
    etag: row.etag,
    file_size_bytes: row.received_bytes,
    file_hash: row.sha256,
    verified_at: row.completed_at,
    completed_at: row.completed_at,
    object_id: row.object_id,
    task_id: null,
    message: row.message,
  }
}

function finished(row: BucketUploadRow): ApplianceError {
  const message =
    row.status === "FAILED" ? `Upload is over: ${row.message ?? "it failed"}` : `Upload is ${row.status} already.`
  return new ApplianceError("BadRequestError", message, { details: { upload_id: row.upload_id, status: row.status } })
}

function changed(uploadId: string): ApplianceError {
  return new ApplianceError("AlreadyExistsError", "The upload changed while it was confirmed; look at it again.", {
    details: { upload_id: uploadId },
  })
}

function bodyError(error: unknown, limit: number): unknown {
  if (error instanceof TooManyBytes) return tooLarge(limit)
  if (!(error instanceof BrokenBody)) return error
  return new ApplianceError("BadRequestError", `The upload is not whole: ${error.message}.`, { cause: error })
}

function tooLarge(limit: number): ApplianceError {
  return new ApplianceError("PayloadTooLargeError", `A file may have ${limit} bytes at most.`, {
    details: { limit_bytes: limit },
  })
}
