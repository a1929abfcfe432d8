import type { CollectionModel, CreateCollection, FeatureExtractor, UpdateCollection } from "../contract/collections.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { newId } from "../identifiers.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Remember } from "../organizations/idempotency.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import {
  answeredExtractor,
  type ExtractorConfig,
  extractorConfig,
  type KnownPlugins,
  movedConfig,
  namedFields,
  type VectorIndex,
  vectorIndexes,
} from "./extractor.ts"
import { codeFingerprint } from "./fingerprint.ts"
import { type Field, schemaFields } from "./schemas.ts"
import { readableFields, resolvedSource, rootBuckets, sourceLineage } from "./sources.ts"
import { extractorWarnings, unreadChanges, unreadKeys } from "./warnings.ts"

export type ParameterCheck =
  | { readonly valid: true }
  | {
      readonly valid: false
      readonly errors: readonly { location: readonly (string | number)[]; message: string; type: string }[]
    }
  | { readonly valid: null; readonly message: string; readonly details: Record<string, unknown> }

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
  knownPlugins: (namespace: Namespace) => KnownPlugins
  /** Runs the plugin's own parameter class, in a worker. */
  checkParameters: (
    namespace: Namespace,
    plugin: RegisteredPlugin,
    parameters: Readonly<Record<string, unknown>>,
  ) => Promise<ParameterCheck>
  /** Called after a collection was removed: its batches end and its files are swept. */
  onRemoved: (collectionId: string) => void
}

export function collections({ metadata, now, knownPlugins, checkParameters, onRemoved }: Deps) {
  const find = (namespace: Namespace, identifier: string): CollectionRow => {
    const row = metadata.read.collections.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("collection", identifier)
    return row
  }
  const model = (row: CollectionRow) =>
    answer(
      row,
      metadata.read.parts.documentCount(row.collection_id),
      bucketSchemas(row),
      sourceLineage(metadata.read, row),
    )
  const bucketSchemas = (row: CollectionRow): Record<string, unknown> =>
    Object.fromEntries(
      rootBuckets(row).flatMap((id) => {
        const bucket = metadata.read.buckets.get(row.namespace_id, id)
        return bucket === undefined ? [] : [[id, parseExactly(bucket.bucket_schema)]]
      }),
    )
  const checked = async (namespace: Namespace, config: ExtractorConfig, plugin: RegisteredPlugin) => {
    if (plugin.manifest.parameter_schema === null && Object.keys(config.parameters).length === 0) return
    const check = await checkParameters(namespace, plugin, config.parameters)
    if (check.valid === true) return
    if (check.valid === null) throw new ApplianceError("BadRequestError", check.message, { details: check.details })
    throw invalid(
      `parameters do not fit ${plugin.name}@${plugin.version}: ${check.errors[0]?.message ?? "refused by its parameter schema"}`,
      check.errors.map((error) => ({
        type: error.type,
        location: ["body", "feature_extractor", "parameters", ...error.location],
        message: error.message,
      })),
    )
  }

  return {
    /** @throws NotFoundError for an unknown extractor or bucket, ValidationError, AlreadyExistsError */
    async create(namespace: Namespace, request: CreateCollection, remember: Remember): Promise<CollectionModel> {
      const name = request.collection_name ?? request.name
      if (name == null) throw missing("collection_name")
      refuseApplications(request)
      resolvedSource(metadata.read, namespace, name, request.source)
      const extractor = oneExtractor(request)
      const { config, plugin } = extractorConfig(extractor, knownPlugins(namespace))
      await checked(namespace, config, plugin)
      const at = now().toISOString()
      return metadata.transact((tx) => {
        refuseTaken(tx.read.collections.get(namespace.namespaceId, name), name)
        // Again: what it reads may have been deleted while the plugin looked at its parameters.
        const source = resolvedSource(tx.read, namespace, name, request.source)
        const row: CollectionRow = {
          collection_id: newId("col"),
          namespace_id: namespace.namespaceId,
          collection_name: name,
          description: request.description ?? null,
          source: JSON.stringify(source.stored),
          input_schema: JSON.stringify({ properties: source.fields }),
          ...extractorColumns({ config, plugin }, source.fields),
          enabled: request.enabled === false ? 0 : 1,
          metadata: request.metadata == null ? null : JSON.stringify(request.metadata),
          applications: JSON.stringify({
            taxonomy_applications: request.taxonomy_applications ?? null,
            cluster_applications: request.cluster_applications ?? null,
            alert_applications: request.alert_applications ?? null,
          }),
          created_at: at,
          updated_at: at,
        }
        tx.write.collections.insert(row, source)
        const created = {
          ...answer(row, 0, bucketSchemas(row), sourceLineage(tx.read, row)),
          warnings: [
            ...unreadKeys(request, extractor),
            ...extractorWarnings(config, plugin, readableFields(tx.read, namespace, source)),
          ],
        }
        remember(tx, created)
        return created
      })
    },

    get: (namespace: Namespace, identifier: string): CollectionModel => model(find(namespace, identifier)),

    list: (namespace: Namespace): CollectionModel[] => metadata.read.collections.list(namespace.namespaceId).map(model),

    async update(namespace: Namespace, identifier: string, changes: UpdateCollection): Promise<CollectionModel> {
      const { collection_id: id, feature_extractor: stored } = find(namespace, identifier)
      refuseApplications(changes)
      if (changes.source != null) {
        throw invalid("The source of a collection cannot change; create another collection.", [
          { type: "immutable", location: ["body", "source"], message: "cannot change" },
        ])
      }
      refuseOtherExtractor(stored, changes.feature_extractor ?? null)
      const moved =
        changes.feature_extractor?.version == null
          ? null
          : movedConfig(parseExactly(stored), changes.feature_extractor.version, knownPlugins(namespace))
      // What the old version took may be refused by the new one's parameter class.
      if (moved !== null) await checked(namespace, moved.config, moved.plugin)
      return metadata.transact((tx) => {
        const row = tx.read.collections.get(namespace.namespaceId, id)
        if (row === undefined) throw notFound("collection", identifier)
        const name = changes.collection_name ?? row.collection_name
        if (name !== row.collection_name) refuseTaken(tx.read.collections.get(namespace.namespaceId, name), name)
        const at = now().toISOString()
        const changed: CollectionRow = {
          ...row,
          collection_name: name,
          description: changes.description === undefined ? row.description : changes.description,
          enabled: Number(changes.enabled ?? row.enabled === 1),
          metadata:
            changes.metadata === undefined
              ? row.metadata
              : changes.metadata === null
                ? null
                : JSON.stringify(changes.metadata),
          ...(moved === null ? {} : extractorColumns(moved, JSON.parse(row.input_schema).properties)),
          updated_at: at,
        }
        tx.write.collections.update(changed)
        if (moved !== null && changed.plugin_id !== row.plugin_id) {
          const { config, plugin } = moved
          const fingerprint = codeFingerprint(plugin.pluginId, plugin.codeHash, config)
          tx.write.processedChanges.carry(id, row.plugin_id, plugin.pluginId, fingerprint, at)
        }
        return {
          ...answer(changed, tx.read.parts.documentCount(id), bucketSchemas(changed), sourceLineage(tx.read, changed)),
          warnings: unreadChanges(changes),
        }
      })
    },

    /** Its documents are invisible with the same transaction. */
    remove(namespace: Namespace, identifier: string): { collection_id: string } {
      const row = find(namespace, identifier)
      metadata.transact((tx) => {
        if (!tx.write.collections.remove(row.collection_id, now().toISOString()))
          throw notFound("collection", identifier)
      })
      onRemoved(row.collection_id)
      return { collection_id: row.collection_id }
    },
  }
}

export type Collections = ReturnType<typeof collections>

function missing(field: string): ApplianceError {
  return invalid(`${field} is required.`, [{ type: "missing", location: ["body", field], message: "is required" }])
}

function refuseTaken(existing: CollectionRow | undefined, name: string): void {
  if (existing === undefined) return
  throw new ApplianceError("AlreadyExistsError", `A collection named '${name}' already exists in this namespace.`, {
    details: { resource: "collection", id: existing.collection_id },
  })
}

/** Stored and echoed, but not run (api.md §12): one that asks to be run is refused rather than ignored. */
type Applications = Partial<
  Pick<CreateCollection, "taxonomy_applications" | "cluster_applications" | "alert_applications">
>

function refuseApplications(request: Applications): void {
  for (const key of ["taxonomy_applications", "cluster_applications", "alert_applications"] as const) {
    const index = (request[key] ?? []).findIndex((entry) => entry.enabled === true)
    if (index < 0) continue
    throw invalid(`${key} are not run by this appliance.`, [
      { type: "unsupported", location: ["body", key, index, "enabled"], message: "must be false or left out" },
    ])
  }
}

function oneExtractor(request: CreateCollection): FeatureExtractor {
  const given = [
    ...(request.feature_extractor == null ? [] : [request.feature_extractor]),
    ...(request.feature_extractors ?? []),
  ]
  const only = given[0]
  if (only === undefined) throw missing("feature_extractor")
  if (given.length > 1) {
    throw invalid("A collection has one feature extractor.", [
      { type: "too_many", location: ["body", "feature_extractors"], message: "must be a list of exactly one" },
    ])
  }
  return only
}

function outputFields(
  config: ExtractorConfig,
  plugin: RegisteredPlugin,
  source: Record<string, Field>,
): Record<string, Field> {
  const named = namedFields(config.field_passthrough)
  const others = Object.entries(source).filter(([name]) => config.include_all_source_fields && !named.includes(name))
  const passed = config.field_passthrough.map(({ source_path, target_path }): [string, Field] => [
    target_path,
    source[source_path] ?? { type: "object" },
  ])
  return { ...Object.fromEntries([...others, ...passed]), ...schemaFields(plugin.manifest.output_schema) }
}

/** A collection keeps its extractor and parameters; only the version moves (api.md §4.1). */
function refuseOtherExtractor(stored: string, changes: Record<string, unknown> | null): void {
  if (changes === null) return
  const config: ExtractorConfig = parseExactly(stored)
  const { feature_extractor_name: name, version: _, feature_extractor_id: __, ...others } = changes
  const other = Object.keys(others)[0]
  if (name !== undefined && name !== config.feature_extractor_name) {
    throw invalid(
      `This collection keeps its extractor, ${config.feature_extractor_name}; create another collection for '${name}'.`,
      [
        {
          type: "immutable",
          location: ["body", "feature_extractor", "feature_extractor_name"],
          message: "cannot change",
        },
      ],
    )
  }
  if (other === undefined) return
  throw invalid(`Only the version of a collection's extractor can change, not '${other}'; create another collection.`, [
    { type: "immutable", location: ["body", "feature_extractor", other], message: "cannot change" },
  ])
}

/** What of a row follows from its extractor. */
function extractorColumns(
  { config, plugin }: { config: ExtractorConfig; plugin: RegisteredPlugin },
  source: Record<string, Field>,
): Pick<CollectionRow, "feature_extractor" | "plugin_id" | "output_schema" | "vector_indexes"> {
  return {
    feature_extractor: JSON.stringify(config),
    plugin_id: plugin.pluginId,
    output_schema: JSON.stringify({ properties: outputFields(config, plugin, source) }),
    vector_indexes: JSON.stringify(vectorIndexes(plugin)),
  }
}

function answer(
  row: CollectionRow,
  documentCount: number,
  schemas: Record<string, unknown>,
  lineage: CollectionModel["source_lineage"],
): CollectionModel {
  const applications: Pick<CollectionModel, "taxonomy_applications" | "cluster_applications" | "alert_applications"> =
    parseExactly(row.applications)
  const indexes: VectorIndex[] = JSON.parse(row.vector_indexes)
  return {
    collection_id: row.collection_id,
    collection_name: row.collection_name,
    description: row.description,
    input_schema: parseExactly(row.input_schema),
    output_schema: parseExactly(row.output_schema),
    feature_extractor: answeredExtractor(parseExactly(row.feature_extractor)),
    source: parseExactly(row.source),
    source_bucket_schemas: schemas,
    source_lineage: lineage,
    vector_indexes: indexes.map(({ name, description, feature_uri, dimensions, distance }) => ({
      name,
      description,
      feature_uri,
      type: "single" as const,
      index: { name, description, dimensions, type: "dense" as const, distance },
    })),
    payload_indexes: [],
    enabled: row.enabled === 1,
    metadata: row.metadata === null ? null : parseExactly(row.metadata),
    created_at: row.created_at,
    updated_at: row.updated_at,
    document_count: documentCount,
    schema_version: 1,
    schema_sync_enabled: true,
    taxonomy_applications: applications.taxonomy_applications,
    cluster_applications: applications.cluster_applications,
    alert_applications: applications.alert_applications,
    taxonomy_count: applications.taxonomy_applications?.length ?? 0,
    retriever_count: 0,
  }
}
