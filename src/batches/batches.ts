import type {
  BatchLogs as BatchLogsAnswer,
  BatchLogsQuery,
  BatchModel,
  CreateBatch,
  FailedDocuments,
  FailedDocumentsQuery,
  ListBatches,
  RetriedBatch,
  RetryBatch,
  SubmitBatch,
  TriggerBatch,
  UpdateBatch,
} from "../contract/batches.ts"
import type { TriggerCollection, TriggerCollectionResponse } from "../contract/collections.ts"
import type { TaskModel } from "../contract/tasks.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { parseFilter } from "../filtering.ts"
import type { BatchRow } from "../metadata/batches.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { BatchLogs } from "./batch-logs.ts"
import { collectionTrigger } from "./collection-trigger.ts"
import type { Ledger } from "./ledger.ts"
import { batchModel, type LiveProgress, MAX_ANSWERED_IDS } from "./model.ts"
import { batchRetry } from "./retry.ts"
import { allRowsFailed, failedDocuments } from "./row-errors.ts"
import { isLive } from "./states.ts"
import { submission } from "./submission.ts"
import type { Suspension } from "./suspension.ts"
import { taskModel } from "./tasks.ts"

interface BatchList {
  readonly results: BatchModel[]
  readonly total_count: number
}

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  ledger: Pick<Ledger, "cancel" | "endEmpty">
  suspension: Pick<Suspension, "pause" | "resume">
  now: () => Date
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
  progress: LiveProgress
  logs: Pick<BatchLogs, "read" | "forget">
  /** A batch was submitted: plan and run it. */
  onSubmitted: () => void
  /** How a batch is scheduled has changed. */
  onChanged: () => void
  /** How many rows a partition gets of so many. */
  rowsPerPartition: (rows: number, bytesPerRow: number) => number
  /** Rows of a batch that had ended are open again. */
  onRetried: (batchId: string) => void
  /** Nothing of a batch is to run now (canceled, suspended): its workers end. */
  onCanceled: (batchId: string) => void
  onSuspended: (batchId: string) => void
  onResumed: (batchId: string) => void
}

export function batches(deps: Deps) {
  const { metadata, ledger, now } = deps

  const bucketOf = (namespace: Namespace, identifier: string) => {
    const bucket = metadata.read.buckets.get(namespace.namespaceId, identifier)
    if (bucket === undefined) throw notFound("bucket", identifier)
    return bucket
  }
  const find = (
    namespace: Namespace,
    batchId: string,
    bucketIdentifier: string | null,
    read = metadata.read,
  ): BatchRow => {
    const batch = read.batches.get(namespace.namespaceId, batchId)
    if (batch === undefined) throw notFound("batch", batchId)
    if (bucketIdentifier !== null && bucketOf(namespace, bucketIdentifier).bucket_id !== batch.bucket_id) {
      throw notFound("batch", batchId)
    }
    return batch
  }
  /** As a query names it, by name too; of a collection that was deleted there is nothing but its id. */
  const collectionId = (namespace: Namespace, identifier: string | undefined): string | undefined =>
    identifier === undefined
      ? undefined
      : (metadata.read.collections.get(namespace.namespaceId, identifier)?.collection_id ?? identifier)
  const model = (batch: BatchRow, read: Metadata["read"] = metadata.read): BatchModel =>
    batchModel({
      batch,
      // Whose rows all failed says so like one that failed as a whole.
      runs: read.batches.runs(batch.batch_id).map((run) => {
        const error = run.status === "FAILED" && run.error === null ? allRowsFailed(read, run) : null
        return error === null ? run : { ...run, error: JSON.stringify(error) }
      }),
      objectIds: batch.object_count <= MAX_ANSWERED_IDS ? read.batches.objectIds(batch, batch.object_count) : [],
      errorSummary: read.rowErrors.summary(batch.batch_id),
      steps: read.batches.steps(batch.batch_id),
      live: deps.progress,
    })
  const listed = (of: "bucket" | "namespace" | "namespaces", id: string, query: ListBatches): BatchList => {
    const status = query.status ?? null
    return {
      results: metadata.read.batches
        .list(of, id, status, query.limit ?? 100, query.offset ?? 0)
        .map((batch) => model(batch)),
      total_count: metadata.read.batches.count(of, id, status),
    }
  }
  const retry = batchRetry(deps)
  const { targets, checkObjects, draft, submitted, ...triggers } = submission(deps)
  const triggerOf = collectionTrigger({ ...triggers, endEmpty: ledger.endEmpty })

  const stored = (tx: Transaction, namespace: Namespace, batchId: string): BatchRow =>
    find(namespace, batchId, null, tx.read)

  return {
    create(
      namespace: Namespace,
      bucketIdentifier: string,
      request: CreateBatch,
      skipValidation: boolean,
      remember: Remember,
    ): BatchModel {
      parseFilter(request.filters)
      const { bucket_id: bucketId } = bucketOf(namespace, bucketIdentifier)
      const submit = request.auto_submit === true || request.trigger_processing === true
      const answer = metadata.transact((tx) => {
        const explicit = request.object_ids != null
        const bySelection = !explicit && (request.filters != null || request.limit != null || submit)
        const batch = draft(namespace, bucketId, request, bySelection ? "bucket" : "explicit")
        if (request.collection_ids != null) targets(namespace, bucketId, request.collection_ids, tx.read)
        tx.write.batches.insert(batch)
        if (explicit && request.object_ids != null) {
          if (!skipValidation) checkObjects(bucketId, request.object_ids, tx.read)
          tx.write.batches.setMembership(
            batch.batch_id,
            0,
            tx.write.batches.addMembers(batch.batch_id, 0, request.object_ids),
          )
        }
        if (submit) submitted(tx, namespace, stored(tx, namespace, batch.batch_id), {})
        const created = model(stored(tx, namespace, batch.batch_id), tx.read)
        remember(tx, created)
        return created
      })
      if (submit) deps.onSubmitted()
      return answer
    },

    addObjects(
      namespace: Namespace,
      bucketIdentifier: string,
      batchId: string,
      objectIds: readonly string[],
      skipValidation: boolean,
    ): BatchModel {
      find(namespace, batchId, bucketIdentifier)
      return metadata.transact((tx) => {
        const batch = stored(tx, namespace, batchId)
        if (batch.status !== "DRAFT" || batch.membership !== "explicit") {
          const why = batch.status === "DRAFT" ? "selects its objects by filter" : `is ${batch.status}`
          throw new ApplianceError(
            "BadRequestError",
            `Objects can be added to a DRAFT with explicit objects only; this batch ${why}.`,
          )
        }
        if (!skipValidation) checkObjects(batch.bucket_id, objectIds, tx.read)
        tx.write.batches.setMembership(batchId, 0, tx.write.batches.addMembers(batchId, batch.object_count, objectIds))
        return model(stored(tx, namespace, batchId), tx.read)
      })
    },

    /** Submitting again answers the task of the first time. */
    submit(namespace: Namespace, bucketIdentifier: string, batchId: string, request: SubmitBatch): TaskModel {
      find(namespace, batchId, bucketIdentifier)
      const taskId = metadata.transact((tx) => {
        const batch = stored(tx, namespace, batchId)
        return batch.task_id ?? submitted(tx, namespace, batch, request)
      })
      deps.onSubmitted()
      const task = metadata.read.tasks.get(namespace.internalId, [namespace.namespaceId], taskId)
      if (task === undefined) throw notFound("task", taskId)
      return taskModel(task)
    },

    trigger(namespace: Namespace, bucketIdentifier: string, request: TriggerBatch, remember: Remember): BatchModel {
      parseFilter(request.filters)
      const { bucket_id: bucketId } = bucketOf(namespace, bucketIdentifier)
      const answer = metadata.transact((tx) => {
        const created = model(triggers.triggered(tx, namespace, bucketId, request), tx.read)
        remember(tx, created)
        return created
      })
      deps.onSubmitted()
      return answer
    },

    /**
     * One batch per source bucket of the collection, over what is new or changed, over everything (`reembed`) or over
     * exactly the objects that are named; or one over the documents of its source collections, of which the same holds. A batch
     * with nothing to do has ended when it is answered.
     */
    triggerCollection(
      namespace: Namespace,
      identifier: string,
      request: TriggerCollection,
      remember: Remember,
    ): TriggerCollectionResponse {
      const answer = metadata.transact((tx) => {
        const collection = tx.read.collections.get(namespace.namespaceId, identifier)
        if (collection === undefined) throw notFound("collection", identifier)
        const response = triggerOf(tx, namespace, collection, request)
        remember(tx, response)
        return response
      })
      deps.onSubmitted()
      return answer
    },

    get: (namespace: Namespace, bucketIdentifier: string | null, batchId: string): BatchModel =>
      model(find(namespace, batchId, bucketIdentifier)),

    /** Of a bucket, or of the whole namespace. */
    list: (namespace: Namespace, bucketIdentifier: string, query: ListBatches): BatchList =>
      listed("bucket", bucketOf(namespace, bucketIdentifier).bucket_id, query),

    listAll(namespaces: readonly Namespace[], query: ListBatches): BatchList {
      const ids = namespaces.map(({ namespaceId }) => namespaceId)
      const [only] = ids
      // One at a time is read off its index, in order.
      if (only !== undefined && ids.length === 1) return listed("namespace", only, query)
      return listed("namespaces", JSON.stringify(ids), query)
    },

    /** Which of `namespaces` has the batch. @throws NotFoundError */
    holder(namespaces: readonly Namespace[], batchId: string): Namespace {
      const batch = metadata.read.batches.byId(batchId)
      const holder = namespaces.find((namespace) => namespace.namespaceId === batch?.namespace_id)
      if (holder === undefined) throw notFound("batch", batchId)
      return holder
    },

    update(namespace: Namespace, bucketIdentifier: string, batchId: string, changes: UpdateBatch): BatchModel {
      find(namespace, batchId, bucketIdentifier)
      const changed = metadata.transact((tx) => {
        const batch = stored(tx, namespace, batchId)
        const change = {
          metadata: changes.metadata == null ? batch.metadata : JSON.stringify(changes.metadata),
          batch_name: changes.batch_name === undefined ? batch.batch_name : changes.batch_name,
          priority: changes.priority ?? batch.priority,
          max_concurrency: changes.max_concurrency === undefined ? batch.max_concurrency : changes.max_concurrency,
        }
        tx.write.batches.update(batchId, change, now().toISOString())
        return stored(tx, namespace, batchId)
      })
      deps.onChanged()
      return model(changed)
    },

    /** Its documents stay; only the batch and its row errors go. @throws BadRequestError while it runs */
    remove(namespace: Namespace, bucketIdentifier: string, batchId: string): void {
      find(namespace, batchId, bucketIdentifier)
      metadata.transact((tx) => {
        const batch = stored(tx, namespace, batchId)
        if (isLive(batch.status)) {
          throw new ApplianceError("BadRequestError", `The batch is ${batch.status}; cancel it before you delete it.`)
        }
        tx.write.batches.erase(batchId)
      })
      deps.logs.forget(batchId)
    },

    /** What its workers printed. */
    logs(namespace: Namespace, bucketIdentifier: string, batchId: string, query: BatchLogsQuery): BatchLogsAnswer {
      find(namespace, batchId, bucketIdentifier)
      const tier = query.tier_num
      const named = collectionId(namespace, query.collection_id)
      const runs = metadata.read.batches
        .runs(batchId)
        .filter((run) => (tier ?? run.tier) === run.tier && (named ?? run.collection_id) === run.collection_id)
        .map((run) => run.collection_id)
      const logs = deps.logs.read(batchId, query.limit, runs)
      return { batch_id: batchId, logs }
    },

    /** A batch that has ended already stays as it ended. */
    cancel(namespace: Namespace, bucketIdentifier: string | null, batchId: string): TaskModel {
      const batch = find(namespace, batchId, bucketIdentifier)
      if (ledger.cancel(batchId)) deps.onCanceled(batchId)
      const task =
        batch.task_id === null
          ? undefined
          : metadata.read.tasks.get(namespace.internalId, [namespace.namespaceId], batch.task_id)
      if (task !== undefined) return taskModel(task)
      const after = find(namespace, batchId, null)
      return taskModel({
        task_id: batchId,
        internal_id: namespace.internalId,
        namespace_id: namespace.namespaceId,
        task_type: "api_buckets_batches_process",
        status: after.status,
        inputs: JSON.stringify([batchId]),
        outputs: "[]",
        additional_data: JSON.stringify({ batch_id: batchId, bucket_id: batch.bucket_id }),
        error: after.error,
        created_at: after.created_at,
        updated_at: after.updated_at,
      })
    },

    /** Nothing of it runs until it is resumed; what is committed stays. Pausing again changes nothing. */
    pause(namespace: Namespace, bucketIdentifier: string, batchId: string): BatchModel {
      demandLive(find(namespace, batchId, bucketIdentifier), "paused")
      if (deps.suspension.pause(batchId)) deps.onSuspended(batchId)
      return model(find(namespace, batchId, null))
    },

    /** A paused or held batch goes on where it was; one that runs stays as it is. */
    resume(namespace: Namespace, bucketIdentifier: string, batchId: string): BatchModel {
      demandLive(find(namespace, batchId, bucketIdentifier), "resumed")
      if (deps.suspension.resume(batchId)) deps.onResumed(batchId)
      return model(find(namespace, batchId, null))
    },

    /** See `batchRetry`. */
    retry(namespace: Namespace, bucketIdentifier: string, batchId: string, request: RetryBatch): RetriedBatch {
      const retried = retry(namespace, (tx) => find(namespace, batchId, bucketIdentifier, tx.read), request)
      if (retried.retried_rows > 0) deps.onRetried(batchId)
      return retried
    },

    failedDocuments(
      namespace: Namespace,
      bucketIdentifier: string,
      batchId: string,
      query: FailedDocumentsQuery,
    ): FailedDocuments {
      find(namespace, batchId, bucketIdentifier)
      return failedDocuments(metadata.read, batchId, {
        ...query,
        collection_id: collectionId(namespace, query.collection_id),
      })
    },
  }
}

export type Batches = ReturnType<typeof batches>

/** @throws BadRequestError for a draft, or one that has ended */
function demandLive({ status }: BatchRow, what: string): void {
  if (isLive(status)) return
  const why = status === "DRAFT" ? "was not submitted yet" : `is ${status}`
  throw new ApplianceError("BadRequestError", `The batch ${why} and cannot be ${what}.`, { details: { status } })
}
