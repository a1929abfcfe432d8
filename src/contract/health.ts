import { z } from "@hono/zod-openapi"
import { IsolationFacts } from "../isolation-facts.ts"
import { ISOLATION_LEVELS } from "../isolation-levels.ts"

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
    meta: z.looseObject({
      version: z.string(),
      isolation: z.enum(ISOLATION_LEVELS),
      isolation_facts: IsolationFacts,
      /** Why each higher level is out of reach on this machine. */
      isolation_missing: z.array(z.string()),
      minimum_isolation: z.enum(ISOLATION_LEVELS),
    }),
  })
  .openapi("HealthCheckResponse")
export type HealthResponse = z.output<typeof HealthResponse>

export const ReadyResponse = z
  .object({
    ready: z.boolean(),
    deployments: z.object({ live: z.int(), failing: z.int() }),
    errors: z.array(z.string()).optional(),
  })
  .openapi("ReadyResponse")
export type ReadyResponse = z.output<typeof ReadyResponse>
