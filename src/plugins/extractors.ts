/** What can be named as a collection's extractor: this namespace's plugins. No built-in extractor is served yet. */
import type {
  ExtractorInfo,
  ListExtractorsResponse,
  UnifiedExtractor,
  VectorIndexDefinition,
} from "../contract/extractors.ts"
import { notFound } from "../errors.ts"
import { featureUri } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { PluginFeature, PluginManifest } from "./manifest.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  /** Plugin ids of a namespace that answer in realtime now. */
  deployed: (namespaceId: string) => ReadonlySet<string>
}

export function extractors({ metadata, deployed }: Deps) {
  return {
    list(namespace: Namespace, source: "builtin" | "custom" | "community" | "all"): ListExtractorsResponse {
      const answering = deployed(namespace.namespaceId)
      const custom = metadata.read.plugins.list(namespace.namespaceId).map((row) => unified(row, answering))
      const shown = source === "custom" || source === "all" ? custom : []
      return {
        success: true,
        extractors: shown,
        total: shown.length,
        namespace_id: namespace.namespaceId,
        builtin_count: 0,
        custom_count: shown.length,
      }
    },

    get(namespace: Namespace, extractorId: string): UnifiedExtractor {
      const row = metadata.read.plugins.get(namespace.namespaceId, extractorId)
      if (row === undefined) throw notFound("extractor", extractorId)
      return unified(row, deployed(namespace.namespaceId))
    },

    /** Extractors that every namespace has. */
    builtins: (): ExtractorInfo[] => [],

    /** @throws NotFoundError */
    builtin(extractorId: string): ExtractorInfo {
      throw notFound("extractor", extractorId)
    },
  }
}

export type Extractors = ReturnType<typeof extractors>

function unified(row: PluginRow, answering: ReadonlySet<string>): UnifiedExtractor {
  const manifest: PluginManifest = JSON.parse(row.manifest)
  return {
    feature_extractor_name: row.name,
    version: row.version,
    feature_extractor_id: row.plugin_id,
    source: "custom",
    description: row.description ?? "",
    icon: "box",
    input_schema: manifest.input_schema ?? {},
    output_schema: manifest.output_schema ?? {},
    parameter_schema: manifest.parameter_schema,
    supported_input_types: manifest.supported_input_types,
    max_inputs: {},
    default_parameters: defaults(manifest.parameter_schema),
    required_vector_indexes: manifest.features.map((feature) => vectorIndex(row, feature)),
    required_payload_indexes: null,
    position_fields: [],
    feature_uri: featureUri(row.name, row.version),
    plugin_id: row.plugin_id,
    deployed: answering.has(row.plugin_id),
    validation_status: "passed",
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

function vectorIndex(row: PluginRow, feature: PluginFeature): VectorIndexDefinition {
  const description = `Embedding '${feature.feature_name}' of ${row.name} ${row.version}`
  return {
    feature_uri: featureUri(row.name, row.version, feature.feature_name),
    name: feature.feature_name,
    description,
    type: "single",
    index: {
      name: feature.feature_name,
      description,
      dimensions: feature.embedding_dim,
      type: "dense",
      distance: feature.distance_metric,
    },
  }
}

/** The `default` of every property that has one. */
function defaults(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown> {
  const properties = schema?.properties
  if (typeof properties !== "object" || properties === null) return {}
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]: [string, unknown]) =>
      typeof property === "object" && property !== null && "default" in property ? [[name, property.default]] : [],
    ),
  )
}
