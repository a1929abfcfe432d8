import type { CreateNamespace, NamespaceModel, UpdateNamespace } from "../contract/namespaces.ts"
import { ApplianceError, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { newId, normalizeVersion, pluginId } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { NamespaceRow } from "../metadata/organizations.ts"
import type { Caller } from "./authentication.ts"
import type { Remember } from "./idempotency.ts"
import type { QuotaBook } from "./quotas.ts"

/** What belongs to the organization and to no namespace of it. */
export interface Organization {
  readonly internalId: string
  readonly namespaceId: null
}

/** A namespace that the caller may see; everything below a namespace is looked up by its id. */
export interface Namespace {
  readonly namespaceId: string
  readonly name: string
  readonly internalId: string
  readonly orgId: string
}

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  quotas: Pick<QuotaBook, "effective">
  /** Of namespaces that have none of their own. */
  egressAllowlist: readonly string[]
  now: () => Date
  /** Called after a namespace was removed: its contents are swept in the background. */
  onRemoved: () => void
}

export function namespaces({ metadata, quotas, egressAllowlist, now, onRemoved }: Deps) {
  const model = (row: NamespaceRow, counts: Counts): NamespaceModel => ({
    ...fields(row),
    ...counts,
    quotas: quotas.effective(row.quotas),
    usage: metadata.read.organizations.usage(row.namespace_id),
    egress_allowlist: row.egress_allowlist === null ? [...egressAllowlist] : JSON.parse(row.egress_allowlist),
  })
  const confined = (caller: Caller) => namespaceScopes(caller).length > 0
  const visible = (caller: Caller, row: NamespaceRow) =>
    !confined(caller) ||
    namespaceScopes(caller).some(({ resource_id: id }) => id === row.namespace_id || id === row.namespace_name)
  const find = (caller: Caller, identifier: string): NamespaceRow => {
    const row = metadata.read.organizations.namespace(caller.internalId, identifier)
    if (row === undefined || !visible(caller, row)) throw notFound("namespace", identifier)
    return row
  }
  const list = (caller: Caller) =>
    metadata.read.organizations.namespaces(caller.internalId).filter((row) => visible(caller, row))
  const scope = (caller: Caller, row: NamespaceRow): Namespace => ({
    namespaceId: row.namespace_id,
    name: row.namespace_name,
    internalId: row.internal_id,
    orgId: caller.orgId,
  })

  return {
    /**
     * The namespace a request works in: by id or name; without one, the only namespace the key can see.
     * @throws BadRequestError when none is named and there is not exactly one; NotFoundError
     */
    resolve(caller: Caller, identifier: string | undefined): Namespace {
      if (identifier !== undefined && identifier !== "") return scope(caller, find(caller, identifier))
      const all = list(caller)
      const only = all[0]
      if (only !== undefined && all.length === 1) return scope(caller, only)
      throw new ApplianceError("BadRequestError", "Name the namespace in the X-Namespace header (id or name).", {
        details: { header: "X-Namespace" },
      })
    },

    /** Those that the key sees: where a thing may be that is named by its id alone. */
    seen: (caller: Caller): Namespace[] => list(caller).map((row) => scope(caller, row)),

    /**
     * The namespace that a request counts for, by the rule of `resolve`: leaving the name out does not go round its quota.
     * Null when it is for none that the key sees.
     */
    counted(caller: Caller, identifier: string | undefined): { namespaceId: string; perSecond: number | null } | null {
      const named = identifier !== undefined && identifier !== ""
      const all = named ? [] : list(caller)
      const only = all.length === 1 ? all[0] : undefined
      const row = named ? metadata.read.organizations.namespace(caller.internalId, identifier) : only
      if (row === undefined || !visible(caller, row)) return null
      return { namespaceId: row.namespace_id, perSecond: quotas.effective(row.quotas).requests_per_second }
    },

    /** Ids of the namespaces that the key is confined to; null: it sees all, and what is the organization's own. */
    confinement: (caller: Caller): string[] | null =>
      confined(caller) ? list(caller).map((row) => row.namespace_id) : null,

    /** Where namespaces are made. @throws ForbiddenError for a key that is confined to some */
    organization(caller: Caller): Organization {
      if (!confined(caller)) return { internalId: caller.internalId, namespaceId: null }
      throw new ApplianceError("ForbiddenError", "This API key is confined to a namespace; it cannot make another.")
    },

    async create({ internalId }: Organization, request: CreateNamespace, remember: Remember): Promise<NamespaceModel> {
      const at = now().toISOString()
      const row: NamespaceRow = {
        namespace_id: newId("ns"),
        internal_id: internalId,
        namespace_name: request.namespace_name,
        description: request.description ?? null,
        feature_extractors: JSON.stringify((request.feature_extractors ?? []).map(withExtractorId)),
        payload_indexes: request.payload_indexes == null ? null : JSON.stringify(request.payload_indexes),
        auto_create_indexes: request.auto_create_indexes === true ? 1 : 0,
        plugin_rule_set: request.plugin_rule_set ?? null,
        quotas: null,
        egress_allowlist: null,
        created_at: at,
        updated_at: at,
      }
      return metadata.transact((tx) => {
        refuseTaken(tx.read.organizations.namespace(internalId, row.namespace_name), row.namespace_name)
        tx.write.organizations.insertNamespace(row)
        const answer = model(row, tx.read.organizations.counts(row.namespace_id))
        remember(tx, answer)
        return answer
      })
    },

    get: (caller: Caller, identifier: string): NamespaceModel => {
      const row = find(caller, identifier)
      return model(row, metadata.read.organizations.counts(row.namespace_id))
    },

    list: (caller: Caller): NamespaceModel[] =>
      list(caller).map((row) => model(row, metadata.read.organizations.counts(row.namespace_id))),

    update(caller: Caller, identifier: string, changes: UpdateNamespace): NamespaceModel {
      const { namespace_id: id, namespace_name: before } = find(caller, identifier)
      // Whether the name is free would tell of namespaces that the key does not see.
      if (changes.namespace_name !== undefined && changes.namespace_name !== before && confined(caller)) {
        throw new ApplianceError("ForbiddenError", "This API key is confined to a namespace; it cannot rename it.")
      }
      const guarded = (["quotas", "egress_allowlist"] as const).filter((name) => changes[name] !== undefined)
      if (guarded.length > 0 && (confined(caller) || !caller.permissions.includes("admin"))) {
        throw new ApplianceError(
          "ForbiddenError",
          `Only an administrator's key of the whole organization may change ${guarded.join(" and ")}.`,
          { details: { required: "admin", permissions: caller.permissions } },
        )
      }
      return metadata.transact((tx) => {
        const row = tx.read.organizations.namespace(caller.internalId, id)
        if (row === undefined) throw notFound("namespace", identifier)
        const name = changes.namespace_name ?? row.namespace_name
        if (name !== row.namespace_name) refuseTaken(tx.read.organizations.namespace(caller.internalId, name), name)
        const changed: NamespaceRow = {
          ...row,
          namespace_name: name,
          description: changes.description === undefined ? row.description : changes.description,
          payload_indexes:
            changes.payload_indexes === undefined
              ? row.payload_indexes
              : changes.payload_indexes === null
                ? null
                : JSON.stringify(changes.payload_indexes),
          auto_create_indexes: Number(changes.auto_create_indexes ?? row.auto_create_indexes === 1),
          plugin_rule_set: changes.plugin_rule_set === undefined ? row.plugin_rule_set : changes.plugin_rule_set,
          quotas: changedQuotas(row.quotas, changes.quotas),
          egress_allowlist: changedList(row.egress_allowlist, changes.egress_allowlist),
          updated_at: now().toISOString(),
        }
        tx.write.organizations.updateNamespace(changed)
        return model(changed, tx.read.organizations.counts(id))
      })
    },

    /** Invisible at once, swept afterwards; the task tells when nothing is left. */
    remove(caller: Caller, identifier: string): { taskId: string; namespaceId: string } {
      const row = find(caller, identifier)
      const at = now().toISOString()
      const taskId = newId("task")
      metadata.transact((tx) => {
        if (!tx.write.organizations.removeNamespace(caller.internalId, row.namespace_id, at))
          throw notFound("namespace", identifier)
        tx.write.tasks.insert({
          task_id: taskId,
          internal_id: caller.internalId,
          namespace_id: row.namespace_id,
          task_type: "api_namespaces_delete",
          status: "PENDING",
          inputs: JSON.stringify([row.namespace_id]),
          outputs: "[]",
          additional_data: JSON.stringify({ namespace_id: row.namespace_id }),
          error: null,
          created_at: at,
          updated_at: at,
        })
      })
      onRemoved()
      return { taskId, namespaceId: row.namespace_id }
    },
  }
}

export type Namespaces = ReturnType<typeof namespaces>

const namespaceScopes = ({ scopes }: Caller) => scopes.filter((scope) => scope.resource_type === "namespace")

function refuseTaken(existing: NamespaceRow | undefined, name: string): void {
  if (existing === undefined) return
  throw new ApplianceError("AlreadyExistsError", `A namespace named '${name}' already exists.`, {
    details: { resource: "namespace", id: existing.namespace_id },
  })
}

function withExtractorId(reference: { feature_extractor_name: string; version: string }) {
  const version = normalizeVersion(reference.version) ?? reference.version
  return { ...reference, feature_extractor_id: pluginId(reference.feature_extractor_name, version) }
}

function changedQuotas(own: string | null, changes: UpdateNamespace["quotas"]): string | null {
  if (changes === undefined) return own
  if (changes === null) return null
  const merged: Record<string, unknown> = { ...(own === null ? {} : JSON.parse(own)), ...changes }
  const kept = Object.entries(merged).filter(([, limit]) => limit != null)
  return kept.length === 0 ? null : JSON.stringify(Object.fromEntries(kept))
}

function changedList(own: string | null, changes: readonly string[] | null | undefined): string | null {
  if (changes === undefined) return own
  return changes === null ? null : JSON.stringify(changes)
}

type Counts = Pick<NamespaceModel, "document_count" | "bucket_count" | "collection_count" | "object_count">

function fields(row: NamespaceRow): Omit<NamespaceModel, keyof Counts | "quotas" | "usage" | "egress_allowlist"> {
  return {
    object: "namespace",
    namespace_id: row.namespace_id,
    namespace_name: row.namespace_name,
    description: row.description,
    feature_extractors: parseExactly(row.feature_extractors),
    payload_indexes: row.payload_indexes === null ? null : parseExactly(row.payload_indexes),
    auto_create_indexes: row.auto_create_indexes === 1,
    plugin_rule_set: row.plugin_rule_set,
    namespace_ready: true,
    mode: "managed",
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

/** For work that was begun before: of a removed namespace too, until it is swept. */
export function namespaceById(metadata: Pick<Metadata, "read">, namespaceId: string): Namespace | null {
  const row = metadata.read.organizations.namespaceById(namespaceId)
  if (row === undefined) return null
  return { namespaceId, name: row.namespace_name, internalId: row.internal_id, orgId: row.org_id }
}
