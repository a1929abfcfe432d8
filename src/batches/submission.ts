/**
 * From a request to a submitted batch, inside the caller's transaction: which collections run, at which version of their
 * plugin, with which parameters, over which objects. What is fixed here is what runs, whatever changes afterwards.
 */
import type { CreateBatch, SubmitBatch, TriggerBatch } from "../contract/batches.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { MAX_VALUES, parseFilter } from "../filtering.ts"
import { newId } from "../identifiers.ts"
import type { BatchRow, NewRun } from "../metadata/batches.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { RunSource } from "../metadata/run-sources.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { chainFrom, ownFilters, type PlannedRun } from "./chain.ts"
import { storedPolicy } from "./failure-policy.ts"
import { missingPlugin } from "./partition-context.ts"
import { claimOf, claimParts, enterCode, unprocessedAfter, unprocessedParts } from "./processed.ts"
import { dependencyError } from "./run-error.ts"

interface Deps {
  now: () => Date
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
}

/** Which documents a trigger is asked to take. */
export interface DocumentsRequest {
  readonly sources: readonly string[]
  /** As the API takes them, beside the collection's own. */
  readonly filters: unknown
  /** Null: of any object. */
  readonly objectIds: readonly string[] | null
  readonly reembed: boolean
}

/** More values in one error's details would be noise. */
const MAX_NAMED = 20

/** @throws NotFoundError that names some of them; nothing where there are none */
export function refuseUnknown(unknown: readonly string[], where: string): void {
  if (unknown.length === 0) return
  throw new ApplianceError("NotFoundError", `Some objects are not in ${where}, such as '${unknown[0]}'.`, {
    details: { resource: "object", id: unknown[0], missing: unknown.slice(0, MAX_NAMED) },
  })
}

/** A filter of the documents that were made of these objects: as many conditions as there must be, each of no more values than one has. */
function madeOf(objectIds: readonly string[]) {
  const conditions = Array.from({ length: Math.ceil(objectIds.length / MAX_VALUES) }, (_, index) => ({
    field: "root_object_id",
    operator: "in",
    value: objectIds.slice(index * MAX_VALUES, (index + 1) * MAX_VALUES),
  }))
  return { OR: conditions }
}

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
        "No enabled collection has this bucket as its source; create one, or enable one by PATCH with enabled: true.",
        {
          details: { bucket_id: bucketId },
        },
      )
    }
    return named.map((identifier) => {
      const collection = read.collections.get(namespace.namespaceId, identifier)
      if (collection === undefined) throw notFound("collection", identifier)
      if (!read.collections.buckets(collection.collection_id).includes(bucketId)) {
        const chained = read.collections.sources(collection.collection_id).length > 0
        throw new ApplianceError(
          "BadRequestError",
          chained
            ? `Collection '${identifier}' reads collections and runs after them: name those, or trigger it by POST /v1/collections/${collection.collection_id}/trigger.`
            : `Collection '${identifier}' does not have this bucket as its source.`,
          {
            details: { bucket_id: bucketId, collection_id: collection.collection_id },
          },
        )
      }
      if (collection.enabled !== 1) {
        throw new ApplianceError(
          "BadRequestError",
          `Collection '${identifier}' is disabled; PATCH it with enabled: true.`,
          {
            details: { collection_id: collection.collection_id },
          },
        )
      }
      return collection
    })
  }

  const checkObjects = (bucketId: string, objectIds: readonly string[], read: Metadata["read"]) =>
    refuseUnknown(read.objects.unknown(bucketId, objectIds), "this bucket")

  const draft = (
    namespace: Namespace,
    bucketId: string,
    request: CreateBatch | TriggerBatch,
    membership: BatchRow["membership"],
  ): Omit<BatchRow, "changes_after"> => {
    const at = now().toISOString()
    // All of a bucket needs no list of who is in it.
    const wholeBucket = membership === "bucket" && parseFilter(request.filters) === null && request.limit == null
    return {
      batch_id: newId("btch"),
      namespace_id: namespace.namespaceId,
      bucket_id: bucketId,
      type: "BUCKET",
      batch_name: request.batch_name ?? null,
      status: "DRAFT",
      membership,
      whole_bucket: wholeBucket ? 1 : 0,
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
    const collectionIds = request.collection_ids ?? null
    const named =
      collectionIds ?? (batch.collection_ids === null ? null : (JSON.parse(batch.collection_ids) as string[]))
    const collections = targets(namespace, batch.bucket_id, named, tx.read)
    if (batch.membership === "explicit" && batch.object_count === 0) {
      throw new ApplianceError(
        "BadRequestError",
        "The batch has no objects; add some (POST …/batches/{batch_id}/objects), or run all of the bucket's by POST …/batches/trigger.",
      )
    }
    const stranded = named === null ? tx.read.collections.stranded(namespace.namespaceId, batch.bucket_id) : []
    const first = collections.map((collection) => ({ collection, tier: 0, source: null }))
    return queued(tx, namespace, batch, chainFrom(tx.read, first, stranded), request)
  }

  /** Fixes the runs, with a task for the batch and one for each tier below its first. */
  const queued = (
    tx: Transaction,
    namespace: Namespace,
    batch: BatchRow,
    chain: readonly PlannedRun[],
    request: SubmitBatch,
  ): string => {
    const at = now().toISOString()
    const ids = chain.map(({ collection }) => collection.collection_id)
    const tiers = [...Map.groupBy(chain, ({ tier }) => tier)].map(([tier, runs]) => ({
      tier,
      runs,
      taskId: newId("task"),
    }))
    const taskId = tiers[0]?.taskId ?? newId("task")
    const last = batch.changes_after === null ? tx.read.objects.lastSeq(batch.bucket_id) : tx.read.objects.lastChange()
    const end = batch.type === "BUCKET" ? last : 0
    if (!tx.write.batches.submit(batch.batch_id, taskId, JSON.stringify(ids), end, at)) {
      throw new ApplianceError("BadRequestError", `The batch is ${batch.status}, not DRAFT.`)
    }
    tx.write.batches.govern(
      batch.batch_id,
      request.failure_policy == null ? batch.failure_policy : storedPolicy(request.failure_policy),
      request.priority ?? batch.priority,
      request.max_concurrency ?? batch.max_concurrency,
    )
    for (const [index, { tier, runs, taskId: ownTask }] of tiers.entries()) {
      for (const planned of runs) {
        const run = runOf(namespace, batch.batch_id, planned, ownTask, at)
        if (run.error === null) enterCode(tx, run)
        tx.write.batches.insertRun(run)
        if (planned.source !== null) {
          if (run.error === null) claimParts(tx, batch.batch_id, run, planned.claim ?? null)
          continue
        }
        const claim = claimOf(tx.read, batch, run)
        if (claim !== null) tx.write.batches.claim(batch.batch_id, run.collection_id, claim)
      }
      tx.write.tasks.insert({
        task_id: ownTask,
        internal_id: namespace.internalId,
        namespace_id: namespace.namespaceId,
        task_type: "api_buckets_batches_process",
        status: index === 0 ? "QUEUED" : "PENDING",
        inputs: JSON.stringify([batch.batch_id]),
        outputs: JSON.stringify(index === 0 ? ids : runs.map(({ collection }) => collection.collection_id)),
        additional_data: JSON.stringify({
          batch_id: batch.batch_id,
          bucket_id: batch.bucket_id,
          job_id: ownTask,
          ...(index === 0 ? {} : { tier_num: tier, parent_task_id: tiers[index - 1]?.taskId }),
        }),
        error: null,
        created_at: at,
        updated_at: at,
      })
    }
    return taskId
  }

  const runOf = (
    namespace: Namespace,
    batchId: string,
    { collection, tier, source }: PlannedRun,
    taskId: string,
    at: string,
  ): NewRun => {
    const plugin = pluginById(namespace, collection.plugin_id)
    const gone =
      plugin === null
        ? missingPlugin(
            collection.plugin_id,
            "is not registered in this namespace any more; upload it, or move the collection to another version",
          )
        : source?.collection_ids.length === 0
          ? dependencyError("Every collection that it reads was deleted. Create it anew over others, or delete it.")
          : null
    const extractor: { version: string } = JSON.parse(collection.feature_extractor)
    return {
      batch_id: batchId,
      collection_id: collection.collection_id,
      tier,
      source: source === null ? null : JSON.stringify(source),
      task_id: taskId,
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
      error: gone === null ? null : JSON.stringify({ ...gone, timestamp: at }),
      started_at: null,
      finished_at: null,
    }
  }

  /**
   * A batch over documents of the collections that `collection` reads, created and submitted in one transaction: those of parts that
   * its code has not processed, or all. `nothing`: it was asked for what is new, and there is none. `documents`: how many live there.
   */
  const triggeredOverDocuments = (
    tx: Transaction,
    namespace: Namespace,
    bucketId: string,
    collection: CollectionRow,
    { sources, filters, objectIds, reembed }: DocumentsRequest,
    request: SubmitBatch,
  ): { batch: BatchRow; documents: number; nothing: boolean } => {
    const batch = { ...draft(namespace, bucketId, {}, "explicit"), type: "COLLECTION" as const }
    const requested = filters === null ? null : JSON.stringify(filters)
    const named = objectIds === null ? [] : [madeOf(objectIds)]
    const source: RunSource = {
      collection_ids: sources,
      filters: [...ownFilters(collection), ...(filters === null ? [] : [filters]), ...named],
    }
    const first = { collection, tier: 0, source, claim: objectIds === null ? { filters: requested } : null }
    const code = runOf(namespace, batch.batch_id, first, "", batch.created_at)
    const parts = reembed || objectIds !== null ? null : unprocessedParts(tx.read, code, sources, requested)
    tx.write.batches.insert(batch)
    queued(tx, namespace, stored(tx, namespace, batch.batch_id), chainFrom(tx.read, [first]), request)
    tx.write.runSources.fix(batch.batch_id, collection.collection_id, sources, { parts })
    return {
      batch: stored(tx, namespace, batch.batch_id),
      documents: tx.read.runSources.living(batch.batch_id, collection.collection_id),
      nothing: parts?.length === 0,
    }
  }

  /** A whole bucket's batch, created and submitted in one transaction. */
  const triggered = (tx: Transaction, namespace: Namespace, bucketId: string, request: TriggerBatch): BatchRow => {
    const explicit = request.object_ids != null
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

  /**
   * A batch of the objects that are new or changed since this collection's code last processed them. `nothing`: there are
   * none, and none will be added.
   */
  const triggeredByChanges = (
    tx: Transaction,
    namespace: Namespace,
    bucketId: string,
    collection: CollectionRow,
    request: TriggerBatch,
  ): { batch: BatchRow; nothing: boolean } => {
    const batch = draft(namespace, bucketId, request, "bucket")
    const code = runOf(namespace, batch.batch_id, { collection, tier: 0, source: null }, "", batch.created_at)
    const after = unprocessedAfter(tx.read, code, bucketId, batch.membership_filters)
    tx.write.batches.insert(batch)
    // Who has processed nothing of a bucket takes all of it.
    if (after > 0 || batch.whole_bucket === 0) tx.write.batches.selectChanges(batch.batch_id, after)
    submitted(tx, namespace, stored(tx, namespace, batch.batch_id), {})
    const nothing = !tx.read.objects.changedBetween(bucketId, after, tx.read.objects.lastChange())
    return { batch: stored(tx, namespace, batch.batch_id), nothing }
  }

  /** A row of this transaction's own making is there. */
  function stored(tx: Transaction, namespace: Namespace, batchId: string): BatchRow {
    const batch = tx.read.batches.get(namespace.namespaceId, batchId)
    if (batch === undefined) throw notFound("batch", batchId)
    return batch
  }

  return { targets, checkObjects, draft, submitted, triggered, triggeredByChanges, triggeredOverDocuments }
}

export type Submission = ReturnType<typeof submission>
