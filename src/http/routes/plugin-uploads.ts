import { createRoute, z } from "@hono/zod-openapi"
import {
  ConfirmPluginUpload,
  PluginConfirmation,
  PluginForm,
  PluginUpload,
  ReservePluginUpload,
} from "../../contract/plugins.ts"
import type { Idempotency } from "../../organizations/idempotency.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { PluginConfirmations } from "../../plugins/confirmation.ts"
import type { PluginUploads } from "../../plugins/uploads.ts"
import type { PresignedUrls } from "../../presigned-urls.ts"
import type { App } from "../app.ts"
import { validationError } from "../error-response.ts"
import { readFileForm } from "../multipart.ts"
import { demandSignature, SignatureQuery } from "../presigned.ts"
import { CONFLICT, createOnce, ERRORS, IdempotencyHeader, json, jsonRequest, SIGNED_UPLOAD_ERRORS } from "../route.ts"

interface Deps {
  namespaces: Namespaces
  idempotency: Idempotency
  pluginUploads: PluginUploads
  pluginConfirmations: PluginConfirmations
  presignedUrls: PresignedUrls
}

/** Longest pause in an upload that is not taken for a dead connection. */
const UPLOAD_SILENCE_SECONDS = 120

const tags = ["Plugins"]
const NamespaceParams = z.object({ namespace_id: z.string().min(1).max(128).openapi({ description: "Id or name" }) })
const UploadParams = z.object({ upload_id: z.string().min(1).max(64) })
const path = "/v1/namespaces/{namespace_id}/plugins"

const reserve = createRoute({
  method: "post",
  path: `${path}/uploads`,
  tags,
  summary: "Reserve a plugin upload and get the URL to PUT its archive to",
  request: { params: NamespaceParams, headers: IdempotencyHeader, body: jsonRequest(ReservePluginUpload) },
  responses: { 200: { description: "Upload reserved", content: json(PluginUpload) }, ...ERRORS, ...CONFLICT },
})
const put = createRoute({
  method: "put",
  path: "/v1/presigned/plugins/{upload_id}",
  tags,
  summary: "Upload the archive's bytes, zip or gzipped tar; the URL is the credential",
  security: [],
  request: { params: UploadParams, query: SignatureQuery },
  responses: {
    200: { description: "Received; the ETag header is the MD5 of the bytes" },
    ...SIGNED_UPLOAD_ERRORS,
    ...CONFLICT,
  },
})
const confirmed = {
  200: { description: "Validated and registered", content: json(PluginConfirmation) },
  ...ERRORS,
  ...CONFLICT,
}
const confirm = createRoute({
  method: "post",
  path: `${path}/uploads/{upload_id}/confirm`,
  tags,
  summary: "Validate and register an uploaded plugin",
  request: { params: NamespaceParams.extend(UploadParams.shape), body: jsonRequest(ConfirmPluginUpload) },
  responses: confirmed,
})
const upload = createRoute({
  method: "post",
  path,
  tags,
  summary: "Upload, validate and register a plugin in one request",
  request: {
    params: NamespaceParams,
    body: {
      required: true,
      content: {
        "multipart/form-data": { schema: PluginForm.extend({ file: z.string().openapi({ format: "binary" }) }) },
      },
    },
  },
  responses: confirmed,
})

export function pluginUploadRoutes(app: App, deps: Deps): void {
  const { namespaces, idempotency, pluginUploads, pluginConfirmations, presignedUrls } = deps
  app.openapi(reserve, async (c) => {
    const namespace = namespaces.resolve(c.get("caller"), c.req.valid("param").namespace_id)
    const request = c.req.valid("json")
    const answer = await createOnce(c, idempotency, namespace, 200, (remember) =>
      pluginUploads.reserve(namespace, request, remember),
    )
    return c.json(answer, 200)
  })

  app.openapi(put, async (c) => {
    const { upload_id: id } = c.req.valid("param")
    const size = demandSignature(presignedUrls, "PUT", `plugins/${id}`, c.req.valid("query"))
    c.get("allowSilence")(UPLOAD_SILENCE_SECONDS)
    const { etag } = await pluginUploads.receive(
      id,
      {
        chunks: c.req.raw.body ?? noBytes(),
        announcedBytes: contentLength(c.req.raw),
      },
      size,
    )
    c.header("ETag", `"${etag}"`)
    return c.body(null, 200)
  })

  app.openapi(confirm, async (c) => {
    const { namespace_id: identifier, upload_id: id } = c.req.valid("param")
    const namespace = namespaces.resolve(c.get("caller"), identifier)
    c.get("allowSilence")(0)
    return c.json(await pluginConfirmations.confirm(namespace, id, c.req.valid("json")), 200)
  })

  // Documented but not parsed by zod-openapi, which would read the whole form into memory.
  app.openAPIRegistry.registerPath(upload)
  app.post(upload.getRoutingPath(), async (c) => {
    const namespace = namespaces.resolve(c.get("caller"), c.req.param("namespace_id"))
    c.get("allowSilence")(UPLOAD_SILENCE_SECONDS)
    const { fields, file } = await readFileForm(c.req.raw, pluginUploads.archiveBytes, (chunks) =>
      pluginUploads.hold(namespace, { chunks, announcedBytes: null }),
    )
    await using held = file
    const form = PluginForm.safeParse(fields)
    if (!form.success) throw validationError("body", form.error)
    c.get("allowSilence")(0)
    const id = await pluginUploads.file(namespace, held, form.data)
    try {
      return c.json(await pluginConfirmations.confirm(namespace, id, {}), 200)
    } finally {
      // Its id was told to nobody: what did not pass cannot be confirmed again.
      await pluginUploads.discard(namespace, id)
    }
  })
}

function contentLength(request: Request): number | null {
  const header = request.headers.get("content-length")
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : null
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}
