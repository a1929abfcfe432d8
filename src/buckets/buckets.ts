import type { BlobStore } from "../archives/blobs.ts"
import type {
  BucketModel,
  BucketRemoval,
  BucketSchema,
  CreateBucket,
  UniqueKey,
  UpdateBucket,
} from "../contract/buckets.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { newId } from "../identifiers.ts"
import type { BucketPlace, BucketRow } from "../metadata/buckets.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { readSchema } from "./schema.ts"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  blobs: BlobStore
  now: () => Date
  /** Called after a bucket was removed: its batches end and its contents are swept in the background. */
  onRemoved: (bucketId: string) => void
}

export function buckets({ metadata, blobs, now, onRemoved }: Deps) {
  const find = (namespace: Namespace, identifier: string): BucketRow => {
    const row = metadata.read.buckets.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("bucket", identifier)
    return row
  }

  return {
    /** @throws ValidationError for a schema or unique key that cannot be; AlreadyExistsError for a taken name */
    create(namespace: Namespace, request: CreateBucket, remember: Remember): BucketModel {
      const name = request.bucket_name ?? request.name
      if (name == null) throw missing("bucket_name")
      const given = request.bucket_schema ?? request.schema
      if (given == null) throw missing("bucket_schema")
      const schema = readSchema(given, ["body", request.bucket_schema == null ? "schema" : "bucket_schema"])
      const uniqueKey = request.unique_key ?? null
      checkUniqueKey(uniqueKey, schema)
      const at = now().toISOString()
      const row: BucketRow = {
        bucket_id: newId("bkt"),
        namespace_id: namespace.namespaceId,
        bucket_name: name,
        description: request.description ?? null,
        bucket_schema: JSON.stringify(schema),
        unique_key: uniqueKey === null ? null : JSON.stringify(uniqueKey),
        metadata: JSON.stringify(request.metadata ?? {}),
        object_count: 0,
        total_size_bytes: 0,
        last_upload_at: null,
        created_at: at,
        updated_at: at,
      }
      return metadata.transact((tx) => {
        refuseTaken(tx.read.buckets.get(namespace.namespaceId, name), name)
        tx.write.buckets.insert(row)
        const answer = model(row)
        remember(tx, answer)
        return answer
      })
    },

    get: (namespace: Namespace, identifier: string): BucketModel => model(find(namespace, identifier)),

    list: (namespace: Namespace): BucketModel[] => metadata.read.buckets.list(namespace.namespaceId).map(model),

    /** PUT gives a new `metadata`, PATCH adds to it. */
    update(namespace: Namespace, identifier: string, changes: UpdateBucket, mode: "replace" | "merge"): BucketModel {
      const { bucket_id: id } = find(namespace, identifier)
      return metadata.transact((tx) => {
        const row = tx.read.buckets.get(namespace.namespaceId, id)
        if (row === undefined) throw notFound("bucket", identifier)
        refuseOtherSchema(changes, row)
        const name = changes.bucket_name ?? changes.name ?? row.bucket_name
        if (name !== row.bucket_name) refuseTaken(tx.read.buckets.get(namespace.namespaceId, name), name)
        const before: Record<string, unknown> = mode === "merge" ? parseExactly(row.metadata) : {}
        const changed: BucketRow = {
          ...row,
          bucket_name: name,
          description: changes.description === undefined ? row.description : changes.description,
          metadata: changes.metadata === undefined ? row.metadata : JSON.stringify({ ...before, ...changes.metadata }),
          updated_at: now().toISOString(),
        }
        tx.write.buckets.update(changed)
        return model(changed)
      })
    },

    /** Invisible at once, swept afterwards; the task tells when nothing is left. */
    remove(namespace: Namespace, identifier: string): BucketRemoval {
      const { bucket_id: id } = find(namespace, identifier)
      const at = now().toISOString()
      const taskId = newId("task")
      const row = metadata.transact((tx) => {
        const current = tx.read.buckets.get(namespace.namespaceId, id)
        if (current === undefined || !tx.write.buckets.remove(id, at, taskId)) throw notFound("bucket", identifier)
        tx.write.tasks.insert({
          task_id: taskId,
          internal_id: namespace.internalId,
          namespace_id: namespace.namespaceId,
          task_type: "api_buckets_delete",
          status: "PENDING",
          inputs: JSON.stringify([id]),
          outputs: "[]",
          additional_data: JSON.stringify({ bucket_id: id, object_count: current.object_count }),
          error: null,
          created_at: at,
          updated_at: at,
        })
        return current
      })
      onRemoved(id)
      return {
        success: true,
        task_id: taskId,
        status: "PENDING",
        bucket_id: id,
        bucket_name: row.bucket_name,
        object_count: row.object_count,
        message: `Bucket '${row.bucket_name}' is gone; its objects are being removed.`,
      }
    },

    /** Removed buckets with something left of them. */
    removed: (): BucketPlace[] => metadata.read.buckets.removed(),

    /**
     * Takes up to `sliceRows` rows of a removed bucket away; with the last ones its files and its task. Safe to repeat
     * after a crash. Answers whether more is left.
     */
    async sweepBucket(bucketId: string, sliceRows: number): Promise<boolean> {
      const place = metadata.read.buckets.place(bucketId)
      if (place === undefined || place.deleted_at === null || place.swept_at !== null) return false
      const more = metadata.transact((tx) => {
        const objects = tx.write.objects.sweep(bucketId, sliceRows)
        const uploads = tx.write.bucketUploads.sweep(bucketId, Math.max(0, sliceRows - objects))
        return objects + uploads >= sliceRows
      })
      if (more) return true
      await blobs.removeBucket({ orgId: place.org_id, namespaceId: place.namespace_id }, bucketId)
      metadata.transact((tx) => {
        const at = now().toISOString()
        tx.write.buckets.swept(bucketId, at)
        if (place.removal_task_id !== null) tx.write.tasks.move(place.removal_task_id, "COMPLETED", null, at)
      })
      return false
    },
  }
}

export type Buckets = ReturnType<typeof buckets>

function missing(field: string): ApplianceError {
  return invalid(`${field} is required.`, [{ type: "missing", location: ["body", field], message: "is required" }])
}

function refuseTaken(existing: BucketRow | undefined, name: string): void {
  if (existing === undefined) return
  throw new ApplianceError("AlreadyExistsError", `A bucket named '${name}' already exists in this namespace.`, {
    details: { resource: "bucket", id: existing.bucket_id },
  })
}

function checkUniqueKey(key: UniqueKey | null, schema: BucketSchema): void {
  const unknown = key?.fields.findIndex((field) => !Object.hasOwn(schema.properties, field.split(".")[0] ?? "")) ?? -1
  if (key === null || unknown < 0) return
  throw invalid(`unique_key names '${key.fields[unknown]}', which is not in the schema.`, [
    {
      type: "unknown_property",
      location: ["body", "unique_key", "fields", unknown],
      message: "is not in the bucket's schema",
    },
  ])
}

/** Clients send a bucket back whole: the same schema is no change, another one is refused. */
function refuseOtherSchema(changes: UpdateBucket, row: BucketRow): void {
  for (const key of ["bucket_schema", "schema"] as const) {
    const given = changes[key]
    if (given == null || Bun.deepEquals(readSchema(given, ["body", key]), parseExactly(row.bucket_schema))) continue
    throw invalid("A bucket's schema cannot be changed: its objects were checked against it.", [
      { type: "immutable", location: ["body", key], message: "must equal the bucket's schema or be left out" },
    ])
  }
}

function model(row: BucketRow): BucketModel {
  return {
    bucket_id: row.bucket_id,
    bucket_name: row.bucket_name,
    description: row.description,
    bucket_schema: parseExactly(row.bucket_schema),
    unique_key: row.unique_key === null ? null : JSON.parse(row.unique_key),
    metadata: parseExactly(row.metadata),
    object_count: row.object_count,
    total_size_bytes: row.total_size_bytes,
    created_at: row.created_at,
    updated_at: row.updated_at,
    last_upload_at: row.last_upload_at,
    status: "ACTIVE",
    is_locked: false,
  }
}
