import { createRoute } from "@hono/zod-openapi"
import { OrganizationModel } from "../../contract/organizations.ts"
import type { Organizations } from "../../organizations/organizations.ts"
import type { App } from "../app.ts"
import { ERRORS, json } from "../route.ts"

interface Deps {
  organizations: Organizations
}

const get = createRoute({
  method: "get",
  path: "/v1/organizations",
  tags: ["Organization"],
  summary: "The organization of this key",
  responses: { 200: { description: "The organization", content: json(OrganizationModel) }, ...ERRORS },
})

export function organizationRoutes(app: App, { organizations }: Deps): void {
  app.openapi(get, (c) => c.json(organizations.get(c.get("caller")), 200))
}
