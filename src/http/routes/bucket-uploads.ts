import { createRoute, z } from "@hono/zod-openapi"
import type { BucketUploads } from "../../buckets/bucket-uploads.ts"
import {
  BucketUploadModel,
  ConfirmBucketUpload,
  ConfirmedBucketUpload,
  ConfirmQuery,
  CreateBucketUpload,
  GetUploadQuery,
  ListBucketUploads,
  ListBucketUploadsResponse,
  RemoveUploadQuery,
} from "../../contract/bucket-uploads.ts"
import { PagingQuery, pageOf, paginationOf } from "../../contract/pagination.ts"
import { selectRecords } from "../../filtering.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { PresignedUrls } from "../../presigned-urls.ts"
import type { App } from "../app.ts"
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
  SIGNED_UPLOAD_ERRORS,
} from "../route.ts"

interface Deps {
  bucketUploads: BucketUploads
  presignedUrls: PresignedUrls
  namespaces: Namespaces
  idempotency: Idempotency
}

/** A sender may pause this long within a PUT, in seconds. */
const UPLOAD_SILENCE = 120
const LIST_LIMIT = 20

const tags = ["Bucket uploads"]
const path = "/v1/buckets/{bucket_identifier}/uploads"
const BucketParams = z.object({ bucket_identifier: z.string().min(1).max(128) })
const UploadParams = BucketParams.extend({ upload_id: z.string().min(1).max(128) })
const found = { 200: { description: "The upload", content: json(BucketUploadModel) }, ...ERRORS }

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Reserve an upload and get a signed URL for its bytes",
  request: { headers: NamespacedCreate, params: BucketParams, body: jsonRequest(CreateBucketUpload) },
  responses: found,
})
const list = createRoute({
  method: "post",
  path: `${path}/list`,
  tags,
  summary: "List a bucket's uploads, newest first",
  request: { headers: NamespaceHeader, params: BucketParams, query: PagingQuery, body: jsonRequest(ListBucketUploads) },
  responses: { 200: { description: "Uploads", content: json(ListBucketUploadsResponse) }, ...ERRORS },
})
const confirm = createRoute({
  method: "post",
  path: `${path}/{upload_id}/confirm`,
  tags,
  summary: "Check what was uploaded and make an object of it",
  request: {
    headers: NamespaceHeader,
    params: UploadParams,
    query: ConfirmQuery,
    body: jsonRequest(ConfirmBucketUpload),
  },
  responses: { 200: { description: "Confirmed", content: json(ConfirmedBucketUpload) }, ...ERRORS, ...CONFLICT },
})
const get = createRoute({
  method: "get",
  path: `${path}/{upload_id}`,
  tags,
  summary: "Get an upload",
  request: { headers: NamespaceHeader, params: UploadParams, query: GetUploadQuery },
  responses: found,
})
const remove = createRoute({
  method: "delete",
  path: `${path}/{upload_id}`,
  tags,
  summary: "Give an upload up; a completed one stays",
  request: { headers: NamespaceHeader, params: UploadParams, query: RemoveUploadQuery },
  responses: { 204: { description: "Removed" }, ...ERRORS },
})
const receive = createRoute({
  method: "put",
  path: "/v1/presigned/objects/{upload_id}",
  tags,
  summary: "Send an upload's bytes to its signed URL",
  security: [],
  request: {
    params: z.object({ upload_id: z.string().regex(/^upl_[a-zA-Z0-9_-]{1,64}$/) }),
    query: SignatureQuery,
  },
  responses: {
    200: { description: "Stored; the ETag header is the MD5 of the bytes" },
    ...SIGNED_UPLOAD_ERRORS,
  },
})

export function bucketUploadRoutes(app: App, { bucketUploads, presignedUrls, namespaces, idempotency }: Deps): void {
  app.openapi(create, async (c) => {
    const request = c.req.valid("json")
    const { bucket_identifier: bucket } = c.req.valid("param")
    const namespace = namespaceOf(c, namespaces)
    const answer = await createOnce(c, idempotency, namespace, 200, (remember) =>
      bucketUploads.create(namespace, bucket, request, remember),
    )
    return c.json(answer, 200)
  })
  app.openapi(list, (c) => {
    const body = c.req.valid("json")
    const page = pageOf(c.req.valid("query"), body, LIST_LIMIT)
    const { bucket_identifier: bucket } = c.req.valid("param")
    const { results, stats } = bucketUploads.list(
      namespaceOf(c, namespaces),
      bucket,
      body.return_presigned_urls ?? false,
    )
    const selected = selectRecords(results, body, ["upload_id", "filename", "blob_property"])
    const answer = {
      results: selected.slice(page.offset, page.offset + page.limit),
      pagination: paginationOf(page, selected.length),
      stats,
    }
    return c.json(answer, 200)
  })
  app.openapi(confirm, async (c) => {
    const { bucket_identifier: bucket, upload_id: upload } = c.req.valid("param")
    return c.json(await bucketUploads.confirm(namespaceOf(c, namespaces), bucket, upload, c.req.valid("json")), 200)
  })
  app.openapi(get, (c) => {
    const { bucket_identifier: bucket, upload_id: upload } = c.req.valid("param")
    const presign = c.req.valid("query").return_presigned_urls ?? false
    return c.json(bucketUploads.get(namespaceOf(c, namespaces), bucket, upload, presign), 200)
  })
  app.openapi(remove, (c) => {
    const { bucket_identifier: bucket, upload_id: upload } = c.req.valid("param")
    bucketUploads.remove(namespaceOf(c, namespaces), bucket, upload)
    return c.body(null, 204)
  })
  app.openapi(receive, async (c) => {
    const { upload_id: uploadId } = c.req.valid("param")
    const size = demandSignature(presignedUrls, "PUT", `objects/${uploadId}`, c.req.valid("query"))
    c.get("allowSilence")(UPLOAD_SILENCE)
    const length = c.req.header("content-length")
    const announced = length === undefined || !/^\d{1,15}$/.test(length) ? null : Number(length)
    const { etag } = await bucketUploads.receive(uploadId, c.req.raw.body, { announced, size })
    c.header("ETag", `"${etag}"`)
    return c.body(null, 200)
  })
}
