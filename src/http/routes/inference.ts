import { createRoute, z } from "@hono/zod-openapi"
import type { Context } from "hono"
import { HandlerAnswer, HandlerRequest, InferenceRequest, InferenceResponse } from "../../contract/inference.ts"
import { parseDeploymentName } from "../../deployments/deployments.ts"
import type { Answer, Endpoint } from "../../deployments/endpoint.ts"
import { notFound } from "../../errors.ts"
import type { Namespace, Namespaces } from "../../organizations/namespaces.ts"
import type { App, HttpEnv } from "../app.ts"
import { answerParts, inputsOf } from "../handler-answer.ts"
import { ERRORS, INFERENCE_ERRORS, json, jsonRequest, NamespaceHeader, namespaceOf } from "../route.ts"

interface Deps {
  namespaces: Namespaces
  endpoint: Endpoint
}

const tags = ["Inference"]
const errors = { ...ERRORS, ...INFERENCE_ERRORS }

const infer = createRoute({
  method: "post",
  path: "/v1/inference",
  tags,
  summary: "Ask a deployed plugin, named by its id or a feature URI",
  request: { headers: NamespaceHeader, body: jsonRequest(InferenceRequest) },
  responses: {
    200: { description: "The handler's answer in an envelope", content: json(InferenceResponse) },
    ...errors,
  },
})
const byName = createRoute({
  method: "post",
  path: "/v1/inference/custom/{feature_extractor_name}",
  tags,
  summary: "Ask the version of a plugin that its name answers with now",
  request: {
    headers: NamespaceHeader,
    params: z.object({ feature_extractor_name: z.string().min(1).max(128) }),
    body: jsonRequest(HandlerRequest),
  },
  responses: { 200: { description: "The handler's answer", content: json(HandlerAnswer) }, ...errors },
})
const byPrefix = (prefix: string) =>
  createRoute({
    method: "post",
    path: `${prefix}/inference/{deployment_name}`,
    tags,
    summary: "Ask a deployed plugin at its route_prefix",
    request: {
      params: z.object({ deployment_name: z.string().min(1).max(256) }),
      body: jsonRequest(HandlerRequest),
    },
    responses: { 200: { description: "The handler's answer", content: json(HandlerAnswer) }, ...errors },
  })

export function inferenceRoutes(app: App, { namespaces, endpoint }: Deps): void {
  const asker = (c: Context<HttpEnv>) => {
    c.get("allowSilence")(endpoint.silenceSeconds)
    return { requestId: c.get("requestId"), signal: () => c.req.raw.signal }
  }
  app.openapi(infer, async (c) => {
    const request = c.req.valid("json")
    const namespace = namespaceOf(c, namespaces)
    const pluginId = endpoint.named(namespace, request)
    const { inputs, parameters } = request
    const body = new TextEncoder().encode(JSON.stringify({ inputs, parameters: parameters ?? {} }))
    const started = performance.now()
    const answer = await endpoint.call(namespace, pluginId, { body, inputs }, asker(c))
    if (answer.body === null) return sent(c, answer)
    const latency = Math.round((performance.now() - started) * 1000) / 1000
    const about = { provider: "custom_plugin", model: pluginId, latency_ms: latency, cached: false }
    // Around the bytes that the worker wrote: reading and writing them again would cost as much as all the rest.
    const head = new TextEncoder().encode('{"data":')
    const tail = new TextEncoder().encode(`,${JSON.stringify(about).slice(1)}`)
    return sent(c, { body: Buffer.concat([head, answer.body, tail]), pieces: null })
  })
  /** `request` is the body, read; without one there are no inputs. */
  const ask = async (
    c: Context<HttpEnv>,
    request: HandlerRequest | undefined,
    namespace: Namespace,
    pluginId: string,
  ) => {
    const body = c.get("body") ?? NO_INPUTS
    const answer = await endpoint.call(namespace, pluginId, { body, inputs: inputsOf(request ?? {}) }, asker(c))
    return sent(c, answer)
  }
  app.openapi(byName, (c) => {
    const namespace = namespaceOf(c, namespaces)
    return ask(
      c,
      c.req.valid("json"),
      namespace,
      endpoint.aliased(namespace, c.req.valid("param").feature_extractor_name),
    )
  })
  for (const prefix of ["", "/v1"]) {
    app.openapi(byPrefix(prefix), (c) => {
      const name = c.req.valid("param").deployment_name
      const named = parseDeploymentName(name)
      if (named === null) throw notFound("deployment", name)
      return ask(c, c.req.valid("json"), namespaces.resolve(c.get("caller"), named.namespaceId), named.pluginId)
    })
  }
}

const NO_INPUTS = new TextEncoder().encode("{}")

function sent(c: Context<HttpEnv>, answer: Answer): never {
  const { body, headers } = answerParts(answer)
  return c.body(body, 200, headers) as never
}
