import { createRoute, z } from "@hono/zod-openapi"
import type { CollectionDocuments } from "../../collections/documents.ts"
import {
  DocumentFlags,
  DocumentLineage,
  DocumentModel,
  ListDocuments,
  ListDocumentsQuery,
  ListDocumentsResponse,
  ObjectDocuments,
  ObjectDocumentsQuery,
} from "../../contract/documents.ts"
import { pageOf } from "../../contract/pagination.ts"
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

const list = createRoute({
  method: "post",
  path: `${path}/list`,
  tags,
  summary: "List, filter, search and page documents",
  request: { headers, params: Params, query: ListDocumentsQuery, body: jsonRequest(ListDocuments) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path,
  tags,
  summary: "List documents",
  request: { headers, params: Params, query: ListDocumentsQuery },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path: `${path}/{document_id}`,
  tags,
  summary: "Get a document",
  request: { headers, params: Params.extend({ document_id: z.string().min(1).max(128) }), query: DocumentFlags },
  responses: { 200: { description: "The document", content: json(DocumentModel) }, ...ERRORS },
})

const lineage = createRoute({
  method: "get",
  path: `${path}/{document_id}/lineage`,
  tags,
  summary: "Where a document comes from, and what was made of it",
  request: { headers, params: Params.extend({ document_id: z.string().min(1).max(128) }) },
  responses: { 200: { description: "Lineage", content: json(DocumentLineage) }, ...ERRORS },
})
const ofObject = createRoute({
  method: "get",
  path: "/v1/objects/{object_identifier}/documents",
  tags,
  summary: "The documents that were made of an object, in all collections or in some",
  request: {
    headers,
    params: z.object({ object_identifier: z.string().min(1).max(128) }),
    query: ObjectDocumentsQuery,
  },
  responses: { 200: { description: "Documents", content: json(ObjectDocuments) }, ...ERRORS },
})

export function documentRoutes(app: App, { documents, namespaces }: Deps): void {
  app.openapi(list, async (c) => {
    const { collection_identifier: identifier } = c.req.valid("param")
    const query = c.req.valid("query")
    const body = c.req.valid("json")
    const page = pageOf(query, body)
    return c.json(await documents.list(namespaceOf(c, namespaces), identifier, joined(query, body), page), 200)
  })
  app.openapi(listByGet, async (c) => {
    const { collection_identifier: identifier } = c.req.valid("param")
    const query = c.req.valid("query")
    return c.json(await documents.list(namespaceOf(c, namespaces), identifier, joined(query, {}), pageOf(query)), 200)
  })
  app.openapi(get, async (c) => {
    const { collection_identifier: identifier, document_id: id } = c.req.valid("param")
    const { return_vectors, return_presigned_urls } = c.req.valid("query")
    const options = { returnVectors: return_vectors ?? false, presigned: return_presigned_urls ?? false }
    return c.json(await documents.get(namespaceOf(c, namespaces), identifier, id, options), 200)
  })
  app.openapi(lineage, async (c) => {
    const { collection_identifier: identifier, document_id: id } = c.req.valid("param")
    return c.json(await documents.lineage(namespaceOf(c, namespaces), identifier, id), 200)
  })
  app.openapi(ofObject, async (c) => {
    const { object_identifier: objectId } = c.req.valid("param")
    const query = c.req.valid("query")
    const named = [...(query.collection_ids ?? []), ...(query["collection_ids[]"] ?? [])]
    const answer = await documents.ofObject(
      namespaceOf(c, namespaces),
      objectId,
      named.length === 0 ? null : named,
      pageOf(query),
    )
    return c.json(answer, 200)
  })
}

/** What a list asks for in its query and in its body; a flag set in either is set, else the body wins. */
function joined(query: ListDocumentsQuery, body: Partial<ListDocuments>): Partial<ListDocuments> {
  return {
    ...body,
    filters: body.filters ?? query.filters,
    sort: body.sort ?? query.sort,
    search: body.search ?? query.search,
    version: body.version ?? query.version,
    return_vectors: body.return_vectors === true || query.return_vectors === true,
    return_presigned_urls: body.return_presigned_urls === true || query.return_presigned_urls === true,
  }
}
