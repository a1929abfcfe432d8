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
  const eraseBuckets = db.prepare<[string]>("DELETE FROM collection_buckets WHERE collection_id = ?")
  const erase = db.prepare<[string]>(
    `DELETE FROM collections WHERE collection_id = ? AND deleted_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM batch_runs r WHERE r.collection_id = collections.collection_id)`,
  )
  return {
    insert(row: CollectionRow, bucketIds: readonly string[]) {
      insert.run(row)
      for (const bucketId of bucketIds) insertBucket.run(row.collection_id, bucketId)
    },
    update: (row: CollectionRow) => update.run(row).changes === 1,
    /** False when another request removed it first. */
    remove: (collectionId: string, at: string) => remove.run(at, collectionId).changes === 1,
    removeAll: (namespaceId: string, at: string) => void removeAll.run(at, namespaceId),
    /** A collection that a batch's record still names stays as a deleted row. */
    eraseIfUnreferenced(collectionId: string) {
      eraseBuckets.run(collectionId)
      erase.run(collectionId)
    },
  }
}
