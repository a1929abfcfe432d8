/**
 * What a collection reads: buckets, or other collections of its namespace. Chains have no cycle, since a source is there
 * before what reads it and never changes afterwards.
 */
import type { CreateCollection } from "../contract/collections.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { parseFilter } from "../filtering.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { answeredExtractor } from "./extractor.ts"
import type { Field } from "./schemas.ts"

/** Collections on the longest way from a bucket to the end of a chain: its tiers in a batch. */
export const MAX_TIERS = 16
/** Ancestors that one answer lists. */
const MAX_LINEAGE = 100

type Read = Metadata["read"]

/** The `source` column. */
export interface StoredSource {
  readonly type: "bucket" | "collection"
  readonly bucket_ids?: readonly string[]
  readonly collection_id?: string
  readonly collection_ids?: readonly string[]
  /** The buckets that the objects at the root of the chain are in. */
  readonly inherited_bucket_ids?: readonly string[]
  readonly source_filters?: { readonly filters?: unknown }
}

export interface ResolvedSource {
  readonly stored: StoredSource
  readonly bucketIds: readonly string[]
  readonly collectionIds: readonly string[]
  /** What its rows have, by the schemas of what it reads. */
  readonly fields: Record<string, Field>
}

/** @throws NotFoundError for a bucket or collection that is not there, ValidationError, NotEnabledError */
export function resolvedSource(
  read: Read,
  { namespaceId }: Namespace,
  name: string,
  source: CreateCollection["source"],
): ResolvedSource {
  parseFilter(source.source_filters?.filters, false, ["source", "source_filters", "filters"])
  const filters = source.source_filters == null ? {} : { source_filters: source.source_filters }
  if (source.type === "bucket") {
    const buckets = named(source.bucket_ids ?? null, source.bucket_id ?? null, "bucket_ids").map((identifier) => {
      const bucket = read.buckets.get(namespaceId, identifier)
      if (bucket === undefined) throw notFound("bucket", identifier)
      return bucket
    })
    const bucketIds = [...new Set(buckets.map((bucket) => bucket.bucket_id))]
    return {
      stored: { type: "bucket", bucket_ids: bucketIds, ...filters },
      bucketIds,
      collectionIds: [],
      fields: mergedFields(buckets.map((bucket) => bucket.bucket_schema)),
    }
  }
  if (source.type !== "collection") {
    throw new ApplianceError(
      "NotEnabledError",
      `A collection over a ${source.type} is not offered by this version yet; use a bucket or a collection.`,
    )
  }
  const collections = named(source.collection_ids ?? null, source.collection_id ?? null, "collection_ids").map(
    (identifier) => {
      const collection = read.collections.get(namespaceId, identifier)
      if (collection !== undefined) return collection
      if (identifier !== name) throw notFound("collection", identifier)
      throw sourceProblem("cycle", `'${name}' would read itself`, "names the collection that is being created")
    },
  )
  const deepest = Math.max(...collections.map((collection) => tiersOf(read, collection)))
  if (deepest >= MAX_TIERS) {
    throw sourceProblem(
      "too_deep",
      `A chain has at most ${MAX_TIERS} collections from its bucket to its end, and this would be one more`,
      `is at the end of a chain of ${MAX_TIERS}`,
    )
  }
  const collectionIds = [...new Set(collections.map((collection) => collection.collection_id))]
  return {
    stored: {
      type: "collection",
      ...(source.collection_id == null || collectionIds.length > 1 ? {} : { collection_id: collectionIds[0] ?? "" }),
      collection_ids: collectionIds,
      inherited_bucket_ids: [...new Set(collections.flatMap(rootBuckets))],
      ...filters,
    },
    bucketIds: [],
    collectionIds,
    fields: mergedFields(collections.map((collection) => collection.output_schema)),
  }
}

/** Names that a mapping finds by the schemas: of documents their vectors too, and the files of the objects at the root. */
export function readableFields(read: Read, { namespaceId }: Namespace, source: ResolvedSource): string[] {
  const above = source.collectionIds.flatMap((id) => read.collections.get(namespaceId, id) ?? [])
  const vectors: { name: string }[] = above.flatMap((row) => JSON.parse(row.vector_indexes))
  const roots = (source.stored.inherited_bucket_ids ?? []).flatMap((id) => read.buckets.get(namespaceId, id) ?? [])
  const files = mergedFields(roots.map((bucket) => bucket.bucket_schema))
  return [...new Set([...Object.keys(source.fields), ...vectors.map(({ name }) => name), ...Object.keys(files)])]
}

/** The buckets whose objects are at the root of what the collection reads. */
export function rootBuckets({ source }: Pick<CollectionRow, "source">): readonly string[] {
  const { bucket_ids: own, inherited_bucket_ids: inherited }: StoredSource = JSON.parse(source)
  return own ?? inherited ?? []
}

/** What the collection reads, with what that reads, root first: `source_lineage` of an answer. */
export function sourceLineage(read: Read, row: CollectionRow) {
  const entries = new Map<string, Record<string, unknown>>()
  const visit = (collectionId: string) => {
    for (const sourceId of read.collections.sources(collectionId)) {
      if (entries.has(sourceId) || entries.size >= MAX_LINEAGE) continue
      const source = read.collections.get(row.namespace_id, sourceId)
      if (source === undefined) continue
      visit(sourceId)
      entries.set(sourceId, {
        collection_id: sourceId,
        source_config: parseExactly(source.source),
        feature_extractor: answeredExtractor(parseExactly(source.feature_extractor)),
        output_schema: parseExactly(source.output_schema),
      })
    }
  }
  visit(row.collection_id)
  return [...entries.values()]
}

/** Collections from a bucket to this one, on the longest way; what was deleted counts no more. */
function tiersOf(read: Read, { namespace_id: namespaceId, collection_id: id }: CollectionRow): number {
  const known = new Map<string, number>()
  const tiers = (collectionId: string): number => {
    const before = known.get(collectionId)
    if (before !== undefined) return before
    const above = read.collections
      .sources(collectionId)
      .filter((sourceId) => read.collections.get(namespaceId, sourceId) !== undefined)
    const own = 1 + Math.max(0, ...above.map(tiers))
    known.set(collectionId, own)
    return own
  }
  return tiers(id)
}

function named(many: readonly string[] | null, one: string | null, key: "bucket_ids" | "collection_ids"): string[] {
  const ids = many ?? (one === null ? [] : [one])
  if (ids.length > 0) return [...ids]
  throw invalid(`source names no ${key === "bucket_ids" ? "bucket" : "collection"}.`, [
    { type: "missing", location: ["body", "source", key], message: "is required" },
  ])
}

function sourceProblem(type: string, said: string, message: string) {
  return invalid(`${said}.`, [{ type, location: ["body", "source", "collection_ids"], message }])
}

function mergedFields(schemas: readonly string[]): Record<string, Field> {
  const merged: Record<string, Field> = {}
  for (const schema of schemas) {
    const { properties = {} }: { properties?: Record<string, Field> } = parseExactly(schema)
    for (const [name, { type }] of Object.entries(properties)) merged[name] ??= { type }
  }
  return merged
}
