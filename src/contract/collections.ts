import { z } from "@hono/zod-openapi"
import { Governing } from "./batches.ts"
import { Filters, ListBody, Pagination } from "./pagination.ts"

const Identifier = z.string().min(1).max(128)
const FreeObject = z.record(z.string(), z.unknown())

export const CollectionName = z
  .string()
  .min(3)
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, "letters, digits, space, dot, dash and underscore")

const Source = z.looseObject({
  type: z.enum(["bucket", "collection", "taxonomy", "cluster"]),
  bucket_ids: z.array(Identifier).min(1).max(100).nullish(),
  bucket_id: Identifier.nullish().openapi({ description: "One bucket; the same as bucket_ids with one entry" }),
  collection_id: Identifier.nullish(),
  collection_ids: z.array(Identifier).min(1).max(100).nullish(),
  inherited_bucket_ids: z.array(Identifier).nullish(),
  source_filters: z
    .looseObject({ filters: Filters.nullish() })
    // A condition in its place would be passed over, and all be processed.
    .refine((given) => "filters" in given || Object.keys(given).length === 0, {
      path: ["filters"],
      message: "is required: conditions stand in 'filters'",
    })
    .transform(({ filters }) => ({ filters: filters ?? null }))
    .nullish(),
})

const InputMapping = z.object({
  input_key: z.string().min(1).max(128),
  source_type: z.enum(["payload", "literal", "vector"]).default("payload"),
  path: z.string().min(1).max(256).nullish(),
  override: z.unknown().optional(),
})

const Passthrough = z.object({
  source_path: z.string().min(1).max(256),
  target_path: z.string().min(1).max(256).nullish(),
  default: z.unknown().optional(),
  required: z.boolean().default(false),
})

export const FeatureExtractor = z.looseObject({
  feature_extractor_name: z.string().min(1).max(64),
  version: z.string().min(1).max(32),
  parameters: FreeObject.nullish(),
  params: FreeObject.nullish(),
  input_mappings: z.union([z.array(InputMapping).max(100), z.record(z.string(), z.string().min(1).max(256))]).nullish(),
  field_passthrough: z
    .array(z.union([z.string().min(1).max(256), Passthrough]))
    .max(200)
    .nullish(),
  include_all_source_fields: z.boolean().nullish(),
})
export type FeatureExtractor = z.output<typeof FeatureExtractor>

const Applications = {
  taxonomy_applications: z.array(z.looseObject({})).nullish(),
  cluster_applications: z.array(z.looseObject({})).nullish(),
  alert_applications: z.array(z.looseObject({})).nullish(),
}

export const CreateCollection = z
  .looseObject({
    collection_name: CollectionName.nullish(),
    name: CollectionName.nullish().openapi({ description: "Alias of collection_name" }),
    description: z.string().max(2000).nullish(),
    source: Source,
    feature_extractor: FeatureExtractor.nullish(),
    feature_extractors: z.array(FeatureExtractor).nullish().openapi({ description: "A list of exactly one" }),
    input_schema: FreeObject.nullish(),
    enabled: z.boolean().nullish(),
    metadata: FreeObject.nullish(),
    ...Applications,
  })
  .openapi("CreateCollectionRequest")
export type CreateCollection = z.output<typeof CreateCollection>

export const UpdateCollection = z
  .looseObject({
    collection_name: CollectionName.nullish(),
    description: z.string().max(2000).nullish(),
    enabled: z.boolean().nullish(),
    metadata: FreeObject.nullish(),
    taxonomy_applications: Applications.taxonomy_applications,
    source: z.unknown().optional().openapi({ description: "Cannot change; refused" }),
    feature_extractor: FeatureExtractor.pick({ feature_extractor_name: true, version: true })
      .partial()
      .loose()
      .nullish(),
  })
  .openapi("PatchCollectionRequest")
export type UpdateCollection = z.output<typeof UpdateCollection>

const Schema = z.object({ properties: z.record(z.string(), z.looseObject({ type: z.string() })) })

const VectorIndex = z.looseObject({
  name: z.string(),
  description: z.string(),
  feature_uri: z.string(),
  type: z.literal("single"),
  index: z.looseObject({
    name: z.string(),
    description: z.string(),
    dimensions: z.int(),
    type: z.literal("dense"),
    distance: z.string(),
  }),
})

export const CollectionModel = z
  .object({
    collection_id: z.string(),
    collection_name: z.string(),
    description: z.string().nullable(),
    input_schema: Schema,
    output_schema: Schema,
    feature_extractor: z.looseObject({
      feature_extractor_name: z.string(),
      version: z.string(),
      feature_extractor_id: z.string(),
    }),
    source: z.looseObject({ type: z.string() }),
    source_bucket_schemas: z.record(z.string(), z.unknown()).nullable(),
    source_lineage: z.array(z.looseObject({})),
    vector_indexes: z.array(VectorIndex),
    payload_indexes: z.array(z.looseObject({})),
    enabled: z.boolean(),
    metadata: FreeObject.nullable(),
    created_at: z.string(),
    updated_at: z.string(),
    document_count: z.int(),
    schema_version: z.int(),
    schema_sync_enabled: z.boolean(),
    taxonomy_applications: z.array(z.looseObject({})).nullable(),
    cluster_applications: z.array(z.looseObject({})).nullable(),
    alert_applications: z.array(z.looseObject({})).nullable(),
    taxonomy_count: z.int(),
    retriever_count: z.int(),
    warnings: z
      .array(z.string())
      .optional()
      .openapi({ description: "What of the request was taken and does nothing; told once, in the answer to it" }),
  })
  .openapi("CollectionResponse")
export type CollectionModel = z.output<typeof CollectionModel>

export const ListCollections = ListBody.openapi("ListCollectionsRequest")

export const ListCollectionsResponse = z
  .object({ results: z.array(CollectionModel), pagination: Pagination, total_count: z.int() })
  .openapi("ListCollectionsResponse")

export const CollectionFeatures = z
  .object({
    features: z.array(
      z.object({
        feature_address: z.string(),
        feature_uri: z.string(),
        feature_extractor_name: z.string(),
        feature_extractor_id: z.string(),
        version: z.string(),
        /** False: a version that the collection was moved from, with documents left. */
        current: z.boolean(),
        document_count: z.int(),
        vector_index: z.looseObject({
          name: z.string(),
          description: z.string(),
          dimensions: z.int(),
          type: z.literal("dense"),
          distance: z.string(),
        }),
        primary: z.boolean(),
      }),
    ),
    /** Versions without vector features too; the current one first. */
    versions: z.array(
      z.object({
        version: z.string(),
        feature_extractor_id: z.string(),
        current: z.boolean(),
        document_count: z.int(),
      }),
    ),
  })
  .openapi("DescribeCollectionFeaturesResponse")
export type CollectionFeatures = z.output<typeof CollectionFeatures>

export const DropVersionQuery = z.object({
  version: z.string().min(1).max(32).openapi({ description: "Not the current one" }),
})

export const VersionDropped = z
  .object({
    success: z.literal(true),
    collection_id: z.string(),
    version: z.string(),
    feature_extractor_id: z.string(),
    documents_removed: z.int(),
    message: z.string(),
  })
  .openapi("CollectionVersionDropped")

export const TriggerCollection = z
  .object({
    include_buckets: z.array(Identifier).max(100).nullish(),
    include_collections: z.array(Identifier).max(100).nullish(),
    source_filters: FreeObject.nullish(),
    object_ids: z
      .array(Identifier)
      .min(1, "names no object; leave it out for all that are new or changed")
      .max(100_000)
      .nullish(),
    dedup_strategy: z.enum(["skip", "replace", "force"]).nullish().openapi({
      description: "replace and force: as reembed. Nothing is doubled: what is processed anew replaces what there was",
    }),
    reembed: z.boolean("must be true or false: vectors are not computed from stored texts alone").nullish().openapi({
      description:
        "Everything is processed; otherwise only the objects or source documents that are new or changed since, or the objects named",
    }),
    ...Governing,
  })
  .openapi("TriggerCollectionRequest")
export type TriggerCollection = z.output<typeof TriggerCollection>

export const TriggerCollectionResponse = z
  .object({
    batch_id: z.string(),
    batch_ids: z.array(z.string()),
    task_id: z.string(),
    collection_id: z.string(),
    total_tiers: z.int(),
    message: z.string(),
    source_bucket_ids: z.array(z.string()),
    source_collection_ids: z.array(z.string()).nullable(),
    object_count: z.int().nullable(),
    document_count: z.int().nullable(),
  })
  .openapi("TriggerCollectionResponse")
export type TriggerCollectionResponse = z.output<typeof TriggerCollectionResponse>

export const CollectionRemoved = z
  .looseObject({ success: z.literal(true), collection_id: z.string(), message: z.string() })
  .openapi("CollectionRemoved")
