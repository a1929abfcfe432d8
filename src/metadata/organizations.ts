import type { RuleSetName } from "../rule-set-names.ts"
import type { Db } from "./open.ts"
import type { Memory } from "./remembered.ts"

export interface OrganizationRow {
  internal_id: string
  org_id: string
  organization_name: string
  created_at: string
  updated_at: string
}

export interface NamespaceRow {
  namespace_id: string
  internal_id: string
  namespace_name: string
  description: string | null
  feature_extractors: string
  payload_indexes: string | null
  auto_create_indexes: number
  plugin_rule_set: RuleSetName | null
  /** JSON of those that differ from the server's; null when none does. */
  quotas: string | null
  /** JSON list; null takes the server's. */
  egress_allowlist: string | null
  created_at: string
  updated_at: string
}

export interface NamespaceUsage {
  plugins: number
  objects: number
  bytes: number
}

export interface NamespaceCounts {
  bucket_count: number
  collection_count: number
  object_count: number
  document_count: number
}

const NAMESPACE = `namespace_id, internal_id, namespace_name, description, feature_extractors, payload_indexes,
  auto_create_indexes, plugin_rule_set, quotas, egress_allowlist, created_at, updated_at`

export function organizationReader(db: Db, memory: Memory) {
  const byName = db.prepare<[string], OrganizationRow>("SELECT * FROM organizations WHERE organization_name = ?")
  const byInternalId = db.prepare<[string], OrganizationRow>("SELECT * FROM organizations WHERE internal_id = ?")
  const all = db.prepare<[], OrganizationRow>("SELECT * FROM organizations ORDER BY created_at, internal_id")
  const count = db.prepare<[], { count: number }>("SELECT count(*) AS count FROM organizations")
  const namespace = db.prepare<{ internalId: string; identifier: string }, NamespaceRow>(
    `SELECT ${NAMESPACE} FROM namespaces
     WHERE internal_id = @internalId AND @identifier IN (namespace_id, namespace_name) AND deleted_at IS NULL
     ORDER BY namespace_id = @identifier DESC LIMIT 1`,
  )
  const namespaces = db.prepare<[string], NamespaceRow>(
    `SELECT ${NAMESPACE} FROM namespaces WHERE internal_id = ? AND deleted_at IS NULL ORDER BY created_at, namespace_id`,
  )
  const counts = db.prepare<[string, string, string, string], NamespaceCounts>(
    `SELECT (SELECT count(*) FROM buckets WHERE namespace_id = ? AND deleted_at IS NULL) AS bucket_count,
       (SELECT count(*) FROM collections WHERE namespace_id = ? AND deleted_at IS NULL) AS collection_count,
       (SELECT coalesce(sum(object_count), 0) FROM buckets WHERE namespace_id = ? AND deleted_at IS NULL) AS object_count,
       (SELECT coalesce(sum(p.document_rows - p.dead_rows), 0) FROM parts p JOIN collections c USING (collection_id)
         WHERE c.namespace_id = ? AND c.deleted_at IS NULL) AS document_count`,
  )
  const quotas = db.prepare<[string], { quotas: string | null }>("SELECT quotas FROM namespaces WHERE namespace_id = ?")
  const egress = db.prepare<[string], { egress_allowlist: string | null }>(
    "SELECT egress_allowlist FROM namespaces WHERE namespace_id = ?",
  )
  const usage = db.prepare<{ namespaceId: string }, NamespaceUsage>(
    `SELECT (SELECT count(*) FROM plugins WHERE namespace_id = @namespaceId) AS plugins,
       coalesce(sum(b.object_count), 0) AS objects,
       coalesce(sum(b.total_size_bytes), 0)
         + (SELECT coalesce(sum(archive_bytes), 0) FROM plugins WHERE namespace_id = @namespaceId)
         + (SELECT coalesce(sum(u.received_bytes), 0) FROM bucket_uploads u JOIN buckets USING (bucket_id)
             WHERE namespace_id = @namespaceId AND u.status = 'PENDING') AS bytes
     FROM buckets b WHERE b.namespace_id = @namespaceId AND b.deleted_at IS NULL`,
  )
  const removed = db.prepare<[], { namespace_id: string; org_id: string }>(
    "SELECT namespace_id, org_id FROM namespaces JOIN organizations USING (internal_id) WHERE deleted_at IS NOT NULL",
  )
  const byId = db.prepare<
    [string],
    { namespace_id: string; namespace_name: string; internal_id: string; org_id: string }
  >(
    `SELECT namespace_id, namespace_name, internal_id, org_id FROM namespaces JOIN organizations USING (internal_id)
     WHERE namespace_id = ?`,
  )
  const listed = memory.remember((internalId: string): readonly NamespaceRow[] => namespaces.all(internalId))
  return {
    byName: (name: string) => byName.get(name),
    byInternalId: (internalId: string) => byInternalId.get(internalId),
    all: () => all.all(),
    count: () => count.get()?.count ?? 0,
    /** By id or name, inside the organization; an id wins over another namespace's name. */
    namespace: memory.remember((internalId: string, identifier: string) => namespace.get({ internalId, identifier })),
    namespaces: (internalId: string) => listed(internalId) ?? [],
    counts: (namespaceId: string): NamespaceCounts =>
      counts.get(namespaceId, namespaceId, namespaceId, namespaceId) ?? {
        bucket_count: 0,
        collection_count: 0,
        object_count: 0,
        document_count: 0,
      },
    quotas: (namespaceId: string) => quotas.get(namespaceId)?.quotas ?? null,
    egressAllowlist: (namespaceId: string) => egress.get(namespaceId)?.egress_allowlist ?? null,
    usage: (namespaceId: string): NamespaceUsage => usage.get({ namespaceId }) ?? { plugins: 0, objects: 0, bytes: 0 },
    /** Removed ones too: for work that was begun before. */
    namespaceById: (namespaceId: string) => byId.get(namespaceId),
    /** Namespaces that were deleted and still wait to be swept. */
    removedNamespaces: () => removed.all(),
  }
}

export function organizationWriter(db: Db) {
  const insert = db.prepare<OrganizationRow>(
    `INSERT INTO organizations (internal_id, org_id, organization_name, created_at, updated_at)
     VALUES (@internal_id, @org_id, @organization_name, @created_at, @updated_at)`,
  )
  const insertNamespace = db.prepare<NamespaceRow>(
    `INSERT INTO namespaces (${NAMESPACE}) VALUES (@namespace_id, @internal_id, @namespace_name, @description,
       @feature_extractors, @payload_indexes, @auto_create_indexes, @plugin_rule_set, @quotas, @egress_allowlist, @created_at, @updated_at)`,
  )
  const updateNamespace = db.prepare<NamespaceRow>(
    `UPDATE namespaces SET namespace_name = @namespace_name, description = @description,
       feature_extractors = @feature_extractors, payload_indexes = @payload_indexes,
       auto_create_indexes = @auto_create_indexes, plugin_rule_set = @plugin_rule_set, quotas = @quotas, egress_allowlist = @egress_allowlist, updated_at = @updated_at
     WHERE namespace_id = @namespace_id AND internal_id = @internal_id AND deleted_at IS NULL`,
  )
  const removeNamespace = db.prepare<[string, string, string]>(
    "UPDATE namespaces SET deleted_at = ? WHERE namespace_id = ? AND internal_id = ? AND deleted_at IS NULL",
  )
  const eraseNamespace = db.prepare<[string]>(
    "DELETE FROM namespaces WHERE namespace_id = ? AND deleted_at IS NOT NULL",
  )
  return {
    insert: (row: OrganizationRow) => void insert.run(row),
    insertNamespace: (row: NamespaceRow) => void insertNamespace.run(row),
    /** False when the namespace is gone. */
    updateNamespace: (row: NamespaceRow) => updateNamespace.run(row).changes === 1,
    /** False when another request removed it first. */
    removeNamespace: (internalId: string, namespaceId: string, at: string) =>
      removeNamespace.run(at, namespaceId, internalId).changes === 1,
    eraseNamespace: (namespaceId: string) => void eraseNamespace.run(namespaceId),
  }
}
