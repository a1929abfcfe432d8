import { createRoute, z } from "@hono/zod-openapi"
import { HealthResponse, ReadyResponse } from "../../contract/health.ts"
import { FlagQuery } from "../../contract/pagination.ts"
import type { Health } from "../../operations/health.ts"
import type { App } from "../app.ts"
import { ERRORS, json } from "../route.ts"

type Deps = Health

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

/** For load balancers, which want a status. */
const ready = createRoute({
  method: "get",
  path: "/ready",
  tags,
  summary: "Whether requests should be sent here, from work that was really done",
  security: [],
  responses: {
    200: { description: "Ready", content: json(ReadyResponse) },
    503: { description: "Not ready, with the reasons", content: json(ReadyResponse) },
    500: ERRORS[500],
  },
})

export function healthRoutes(app: App, deps: Deps): void {
  app.openapi(health, async (c) => c.json(await deps.health(c.req.valid("query").deep ?? false), 200))
  app.openapi(deepHealth, async (c) => c.json(await deps.health(true), 200))
  app.openapi(ready, async (c) => {
    const answer = await deps.ready()
    return answer.ready ? c.json(answer, 200) : c.json(answer, 503)
  })
  app.openapi(liveness, (c) => c.json({ status: "alive" as const }, 200))
}
