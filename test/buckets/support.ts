/** The bucket domain on a real database and real files, in a temporary directory, without a server. */

import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { blobStore } from "../../src/archives/blobs.ts"
import { blobFiles } from "../../src/buckets/blob-files.ts"
import { bucketUploads } from "../../src/buckets/bucket-uploads.ts"
import { buckets } from "../../src/buckets/buckets.ts"
import { objects } from "../../src/buckets/objects.ts"
import type { CreateBucket } from "../../src/contract/buckets.ts"
import { pageOf } from "../../src/contract/pagination.ts"
import { ApplianceError } from "../../src/errors.ts"
import { newId } from "../../src/identifiers.ts"
import { createLog } from "../../src/log.ts"
import { openMetadata } from "../../src/metadata/open.ts"
import type { Namespace } from "../../src/organizations/namespaces.ts"
import { quotas } from "../../src/organizations/quotas.ts"
import { presignedUrls } from "../../src/presigned-urls.ts"
import { Quotas } from "../../src/quotas.ts"

export const UPLOAD_BYTES = 1024 * 1024

export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
)

export const nothing = () => {}

export function openDomain({ refuseBatches = false } = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-buckets-"))
  const clock = { now: new Date("2026-01-10T12:00:00Z") }
  const now = () => clock.now
  const metadata = openMetadata(join(dataDir, "metadata.sqlite"), now)
  const namespace = addNamespace(metadata, "default")
  const blobs = blobStore({ dataDir })
  const files = blobFiles({ metadata, blobs, log: createLog("silent") })
  const urls = presignedUrls(new Uint8Array(32), () => "http://127.0.0.1:8080", now)
  const started: { bucketId: string; objectIds: readonly string[] }[] = []
  const removed: string[] = []
  const bucketDomain = buckets({ metadata, blobs, now, onRemoved: (bucketId) => removed.push(bucketId) })
  const limits = quotas(Quotas.parse({}))
  return {
    dataDir,
    clock,
    metadata,
    namespace,
    blobs,
    files,
    urls,
    started,
    removed,
    buckets: bucketDomain,
    objects: objects({
      metadata,
      blobs,
      files,
      quotas: limits,
      signUrl: urls.sign,
      startBatch: (_, bucketId, objectIds) => {
        if (refuseBatches) throw new ApplianceError("BadRequestError", "No enabled collection has this bucket.")
        started.push({ bucketId, objectIds })
      },
      now,
    }),
    uploads: bucketUploads({
      metadata,
      blobs,
      files,
      quotas: limits,
      signUrl: urls.sign,
      uploadBytes: UPLOAD_BYTES,
      now,
    }),
    /** A second namespace, of another organization. */
    stranger: () => addNamespace(metadata, "elsewhere"),
    bucket(request: Partial<CreateBucket> = {}) {
      const schema = {
        properties: {
          content: { type: "text" },
          picture: { type: "image" },
          price: { type: "number" },
          anything: { type: "json" },
        },
      }
      return bucketDomain.create(namespace, { bucket_name: newId("bkt"), bucket_schema: schema, ...request }, nothing)
    },
    /** Paths below blobs/, in order. */
    blobPaths: () =>
      readdirSync(join(dataDir, "blobs"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + 1))
        .sort(),
    [Symbol.dispose]() {
      metadata[Symbol.dispose]()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export const page = (query: Parameters<typeof pageOf>[0] = {}) => pageOf(query)

/** What an expected refusal was. */
export async function refusal(act: () => unknown): Promise<ApplianceError> {
  try {
    await act()
  } catch (error) {
    if (error instanceof ApplianceError) return error
    throw error
  }
  throw new Error("nothing was refused")
}

/** The places that a refusal names, dotted. */
export function places(error: ApplianceError): string[] {
  const problems = error.details?.validation_errors
  return Array.isArray(problems) ? problems.map((problem) => problem.location.join(".")) : []
}

export async function* streamOf(...chunks: (Uint8Array | Error)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    if (chunk instanceof Error) throw chunk
    yield chunk
  }
}

function addNamespace(metadata: ReturnType<typeof openMetadata>, name: string): Namespace {
  const at = "2026-01-10T12:00:00.000Z"
  const internalId = newId("int")
  const orgId = newId("org")
  const namespaceId = newId("ns")
  metadata.transact((tx) => {
    const organization = { internal_id: internalId, org_id: orgId, organization_name: `${name}-${orgId}` }
    tx.write.organizations.insert({ ...organization, created_at: at, updated_at: at })
    tx.write.organizations.insertNamespace({
      namespace_id: namespaceId,
      internal_id: internalId,
      namespace_name: name,
      description: null,
      feature_extractors: "[]",
      payload_indexes: null,
      auto_create_indexes: 0,
      plugin_rule_set: null,
      quotas: null,
      egress_allowlist: null,
      created_at: at,
      updated_at: at,
    })
  })
  return { namespaceId, name, internalId, orgId }
}
