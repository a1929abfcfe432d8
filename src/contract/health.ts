import { z } from "@hono/zod-openapi"

export const HealthResponse = z
  .object({
    status: z.enum(["OK", "DEGRADED"]),
    data: z.object({
      cache: z.boolean(),
      metadata: z.boolean(),
      vector_store: z.boolean(),
      object_storage: z.boolean(),
      task_queue: z.boolean(),
      inference: z.boolean(),
    }),
    errors: z.array(z.string()).optional(),
    meta: z.looseObject({ version: z.string(), isolation: z.string() }),
  })
  .openapi("HealthCheckResponse")
export type HealthResponse = z.output<typeof HealthResponse>
