import type { Db } from "./open.ts"

export interface PartRow {
  seq: number
  part_id: string
  collection_id: string
  batch_id: string
  plugin_id: string
  code_hash: string
  /** Relative to the data directory, without an ending. */
  file: string
  features: string
  document_rows: number
  /** Relative to the data directory. */
  dead_file: string | null
  dead_rows: number
  size_bytes: number
  created_at: string
}

export function partReader(db: Db) {
  const ofCollection = db.prepare<[string], PartRow>("SELECT * FROM parts WHERE collection_id = ? ORDER BY seq")
  const count = db.prepare<[string], { count: number }>(
    "SELECT coalesce(sum(document_rows - dead_rows), 0) AS count FROM parts WHERE collection_id = ?",
  )
  const deadFile = db.prepare<[string], { dead_file: string | null }>("SELECT dead_file FROM parts WHERE part_id = ?")
  const versions = db.prepare<[string], { plugin_id: string; document_count: number; features: string; seq: number }>(
    // The other columns are those of the row with the largest seq: SQLite says so of max().
    `SELECT plugin_id, features, sum(document_rows - dead_rows) AS document_count, max(seq) AS seq FROM parts
     WHERE collection_id = ? GROUP BY plugin_id ORDER BY seq DESC`,
  )
  const files = db.prepare<[], { file: string; dead_file: string | null }>("SELECT file, dead_file FROM parts")
  const lastSeq = db.prepare<[], { seq: number | null }>("SELECT max(seq) AS seq FROM parts")
  return {
    /** Of the newest part that is there; what comes later has a larger one. */
    lastSeq: () => lastSeq.get()?.seq ?? 0,
    ofCollection: (collectionId: string) => ofCollection.all(collectionId),
    /** Undefined when the part is gone. */
    deadFile: (partId: string) => deadFile.get(partId)?.dead_file,
    /** The plugin versions that made the parts, the one that wrote last first, with the features of their newest part. */
    versions: (collectionId: string) => versions.all(collectionId),
    documentCount: (collectionId: string) => count.get(collectionId)?.count ?? 0,
    /** Every file that a row names; anything else below documents/ is left over. */
    files: () =>
      new Set(files.all().flatMap((row) => (row.dead_file === null ? [row.file] : [row.file, row.dead_file]))),
  }
}

export function partWriter(db: Db) {
  const insert = db.prepare<Omit<PartRow, "seq">>(
    `INSERT INTO parts (part_id, collection_id, batch_id, plugin_id, code_hash, file, features, document_rows, dead_file,
       dead_rows, size_bytes, created_at)
     VALUES (@part_id, @collection_id, @batch_id, @plugin_id, @code_hash, @file, @features, @document_rows, @dead_file,
       @dead_rows, @size_bytes, @created_at)`,
  )
  const supersede = db.prepare<[string, number, string]>(
    "UPDATE parts SET dead_file = ?, dead_rows = ? WHERE part_id = ?",
  )
  const removeDead = db.prepare<[string]>("DELETE FROM parts WHERE part_id = ? AND dead_rows >= document_rows")
  const removeOf = db.prepare<[string]>("DELETE FROM parts WHERE collection_id = ?")
  const removeVersion = db.prepare<[string, string]>("DELETE FROM parts WHERE collection_id = ? AND plugin_id = ?")
  return {
    insert: (row: Omit<PartRow, "seq">) => void insert.run(row),
    /** A part without a living row is forgotten; the sweep removes its files. */
    supersede(partId: string, deadFile: string, deadRows: number) {
      supersede.run(deadFile, deadRows, partId)
      removeDead.run(partId)
    },
    removeVersion: (collectionId: string, pluginId: string) => void removeVersion.run(collectionId, pluginId),
    removeOf: (collectionId: string) => void removeOf.run(collectionId),
  }
}
