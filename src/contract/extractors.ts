import { z } from "@hono/zod-openapi"

const FreeObject = z.record(z.string(), z.unknown())

const VectorIndexDefinition = z
  .object({
    feature_uri: z.string(),
    name: z.string().min(1),
    // The SDK refuses descriptions under ten characters.
    description: z.string().min(10),
    type: z.literal("single"),
    index: z.object({
      name: z.string(),
      description: z.string().min(10),
      dimensions: z.int(),
      type: z.literal("dense"),
      distance: z.string(),
    }),
  })
  .openapi("VectorIndexDefinition")
export type VectorIndexDefinition = z.output<typeof VectorIndexDefinition>

const shared = {
  feature_extractor_name: z.string(),
  version: z.string(),
  feature_extractor_id: z.string(),
  description: z.string(),
  icon: z.string(),
  input_schema: FreeObject,
  output_schema: FreeObject,
  parameter_schema: FreeObject.nullable(),
  supported_input_types: z.array(z.string()),
  max_inputs: z.record(z.string(), z.int()),
  default_parameters: FreeObject,
  required_vector_indexes: z.array(VectorIndexDefinition).nullable(),
  required_payload_indexes: z.array(z.looseObject({})).nullable(),
  position_fields: z.array(z.string()),
}

/** An extractor that every namespace has (api.md §7). */
export const ExtractorInfo = z
  .object({ ...shared, source: z.literal("builtin") })
  .openapi("FeatureExtractorResponseModel")
export type ExtractorInfo = z.output<typeof ExtractorInfo>

export const ExtractorSource = z.enum(["builtin", "custom", "community"])

export const UnifiedExtractor = z
  .object({
    ...shared,
    source: ExtractorSource,
    feature_uri: z.string(),
    plugin_id: z.string().nullable(),
    deployed: z.boolean(),
    validation_status: z.enum(["pending", "passed", "failed"]),
    created_at: z.string().nullable(),
    updated_at: z.string().nullable(),
  })
  .openapi("UnifiedExtractorResponse")
export type UnifiedExtractor = z.output<typeof UnifiedExtractor>

export const ListExtractorsQuery = z.object({
  source: z.enum(["builtin", "custom", "community", "all"]).default("all"),
  include_disabled: z.enum(["true", "false", "1", "0"]).optional(),
})

export const ListExtractorsResponse = z
  .object({
    success: z.literal(true),
    extractors: z.array(UnifiedExtractor),
    total: z.int(),
    namespace_id: z.string(),
    builtin_count: z.int(),
    custom_count: z.int(),
  })
  .openapi("UnifiedExtractorListResponse")
export type ListExtractorsResponse = z.output<typeof ListExtractorsResponse>
