import { createRoute, z } from "@hono/zod-openapi"
import { ApiKeyList, ApiKeyModel, CreateApiKey, CreatedApiKey, UpdateApiKey } from "../../contract/api-keys.ts"
import { FlagQuery } from "../../contract/pagination.ts"
import type { ApiKeys } from "../../organizations/api-keys.ts"
import type { App } from "../app.ts"
import { CONFLICT, ERRORS, json, jsonRequest } from "../route.ts"

interface Deps {
  apiKeys: ApiKeys
}

const tags = ["API keys"]
const UserParams = z.object({
  user_email: z
    .string()
    .min(3)
    .max(254)
    .regex(/^[^\s@]+@[^\s@]+$/, "an e-mail address"),
})
const KeyParams = UserParams.extend({ key_name: z.string().min(1).max(100) })
const path = "/v1/organizations/users/{user_email}/api-keys"

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Create an API key; the key is shown once",
  request: { params: UserParams, body: jsonRequest(CreateApiKey) },
  responses: { 200: { description: "The key", content: json(CreatedApiKey) }, ...ERRORS, ...CONFLICT },
})
const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "List a user's API keys",
  request: { params: UserParams, query: z.object({ include_revoked: FlagQuery.optional() }) },
  responses: { 200: { description: "Keys", content: json(ApiKeyList) }, ...ERRORS },
})
const update = createRoute({
  method: "patch",
  path: `${path}/{key_name}`,
  tags,
  summary: "Change an API key",
  request: { params: KeyParams, body: jsonRequest(UpdateApiKey) },
  responses: { 200: { description: "The key object", content: json(ApiKeyModel) }, ...ERRORS, ...CONFLICT },
})
const revoke = createRoute({
  method: "delete",
  path: `${path}/{key_name}`,
  tags,
  summary: "Revoke an API key",
  request: { params: KeyParams },
  responses: {
    200: { description: "Revoked", content: json(z.object({ success: z.literal(true), message: z.string() })) },
    ...ERRORS,
  },
})
const rotate = createRoute({
  method: "post",
  path: `${path}/{key_name}/rotate`,
  tags,
  summary: "Replace an API key's secret; the old one stops working",
  request: { params: KeyParams },
  responses: { 200: { description: "The new key", content: json(CreatedApiKey) }, ...ERRORS },
})

export function apiKeyRoutes(app: App, { apiKeys }: Deps): void {
  app.openapi(create, (c) =>
    c.json(apiKeys.create(c.get("caller"), c.req.valid("param").user_email, c.req.valid("json")), 200),
  )
  app.openapi(list, (c) => {
    const results = apiKeys.list(
      c.get("caller"),
      c.req.valid("param").user_email,
      c.req.valid("query").include_revoked ?? false,
    )
    return c.json({ results, total_count: results.length }, 200)
  })
  app.openapi(update, (c) => {
    const { user_email: email, key_name: name } = c.req.valid("param")
    return c.json(apiKeys.update(c.get("caller"), email, name, c.req.valid("json")), 200)
  })
  app.openapi(revoke, (c) => {
    const { user_email: email, key_name: name } = c.req.valid("param")
    apiKeys.revoke(c.get("caller"), email, name)
    return c.json({ success: true as const, message: `API key '${name}' is revoked.` }, 200)
  })
  app.openapi(rotate, (c) => {
    const { user_email: email, key_name: name } = c.req.valid("param")
    return c.json(apiKeys.rotate(c.get("caller"), email, name), 200)
  })
}
