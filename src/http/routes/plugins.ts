import { createRoute, z } from "@hono/zod-openapi"
import { FlagQuery } from "../../contract/pagination.ts"
import {
  DeploymentStrategy,
  ListPluginsResponse,
  PluginDeployment,
  PluginDetail,
  PluginLogLine,
  PluginLogsQuery,
  PluginRemoved,
  PluginRevision,
  PluginStatus,
  PluginUndeployed,
} from "../../contract/plugins.ts"
import type { Deployments } from "../../deployments/deployments.ts"
import type { Caller } from "../../organizations/authentication.ts"
import type { Namespaces } from "../../organizations/namespaces.ts"
import type { Plugins } from "../../plugins/plugins.ts"
import type { PresignedUrls } from "../../presigned-urls.ts"
import type { App } from "../app.ts"
import { demandSignature, SignatureQuery } from "../presigned.ts"
import { ERRORS, json, SIGNED_ERRORS } from "../route.ts"

interface Deps {
  namespaces: Namespaces
  plugins: Plugins
  deployments: Deployments
  presignedUrls: PresignedUrls
}

const DOWNLOAD_SILENCE_SECONDS = 120

const tags = ["Plugins"]
const NamespaceParams = z.object({ namespace_id: z.string().min(1).max(128).openapi({ description: "Id or name" }) })
const PluginParams = NamespaceParams.extend({ plugin_id: z.string().min(1).max(128) })
const path = "/v1/namespaces/{namespace_id}/plugins"
const onePath = `${path}/{plugin_id}`

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "List a namespace's plugins",
  request: { params: NamespaceParams },
  responses: { 200: { description: "Plugins", content: json(ListPluginsResponse) }, ...ERRORS },
})
const get = createRoute({
  method: "get",
  path: onePath,
  tags,
  summary: "Get a plugin",
  request: { params: PluginParams, query: z.object({ return_presigned_urls: FlagQuery.optional() }) },
  responses: { 200: { description: "The plugin", content: json(PluginDetail) }, ...ERRORS },
})
const download = createRoute({
  method: "get",
  path: "/v1/presigned/archives/{namespace_id}/{plugin_id}",
  tags,
  summary: "Download a plugin's archive; the URL is the credential",
  security: [],
  request: { params: PluginParams, query: SignatureQuery },
  responses: { 200: { description: "The archive as it was uploaded" }, ...SIGNED_ERRORS },
})
const deploy = createRoute({
  method: "post",
  path: `${onePath}/deploy`,
  tags,
  summary: "Deploy a plugin; without realtime.py it is ready for collections at once",
  request: {
    params: PluginParams,
    query: z.object({
      deployment_type: z.enum(["batch_only", "realtime"]).optional(),
      strategy: DeploymentStrategy.optional(),
    }),
  },
  responses: { 200: { description: "Deployment", content: json(PluginDeployment) }, ...ERRORS },
})
const status = createRoute({
  method: "get",
  path: `${onePath}/status`,
  tags,
  summary: "Get a plugin's deployment status",
  request: { params: PluginParams },
  responses: { 200: { description: "Status", content: json(PluginStatus) }, ...ERRORS },
})
const undeploy = createRoute({
  method: "post",
  path: `${onePath}/undeploy`,
  tags,
  summary: "Take a plugin's realtime endpoint down",
  request: { params: PluginParams },
  responses: { 200: { description: "Not deployed", content: json(PluginUndeployed) }, ...ERRORS },
})
const rollback = createRoute({
  method: "post",
  path: `${onePath}/rollback`,
  tags,
  summary: "Go back to the previous realtime revision",
  request: { params: PluginParams },
  responses: { 200: { description: "Under way, or done", content: json(PluginDeployment) }, ...ERRORS },
})
const revisions = createRoute({
  method: "get",
  path: `${onePath}/revisions`,
  tags,
  summary: "The revisions of a deployment, newest first: what, who, when, why",
  request: { params: PluginParams },
  responses: {
    200: {
      description: "The newest 100",
      content: json(z.object({ success: z.literal(true), revisions: z.array(PluginRevision) })),
    },
    ...ERRORS,
  },
})
const logs = createRoute({
  method: "get",
  path: `${onePath}/logs`,
  tags,
  summary: "What a deployed plugin printed and raised, oldest first",
  request: { params: PluginParams, query: PluginLogsQuery },
  responses: {
    200: {
      description: "The newest lines",
      content: json(z.object({ success: z.literal(true), logs: z.array(PluginLogLine) })),
    },
    ...ERRORS,
  },
})
const remove = createRoute({
  method: "delete",
  path: onePath,
  tags,
  summary: "Delete a plugin",
  request: { params: PluginParams },
  responses: { 200: { description: "Deleted", content: json(PluginRemoved) }, ...ERRORS },
})

export function pluginRoutes(app: App, { namespaces, plugins, deployments, presignedUrls }: Deps): void {
  const within = (caller: Caller, params: { namespace_id: string }) => namespaces.resolve(caller, params.namespace_id)

  app.openapi(list, (c) => c.json(plugins.list(within(c.get("caller"), c.req.valid("param"))), 200))
  app.openapi(get, (c) => {
    const params = c.req.valid("param")
    const withUrl = c.req.valid("query").return_presigned_urls ?? false
    return c.json(plugins.get(within(c.get("caller"), params), params.plugin_id, withUrl), 200)
  })
  app.openapi(download, (c) => {
    const { namespace_id: namespaceId, plugin_id: id } = c.req.valid("param")
    demandSignature(presignedUrls, "GET", `archives/${namespaceId}/${id}`, c.req.valid("query"))
    const archive = plugins.download(namespaceId, id)
    c.get("allowSilence")(DOWNLOAD_SILENCE_SECONDS)
    return c.body(Bun.file(archive.path).stream(), 200, {
      "Content-Type": archive.contentType,
      "Content-Length": String(archive.bytes),
      "Content-Disposition": `attachment; filename="${archive.filename}"`,
    })
  })
  app.openapi(deploy, (c) => {
    const params = c.req.valid("param")
    const namespace = within(c.get("caller"), params)
    const { deployment_type: type, strategy = "rolling" } = c.req.valid("query")
    const answer =
      plugins.deployForBatches(namespace, params.plugin_id, type) ??
      deployments.deploy(namespace, params.plugin_id, c.get("caller").userEmail, strategy)
    return c.json(answer, 200)
  })
  app.openapi(status, (c) => {
    const params = c.req.valid("param")
    return c.json(deployments.status(within(c.get("caller"), params), params.plugin_id), 200)
  })
  app.openapi(revisions, (c) => {
    const params = c.req.valid("param")
    const namespace = within(c.get("caller"), params)
    return c.json({ success: true as const, revisions: deployments.revisions(namespace, params.plugin_id) }, 200)
  })
  app.openapi(logs, (c) => {
    const params = c.req.valid("param")
    const { request_id: requestId, limit } = c.req.valid("query")
    const namespace = within(c.get("caller"), params)
    const wanted = { limit, ...(requestId === undefined ? {} : { requestId }) }
    return c.json({ success: true as const, logs: deployments.logs(namespace, params.plugin_id, wanted) }, 200)
  })
  app.openapi(undeploy, (c) => {
    const params = c.req.valid("param")
    return c.json(deployments.undeploy(within(c.get("caller"), params), params.plugin_id), 200)
  })
  app.openapi(rollback, (c) => {
    const params = c.req.valid("param")
    const caller = c.get("caller")
    return c.json(deployments.rollback(within(caller, params), params.plugin_id, caller.userEmail), 200)
  })
  app.openapi(remove, async (c) => {
    const params = c.req.valid("param")
    return c.json(await plugins.remove(within(c.get("caller"), params), params.plugin_id), 200)
  })
}
