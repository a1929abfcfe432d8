/**
 * From a request to a submitted batch, inside the caller's transaction: which collections run, at which version of their
 * plugin, with which parameters, over which objects. What is fixed here is what runs, whatever changes afterwards.
 */
import type { CreateBatch, SubmitBatch, TriggerBatch } from "../contract/batches.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { newId } from "../identifiers.ts"
import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { storedPolicy } from "./failure-policy.ts"
import { missingPlugin } from "./partition-context.ts"

interface Deps {
  now: () => Date
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
}

/** More values in one error's details would be noise. */
const MAX_NAMED = 20

export function submission({ now, pluginById }: Deps) {
  /** The collections of this bucket that run: those named, or all enabled ones. */
  const targets = (
    namespace: Namespace,
    bucketId: string,
    named: readonly string[] | null,
    read: Metadata["read"],
  ): CollectionRow[] => {
    const enabled = read.collections.enabledOf(bucketId)
    if (named === null) {
      if (enabled.length > 0) return enabled
      throw new ApplianceError(
        "BadRequestError",
        "No enabled collection has this bucket as its source; create one first.",
        {
          details: { bucket_id: bucketId },
        },
      )
    }
    return named.map((identifier) => {
      const collection = read.collections.get(namespace.namespaceId, identifier)
      if (collection === undefined) throw notFound("collection", identifier)
      if (!read.collections.buckets(collection.collection_id).includes(bucketId)) {
        throw new ApplianceError(
          "BadRequestError",
          `Collection '${identifier}' does not have this bucket as its source.`,
          {
            details: { bucket_id: bucketId, collection_id: collection.collection_id },
          },
        )
      }
      if (collection.enabled !== 1) {
        throw new ApplianceError("BadRequestError", `Collection '${identifier}' is disabled.`, {
          details: { collection_id: collection.collection_id },
        })
      }
      return collection
    })
  }

  const checkObjects = (bucketId: string, objectIds: readonly string[], read: Metadata["read"]) => {
    const unknown = read.objects.unknown(bucketId, objectIds)
    if (unknown.length === 0) return
    throw new ApplianceError("NotFoundError", `Some objects are not in this bucket, such as '${unknown[0]}'.`, {
      details: { resource: "object", id: unknown[0], missing: unknown.slice(0, MAX_NAMED) },
    })
  }

  const draft = (
    namespace: Namespace,
    bucketId: string,
    request: CreateBatch | TriggerBatch,
    membership: BatchRow["membership"],
  ): BatchRow => {
    const at = now().toISOString()
    return {
      batch_id: newId("btch"),
      namespace_id: namespace.namespaceId,
      bucket_id: bucketId,
      batch_name: request.batch_name ?? null,
      status: "DRAFT",
      membership,
      membership_filters: request.filters == null ? null : JSON.stringify(request.filters),
      membership_limit: request.limit ?? null,
      membership_next: 0,
      membership_end: null,
      object_count: 0,
      collection_ids: request.collection_ids == null ? null : JSON.stringify(request.collection_ids),
      metadata: JSON.stringify(request.metadata ?? {}),
      lifecycle_reason: null,
      suspended_from: null,
      failure_policy: storedPolicy(request.failure_policy),
      priority: request.priority ?? 0,
      max_concurrency: request.max_concurrency ?? null,
      error: null,
      task_id: null,
      retry: 0,
      created_at: at,
      updated_at: at,
      submitted_at: null,
      finished_at: null,
    }
  }

  /** DRAFT → QUEUED: fixes collections, plugin versions, parameters and the end of the membership. */
  const submitted = (tx: Transaction, namespace: Namespace, batch: BatchRow, request: SubmitBatch): string => {
    const at = now().toISOString()
    const collectionIds = request.collection_ids ?? null
    const named =
      collectionIds ?? (batch.collection_ids === null ? null : (JSON.parse(batch.collection_ids) as string[]))
    const collections = targets(namespace, batch.bucket_id, named, tx.read)
    if (batch.membership === "explicit" && batch.object_count === 0) {
      throw new ApplianceError("BadRequestError", "The batch has no objects; add some before you submit it.")
    }
    const taskId = newId("task")
    const ids = [...new Set(collections.map((collection) => collection.collection_id))]
    if (
      !tx.write.batches.submit(
        batch.batch_id,
        taskId,
        JSON.stringify(ids),
        tx.read.objects.lastSeq(batch.bucket_id),
        at,
      )
    ) {
      throw new ApplianceError("BadRequestError", `The batch is ${batch.status}, not DRAFT.`)
    }
    tx.write.batches.govern(
      batch.batch_id,
      request.failure_policy == null ? batch.failure_policy : storedPolicy(request.failure_policy),
      request.priority ?? batch.priority,
      request.max_concurrency ?? batch.max_concurrency,
    )
    for (const id of ids) {
      const collection = collections.find((row) => row.collection_id === id)
      if (collection !== undefined) tx.write.batches.insertRun(runOf(namespace, batch.batch_id, collection, at))
    }
    tx.write.tasks.insert({
      task_id: taskId,
      internal_id: namespace.internalId,
      namespace_id: namespace.namespaceId,
      task_type: "api_buckets_batches_process",
      status: "QUEUED",
      inputs: JSON.stringify([batch.batch_id]),
      outputs: JSON.stringify(ids),
      additional_data: JSON.stringify({ batch_id: batch.batch_id, bucket_id: batch.bucket_id, job_id: taskId }),
      error: null,
      created_at: at,
      updated_at: at,
    })
    return taskId
  }

  const runOf = (namespace: Namespace, batchId: string, collection: CollectionRow, at: string): RunRow => {
    const plugin = pluginById(namespace, collection.plugin_id)
    const gone =
      plugin === null
        ? { ...missingPlugin(collection.plugin_id, "is not registered in this namespace any more"), timestamp: at }
        : null
    const extractor: { version: string } = JSON.parse(collection.feature_extractor)
    return {
      batch_id: batchId,
      collection_id: collection.collection_id,
      plugin_id: collection.plugin_id,
      plugin_version: extractor.version,
      code_hash: plugin?.codeHash ?? "",
      environment: null,
      isolation: null,
      isolation_facts: null,
      feature_extractor: collection.feature_extractor,
      status: "PENDING",
      rows_in: 0,
      rows_done: 0,
      rows_failed: 0,
      rows_skipped: 0,
      documents_written: 0,
      error: gone === null ? null : JSON.stringify(gone),
      started_at: null,
      finished_at: null,
    }
  }

  /** A whole bucket's batch, created and submitted in one transaction. */
  const triggered = (tx: Transaction, namespace: Namespace, bucketId: string, request: TriggerBatch): BatchRow => {
    const explicit = request.object_ids != null && request.object_ids.length > 0
    const batch = draft(namespace, bucketId, request, explicit ? "explicit" : "bucket")
    tx.write.batches.insert(batch)
    if (explicit) {
      checkObjects(bucketId, request.object_ids ?? [], tx.read)
      tx.write.batches.setMembership(
        batch.batch_id,
        0,
        tx.write.batches.addMembers(batch.batch_id, 0, request.object_ids ?? []),
      )
    }
    submitted(tx, namespace, stored(tx, namespace, batch.batch_id), { collection_ids: request.collection_ids })
    return stored(tx, namespace, batch.batch_id)
  }

  /** A row of this transaction's own making is there. */
  function stored(tx: Transaction, namespace: Namespace, batchId: string): BatchRow {
    const batch = tx.read.batches.get(namespace.namespaceId, batchId)
    if (batch === undefined) throw notFound("batch", batchId)
    return batch
  }

  return { targets, checkObjects, draft, submitted, triggered }
}
