import { z } from "@hono/zod-openapi"

const Inputs = z.record(z.string(), z.unknown())

export const InferenceRequest = z
  .looseObject({
    inference_name: z.string().min(1).max(256).nullish().openapi({ description: "A plugin id" }),
    feature_uri: z.string().min(1).max(512).nullish(),
    provider: z.string().max(64).nullish(),
    model: z.string().max(256).nullish(),
    inputs: Inputs,
    parameters: Inputs.nullish(),
    enable_semantic_cache: z.boolean().nullish(),
    cache_delta: z.number().min(0).max(1).nullish(),
  })
  .openapi("RawInferenceRequest")
export type InferenceRequest = z.output<typeof InferenceRequest>

export const InferenceResponse = z
  .looseObject({
    data: z.unknown(),
    provider: z.string(),
    model: z.string(),
    latency_ms: z.number(),
    cached: z.boolean(),
  })
  .openapi("RawInferenceResponse")

/** `{inputs, parameters}`, or the inputs themselves. */
export const HandlerRequest = z.looseObject({}).openapi("HandlerRequest")
export type HandlerRequest = z.output<typeof HandlerRequest>
export const HandlerAnswer = z.looseObject({}).openapi("HandlerAnswer")
