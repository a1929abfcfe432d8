import { createRoute, z } from "@hono/zod-openapi"
import {
  ExtractorInfo,
  ListExtractorsQuery,
  ListExtractorsResponse,
  UnifiedExtractor,
} from "../../contract/extractors.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { Extractors } from "../../plugins/extractors.ts"
import type { App } from "../app.ts"
import { ERRORS, json } from "../route.ts"

interface Deps {
  namespaces: Namespaces
  extractors: Extractors
}

const tags = ["Extractors"]
const NamespaceParams = z.object({ namespace_id: z.string().min(1).max(128).openapi({ description: "Id or name" }) })
const Identifier = z.string().min(1).max(128)
const path = "/v1/namespaces/{namespace_id}/extractors"
const publicPath = "/v1/collections/features/extractors"

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "List what a namespace's collections can use as extractor",
  request: { params: NamespaceParams, query: ListExtractorsQuery },
  responses: { 200: { description: "Extractors", content: json(ListExtractorsResponse) }, ...ERRORS },
})
const get = createRoute({
  method: "get",
  path: `${path}/{extractor_id}`,
  tags,
  summary: "Get one of a namespace's extractors",
  request: { params: NamespaceParams.extend({ extractor_id: Identifier }) },
  responses: { 200: { description: "The extractor", content: json(UnifiedExtractor) }, ...ERRORS },
})
const listBuiltins = createRoute({
  method: "get",
  path: publicPath,
  tags,
  summary: "List the extractors that every namespace has",
  security: [],
  responses: { 200: { description: "Extractors", content: json(z.array(ExtractorInfo)) } },
})
const getBuiltin = createRoute({
  method: "get",
  path: `${publicPath}/{feature_extractor_id}`,
  tags,
  summary: "Get an extractor that every namespace has",
  security: [],
  request: { params: z.object({ feature_extractor_id: Identifier }) },
  responses: {
    200: { description: "The extractor", content: json(ExtractorInfo) },
    404: ERRORS[404],
    422: ERRORS[422],
    431: ERRORS[431],
  },
})

export function extractorRoutes(app: App, { namespaces, extractors }: Deps): void {
  app.openapi(list, (c) => {
    const namespace = namespaces.resolve(c.get("caller"), c.req.valid("param").namespace_id)
    return c.json(extractors.list(namespace, c.req.valid("query").source), 200)
  })
  app.openapi(get, (c) => {
    const { namespace_id: identifier, extractor_id: id } = c.req.valid("param")
    return c.json(extractors.get(namespaces.resolve(c.get("caller"), identifier), id), 200)
  })
  app.openapi(listBuiltins, (c) => c.json(extractors.builtins(), 200))
  app.openapi(getBuiltin, (c) => c.json(extractors.builtin(c.req.valid("param").feature_extractor_id), 200))
}
