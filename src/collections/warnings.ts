/**
 * What a request for a collection asks in vain. The contract takes it: objects may have fields that no schema names, and keys
 * that nobody knows are passed over. Whoever misspelt one is told here, and not by empty documents.
 */
import { CreateCollection, FeatureExtractor, UpdateCollection } from "../contract/collections.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { ExtractorConfig } from "./extractor.ts"
import { schemaFields } from "./schemas.ts"

const ENTRY = ["feature_extractor"] as const

/** Of one kind: who sends a million keys is not answered with as many sentences. */
const MOST = 20

/** Keys of an answer's extractor that come back when it is sent again. */
const ANSWERED = ["feature_extractor_id"]

/** What a document says of itself stands over its fields. */
const OF_DOCUMENTS = new Set([
  "document_id",
  "collection_id",
  "object_id",
  "root_object_id",
  "root_bucket_id",
  "source_type",
  "source_object_id",
  "source_document_id",
  "source_collection_id",
  "source_blobs",
  "document_blobs",
  "created_at",
  "feature_extractor_id",
  "feature_extractor_version",
  "_internal",
])

function unread(place: readonly string[], given: object, known: readonly string[]): string[] {
  return Object.entries(given)
    .filter(([key, value]) => value !== null && !known.includes(key))
    .slice(0, MOST)
    .map(([key]) => warning([...place, key], `'${shown(key)}' is not read; there are ${known.join(", ")}`))
}

/** Of a collection's change; whatever of its extractor cannot change is refused. */
export const unreadChanges = (changes: UpdateCollection): string[] =>
  unread([], changes, Object.keys(UpdateCollection.shape))

/** Keys of the request that nothing reads. */
export function unreadKeys(request: CreateCollection, extractor: FeatureExtractor): string[] {
  return [
    ...unread([], request, Object.keys(CreateCollection.shape)),
    ...unread(["source"], request.source, Object.keys(CreateCollection.shape.source.shape)),
    ...unread(ENTRY, extractor, [...Object.keys(FeatureExtractor.shape), ...ANSWERED]),
  ]
}

/** `readable`: what the schemas of its source name. */
export function extractorWarnings(
  config: ExtractorConfig,
  plugin: RegisteredPlugin,
  readable: readonly string[],
): string[] {
  const outputs = Object.keys(schemaFields(plugin.manifest.output_schema))
  const there = readable.length === 0 ? "no field" : readable.join(", ")
  const missing = (path: string | null) => {
    const [field = ""] = (path ?? "").split(".")
    return path !== null && field !== "metadata" && !OF_DOCUMENTS.has(field) && !readable.includes(field)
  }
  const said = (path: string) => `'${shown(path)}' is in no schema of the source, which has ${there}`
  return [
    ...config.input_mappings
      .filter(({ path }) => missing(path))
      .slice(0, MOST)
      .map(({ input_key: key, path }) =>
        warning([...ENTRY, "input_mappings", key], `${said(path ?? "")}: where it is missing, the input is empty`),
      ),
    ...config.field_passthrough
      .slice(0, MOST)
      .flatMap(({ source_path: path, target_path: target, default: fallback }, index) => {
        const place = [...ENTRY, "field_passthrough", index]
        const by = OF_DOCUMENTS.has(target)
          ? "the document's own field"
          : outputs.includes(target)
            ? "the plugin's output"
            : null
        return [
          ...(missing(path) && fallback === null ? [warning([...place, "source_path"], said(path))] : []),
          ...(by === null
            ? []
            : [
                warning(
                  [...place, "target_path"],
                  `'${shown(target)}' is ${by}, which stands over it; name another target_path`,
                ),
              ]),
        ]
      }),
    ...unknownParameters(config.parameters, plugin),
  ]
}

function unknownParameters(given: Readonly<Record<string, unknown>>, { name, manifest }: RegisteredPlugin): string[] {
  const schema = manifest.parameter_schema
  const properties = schema?.properties
  if (typeof properties !== "object" || properties === null || (schema?.additionalProperties ?? false) !== false)
    return []
  const known = Object.keys(properties)
  return Object.keys(given)
    .filter((key) => !known.includes(key))
    .slice(0, MOST)
    .map((key) =>
      warning(
        [...ENTRY, "parameters", key],
        `'${shown(key)}' is no parameter of ${name}, which has ${known.join(", ")}`,
      ),
    )
}

/** Names come from the sender, of any length. */
const shown = (name: string) => name.slice(0, 100)

function warning(location: readonly (string | number)[], message: string): string {
  return `${location.map((part) => shown(String(part))).join(".")}: ${message}`
}
