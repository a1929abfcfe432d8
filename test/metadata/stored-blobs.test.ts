import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import Database from "better-sqlite3"
import { MIGRATIONS, migrate } from "../../src/metadata/migrate.ts"
import { type BlobColumns, blobColumns, type StoredBlob, storedBlobs } from "../../src/metadata/stored-blobs.ts"

const details = { filename: null, size_bytes: 5, mime_type: "text/plain", hash: "00" }
const inline = (data: unknown, more: Partial<StoredBlob> = {}): StoredBlob => ({
  blob_id: "blob_1",
  property: "text",
  key_prefix: null,
  type: "text",
  metadata: {},
  data,
  details,
  ...more,
})
const file: StoredBlob = {
  blob_id: "blob_2",
  property: "shot",
  key_prefix: "a/b",
  type: "image",
  metadata: { camera: "ü" },
  sha256: "ff",
  url: "s3://bkt/ff",
  details: { filename: "a.png", size_bytes: 9, mime_type: "image/png", hash: "ff" },
}
const address: StoredBlob = {
  blob_id: "blob_3",
  property: "link",
  key_prefix: null,
  type: "string" as StoredBlob["type"],
  metadata: {},
  url: "https://example.org/x",
  details: { filename: null, size_bytes: null, mime_type: null, hash: null },
}
const LISTS: readonly (readonly StoredBlob[])[] = [
  [],
  [inline("a\tb\nc \u2028 'quoted' \"twice\"")],
  [inline({ deep: [1, 2.5, null, 1e21, "x"] }), inline(false, { blob_id: "blob_4", key_prefix: "p" })],
  [inline(null)],
  [file, inline("words"), address],
  [address],
]

test("blobs are read as they were written, and what a worker reads has neither tab nor line break", () => {
  for (const blobs of LISTS) {
    const columns = blobColumns(blobs)
    expect(storedBlobs(columns)).toEqual([...blobs])
    expect(columns.blob_kinds + columns.blob_values).not.toMatch(/[\t\n\r]/)
  }
})

test("what documents keep of a blob names no content, no place of the file and no metadata", () => {
  const { blobs } = blobColumns([file, inline("words")])
  expect(Object.keys(JSON.parse(blobs)[0])).toEqual(["blob_id", "property", "type", "url", "details"])
  expect(blobs).not.toContain("words")
  expect(blobs).not.toContain("camera")
})

test("objects that an older version wrote have the same blobs afterwards, in columns as they are written now", () => {
  const directory = mkdtempSync(join(tmpdir(), "mixpeek-test-"))
  try {
    const db = new Database(join(directory, "metadata.sqlite"))
    const columnsOfBlobs = MIGRATIONS.findIndex((sql) => sql.includes("blob_kinds"))
    for (const sql of MIGRATIONS.slice(0, columnsOfBlobs)) db.exec(sql)
    db.pragma(`user_version = ${columnsOfBlobs}`)
    const insert = db.prepare(
      `INSERT INTO objects (object_id, bucket_id, fields, blobs, size_bytes, created_at, updated_at)
       VALUES (?, 'bkt', '{}', ?, 0, '', '')`,
    )
    db.pragma("foreign_keys = OFF")
    for (const [index, blobs] of LISTS.entries()) insert.run(`obj_${index}`, JSON.stringify(blobs))
    migrate(db, () => new Date(0))
    const rows = db
      .prepare<[], BlobColumns>("SELECT blobs, blob_kinds, blob_values, blob_rest FROM objects ORDER BY seq")
      .all()
    for (const [index, blobs] of LISTS.entries()) {
      const row = rows[index] as BlobColumns
      expect(storedBlobs(row)).toEqual([...blobs])
      const { blob_rest: rest, ...written } = blobColumns(blobs)
      expect({ ...row, blob_rest: undefined }).toMatchObject({ ...written, blobs: expect.any(String) })
      expect(row.blob_rest === null).toBe(rest === null)
      expect(JSON.parse(row.blobs)).toEqual(JSON.parse(written.blobs))
    }
    db.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
