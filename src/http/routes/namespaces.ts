import { createRoute, z } from "@hono/zod-openapi"
import {
  CreateNamespace,
  DeletionStarted,
  ListNamespaces,
  ListNamespacesResponse,
  NamespaceModel,
  UpdateNamespace,
} from "../../contract/namespaces.ts"
import { type ListBody, PagingQuery, pageOf, paginationOf } from "../../contract/pagination.ts"
import { selectRecords } from "../../filtering.ts"
import type { Caller } from "../../organizations/authentication.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { App } from "../app.ts"
import { CONFLICT, createOnce, ERRORS, IdempotencyHeader, json, jsonRequest } from "../route.ts"

interface Deps {
  namespaces: Namespaces
  idempotency: Idempotency
}

const tags = ["Namespaces"]
const NamespaceParams = z.object({ namespace_identifier: z.string().min(1).max(128) })
const path = "/v1/namespaces/{namespace_identifier}"
const found = { 200: { description: "The namespace", content: json(NamespaceModel) }, ...ERRORS }

const create = createRoute({
  method: "post",
  path: "/v1/namespaces",
  tags,
  summary: "Create a namespace",
  request: { headers: IdempotencyHeader, body: jsonRequest(CreateNamespace) },
  responses: { ...found, ...CONFLICT },
})
const listed = { 200: { description: "Namespaces", content: json(ListNamespacesResponse) }, ...ERRORS }
const list = createRoute({
  method: "post",
  path: "/v1/namespaces/list",
  tags,
  summary: "List namespaces",
  request: { query: PagingQuery, body: jsonRequest(ListNamespaces) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path: "/v1/namespaces",
  tags,
  summary: "List namespaces",
  request: { query: PagingQuery },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "Get a namespace",
  request: { params: NamespaceParams },
  responses: found,
})
const change = (method: "patch" | "put") =>
  createRoute({
    method,
    path,
    tags,
    summary: "Change a namespace",
    request: { params: NamespaceParams, body: jsonRequest(UpdateNamespace) },
    responses: { ...found, ...CONFLICT },
  })
const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete a namespace and everything in it",
  request: { params: NamespaceParams },
  responses: { 200: { description: "Deletion started", content: json(DeletionStarted) }, ...ERRORS },
})

export function namespaceRoutes(app: App, { namespaces, idempotency }: Deps): void {
  const listing = (caller: Caller, query: z.output<typeof PagingQuery>, body: Partial<ListBody>) => {
    const all = selectRecords(namespaces.list(caller), body, ["namespace_id", "namespace_name", "description"])
    const page = pageOf(query, body)
    return {
      results: all.slice(page.offset, page.offset + page.limit),
      pagination: paginationOf(page, all.length),
      total_count: all.length,
    }
  }
  app.openapi(create, async (c) => {
    const request = c.req.valid("json")
    const organization = namespaces.organization(c.get("caller"))
    const answer = await createOnce(c, idempotency, organization, 200, (remember) =>
      namespaces.create(organization, request, remember),
    )
    return c.json(answer, 200)
  })
  app.openapi(list, (c) => c.json(listing(c.get("caller"), c.req.valid("query"), c.req.valid("json")), 200))
  app.openapi(listByGet, (c) => c.json(listing(c.get("caller"), c.req.valid("query"), {}), 200))
  app.openapi(get, (c) => c.json(namespaces.get(c.get("caller"), c.req.valid("param").namespace_identifier), 200))
  for (const route of [change("patch"), change("put")]) {
    app.openapi(route, (c) =>
      c.json(namespaces.update(c.get("caller"), c.req.valid("param").namespace_identifier, c.req.valid("json")), 200),
    )
  }
  app.openapi(remove, (c) => {
    const identifier = c.req.valid("param").namespace_identifier
    const { taskId } = namespaces.remove(c.get("caller"), identifier)
    const message = `Namespace '${identifier}' is gone; its contents are being removed.`
    return c.json({ success: true as const, task_id: taskId, status: "PENDING", message }, 200)
  })
}
