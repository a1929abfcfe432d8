/** A collection's extractor configuration: what a caller sends, in all its spellings, as the one form that is stored. */
import type { CollectionModel, FeatureExtractor } from "../contract/collections.ts"
import { ApplianceError, invalid } from "../errors.ts"
import { featureUri, normalizeVersion } from "../identifiers.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"

export interface InputMapping {
  readonly input_key: string
  readonly source_type: "payload" | "literal"
  /** Dotted path into the object; null for a literal. */
  readonly path: string | null
  readonly override: unknown
}

export interface Passthrough {
  readonly source_path: string
  readonly target_path: string
  readonly default: unknown
  readonly required: boolean
}

export interface ExtractorConfig {
  readonly feature_extractor_name: string
  readonly version: string
  readonly feature_extractor_id: string
  readonly parameters: Readonly<Record<string, unknown>>
  readonly params: Readonly<Record<string, unknown>>
  readonly input_mappings: readonly InputMapping[]
  readonly field_passthrough: readonly Passthrough[]
  readonly include_all_source_fields: boolean
}

export interface VectorIndex {
  readonly name: string
  readonly description: string
  readonly feature_uri: string
  readonly dimensions: number
  readonly distance: string
}

/** The hosted service's own extractors. The generated SDK puts their parameter classes into requests by mistake (api.md §4.1). */
const BUILTIN_NAMES = new Set([
  "passthrough_extractor",
  "text_extractor",
  "image_extractor",
  "face_identity_extractor",
  "document_graph_extractor",
  "multimodal_extractor",
  "scrolling_text_extractor",
  "audio_fingerprint_extractor",
  "web_scraper",
  "gemini_multifile_extractor",
  "universal_extractor",
])

const ENTRY = ["body", "feature_extractor"] as const

/** The plugins of a namespace. */
export interface KnownPlugins {
  readonly find: (name: string, version: string) => RegisteredPlugin | null
  readonly versions: (name: string) => readonly string[]
}

/** @throws ValidationError, or NotFoundError naming the plugin that is not registered */
export function extractorConfig(
  request: FeatureExtractor,
  known: KnownPlugins,
): { config: ExtractorConfig; plugin: RegisteredPlugin } {
  const plugin = registeredPlugin(request.feature_extractor_name, request.version, known)
  return {
    plugin,
    config: {
      feature_extractor_name: plugin.name,
      version: plugin.version,
      feature_extractor_id: plugin.pluginId,
      parameters: ownParameters(request.parameters ?? {}, plugin.name),
      params: request.params ?? {},
      input_mappings: knownInputs(mappings(request.input_mappings ?? null), plugin),
      field_passthrough: (request.field_passthrough ?? []).map((entry) => {
        const item =
          typeof entry === "string" ? { source_path: entry, target_path: null, default: null, required: false } : entry
        const path = payloadPath(item.source_path)
        return {
          source_path: path,
          // As the hosted API names it: 'metadata.author' is 'author' in the documents.
          target_path: item.target_path ?? path.slice(path.lastIndexOf(".") + 1),
          default: item.default ?? null,
          required: item.required,
        }
      }),
      include_all_source_fields: request.include_all_source_fields ?? false,
    },
  }
}

/** Running with a built-in's defaults in place of what the user meant would be wrong values, silently. */
function ownParameters(parameters: Record<string, unknown>, pluginName: string): Record<string, unknown> {
  const { extractor_type: type, ...own } = parameters
  if (type === undefined || type === pluginName) return own
  if (typeof type === "string" && BUILTIN_NAMES.has(type)) {
    throw invalid(
      `parameters carry extractor_type '${type}', which is not this plugin's: the generated SDK client replaces free parameters by that class. Send a plain dictionary (the Mixpeek client does).`,
      [
        {
          type: "extractor_type",
          location: [...ENTRY, "parameters", "extractor_type"],
          message: `is '${type}', not '${pluginName}'`,
        },
      ],
    )
  }
  return parameters
}

function mappings(given: FeatureExtractor["input_mappings"] | null): InputMapping[] {
  if (given == null) return []
  const list = Array.isArray(given)
    ? given
    : Object.entries(given).map(([key, path]) => ({
        input_key: key,
        source_type: "payload" as const,
        path,
        override: undefined,
      }))
  return list.map((mapping, index) => {
    const location = [...ENTRY, "input_mappings", index]
    if (mapping.source_type === "vector") {
      throw invalid("A vector cannot be mapped to an input.", [
        { type: "unsupported", location, message: "source_type vector is not offered" },
      ])
    }
    if (mapping.source_type === "literal") {
      return { input_key: mapping.input_key, source_type: "literal", path: null, override: mapping.override ?? null }
    }
    if (mapping.path == null) {
      throw invalid("A payload mapping needs a path.", [
        { type: "missing", location: [...location, "path"], message: "is required" },
      ])
    }
    return {
      input_key: mapping.input_key,
      source_type: "payload",
      path: payloadPath(mapping.path),
      override: mapping.override ?? null,
    }
  })
}

/** A misspelt input would leave the plugin without what it was meant to get, silently. */
function knownInputs(given: InputMapping[], plugin: RegisteredPlugin): InputMapping[] {
  const properties = plugin.manifest.input_schema?.properties
  if (typeof properties !== "object" || properties === null) return given
  const inputs = Object.keys(properties)
  const index = given.findIndex(({ input_key: key }) => !inputs.includes(key))
  const unknown = given[index]
  if (unknown === undefined) return given
  throw invalid(
    `input_mappings names '${unknown.input_key}', which is no input of ${plugin.name}: ${inputs.join(", ")}.`,
    [
      {
        type: "unknown",
        location: [...ENTRY, "input_mappings", unknown.input_key],
        message: `must be one of ${inputs.join(", ")}`,
      },
    ],
  )
}

/** `$.payload.x`, `payload.x` and `x` are one path. */
export function payloadPath(path: string): string {
  return path.replace(/^\$\./, "").replace(/^payload\./, "")
}

/** Fields that stand for themselves no more among all of a source: what is passed under a name, and what is renamed by it. */
export function namedFields(entries: readonly Pick<Passthrough, "source_path" | "target_path">[]): string[] {
  return entries.flatMap(({ source_path: path, target_path: target }) => [
    target,
    ...(path.includes(".") ? [] : [path]),
  ])
}

export function vectorIndexes(plugin: RegisteredPlugin): VectorIndex[] {
  return plugin.manifest.features
    .filter((feature) => feature.feature_type === "embedding")
    .map((feature) => vectorIndex(plugin.name, plugin.version, feature))
}

export function vectorIndex(
  name: string,
  version: string,
  feature: { readonly feature_name: string; readonly embedding_dim: number; readonly distance_metric: string },
): VectorIndex {
  return {
    name: feature.feature_name,
    // The SDK refuses descriptions under ten characters.
    description: `Embedding '${feature.feature_name}' of ${name} ${version}`,
    feature_uri: featureUri(name, version, feature.feature_name),
    dimensions: feature.embedding_dim,
    distance: feature.distance_metric,
  }
}

/**
 * A stored configuration at another version: all else stays, and what it maps must be inputs of that version too.
 * @throws ValidationError, or NotFoundError naming the plugin that is not registered
 */
export function movedConfig(
  stored: ExtractorConfig,
  wanted: string,
  known: KnownPlugins,
): { config: ExtractorConfig; plugin: RegisteredPlugin } {
  const plugin = registeredPlugin(stored.feature_extractor_name, wanted, known)
  knownInputs([...stored.input_mappings], plugin)
  return { plugin, config: { ...stored, version: plugin.version, feature_extractor_id: plugin.pluginId } }
}

function registeredPlugin(name: string, wanted: string, { find, versions }: KnownPlugins): RegisteredPlugin {
  const version = normalizeVersion(wanted)
  if (version === null) {
    throw invalid(`'${wanted}' is not a version.`, [
      { type: "version", location: [...ENTRY, "version"], message: "must look like 1.0.0, 1.0 or v1" },
    ])
  }
  const plugin = find(name, version)
  if (plugin !== null) return plugin
  const id = `${name}@${version}`
  const others = versions(name)
  const there =
    others.length > 0
      ? `There are ${others.join(", ")}`
      : BUILTIN_NAMES.has(name)
        ? "It is one of the hosted service's own, of which this appliance has none; publish a plugin that does the same ('mixpeek plugin init')"
        : "Publish it first ('mixpeek plugin publish')"
  throw new ApplianceError("NotFoundError", `feature_extractor '${id}' was not found in this namespace. ${there}.`, {
    details: { resource: "feature_extractor", id, versions: others },
  })
}

/** A map where paths are all there is, else the list, which says literals too. */
function answeredMappings(mappings: readonly InputMapping[]) {
  if (mappings.some(({ path }) => path === null)) return mappings
  return Object.fromEntries(mappings.map(({ input_key, path }) => [input_key, path]))
}

/** The configuration as it is answered: `parameters` with `extractor_type`, or null when empty, as the SDK needs them. */
export function answeredExtractor(config: ExtractorConfig): CollectionModel["feature_extractor"] {
  const empty = Object.keys(config.parameters).length === 0
  return {
    feature_extractor_name: config.feature_extractor_name,
    version: config.version,
    feature_extractor_id: config.feature_extractor_id,
    parameters: empty ? null : { ...config.parameters, extractor_type: config.feature_extractor_name },
    params: config.params,
    input_mappings: answeredMappings(config.input_mappings),
    field_passthrough: config.field_passthrough,
    include_all_source_fields: config.include_all_source_fields,
  }
}
