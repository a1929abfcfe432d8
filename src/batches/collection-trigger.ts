/** `POST /v1/collections/{c}/trigger`: a batch of each bucket that the collection reads, or one over its sources' documents. */
import { rootBuckets } from "../collections/sources.ts"
import type { TriggerCollection, TriggerCollectionResponse } from "../contract/collections.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { parseFilter } from "../filtering.ts"
import type { BatchRow } from "../metadata/batches.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Transaction } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { Ledger } from "./ledger.ts"
import { refuseUnknown, type Submission } from "./submission.ts"

type Deps = Pick<Submission, "triggered" | "triggeredByChanges" | "triggeredOverDocuments"> & Pick<Ledger, "endEmpty">

export function collectionTrigger({ triggered, triggeredByChanges, triggeredOverDocuments, endEmpty }: Deps) {
  const tiersOf = (tx: Transaction, batchId: string) =>
    1 + Math.max(0, ...tx.read.batches.runs(batchId).map((run) => run.tier))

  const ended = (tx: Transaction, batch: BatchRow): BatchRow => {
    endEmpty(tx, batch.batch_id)
    return tx.read.batches.byId(batch.batch_id) ?? batch
  }

  function ofBuckets(
    tx: Transaction,
    namespace: Namespace,
    collection: CollectionRow,
    request: TriggerCollection,
    filters: unknown,
  ): TriggerCollectionResponse {
    refuseNamed(request, "include_collections", "a bucket")
    refuseEmpty(request, "include_buckets")
    const sources = livingBuckets(tx, namespace, collection)
    const named = (request.include_buckets ?? sources).map((identifier) => {
      const bucket = tx.read.buckets.get(namespace.namespaceId, identifier)
      if (bucket === undefined) throw notFound("bucket", identifier)
      return bucket.bucket_id
    })
    refuseForeign("Bucket", named, sources)
    const included = [...new Set(named)]
    const shared = {
      collection_ids: [collection.collection_id],
      ...governed(request),
      ...(filters === null ? {} : { filters: filters as Record<string, unknown> }),
    }
    const objects = request.object_ids ?? null
    const present = new Map(
      included.map((bucketId) => [bucketId, objects === null ? [] : tx.read.objects.present(bucketId, objects)]),
    )
    if (objects !== null) {
      const known = new Set([...present.values()].flat())
      refuseUnknown(
        [...new Set(objects)].filter((id) => !known.has(id)),
        "what the collection reads",
      )
    }
    const batches = included.flatMap((bucketId): BatchRow[] => {
      if (objects === null && !everything(request)) {
        const { batch, nothing } = triggeredByChanges(tx, namespace, bucketId, collection, shared)
        return [nothing ? ended(tx, batch) : batch]
      }
      const own = objects === null ? null : (present.get(bucketId) ?? [])
      if (own !== null && own.length === 0) return []
      return [triggered(tx, namespace, bucketId, { ...shared, ...(own === null ? {} : { object_ids: own }) })]
    })
    const [first] = batches
    if (first === undefined || first.task_id === null) throw notFound("object", objects?.[0] ?? "")
    return {
      batch_id: first.batch_id,
      batch_ids: batches.map((batch) => batch.batch_id),
      task_id: first.task_id,
      collection_id: collection.collection_id,
      total_tiers: tiersOf(tx, first.batch_id),
      message: messageOf(batches),
      source_bucket_ids: included,
      source_collection_ids: null,
      object_count: batches.every((batch) => batch.membership === "explicit" || batch.finished_at !== null)
        ? batches.reduce((sum, batch) => sum + batch.object_count, 0)
        : null,
      document_count: null,
    }
  }

  function ofCollections(
    tx: Transaction,
    namespace: Namespace,
    collection: CollectionRow,
    request: TriggerCollection,
    filters: unknown,
  ): TriggerCollectionResponse {
    refuseNamed(request, "include_buckets", "a collection")
    refuseEmpty(request, "include_collections")
    const [bucketId = ""] = livingBuckets(tx, namespace, collection)
    const sources = tx.read.collections
      .sources(collection.collection_id)
      .filter((id) => tx.read.collections.get(namespace.namespaceId, id) !== undefined)
    if (sources.length === 0) {
      throw new ApplianceError("BadRequestError", "Every collection that this collection reads was deleted.", {
        details: { collection_id: collection.collection_id },
      })
    }
    const included = (request.include_collections ?? sources).map((identifier) => {
      const source = tx.read.collections.get(namespace.namespaceId, identifier)
      if (source === undefined) throw notFound("collection", identifier)
      return source.collection_id
    })
    refuseForeign("Collection", included, sources)
    const wanted = {
      sources: [...new Set(included)],
      filters,
      objectIds: request.object_ids ?? null,
      reembed: everything(request),
    }
    const { documents, nothing, ...made } = triggeredOverDocuments(
      tx,
      namespace,
      bucketId,
      collection,
      wanted,
      governed(request),
    )
    const batch = nothing ? ended(tx, made.batch) : made.batch
    return {
      batch_id: batch.batch_id,
      batch_ids: [batch.batch_id],
      task_id: batch.task_id ?? "",
      collection_id: collection.collection_id,
      total_tiers: tiersOf(tx, batch.batch_id),
      message: nothing ? messageOf([batch]) : `Batch ${batch.batch_id} is queued over ${documents} documents.`,
      source_bucket_ids: [...rootBuckets(collection)],
      source_collection_ids: wanted.sources,
      object_count: request.object_ids == null ? null : request.object_ids.length,
      document_count: documents,
    }
  }

  /** @throws NotFoundError, BadRequestError, ValidationError: nothing is queued then */
  return (
    tx: Transaction,
    namespace: Namespace,
    collection: CollectionRow,
    request: TriggerCollection,
  ): TriggerCollectionResponse => {
    const filters = request.source_filters?.filters ?? request.source_filters ?? null
    const place = filters === request.source_filters ? ["source_filters"] : ["source_filters", "filters"]
    parseFilter(filters, false, place)
    if (collection.enabled !== 1) {
      throw new ApplianceError(
        "BadRequestError",
        `Collection '${collection.collection_name}' is disabled; PATCH it with enabled: true.`,
        {
          details: { collection_id: collection.collection_id },
        },
      )
    }
    const chained = tx.read.collections.sources(collection.collection_id).length > 0
    return (chained ? ofCollections : ofBuckets)(tx, namespace, collection, request, filters)
  }
}

/** For who has mended a plugin and triggers, say. */
const OTHERS = "Rows that failed run again by the retry of their batch, everything by reembed: true."

function messageOf(made: readonly BatchRow[]): string {
  const named = (rows: readonly BatchRow[]) => `Batch ${rows.map((batch) => batch.batch_id).join(", ")}`
  const ended = made.filter((batch) => batch.finished_at !== null)
  const queued = made.filter((batch) => batch.finished_at === null)
  return [
    ...(queued.length === 0 ? [] : [`${named(queued)} is queued.`]),
    ...(ended.length === 0
      ? []
      : [`${named(ended)} has ended: nothing is new or changed that no batch has in hand. ${OTHERS}`]),
  ].join(" ")
}

/** Generated SDKs have `dedup_strategy` for it: their `reembed` is something else. */
const everything = ({ reembed, dedup_strategy }: TriggerCollection): boolean =>
  reembed === true || dedup_strategy === "replace" || dedup_strategy === "force"

const governed = ({ failure_policy, priority, max_concurrency }: TriggerCollection) => ({
  failure_policy,
  priority,
  max_concurrency,
})

/** @throws BadRequestError when none is left: what objects hold went with their bucket */
function livingBuckets(tx: Transaction, namespace: Namespace, collection: CollectionRow): string[] {
  const living = rootBuckets(collection).filter(
    (bucketId) => tx.read.buckets.get(namespace.namespaceId, bucketId) !== undefined,
  )
  if (living.length > 0) return living
  throw new ApplianceError("BadRequestError", "The bucket that this collection reads was deleted.", {
    details: { collection_id: collection.collection_id },
  })
}

function refuseNamed(request: TriggerCollection, key: "include_buckets" | "include_collections", source: string): void {
  if (request[key] == null || request[key].length === 0) return
  throw invalid(`This collection's source is ${source}.`, [
    { type: "unsupported", location: ["body", key], message: "names no source of this collection" },
  ])
}

/** Whoever found none to name does not want all of them. */
function refuseEmpty(request: TriggerCollection, key: "include_buckets" | "include_collections"): void {
  if (request[key]?.length !== 0) return
  throw invalid(`'${key}' is an empty list.`, [
    { type: "too_short", location: ["body", key], message: "must name a source of this collection, or be left out" },
  ])
}

function refuseForeign(kind: string, included: readonly string[], sources: readonly string[]): void {
  const foreign = included.find((id) => !sources.includes(id))
  if (foreign === undefined) return
  throw new ApplianceError("BadRequestError", `${kind} '${foreign}' is not a source of this collection.`)
}
