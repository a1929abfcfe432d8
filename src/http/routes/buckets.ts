import { createRoute, z } from "@hono/zod-openapi"
import type { Buckets } from "../../buckets/buckets.ts"
import {
  BucketModel,
  BucketRemoval,
  CreateBucket,
  ListBuckets,
  ListBucketsResponse,
  UpdateBucket,
} from "../../contract/buckets.ts"
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
  namespaceOf,
} from "../route.ts"

interface Deps {
  buckets: Buckets
  namespaces: Namespaces
  idempotency: Idempotency
}

const tags = ["Buckets"]
const path = "/v1/buckets/{bucket_identifier}"
const BucketParams = z.object({
  bucket_identifier: z.string().min(1).max(128).openapi({ description: "Bucket id or name" }),
})
const found = { 200: { description: "The bucket", content: json(BucketModel) }, ...ERRORS }
const listed = { 200: { description: "Buckets", content: json(ListBucketsResponse) }, ...ERRORS }

const create = createRoute({
  method: "post",
  path: "/v1/buckets",
  tags,
  summary: "Create a bucket",
  request: { headers: NamespacedCreate, body: jsonRequest(CreateBucket) },
  responses: { ...found, ...CONFLICT },
})
const list = createRoute({
  method: "post",
  path: "/v1/buckets/list",
  tags,
  summary: "List buckets",
  request: { headers: NamespaceHeader, query: PagingQuery, body: jsonRequest(ListBuckets) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path: "/v1/buckets",
  tags,
  summary: "List buckets",
  request: { headers: NamespaceHeader, query: SearchQuery },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "Get a bucket",
  request: { headers: NamespaceHeader, params: BucketParams },
  responses: found,
})
const change = (method: "put" | "patch", summary: string) =>
  createRoute({
    method,
    path,
    tags,
    summary,
    request: { headers: NamespaceHeader, params: BucketParams, body: jsonRequest(UpdateBucket) },
    responses: { ...found, ...CONFLICT },
  })
const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete a bucket with its objects",
  request: { headers: NamespaceHeader, params: BucketParams },
  responses: { 200: { description: "Deletion started", content: json(BucketRemoval) }, ...ERRORS },
})

export function bucketRoutes(app: App, { buckets, namespaces, idempotency }: Deps): void {
  const listing = (namespace: Namespace, query: z.output<typeof PagingQuery>, body: Partial<ListBody>) => {
    const all = selectRecords(buckets.list(namespace), body, ["bucket_id", "bucket_name", "description"])
    const page = pageOf(query, body)
    return {
      results: all.slice(page.offset, page.offset + page.limit),
      total_count: all.length,
      pagination: paginationOf(page, all.length),
      stats: statsOf(all),
    }
  }
  app.openapi(create, async (c) => {
    const request = c.req.valid("json")
    const namespace = namespaceOf(c, namespaces)
    return c.json(
      await createOnce(c, idempotency, namespace, 200, (remember) => buckets.create(namespace, request, remember)),
      200,
    )
  })
  app.openapi(list, (c) => c.json(listing(namespaceOf(c, namespaces), c.req.valid("query"), c.req.valid("json")), 200))
  app.openapi(listByGet, (c) => {
    const query = c.req.valid("query")
    return c.json(listing(namespaceOf(c, namespaces), query, { search: query.search }), 200)
  })
  app.openapi(get, (c) => c.json(buckets.get(namespaceOf(c, namespaces), c.req.valid("param").bucket_identifier), 200))
  app.openapi(change("put", "Change a bucket; metadata is replaced"), (c) => {
    const identifier = c.req.valid("param").bucket_identifier
    return c.json(buckets.update(namespaceOf(c, namespaces), identifier, c.req.valid("json"), "replace"), 200)
  })
  app.openapi(change("patch", "Change a bucket; metadata is added to"), (c) => {
    const identifier = c.req.valid("param").bucket_identifier
    return c.json(buckets.update(namespaceOf(c, namespaces), identifier, c.req.valid("json"), "merge"), 200)
  })
  app.openapi(remove, (c) =>
    c.json(buckets.remove(namespaceOf(c, namespaces), c.req.valid("param").bucket_identifier), 200),
  )
}

function statsOf(all: readonly BucketModel[]): ListBucketsResponse["stats"] {
  const objects = all.reduce((sum, bucket) => sum + bucket.object_count, 0)
  const bytes = all.reduce((sum, bucket) => sum + bucket.total_size_bytes, 0)
  const buckets = Math.max(1, all.length)
  return {
    total_objects: objects,
    total_size_bytes: bytes,
    avg_objects_per_bucket: objects / buckets,
    avg_size_per_bucket: bytes / buckets,
  }
}
