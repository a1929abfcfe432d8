import type { Db } from "./open.ts"

export interface CollectionRow {
  collection_id: string
  namespace_id: string
  collection_name: string
  description: string | null
  source: string
  feature_extractor: string
  plugin_id: string
  input_schema: string
  output_schema: string
  vector_indexes: string
  enabled: number
  metadata: string | null
  applications: string
  created_at: string
  updated_at: string
}

const COLUMNS = `collection_id, namespace_id, collection_name, description, source, feature_extractor, plugin_id, input_schema,
  output_schema, vector_indexes, enabled, metadata, applications, created_at, updated_at`

export function collectionReader(db: Db) {
  const get = db.prepare<{ namespaceId: string; identifier: string }, CollectionRow>(
    `SELECT ${COLUMNS} FROM collections
     WHERE namespace_id = @namespaceId AND @identifier IN (collection_id, collection_name) AND deleted_at IS NULL
     ORDER BY collection_id = @identifier DESC LIMIT 1`,
  )
  const list = db.prepare<[string], CollectionRow>(
    `SELECT ${COLUMNS} FROM collections WHERE namespace_id = ? AND deleted_at IS NULL ORDER BY created_at, collection_id`,
  )
  const enabledOf = db.prepare<[string], CollectionRow>(
    `SELECT ${COLUMNS.replaceAll(/(\w+)/g, "c.$1")} FROM collections c JOIN collection_buckets b USING (collection_id)
     WHERE b.bucket_id = ? AND c.enabled = 1 AND c.deleted_at IS NULL ORDER BY c.created_at, c.collection_id`,
  )
  const buckets = db.prepare<[string], { bucket_id: string }>(
    "SELECT bucket_id FROM collection_buckets WHERE collection_id = ? ORDER BY bucket_id",
  )
  const sources = db.prepare<[string], { collection_id: string }>(
    "SELECT source_collection_id AS collection_id FROM collection_sources WHERE collection_id = ? ORDER BY source_collection_id",
  )
  const readersOf = db.prepare<[string], CollectionRow>(
    `SELECT ${COLUMNS.replaceAll(/(\w+)/g, "c.$1")} FROM collections c JOIN collection_sources s USING (collection_id)
     WHERE s.source_collection_id = ? AND c.deleted_at IS NULL ORDER BY c.created_at, c.collection_id`,
  )
  const stranded = db.prepare<{ namespaceId: string; bucketId: string }, CollectionRow>(
    `SELECT ${COLUMNS} FROM collections c
     WHERE namespace_id = @namespaceId AND enabled = 1 AND deleted_at IS NULL
       AND EXISTS (SELECT 1 FROM json_each(c.source, '$.inherited_bucket_ids') WHERE value = @bucketId)
       AND EXISTS (SELECT 1 FROM collection_sources s WHERE s.collection_id = c.collection_id)
       AND NOT EXISTS (SELECT 1 FROM collection_sources s JOIN collections o ON o.collection_id = s.source_collection_id
         WHERE s.collection_id = c.collection_id AND o.deleted_at IS NULL)
     ORDER BY created_at, collection_id`,
  )
  const removed = db.prepare<[], { collection_id: string; namespace_id: string; internal_id: string; org_id: string }>(
    `SELECT c.collection_id, c.namespace_id, n.internal_id, o.org_id FROM collections c
     JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id) WHERE c.deleted_at IS NOT NULL`,
  )
  return {
    /** By id or name; an id wins over another collection's name. */
    get: (namespaceId: string, identifier: string) => get.get({ namespaceId, identifier }),
    list: (namespaceId: string) => list.all(namespaceId),
    /** Enabled collections whose source includes the bucket, oldest first. */
    enabledOf: (bucketId: string) => enabledOf.all(bucketId),
    buckets: (collectionId: string) => buckets.all(collectionId).map((row) => row.bucket_id),
    /** The collections that it reads, deleted ones too; none for a collection over buckets. */
    sources: (collectionId: string) => sources.all(collectionId).map((row) => row.collection_id),
    /** The collections that read it, oldest first. */
    readersOf: (collectionId: string) => readersOf.all(collectionId),
    /** Enabled collections below the bucket whose every source collection was deleted. */
    stranded: (namespaceId: string, bucketId: string) => stranded.all({ namespaceId, bucketId }),
    /** Deleted ones that still wait to be swept. */
    removed: () => removed.all(),
  }
}

export function collectionWriter(db: Db) {
  const insert = db.prepare<CollectionRow>(
    `INSERT INTO collections (${COLUMNS}) VALUES (@collection_id, @namespace_id, @collection_name, @description, @source,
       @feature_extractor, @plugin_id, @input_schema, @output_schema, @vector_indexes, @enabled, @metadata, @applications,
       @created_at, @updated_at)`,
  )
  const insertBucket = db.prepare<[string, string]>(
    "INSERT INTO collection_buckets (collection_id, bucket_id) VALUES (?, ?)",
  )
  const insertSource = db.prepare<[string, string]>(
    "INSERT INTO collection_sources (collection_id, source_collection_id) VALUES (?, ?)",
  )
  const update = db.prepare<CollectionRow>(
    `UPDATE collections SET collection_name = @collection_name, description = @description,
       feature_extractor = @feature_extractor, plugin_id = @plugin_id, output_schema = @output_schema,
       vector_indexes = @vector_indexes, enabled = @enabled, metadata = @metadata, applications = @applications,
       updated_at = @updated_at
     WHERE collection_id = @collection_id AND deleted_at IS NULL`,
  )
  const remove = db.prepare<[string, string]>(
    "UPDATE collections SET deleted_at = ? WHERE collection_id = ? AND deleted_at IS NULL",
  )
  const removeAll = db.prepare<[string, string]>(
    "UPDATE collections SET deleted_at = ? WHERE namespace_id = ? AND deleted_at IS NULL",
  )
  const eraseEdges = [
    "collection_buckets",
    "collection_sources",
    "processed_changes",
    "processed_parts",
    "processed_code",
  ].map((table) => db.prepare<[string]>(`DELETE FROM ${table} WHERE collection_id = ?`))
  const erase = db.prepare<[string]>(
    `DELETE FROM collections WHERE collection_id = ? AND deleted_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM batch_runs r WHERE r.collection_id = collections.collection_id)`,
  )
  return {
    /** Over buckets, or over collections. */
    insert(
      row: CollectionRow,
      over: { readonly bucketIds: readonly string[]; readonly collectionIds: readonly string[] },
    ) {
      insert.run(row)
      for (const bucketId of over.bucketIds) insertBucket.run(row.collection_id, bucketId)
      for (const sourceId of over.collectionIds) insertSource.run(row.collection_id, sourceId)
    },
    update: (row: CollectionRow) => update.run(row).changes === 1,
    /** False when another request removed it first. */
    remove: (collectionId: string, at: string) => remove.run(at, collectionId).changes === 1,
    removeAll: (namespaceId: string, at: string) => void removeAll.run(at, namespaceId),
    /** A collection that a batch's record still names stays as a deleted row. */
    eraseIfUnreferenced(collectionId: string) {
      for (const statement of eraseEdges) statement.run(collectionId)
      erase.run(collectionId)
    },
  }
}
