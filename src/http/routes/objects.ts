import { createRoute, z } from "@hono/zod-openapi"
import type { BlobDownload, BlobFiles } from "../../buckets/blob-files.ts"
import type { Objects } from "../../buckets/objects.ts"
import {
  CreateObject,
  CreateObjectQuery,
  CreateObjects,
  CreateObjectsResponse,
  GetObjectQuery,
  ListObjects,
  ListObjectsResponse,
  ObjectModel,
  PatchObject,
  ReplaceObject,
} from "../../contract/objects.ts"
import { PagingQuery, pageOf } from "../../contract/pagination.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { PresignedUrls } from "../../presigned-urls.ts"
import type { App } from "../app.ts"
import { byteRange } from "../byte-range.ts"
import { demandSignature, SignatureQuery } from "../presigned.ts"
import {
  CONFLICT,
  createOnce,
  ERRORS,
  json,
  jsonRequest,
  NamespacedCreate,
  NamespaceHeader,
  namespaceOf,
  SIGNED_ERRORS,
} from "../route.ts"

interface Deps {
  objects: Objects
  blobFiles: Pick<BlobFiles, "open">
  presignedUrls: PresignedUrls
  namespaces: Namespaces
  idempotency: Idempotency
}

const tags = ["Objects"]
const path = "/v1/buckets/{bucket_identifier}/objects"
const BucketParams = z.object({ bucket_identifier: z.string().min(1).max(128) })
const ObjectParams = BucketParams.extend({ object_identifier: z.string().min(1).max(128) })
const found = { 200: { description: "The object", content: json(ObjectModel) }, ...ERRORS }
const listed = { 200: { description: "Objects", content: json(ListObjectsResponse) }, ...ERRORS }

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Create an object",
  request: {
    headers: NamespacedCreate,
    params: BucketParams,
    query: CreateObjectQuery,
    body: jsonRequest(CreateObject),
  },
  responses: { ...found, ...CONFLICT },
})
const createMany = createRoute({
  method: "post",
  path: `${path}/batch`,
  tags,
  summary: "Create up to 100 objects; some may fail while the others are created",
  request: {
    headers: NamespacedCreate,
    params: BucketParams,
    query: CreateObjectQuery,
    body: jsonRequest(CreateObjects),
  },
  responses: {
    200: { description: "What was created and what was not", content: json(CreateObjectsResponse) },
    ...ERRORS,
  },
})
const list = createRoute({
  method: "post",
  path: `${path}/list`,
  tags,
  summary: "List a bucket's objects",
  request: { headers: NamespaceHeader, params: BucketParams, query: PagingQuery, body: jsonRequest(ListObjects) },
  responses: listed,
})
const listByGet = createRoute({
  method: "get",
  path,
  tags,
  summary: "List a bucket's objects",
  request: { headers: NamespaceHeader, params: BucketParams, query: PagingQuery },
  responses: listed,
})
const get = createRoute({
  method: "get",
  path: `${path}/{object_identifier}`,
  tags,
  summary: "Get an object",
  request: { headers: NamespaceHeader, params: ObjectParams, query: GetObjectQuery },
  responses: found,
})
const replace = createRoute({
  method: "put",
  path: `${path}/{object_identifier}`,
  tags,
  summary: "Replace blobs, metadata or fields of an object",
  request: { headers: NamespaceHeader, params: ObjectParams, body: jsonRequest(ReplaceObject) },
  responses: { ...found, ...CONFLICT },
})
const patch = createRoute({
  method: "patch",
  path: `${path}/{object_identifier}`,
  tags,
  summary: "Merge changes into an object",
  request: { headers: NamespaceHeader, params: ObjectParams, body: jsonRequest(PatchObject) },
  responses: { ...found, ...CONFLICT },
})
const remove = createRoute({
  method: "delete",
  path: `${path}/{object_identifier}`,
  tags,
  summary: "Delete an object",
  request: { headers: NamespaceHeader, params: ObjectParams },
  responses: { 204: { description: "Deleted" }, ...ERRORS },
})
const download = createRoute({
  method: "get",
  path: "/v1/presigned/blobs/{bucket_id}/{sha256}",
  tags,
  summary: "Download a blob by its signed URL",
  security: [],
  request: {
    params: z.object({ bucket_id: z.string().max(64), sha256: z.string().regex(/^[a-f0-9]{64}$/) }),
    query: SignatureQuery,
  },
  responses: {
    200: { description: "The bytes", content: { "application/octet-stream": { schema: z.string() } } },
    206: { description: "The asked range", content: { "application/octet-stream": { schema: z.string() } } },
    ...SIGNED_ERRORS,
  },
})

export function objectRoutes(app: App, { objects, blobFiles, presignedUrls, namespaces, idempotency }: Deps): void {
  app.openapi(create, async (c) => {
    const { policy, auto_process: autoProcess = false } = c.req.valid("query")
    const request = c.req.valid("json")
    const { bucket_identifier: bucket } = c.req.valid("param")
    const namespace = namespaceOf(c, namespaces)
    const answer = await createOnce(c, idempotency, namespace, 200, (remember) =>
      objects.create(namespace, bucket, request, { policy, autoProcess }, remember),
    )
    return c.json(answer, 200)
  })
  app.openapi(createMany, async (c) => {
    const { policy, auto_process: autoProcess = false } = c.req.valid("query")
    const { objects: requests } = c.req.valid("json")
    const { bucket_identifier: bucket } = c.req.valid("param")
    const namespace = namespaceOf(c, namespaces)
    const answer = await createOnce(c, idempotency, namespace, 200, (remember) =>
      objects.createMany(namespace, bucket, requests, { policy, autoProcess }, remember),
    )
    return c.json(answer, 200)
  })
  app.openapi(list, async (c) => {
    const body = c.req.valid("json")
    const page = pageOf(c.req.valid("query"), body)
    return c.json(
      await objects.list(namespaceOf(c, namespaces), c.req.valid("param").bucket_identifier, page, body),
      200,
    )
  })
  app.openapi(listByGet, async (c) => {
    const page = pageOf(c.req.valid("query"))
    return c.json(await objects.list(namespaceOf(c, namespaces), c.req.valid("param").bucket_identifier, page, {}), 200)
  })
  app.openapi(get, (c) => {
    const { bucket_identifier: bucket, object_identifier: object } = c.req.valid("param")
    const { return_presigned_urls: presign, return_url: url } = c.req.valid("query")
    return c.json(objects.get(namespaceOf(c, namespaces), bucket, object, presign === true || url === true), 200)
  })
  app.openapi(replace, async (c) => {
    const { bucket_identifier: bucket, object_identifier: object } = c.req.valid("param")
    return c.json(await objects.replace(namespaceOf(c, namespaces), bucket, object, c.req.valid("json")), 200)
  })
  app.openapi(patch, async (c) => {
    const { bucket_identifier: bucket, object_identifier: object } = c.req.valid("param")
    return c.json(await objects.patch(namespaceOf(c, namespaces), bucket, object, c.req.valid("json")), 200)
  })
  app.openapi(remove, (c) => {
    const { bucket_identifier: bucket, object_identifier: object } = c.req.valid("param")
    objects.remove(namespaceOf(c, namespaces), bucket, object)
    return c.body(null, 204)
  })
  app.openapi(download, async (c) => {
    const { bucket_id: bucketId, sha256 } = c.req.valid("param")
    demandSignature(presignedUrls, "GET", `blobs/${bucketId}/${sha256}`, c.req.valid("query"))
    const found = await blobFiles.open(bucketId, sha256)
    return downloadResponse(found, c.req.header("range"), c.get("requestId"))
  })
}

/** What may stand in a header (RFC 9110 §8.3.1): a type is what somebody said of their file, and older rows hold any text. */
const SENDABLE_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/

/** The bytes are a stranger's: never shown by a browser as a page of this origin. */
function downloadResponse(found: BlobDownload, rangeHeader: string | undefined, requestId: string): Response {
  const headers = new Headers({
    "Accept-Ranges": "bytes",
    "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent(found.filename.toWellFormed()).replaceAll("'", "%27")}`,
    "Content-Security-Policy": "sandbox",
    "Content-Type": SENDABLE_TYPE.test(found.mimeType) ? found.mimeType : "application/octet-stream",
    ETag: `"${found.sha256}"`,
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": requestId,
  })
  const range = byteRange(rangeHeader, found.bytes)
  if (range === "whole") return new Response(found.file, { headers })
  if (range === "unsatisfiable") {
    headers.set("Content-Range", `bytes */${found.bytes}`)
    return new Response(null, { status: 416, headers })
  }
  headers.set("Content-Range", `bytes ${range.first}-${range.last}/${found.bytes}`)
  return new Response(found.file.slice(range.first, range.last + 1), { status: 206, headers })
}
