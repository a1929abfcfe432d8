import { createRoute, z } from "@hono/zod-openapi"
import type { CollectionDocuments } from "../../collections/documents.ts"
import { DocumentModel, ListDocuments, ListDocumentsResponse } from "../../contract/documents.ts"
import { FlagQuery, PagingQuery, pageOf } from "../../contract/pagination.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { App } from "../app.ts"
import { ERRORS, json, jsonRequest, NamespaceHeader, namespaceOf } from "../route.ts"

interface Deps {
  documents: CollectionDocuments
  namespaces: Namespaces
}

const tags = ["Documents"]
const headers = NamespaceHeader
const Params = z.object({ collection_identifier: z.string().min(1).max(128) })
const path = "/v1/collections/{collection_identifier}/documents"
const listed = { 200: { description: "Documents", content: json(ListDocumentsResponse) }, ...ERRORS }
const Flags = z.object({ return_presigned_urls: FlagQuery.optional(), return_vectors: FlagQuery.optional() })

const list = createRoute({
  method: "post",
  path: `${path}/list`,
  tags,
  summary: "List, filter, search and page documents",
  request: { headers, params: Params, query: PagingQuery, body: jsonRequest(ListDocuments) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path,
  tags,
  summary: "List documents",
  request: { headers, params: Params, query: PagingQuery.extend(Flags.shape) },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path: `${path}/{document_id}`,
  tags,
  summary: "Get a document",
  request: { headers, params: Params.extend({ document_id: z.string().min(1).max(128) }), query: Flags },
  responses: { 200: { description: "The document", content: json(DocumentModel) }, ...ERRORS },
})

export function documentRoutes(app: App, { documents, namespaces }: Deps): void {
  app.openapi(list, async (c) => {
    const body = c.req.valid("json")
    const page = pageOf(c.req.valid("query"), body)
    return c.json(
      await documents.list(namespaceOf(c, namespaces), c.req.valid("param").collection_identifier, body, page),
      200,
    )
  })
  app.openapi(listByGet, async (c) => {
    const { return_vectors, return_presigned_urls, ...paging } = c.req.valid("query")
    const request = { return_vectors: return_vectors ?? false, return_presigned_urls: return_presigned_urls ?? false }
    const { collection_identifier: identifier } = c.req.valid("param")
    return c.json(await documents.list(namespaceOf(c, namespaces), identifier, request, pageOf(paging)), 200)
  })
  app.openapi(get, async (c) => {
    const { collection_identifier: identifier, document_id: id } = c.req.valid("param")
    const { return_vectors, return_presigned_urls } = c.req.valid("query")
    const options = { returnVectors: return_vectors ?? false, presigned: return_presigned_urls ?? false }
    return c.json(await documents.get(namespaceOf(c, namespaces), identifier, id, options), 200)
  })
}
