import { createRoute, z } from "@hono/zod-openapi"
import { HealthResponse } from "../../contract/health.ts"
import { FlagQuery } from "../../contract/pagination.ts"
import type { App } from "../app.ts"
import { ERRORS, json } from "../route.ts"

interface Deps {
  /** `deep` asks the child processes; otherwise what is known already is answered. */
  health: (deep: boolean) => Promise<HealthResponse>
}

const tags = ["Health"]

const health = createRoute({
  method: "get",
  path: "/v1/health",
  tags,
  summary: "How the appliance is",
  security: [],
  request: { query: z.object({ deep: FlagQuery.optional(), metrics: FlagQuery.optional() }) },
  responses: {
    200: { description: "OK or DEGRADED", content: json(HealthResponse) },
    422: ERRORS[422],
    500: ERRORS[500],
  },
})
/** The SDK's way to ask the same thing. */
const deepHealth = createRoute({
  ...health,
  path: "/v1/health/deep",
  summary: "How the appliance is, asking the child processes",
})
const liveness = createRoute({
  method: "get",
  path: "/v1/health/liveness",
  tags,
  summary: "Whether the process answers",
  security: [],
  responses: {
    200: { description: "Alive", content: json(z.object({ status: z.literal("alive") })) },
    500: ERRORS[500],
  },
})

export function healthRoutes(app: App, deps: Deps): void {
  app.openapi(health, async (c) => c.json(await deps.health(c.req.valid("query").deep ?? false), 200))
  app.openapi(deepHealth, async (c) => c.json(await deps.health(true), 200))
  app.openapi(liveness, (c) => c.json({ status: "alive" as const }, 200))
}
