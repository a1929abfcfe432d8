/** From a reserved upload to its bytes on disk. The file is the only record of what arrived: there is no row to disagree. */
import { type NamespacePlace, type PluginPlace, pluginKey } from "../archives/paths.ts"
import type { ByteSource, PluginArchives } from "../archives/plugin-archives.ts"
import type { PluginForm, PluginUpload, ReservePluginUpload } from "../contract/plugins.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { newId, normalizeVersion, pluginId } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginUploadRow } from "../metadata/plugins.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { QuotaBook } from "../organizations/quotas.ts"
import type { PresignedUrls } from "../presigned-urls.ts"
import { alreadyRegistered } from "./failures.ts"

const DEFAULT_EXPIRATION_SECONDS = 3600
/** So long an expired upload is still known, so that its author hears that it expired and not that it never was. */
const KNOWN_AFTER_EXPIRY_MS = 24 * 3600 * 1000

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  archives: PluginArchives
  quotas: Pick<QuotaBook, "demandRoom">
  signUrl: PresignedUrls["sign"]
  now: () => Date
  /** Largest packed archive. */
  archiveBytes: number
}

export function pluginUploads({ metadata, archives, quotas, signUrl, now, archiveBytes }: Deps) {
  return {
    archiveBytes,

    /** @throws AlreadyExistsError for a registered version, ValidationError */
    reserve(namespace: Namespace, request: ReservePluginUpload, remember: Remember): PluginUpload {
      const version = demandVersion(request.version)
      if ((request.file_size_bytes ?? 0) > archiveBytes) {
        throw invalid(`A plugin archive may have ${archiveBytes} bytes at most.`, [
          { type: "too_big", location: ["body", "file_size_bytes"], message: `at most ${archiveBytes}` },
        ])
      }
      const row = uploadRow(
        namespace,
        request,
        version,
        now(),
        request.presigned_url_expiration ?? DEFAULT_EXPIRATION_SECONDS,
      )
      const id = pluginId(row.name, version)
      const answer: PluginUpload = {
        upload_id: row.upload_id,
        presigned_url: signUrl({
          method: "PUT",
          path: `plugins/${row.upload_id}`,
          expiresAt: new Date(row.expires_at),
          size: row.file_size_bytes,
        }),
        expires_at: row.expires_at,
        s3_key: pluginKey({ orgId: namespace.orgId, namespaceId: namespace.namespaceId, pluginId: id }, row.upload_id),
        namespace_id: namespace.namespaceId,
        name: row.name,
        version,
      }
      metadata.transact((tx) => {
        if (tx.read.plugins.get(namespace.namespaceId, id) !== undefined) throw alreadyRegistered(row.name, version, id)
        quotas.demandRoom(tx.read, namespace.namespaceId, { plugins: 1, bytes: row.file_size_bytes ?? 0 })
        tx.write.plugins.insertUpload(row)
        remember(tx, answer)
      })
      return answer
    },

    /**
     * Bytes for a reserved upload; the signature was checked, and with it the `size` that was announced. Answers their MD5, as an object store does.
     * @throws NotFoundError, AlreadyExistsError when the upload was confirmed, PayloadTooLargeError, BadRequestError
     */
    async receive(uploadId: string, source: ByteSource, size: number | null = null): Promise<{ etag: string }> {
      const upload = metadata.read.plugins.upload(uploadId)
      if (upload === undefined) throw notFound("plugin upload", uploadId)
      if (upload.answer !== null) {
        throw new ApplianceError(
          "AlreadyExistsError",
          "This upload was confirmed; reserve another one for other bytes.",
          {
            details: { resource: "plugin upload", id: uploadId },
          },
        )
      }
      const place: PluginPlace = {
        orgId: upload.org_id,
        namespaceId: upload.namespace_id,
        pluginId: pluginId(upload.name, upload.version),
      }
      const { md5 } = await archives.receive(place, uploadId, source, Math.min(archiveBytes, size ?? archiveBytes))
      return { etag: md5 }
    },

    /** Bytes of a direct upload, whose name and version may come after them. @throws as `receive` */
    async hold(namespace: NamespacePlace, source: ByteSource): Promise<HeldUpload> {
      const uploadId = newId("plu")
      await archives.hold(namespace, uploadId, source, archiveBytes)
      return { uploadId, [Symbol.asyncDispose]: () => archives.dropHeld(namespace, uploadId) }
    },

    /** Makes held bytes an upload like any other, ready to be confirmed. @throws AlreadyExistsError, ValidationError */
    async file(namespace: Namespace, { uploadId }: HeldUpload, form: PluginForm): Promise<string> {
      const version = demandVersion(form.version)
      const row = { ...uploadRow(namespace, form, version, now(), DEFAULT_EXPIRATION_SECONDS), upload_id: uploadId }
      const id = pluginId(row.name, version)
      if (metadata.read.plugins.get(namespace.namespaceId, id) !== undefined)
        throw alreadyRegistered(row.name, version, id)
      quotas.demandRoom(metadata.read, namespace.namespaceId, { plugins: 1 })
      await archives.file({ orgId: namespace.orgId, namespaceId: namespace.namespaceId, pluginId: id }, uploadId)
      metadata.transact((tx) => tx.write.plugins.insertUpload(row))
      return uploadId
    },

    /** Takes back an upload that nobody can use again. A confirmed one stays. */
    async discard(namespace: Namespace, uploadId: string): Promise<void> {
      const upload = metadata.read.plugins.upload(uploadId)
      if (upload === undefined || upload.answer !== null) return
      metadata.transact((tx) => tx.write.plugins.removeUpload(uploadId))
      const place = {
        orgId: namespace.orgId,
        namespaceId: namespace.namespaceId,
        pluginId: pluginId(upload.name, upload.version),
      }
      await archives.dropUpload(place, uploadId)
    },

    /**
     * Puts the files in order after whatever ended the last run, before anything else uses them: what no row names, what was
     * half written, and the bytes of expired uploads go. Returns how many files and trees went.
     */
    async sweepArchives(): Promise<number> {
      const at = now().getTime()
      const uploads = metadata.read.plugins.openUploads()
      const expiredBefore = (limit: number) => (row: PluginUploadRow) => new Date(row.expires_at).getTime() <= limit
      const forgotten = uploads.filter(expiredBefore(at - KNOWN_AFTER_EXPIRY_MS))
      metadata.transact((tx) => {
        for (const { upload_id: id } of forgotten) tx.write.plugins.removeUpload(id)
      })
      const waiting = uploads.filter((row) => !expiredBefore(at)(row))
      return archives.sweep(
        new Set([
          ...waiting.map((row) =>
            pluginKey(
              { orgId: row.org_id, namespaceId: row.namespace_id, pluginId: pluginId(row.name, row.version) },
              row.upload_id,
            ),
          ),
          ...metadata.read.plugins
            .archives()
            .map((row) =>
              pluginKey(
                { orgId: row.org_id, namespaceId: row.namespace_id, pluginId: row.plugin_id },
                row.archive_file,
              ),
            ),
        ]),
      )
    },

    /** Rows and files of a namespace that was removed. */
    async eraseNamespace(place: NamespacePlace): Promise<void> {
      metadata.transact((tx) => tx.write.plugins.erase(place.namespaceId))
      await archives.removeNamespace(place)
    },
  }
}

export type PluginUploads = ReturnType<typeof pluginUploads>

/** Bytes on disk that are no upload yet; gone on disposal unless they were filed. */
export interface HeldUpload extends AsyncDisposable {
  readonly uploadId: string
}

function demandVersion(version: string): string {
  const normalized = normalizeVersion(version)
  if (normalized !== null) return normalized
  throw invalid(`'${version}' is not a version.`, [
    { type: "version", location: ["body", "version"], message: "must look like 1.0.0, 1.0 or v1" },
  ])
}

function uploadRow(
  namespace: Namespace,
  request: Pick<ReservePluginUpload, "name" | "description" | "file_size_bytes">,
  version: string,
  at: Date,
  expirationSeconds: number,
): PluginUploadRow {
  // Signed URLs count in whole seconds; both shall say the same.
  const expires = new Date((Math.floor(at.getTime() / 1000) + expirationSeconds) * 1000)
  return {
    upload_id: newId("plu"),
    namespace_id: namespace.namespaceId,
    name: request.name,
    version,
    description: request.description ?? null,
    file_size_bytes: request.file_size_bytes ?? null,
    expires_at: expires.toISOString(),
    answer: null,
    created_at: at.toISOString(),
  }
}
