import type { Db } from "./open.ts"
import type { Memory } from "./remembered.ts"

export interface PluginRow {
  namespace_id: string
  plugin_id: string
  name: string
  version: string
  description: string | null
  code_hash: string
  archive_file: string
  archive_bytes: number
  rule_set: string
  warnings: string
  manifest: string
  has_realtime: number
  /** JSON of workers/environments/plugin-environment.ts, or null. */
  environment: string | null
  created_at: string
  updated_at: string
}

/** Null for the base environment of the appliance's own Python. */
export function environmentHash({ environment }: Pick<PluginRow, "environment">): string | null {
  return environment === null ? null : JSON.parse(environment).hash
}

export interface PluginUploadRow {
  upload_id: string
  namespace_id: string
  name: string
  version: string
  description: string | null
  file_size_bytes: number | null
  expires_at: string
  /** The passing answer of its confirmation; null until then. */
  answer: string | null
  created_at: string
}

/** With the organization its files are filed under. */
export type PlacedPluginRow = PluginRow & { org_id: string }
export type PlacedUploadRow = PluginUploadRow & { org_id: string }

const PLUGIN = `namespace_id, plugin_id, name, version, description, code_hash, archive_file, archive_bytes, rule_set, warnings,
  manifest, has_realtime, environment, created_at, updated_at`
const UPLOAD = "upload_id, namespace_id, name, version, description, file_size_bytes, expires_at, answer, created_at"

export function pluginReader(db: Db, memory: Memory) {
  const get = db.prepare<[string, string], PluginRow>(
    `SELECT ${PLUGIN} FROM plugins WHERE namespace_id = ? AND plugin_id = ?`,
  )
  const list = db.prepare<[string], PluginRow>(
    `SELECT ${PLUGIN} FROM plugins WHERE namespace_id = ? ORDER BY created_at, plugin_id`,
  )
  const placed = db.prepare<[string, string], PlacedPluginRow>(
    `SELECT ${PLUGIN.replaceAll(/(\w+)/g, "p.$1")}, o.org_id FROM plugins p
     JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id)
     WHERE p.namespace_id = ? AND p.plugin_id = ? AND n.deleted_at IS NULL`,
  )
  const archives = db.prepare<[], Pick<PlacedPluginRow, "org_id" | "namespace_id" | "plugin_id" | "archive_file">>(
    `SELECT o.org_id, p.namespace_id, p.plugin_id, p.archive_file FROM plugins p
     JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id)`,
  )
  const environments = db.prepare<[], { hash: string }>(
    "SELECT DISTINCT environment ->> '$.hash' AS hash FROM plugins WHERE environment IS NOT NULL",
  )
  const upload = db.prepare<[string], PlacedUploadRow>(
    `SELECT ${UPLOAD.replaceAll(/(\w+)/g, "u.$1")}, o.org_id FROM plugin_uploads u
     JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id)
     WHERE u.upload_id = ? AND n.deleted_at IS NULL`,
  )
  const openUploads = db.prepare<[], PlacedUploadRow>(
    `SELECT ${UPLOAD.replaceAll(/(\w+)/g, "u.$1")}, o.org_id FROM plugin_uploads u
     JOIN namespaces n USING (namespace_id) JOIN organizations o USING (internal_id)
     WHERE u.answer IS NULL`,
  )
  return {
    get: memory.remember((namespaceId: string, pluginId: string) => get.get(namespaceId, pluginId)),
    /** Oldest first. */
    list: (namespaceId: string) => list.all(namespaceId),
    /** Of a namespace that is there. */
    placed: (namespaceId: string, pluginId: string) => placed.get(namespaceId, pluginId),
    /** What every plugin has on disk. */
    archives: () => archives.all(),
    /** Hashes of the environments that plugins name, of every organization. */
    environments: () => new Set(environments.all().map(({ hash }) => hash)),
    upload: (uploadId: string) => upload.get(uploadId),
    /** Uploads without a passing confirmation, of every namespace. */
    openUploads: () => openUploads.all(),
  }
}

export function pluginWriter(db: Db) {
  const insert = db.prepare<PluginRow>(
    `INSERT INTO plugins (${PLUGIN}) VALUES (@namespace_id, @plugin_id, @name, @version, @description, @code_hash,
       @archive_file, @archive_bytes, @rule_set, @warnings, @manifest, @has_realtime, @environment, @created_at, @updated_at)`,
  )
  const remove = db.prepare<[string, string]>("DELETE FROM plugins WHERE namespace_id = ? AND plugin_id = ?")
  const insertUpload = db.prepare<PluginUploadRow>(
    `INSERT INTO plugin_uploads (${UPLOAD}) VALUES (@upload_id, @namespace_id, @name, @version, @description,
       @file_size_bytes, @expires_at, @answer, @created_at)`,
  )
  const answerUpload = db.prepare<[string, string]>(
    "UPDATE plugin_uploads SET answer = ? WHERE upload_id = ? AND answer IS NULL",
  )
  const removeUpload = db.prepare<[string]>("DELETE FROM plugin_uploads WHERE upload_id = ? AND answer IS NULL")
  const removeConfirmed = db.prepare<[string, string, string]>(
    "DELETE FROM plugin_uploads WHERE namespace_id = ? AND name = ? AND version = ? AND answer IS NOT NULL",
  )
  const eraseUploads = db.prepare<[string]>("DELETE FROM plugin_uploads WHERE namespace_id = ?")
  const erase = db.prepare<[string]>("DELETE FROM plugins WHERE namespace_id = ?")
  return {
    insert: (row: PluginRow) => void insert.run(row),
    /** False when another request removed it first. */
    remove: (namespaceId: string, pluginId: string) => remove.run(namespaceId, pluginId).changes === 1,
    insertUpload: (row: PluginUploadRow) => void insertUpload.run(row),
    /** False when the upload is gone or was answered before. */
    answerUpload: (uploadId: string, answer: string) => answerUpload.run(answer, uploadId).changes === 1,
    /** Never a confirmed one: its answer is repeated as long as its plugin exists. */
    removeUpload: (uploadId: string) => void removeUpload.run(uploadId),
    removeConfirmedUploads: (namespaceId: string, name: string, version: string) =>
      void removeConfirmed.run(namespaceId, name, version),
    /** Everything a removed namespace had here. */
    erase(namespaceId: string) {
      eraseUploads.run(namespaceId)
      erase.run(namespaceId)
    },
  }
}
