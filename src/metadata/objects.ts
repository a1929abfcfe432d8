import type { Filter } from "../filtering.ts"
import { filterSql, registerFilterFunctions, type Sql, type SqlValue, searchSql, sortSql } from "./object-filters.ts"
import type { Db } from "./open.ts"
import type { BlobColumns } from "./stored-blobs.ts"

export interface ObjectRow extends BlobColumns {
  seq: number
  object_id: string
  bucket_id: string
  key_prefix: string | null
  /** JSON object: the user's fields, `metadata` among them. */
  fields: string
  /** The values of the bucket's unique key; null when the bucket has none. */
  unique_value: string | null
  /** What its blobs hold, as one hash; null without blobs. */
  content_hash: string | null
  size_bytes: number
  status: string
  error: string | null
  created_at: string
  updated_at: string
}

/** Which objects of a bucket, and by what they are to be ordered. */
export interface ObjectSelection {
  readonly bucketId: string
  readonly filter: Filter | null
  readonly search: string | null
  readonly caseSensitive: boolean
  readonly sortField: string | null
}

/** Place of a selected object: its arrival, and its value of the sort field (null without one). */
export interface ObjectKey {
  readonly seq: number
  readonly value: SqlValue
}

const COLUMNS = `seq, object_id, bucket_id, key_prefix, fields, blobs, blob_kinds, blob_values, blob_rest, unique_value, content_hash,
  size_bytes, status, error, created_at, updated_at`

export function objectReader(db: Db) {
  registerFilterFunctions(db)
  const get = db.prepare<[string, string], ObjectRow>(
    `SELECT ${COLUMNS} FROM objects WHERE object_id = ? AND bucket_id = ?`,
  )
  const bucketOf = db.prepare<[string, string], { bucket_id: string }>(
    `SELECT o.bucket_id FROM objects o JOIN buckets b USING (bucket_id)
     WHERE o.object_id = ? AND b.namespace_id = ? AND b.deleted_at IS NULL`,
  )
  const byUniqueValue = db.prepare<[string, string], ObjectRow>(
    `SELECT ${COLUMNS} FROM objects WHERE bucket_id = ? AND unique_value = ?`,
  )
  const byContent = db.prepare<[string, string], ObjectRow>(
    `SELECT ${COLUMNS} FROM objects WHERE bucket_id = ? AND content_hash = ? ORDER BY seq LIMIT 1`,
  )
  const files = db.prepare<[string], { sha256: string }>("SELECT sha256 FROM object_files WHERE object_id = ?")
  const holdsFile = db.prepare<[string, string], { found: 1 }>(
    "SELECT 1 AS found FROM object_files WHERE bucket_id = ? AND sha256 = ? LIMIT 1",
  )
  const fileOwner = db.prepare<[string, string], BlobColumns>(
    `SELECT o.blobs, o.blob_kinds, o.blob_values, o.blob_rest FROM object_files f JOIN objects o ON o.object_id = f.object_id
     WHERE f.bucket_id = ? AND f.sha256 = ? LIMIT 1`,
  )
  const bySeq = db.prepare<[string, number], ObjectRow>(
    `SELECT ${COLUMNS} FROM objects WHERE bucket_id = ? AND seq = ?`,
  )
  const scanEnd = db.prepare<[string, number, number], { seq: number | null }>(
    "SELECT max(seq) AS seq FROM (SELECT seq FROM objects WHERE bucket_id = ? AND seq > ? ORDER BY seq LIMIT ?)",
  )
  const stretch = db.prepare<[string, number, number, number], { objects: number; last: number | null }>(
    `SELECT count(*) AS objects, max(seq) AS last
     FROM (SELECT seq FROM objects WHERE bucket_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)`,
  )
  const lastSeq = db.prepare<[string], { seq: number | null }>(
    "SELECT max(seq) AS seq FROM objects WHERE bucket_id = ?",
  )
  const changeScanEnd = db.prepare<[string, number, number], { change: number | null }>(
    "SELECT max(change) AS change FROM (SELECT change FROM objects WHERE bucket_id = ? AND change > ? ORDER BY change LIMIT ?)",
  )
  const anyChange = db.prepare<[string, number, number], { found: 1 }>(
    "SELECT 1 AS found FROM objects WHERE bucket_id = ? AND change > ? AND change <= ? LIMIT 1",
  )
  const lastChange = db.prepare<[], { last: number }>("SELECT last FROM object_changes")
  const changeOutside = db.prepare<[string, number, string], { found: 1 }>(
    `SELECT 1 AS found FROM objects o WHERE o.bucket_id = ? AND o.change > ?
       AND NOT EXISTS (SELECT 1 FROM batch_objects m WHERE m.batch_id = ? AND m.object_id = o.object_id) LIMIT 1`,
  )
  const changedOf = db.prepare<[string, number], { object_id: string }>(
    "SELECT o.object_id FROM json_each(?) j CROSS JOIN objects o ON o.object_id = j.value WHERE o.change > ?",
  )
  const unknown = db.prepare<[string, string], { object_id: string }>(
    `SELECT j.value AS object_id FROM json_each(?) AS j
     WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.object_id = j.value AND o.bucket_id = ?) LIMIT 100`,
  )
  const gone = db.prepare<[string], { object_id: string }>(
    `SELECT j.value AS object_id FROM json_each(?) AS j
     WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.object_id = j.value)`,
  )
  const present = db.prepare<[string, string], { object_id: string }>(
    `SELECT o.object_id FROM json_each(?) AS j JOIN objects o ON o.object_id = j.value AND o.bucket_id = ? ORDER BY j.id`,
  )

  return {
    get: (bucketId: string, objectId: string) => get.get(objectId, bucketId),
    /** Null when the namespace has no such object. */
    bucketOf: (namespaceId: string, objectId: string) => bucketOf.get(objectId, namespaceId)?.bucket_id ?? null,
    byUniqueValue: (bucketId: string, value: string) => byUniqueValue.get(bucketId, value),
    byContent: (bucketId: string, hash: string) => byContent.get(bucketId, hash),
    files: (objectId: string) => files.all(objectId).map((row) => row.sha256),
    holdsFile: (bucketId: string, sha256: string) => holdsFile.get(bucketId, sha256) !== undefined,
    /** The blobs of one object that holds the file. */
    fileOwner: (bucketId: string, sha256: string) => fileOwner.get(bucketId, sha256),
    /** The newest object's place in the order of arrival; 0 for an empty bucket. */
    lastSeq: (bucketId: string) => lastSeq.get(bucketId)?.seq ?? 0,
    /** Of these ids, up to 100 that are no objects of the bucket. */
    unknown: (bucketId: string, objectIds: readonly string[]) =>
      unknown.all(JSON.stringify(objectIds), bucketId).map((row) => row.object_id),

    /** Of objects that were there, those that are deleted. */
    gone: (objectIds: readonly string[]) => gone.all(JSON.stringify(objectIds)).map((row) => row.object_id),

    /** Of these ids, those that are objects of the bucket, in the order given. */
    present: (bucketId: string, objectIds: readonly string[]) =>
      present.all(JSON.stringify(objectIds), bucketId).map((row) => row.object_id),

    bySeq: (bucketId: string, seq: number) => bySeq.get(bucketId, seq),

    /** The seq up to which the next `rows` objects of the bucket reach; null when none follows. */
    scanEnd: (bucketId: string, afterSeq: number, rows: number) => scanEnd.get(bucketId, afterSeq, rows)?.seq ?? null,

    /** The newest change of any object of this database: what is written later has a larger one. */
    lastChange: () => lastChange.get()?.last ?? 0,
    /** As `scanEnd`, in the order of changes. */
    changeScanEnd: (bucketId: string, afterChange: number, rows: number) =>
      changeScanEnd.get(bucketId, afterChange, rows)?.change ?? null,
    /** Whether an object of the bucket was last written in (afterChange, endChange]. */
    changedBetween: (bucketId: string, afterChange: number, endChange: number) =>
      anyChange.get(bucketId, afterChange, endChange) !== undefined,
    /** Whether all objects of the bucket that were written after this are members of the batch. */
    areMembers: (bucketId: string, afterChange: number, batchId: string) =>
      changeOutside.get(bucketId, afterChange, batchId) === undefined,
    /** Of these objects, those that were written after this. */
    changedOf: (objectIds: readonly string[], afterChange: number) =>
      changedOf.all(JSON.stringify(objectIds), afterChange).map((row) => row.object_id),

    /** The next `rows` objects of the bucket with afterSeq < seq <= endSeq: how many there are, and the seq of the last. */
    stretch: (bucketId: string, afterSeq: number, endSeq: number, rows: number) =>
      stretch.get(bucketId, afterSeq, endSeq, rows) ?? { objects: 0, last: null },

    /**
     * Reads the selected keys with afterSeq < seq <= throughSeq, in the order of arrival. It looks at every object of that
     * span in one turn of the event loop: `scanEnd` says how far to go.
     * @throws ValidationError for a filter or sort that is not offered
     */
    scanner(selection: ObjectSelection): (afterSeq: number, throughSeq: number) => ObjectKey[] {
      const { text, values } = scanSql(selection)
      const statement = db.prepare<SqlValue[], { seq: number; value: SqlValue | Uint8Array }>(text)
      return (afterSeq, throughSeq) =>
        statement
          .all(...values, selection.bucketId, afterSeq, throughSeq)
          .map(({ seq, value }) => ({ seq, value: value instanceof Uint8Array ? digits(value) : value }))
    },

    /** Up to `limit` members of a bucket with afterSeq < seq <= endSeq that pass the filter, in the order of arrival. */
    membershipSlice(
      bucketId: string,
      afterSeq: number,
      endSeq: number,
      limit: number,
      filter: Filter | null = null,
    ): { seq: number; object_id: string }[] {
      const { text, values } = filterSql(filter)
      return db
        .prepare<SqlValue[], { seq: number; object_id: string }>(
          `SELECT o.seq, o.object_id FROM objects AS o
           WHERE o.bucket_id = ? AND o.seq > ? AND o.seq <= ? AND ${text} ORDER BY o.seq LIMIT ?`,
        )
        .all(bucketId, afterSeq, endSeq, ...values, limit)
    },

    /** As `membershipSlice`, by the objects' last changes and in their order. */
    changedSlice(
      bucketId: string,
      afterChange: number,
      endChange: number,
      limit: number,
      filter: Filter | null = null,
    ): { change: number; object_id: string }[] {
      const { text, values } = filterSql(filter)
      return db
        .prepare<SqlValue[], { change: number; object_id: string }>(
          `SELECT o.change, o.object_id FROM objects AS o
           WHERE o.bucket_id = ? AND o.change > ? AND o.change <= ? AND ${text} ORDER BY o.change LIMIT ?`,
        )
        .all(bucketId, afterChange, endChange, ...values, limit)
    },
  }
}

/** As `sortSql` gives whole numbers past 53 bits. */
function digits(value: Uint8Array): bigint {
  return BigInt(new TextDecoder().decode(value))
}

function scanSql({ filter, search, caseSensitive, sortField }: ObjectSelection): Sql {
  const value = sortField === null ? { text: "NULL", values: [] } : sortSql(sortField)
  const tests = [filterSql(filter, caseSensitive), ...(search === null ? [] : [searchSql(search, caseSensitive)])]
  return {
    text: `SELECT o.seq, ${value.text} AS value FROM objects AS o
      WHERE ${tests.map((test) => test.text).join(" AND ")} AND o.bucket_id = ? AND o.seq > ? AND o.seq <= ? ORDER BY o.seq`,
    values: [...value.values, ...tests.flatMap((test) => test.values)],
  }
}

export function objectWriter(db: Db) {
  const insert = db.prepare<Omit<ObjectRow, "seq">>(
    `INSERT INTO objects (object_id, bucket_id, key_prefix, fields, blobs, blob_kinds, blob_values, blob_rest, unique_value,
       content_hash, size_bytes, status, error, created_at, updated_at, change)
     VALUES (@object_id, @bucket_id, @key_prefix, @fields, @blobs, @blob_kinds, @blob_values, @blob_rest, @unique_value,
       @content_hash, @size_bytes, @status, @error, @created_at, @updated_at, (SELECT last FROM object_changes))`,
  )
  const nextChange = db.prepare<[]>("UPDATE object_changes SET last = last + 1")
  // What is written as it was is no change: a nightly upsert of everything must not have everything processed again.
  const update = db.prepare<Omit<ObjectRow, "seq">>(
    `UPDATE objects SET change = CASE WHEN key_prefix IS @key_prefix AND fields = @fields AND blobs = @blobs
           AND blob_kinds = @blob_kinds AND blob_values = @blob_values AND blob_rest IS @blob_rest THEN change
         ELSE (SELECT last FROM object_changes) END,
       key_prefix = @key_prefix, fields = @fields, blobs = @blobs, blob_kinds = @blob_kinds,
       blob_values = @blob_values, blob_rest = @blob_rest, unique_value = @unique_value,
       content_hash = @content_hash, size_bytes = @size_bytes, updated_at = @updated_at
     WHERE object_id = @object_id AND bucket_id = @bucket_id`,
  )
  const insertFile = db.prepare<[string, string, string]>(
    "INSERT INTO object_files (bucket_id, sha256, object_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  )
  const removeFiles = db.prepare<[string]>("DELETE FROM object_files WHERE object_id = ?")
  const remove = db.prepare<[string, string]>("DELETE FROM objects WHERE object_id = ? AND bucket_id = ?")
  const sweepFiles = db.prepare<[string, number]>(
    `DELETE FROM object_files WHERE object_id IN (SELECT object_id FROM objects WHERE bucket_id = ? ORDER BY seq LIMIT ?)`,
  )
  const sweep = db.prepare<[string, number]>(
    "DELETE FROM objects WHERE seq IN (SELECT seq FROM objects WHERE bucket_id = ? ORDER BY seq LIMIT ?)",
  )
  return {
    insert(row: Omit<ObjectRow, "seq">, files: readonly string[]) {
      nextChange.run()
      insert.run(row)
      for (const sha256 of files) insertFile.run(row.bucket_id, sha256, row.object_id)
    },
    /** Content only; id, bucket, status and time of creation stay. */
    update(row: Omit<ObjectRow, "seq">, files: readonly string[]) {
      nextChange.run()
      update.run(row)
      removeFiles.run(row.object_id)
      for (const sha256 of files) insertFile.run(row.bucket_id, sha256, row.object_id)
    },
    /** False when another request removed it first. */
    remove(bucketId: string, objectId: string) {
      removeFiles.run(objectId)
      return remove.run(objectId, bucketId).changes === 1
    },
    /** Removes the oldest `limit` objects of a bucket and tells how many. */
    sweep(bucketId: string, limit: number) {
      sweepFiles.run(bucketId, limit)
      return sweep.run(bucketId, limit).changes
    },
  }
}
