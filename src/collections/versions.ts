/**
 * The versions of its extractor that a collection has documents of. It moves from one to the next by a PATCH; what the old
 * one made stays beside until it is dropped. All that is told of a version comes from its parts, so it may be deleted as a
 * plugin meanwhile.
 */
import type { CollectionFeatures } from "../contract/collections.ts"
import type { Documents, PartRef } from "../documents/process.ts"
import { ApplianceError, invalid, notFound } from "../errors.ts"
import { normalizeVersion, pluginId, pluginOf } from "../identifiers.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import { type ExtractorConfig, type VectorIndex, vectorIndex } from "./extractor.ts"
import { findMadeBelow, removeMadeBelow } from "./made-below.ts"
import { partRef } from "./part-ref.ts"

interface HeldVersion {
  readonly pluginId: string
  readonly version: string
  readonly current: boolean
  readonly documentCount: number
  readonly indexes: readonly VectorIndex[]
}

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  documents: Pick<Documents, "findMadeOf">
  dataDir: string
}

/** Commits below may come in between a look and the drop; a look is short beside the time from one to the next. */
const MAX_LOOKS = 20

/** The current one first, whether it has documents or not; then the others, the one that wrote last first. */
function heldVersions(read: Metadata["read"], row: CollectionRow): HeldVersion[] {
  const { feature_extractor_name: name, version }: ExtractorConfig = JSON.parse(row.feature_extractor)
  const held = read.parts.versions(row.collection_id)
  const current: HeldVersion = {
    pluginId: row.plugin_id,
    version,
    current: true,
    documentCount: held.find((one) => one.plugin_id === row.plugin_id)?.document_count ?? 0,
    indexes: JSON.parse(row.vector_indexes),
  }
  const others = held
    .filter((one) => one.plugin_id !== row.plugin_id)
    .map((one): HeldVersion => {
      const features: { feature_name: string; embedding_dim: number; distance_metric?: string }[] = JSON.parse(
        one.features,
      )
      const oldVersion = pluginOf(one.plugin_id).version
      return {
        pluginId: one.plugin_id,
        version: oldVersion,
        current: false,
        documentCount: one.document_count,
        indexes: features.map(({ feature_name, embedding_dim, distance_metric }) =>
          // Parts of before the metric was noted: cosine is what a manifest without one means.
          vectorIndex(name, oldVersion, { feature_name, embedding_dim, distance_metric: distance_metric ?? "cosine" }),
        ),
      }
    })
  return [current, ...others]
}

/** @throws ValidationError for what is no version */
function pluginIdOf(name: string, wanted: string): string {
  const version = normalizeVersion(wanted)
  if (version !== null) return pluginId(name, version)
  throw invalid(`'${wanted}' is not a version.`, [
    { type: "version", location: ["query", "version"], message: "must look like 1.0.0, 1.0 or v1" },
  ])
}

/** @throws NotFoundError for a version that the collection has nothing of */
function demandHeld(versions: readonly HeldVersion[], id: string): HeldVersion {
  const held = versions.find((one) => one.pluginId === id)
  if (held !== undefined) return held
  const version = pluginOf(id).version
  const known = versions.map((one) => one.version).join(", ")
  throw new ApplianceError(
    "NotFoundError",
    `The collection has no documents of version ${version}, only of ${known}.`,
    {
      details: { resource: "version", id: version },
    },
  )
}

interface View {
  readonly parts: PartRef[]
  /** Documents of `plugin_id` are left out where the parts `by` (indexes) have a document of the same object. */
  readonly outranked: { readonly plugin_id: string; readonly by: number[]; readonly of: "object" | "document" }[]
}

/**
 * What a reader sees: the documents of one version (`1.0.0`, or `current`), of `all`, or, when nothing is said, each object
 * once: by the current version where that has processed it, else by the one that did so last.
 */
export function documentView(
  read: Metadata["read"],
  dataDir: string,
  row: CollectionRow,
  version: string | null | undefined,
): View {
  const rows = read.parts.ofCollection(row.collection_id)
  const { feature_extractor_name: name }: ExtractorConfig = JSON.parse(row.feature_extractor)
  if (version != null && version !== "all") {
    const only =
      version === "current" ? row.plugin_id : demandHeld(heldVersions(read, row), pluginIdOf(name, version)).pluginId
    return {
      parts: rows.filter((part) => part.plugin_id === only).map((part) => partRef(dataDir, part)),
      outranked: [],
    }
  }
  const parts = rows.map((part) => partRef(dataDir, part))
  if (version === "all") return { parts, outranked: [] }
  const ranks = [...new Set([row.plugin_id, ...rows.toReversed().map((part) => part.plugin_id)])]
  const { type }: { type: string } = JSON.parse(row.source)
  const of = type === "bucket" ? ("object" as const) : ("document" as const)
  const outranked = ranks.slice(1).map((plugin_id, index) => {
    const before = new Set(ranks.slice(0, index + 1))
    return { plugin_id, of, by: rows.flatMap((part, at) => (before.has(part.plugin_id) ? [at] : [])) }
  })
  return { parts, outranked: outranked.filter(({ by }) => by.length > 0) }
}

export function collectionVersions(deps: Deps) {
  const { metadata } = deps

  const find = (namespace: Namespace, identifier: string, read = metadata.read): CollectionRow => {
    const row = read.collections.get(namespace.namespaceId, identifier)
    if (row === undefined) throw notFound("collection", identifier)
    return row
  }

  return {
    features(namespace: Namespace, identifier: string): CollectionFeatures {
      const row = find(namespace, identifier)
      const { feature_extractor_name: name }: ExtractorConfig = JSON.parse(row.feature_extractor)
      const versions = heldVersions(metadata.read, row)
      return {
        features: versions.flatMap((held) =>
          held.indexes.map((index, position) => ({
            feature_address: index.feature_uri,
            feature_uri: index.feature_uri,
            feature_extractor_name: name,
            feature_extractor_id: held.pluginId,
            version: held.version,
            current: held.current,
            document_count: held.documentCount,
            vector_index: {
              name: index.name,
              description: index.description,
              dimensions: index.dimensions,
              type: "dense" as const,
              distance: index.distance,
            },
            primary: held.current && position === 0,
          })),
        ),
        versions: versions.map((held) => ({
          version: held.version,
          feature_extractor_id: held.pluginId,
          current: held.current,
          document_count: held.documentCount,
        })),
      }
    },

    /**
     * Removes what a version that is not current has made, and what other collections made of that, in one transaction; its files
     * are swept later. What the current version took over from it counts as not processed then.
     * @throws BadRequestError for the current version, while a batch runs the version, or where the collections below are written
     *   all the time; DocumentsUnavailable
     */
    async drop(namespace: Namespace, identifier: string, wanted: string) {
      for (let looks = 0; looks < MAX_LOOKS; looks++) {
        const { row, held } = droppable(metadata.read, namespace, identifier, wanted)
        const made = await findMadeBelow(deps, row, held.pluginId)
        const dropped = metadata.transact((tx) => {
          const now = droppable(tx.read, namespace, identifier, wanted)
          if (now.row.collection_id !== row.collection_id || !removeMadeBelow(tx, row, held.pluginId, made)) return null
          tx.write.parts.removeVersion(row.collection_id, held.pluginId)
          tx.write.processedChanges.forget(row.collection_id, held.pluginId)
          tx.write.processedParts.forget(row.collection_id, held.pluginId)
          return {
            collection_id: row.collection_id,
            version: held.version,
            feature_extractor_id: held.pluginId,
            documents_removed: now.held.documentCount,
          }
        })
        if (dropped !== null) return dropped
      }
      throw new ApplianceError(
        "BadRequestError",
        "Collections that read this one are written all the time. Drop the version when their batches have ended.",
        { details: { resource: "version", id: wanted } },
      )
    },
  }

  function droppable(read: Metadata["read"], namespace: Namespace, identifier: string, wanted: string) {
    const row = find(namespace, identifier, read)
    const { feature_extractor_name: name }: ExtractorConfig = JSON.parse(row.feature_extractor)
    const id = pluginIdOf(name, wanted)
    const version = pluginOf(id).version
    if (id === row.plugin_id) {
      throw new ApplianceError(
        "BadRequestError",
        `Version ${version} is the collection's current one. Move the collection to another version first (PATCH feature_extractor.version).`,
        { details: { collection_id: row.collection_id, version } },
      )
    }
    const live = read.batches.liveRunsOf(row.collection_id, id)
    if (live.length > 0) {
      throw new ApplianceError(
        "BadRequestError",
        `Batch ${live.join(", ")} still runs version ${version}. Wait for its end, or cancel it.`,
        { details: { collection_id: row.collection_id, batch_ids: live } },
      )
    }
    return { row, held: demandHeld(heldVersions(read, row), id) }
  }
}

export type CollectionVersions = ReturnType<typeof collectionVersions>
