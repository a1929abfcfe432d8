import { createRoute, z } from "@hono/zod-openapi"
import type { Batches } from "../../batches/batches.ts"
import type { Collections } from "../../collections/collections.ts"
import type { CollectionVersions } from "../../collections/versions.ts"
import {
  CollectionFeatures,
  CollectionModel,
  CollectionRemoved,
  CreateCollection,
  DropVersionQuery,
  ListCollections,
  ListCollectionsResponse,
  TriggerCollection,
  TriggerCollectionResponse,
  UpdateCollection,
  VersionDropped,
} from "../../contract/collections.ts"
import { type ListBody, PagingQuery, pageOf, paginationOf, SearchQuery } from "../../contract/pagination.ts"
import { selectRecords } from "../../filtering.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespace, Namespaces } from "../../organizations/namespaces.ts"
import type { App } from "../app.ts"
import {
  CONFLICT,
  createOnce,
  ERRORS,
  json,
  jsonRequest,
  NamespacedCreate,
  NamespaceHeader,
  NOT_ENABLED,
  namespaceOf,
} from "../route.ts"

interface Deps {
  collections: Collections
  versions: CollectionVersions
  batches: Batches
  namespaces: Namespaces
  idempotency: Idempotency
}

const tags = ["Collections"]
const headers = NamespaceHeader
const Params = z.object({ collection_identifier: z.string().min(1).max(128) })
const path = "/v1/collections/{collection_identifier}"
const found = { 200: { description: "The collection", content: json(CollectionModel) }, ...ERRORS }
const listed = { 200: { description: "Collections", content: json(ListCollectionsResponse) }, ...ERRORS }

const create = createRoute({
  method: "post",
  path: "/v1/collections",
  tags,
  summary: "Create a collection: a source, one extractor and its parameters",
  request: { headers: NamespacedCreate, body: jsonRequest(CreateCollection) },
  responses: { ...found, ...CONFLICT, ...NOT_ENABLED },
})
const list = createRoute({
  method: "post",
  path: "/v1/collections/list",
  tags,
  summary: "List collections",
  request: { headers, query: PagingQuery, body: jsonRequest(ListCollections) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path: "/v1/collections",
  tags,
  summary: "List collections",
  request: { headers, query: SearchQuery },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "Get a collection",
  request: { headers, params: Params },
  responses: found,
})
const update = createRoute({
  method: "patch",
  path,
  tags,
  summary: "Change a collection, or move it to another version of its extractor",
  request: { headers, params: Params, body: jsonRequest(UpdateCollection) },
  responses: { ...found, ...CONFLICT },
})
const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete a collection and its documents",
  request: { headers, params: Params },
  responses: { 200: { description: "Deleted", content: json(CollectionRemoved) }, ...ERRORS },
})
const features = createRoute({
  method: "get",
  path: `${path}/features`,
  tags,
  summary: "The vector features of a collection: of its current version, and of others that it has documents of",
  request: { headers, params: Params },
  responses: { 200: { description: "Features", content: json(CollectionFeatures) }, ...ERRORS },
})
const dropVersion = createRoute({
  method: "delete",
  path: `${path}/features`,
  tags,
  summary: "Drop the documents and features of a version that the collection was moved from",
  request: { headers, params: Params, query: DropVersionQuery },
  responses: { 200: { description: "Dropped", content: json(VersionDropped) }, ...ERRORS },
})
const trigger = createRoute({
  method: "post",
  path: `${path}/trigger`,
  tags,
  summary: "Process what is new or changed in the collection's sources, or everything",
  request: { headers: NamespacedCreate, params: Params, body: jsonRequest(TriggerCollection) },
  responses: { 202: { description: "A batch is queued", content: json(TriggerCollectionResponse) }, ...ERRORS },
})

export function collectionRoutes(app: App, { collections, versions, batches, namespaces, idempotency }: Deps): void {
  const listing = (namespace: Namespace, query: z.output<typeof PagingQuery>, body: Partial<ListBody>) => {
    const all = selectRecords(collections.list(namespace), body, ["collection_id", "collection_name", "description"])
    const page = pageOf(query, body)
    return {
      results: all.slice(page.offset, page.offset + page.limit),
      pagination: paginationOf(page, all.length),
      total_count: all.length,
    }
  }
  app.openapi(create, async (c) => {
    const namespace = namespaceOf(c, namespaces)
    const request = c.req.valid("json")
    c.get("allowSilence")(SLOW_PLUGIN_SECONDS)
    return c.json(
      await createOnce(c, idempotency, namespace, 200, (remember) => collections.create(namespace, request, remember)),
      200,
    )
  })
  app.openapi(list, (c) => c.json(listing(namespaceOf(c, namespaces), c.req.valid("query"), c.req.valid("json")), 200))
  app.openapi(listByGet, (c) => {
    const query = c.req.valid("query")
    return c.json(listing(namespaceOf(c, namespaces), query, { search: query.search }), 200)
  })
  app.openapi(features, (c) =>
    c.json(versions.features(namespaceOf(c, namespaces), c.req.valid("param").collection_identifier), 200),
  )
  app.openapi(dropVersion, async (c) => {
    const { collection_identifier: identifier } = c.req.valid("param")
    // As long as it takes to read what was made of many documents, more than once where it is written meanwhile.
    c.get("allowSilence")(0)
    const dropped = await versions.drop(namespaceOf(c, namespaces), identifier, c.req.valid("query").version)
    const message = `Version ${dropped.version} and its ${dropped.documents_removed} documents are gone.`
    return c.json({ success: true as const, ...dropped, message }, 200)
  })
  app.openapi(trigger, async (c) => {
    const namespace = namespaceOf(c, namespaces)
    const { collection_identifier: identifier } = c.req.valid("param")
    const request = c.req.valid("json")
    const answer = await createOnce(c, idempotency, namespace, 202, (remember) =>
      batches.triggerCollection(namespace, identifier, request, remember),
    )
    return c.json(answer, 202)
  })
  app.openapi(get, (c) =>
    c.json(collections.get(namespaceOf(c, namespaces), c.req.valid("param").collection_identifier), 200),
  )
  app.openapi(update, async (c) => {
    c.get("allowSilence")(SLOW_PLUGIN_SECONDS)
    const { collection_identifier: identifier } = c.req.valid("param")
    return c.json(await collections.update(namespaceOf(c, namespaces), identifier, c.req.valid("json")), 200)
  })
  app.openapi(remove, (c) => {
    const { collection_identifier: identifier } = c.req.valid("param")
    const removed = collections.remove(namespaceOf(c, namespaces), identifier)
    return c.json(
      { success: true as const, ...removed, message: `Collection '${identifier}' and its documents are gone.` },
      200,
    )
  })
}

/** Checking parameters runs plugin code, which may import for a while. */
const SLOW_PLUGIN_SECONDS = 240
