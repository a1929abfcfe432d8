import type { Db } from "./open.ts"
import type { Memory } from "./remembered.ts"

export type DeploymentStatus = "QUEUED" | "PENDING" | "IN_PROGRESS" | "DEPLOYED" | "FAILED" | "NOT_DEPLOYED"
export type RevisionState =
  | "QUEUED"
  | "PENDING"
  | "IN_PROGRESS"
  | "LIVE"
  | "DRAINING"
  | "RETIRED"
  | "FAILED"
  | "CANCELED"

export interface RevisionRow {
  revision_id: string
  namespace_id: string
  plugin_id: string
  code_hash: string
  state: RevisionState
  reason: string
  created_by: string
  error: string | null
  isolation: string | null
  isolation_facts: string | null
  created_at: string
  started_at: string | null
  live_at: string | null
  ended_at: string | null
  environment_hash: string | null
}

export interface DeploymentRow {
  namespace_id: string
  plugin_id: string
  name: string
  status: DeploymentStatus
  live_revision_id: string | null
  previous_revision_id: string | null
  rollout_revision_id: string | null
  queued_at: string | null
  deployed_at: string | null
  error: string | null
  updated_at: string
}

export interface AliasRow {
  namespace_id: string
  name: string
  plugin_id: string
  previous_plugin_id: string | null
  updated_at: string
}

/** Starts that an estimate is made of: older ones were on another machine, or another load. */
const MEASURED_STARTS = 10

export function deploymentReader(db: Db, memory: Memory) {
  const get = db.prepare<[string, string], DeploymentRow>(
    "SELECT * FROM deployments WHERE namespace_id = ? AND plugin_id = ?",
  )
  const all = db.prepare<[], DeploymentRow>("SELECT * FROM deployments ORDER BY updated_at")
  const live = db.prepare<[string], { plugin_id: string }>(
    "SELECT plugin_id FROM deployments WHERE namespace_id = ? AND live_revision_id IS NOT NULL",
  )
  const revision = db.prepare<[string], RevisionRow>("SELECT * FROM revisions WHERE revision_id = ?")
  const history = db.prepare<[string, string], RevisionRow>(
    `SELECT * FROM revisions WHERE namespace_id = ? AND plugin_id = ? ORDER BY created_at DESC, revision_id DESC LIMIT 100`,
  )
  const alias = db.prepare<[string, string], AliasRow>(
    "SELECT * FROM deployment_aliases WHERE namespace_id = ? AND name = ?",
  )
  const aliases = db.prepare<[], AliasRow>("SELECT * FROM deployment_aliases")
  const starts = db.prepare<[number], { seconds: number }>(
    `SELECT (julianday(live_at) - julianday(started_at)) * 86400 AS seconds FROM revisions
     WHERE live_at IS NOT NULL AND started_at IS NOT NULL ORDER BY live_at DESC LIMIT ?`,
  )
  return {
    get: (namespaceId: string, pluginId: string) => get.get(namespaceId, pluginId),
    all: () => all.all(),
    live: (namespaceId: string) => live.all(namespaceId).map(({ plugin_id }) => plugin_id),
    revision: (revisionId: string) => revision.get(revisionId),
    /** The newest 100. */
    history: (namespaceId: string, pluginId: string) => history.all(namespaceId, pluginId),
    alias: memory.remember((namespaceId: string, name: string) => alias.get(namespaceId, name)),
    aliases: () => aliases.all(),
    /** Seconds that the last rollouts took from their start until they served. */
    measuredStarts: () => starts.all(MEASURED_STARTS).map(({ seconds }) => seconds),
  }
}

export function deploymentWriter(db: Db) {
  const insertRevision = db.prepare<RevisionRow>(
    `INSERT INTO revisions VALUES (@revision_id, @namespace_id, @plugin_id, @code_hash, @state, @reason, @created_by, @error,
       @isolation, @isolation_facts, @created_at, @started_at, @live_at, @ended_at, @environment_hash)`,
  )
  const updateRevision = db.prepare<RevisionRow>(
    `UPDATE revisions SET state = @state, error = @error, isolation = @isolation, isolation_facts = @isolation_facts,
       started_at = @started_at, live_at = @live_at, ended_at = @ended_at WHERE revision_id = @revision_id`,
  )
  const put = db.prepare<DeploymentRow>(
    `INSERT OR REPLACE INTO deployments VALUES (@namespace_id, @plugin_id, @name, @status, @live_revision_id,
       @previous_revision_id, @rollout_revision_id, @queued_at, @deployed_at, @error, @updated_at)`,
  )
  const retireDraining = db.prepare<[string]>(
    "UPDATE revisions SET state = 'RETIRED', ended_at = ? WHERE state = 'DRAINING'",
  )
  const remove = db.prepare<[string, string]>("DELETE FROM deployments WHERE namespace_id = ? AND plugin_id = ?")
  const removeRevisions = db.prepare<[string, string]>("DELETE FROM revisions WHERE namespace_id = ? AND plugin_id = ?")
  const putAlias = db.prepare<AliasRow>(
    "INSERT OR REPLACE INTO deployment_aliases VALUES (@namespace_id, @name, @plugin_id, @previous_plugin_id, @updated_at)",
  )
  const removeAlias = db.prepare<[string, string]>("DELETE FROM deployment_aliases WHERE namespace_id = ? AND name = ?")
  const erase = ["deployment_aliases", "deployments", "revisions"].map((table) =>
    db.prepare<[string]>(`DELETE FROM ${table} WHERE namespace_id = ?`),
  )
  return {
    insertRevision: (row: RevisionRow) => void insertRevision.run(row),
    updateRevision: (row: RevisionRow) => void updateRevision.run(row),
    put: (row: DeploymentRow) => void put.run(row),
    /** What drained when the appliance was killed has ended with it. */
    retireDraining: (at: string) => void retireDraining.run(at),
    remove(namespaceId: string, pluginId: string): void {
      remove.run(namespaceId, pluginId)
      removeRevisions.run(namespaceId, pluginId)
    },
    putAlias: (row: AliasRow) => void putAlias.run(row),
    removeAlias: (namespaceId: string, name: string) => void removeAlias.run(namespaceId, name),
    erase(namespaceId: string): void {
      for (const statement of erase) statement.run(namespaceId)
    },
  }
}
