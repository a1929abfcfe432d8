/**
 * The HTTP face: request id, log line, authentication, body, routes, envelope. Handlers only translate; every rule of the
 * product lives in the domain functions handed in.
 */
import { OpenAPIHono } from "@hono/zod-openapi"
import { ApplianceError } from "../errors.ts"
import { newRequestId } from "../identifiers.ts"
import type { Log } from "../log.ts"
import type { Authentication, Caller } from "../organizations/authentication.ts"
import type { RateLimits } from "../organizations/rate-limits.ts"
import { VERSION } from "../version.ts"
import { authentication } from "./authentication.ts"
import { errorResponse, validationError } from "./error-response.ts"
import { rateLimiting } from "./rate-limiting.ts"
import { jsonBody } from "./request-body.ts"
import { logRequest } from "./request-log.ts"
import { apiKeyRoutes } from "./routes/api-keys.ts"
import { batchRoutes } from "./routes/batches.ts"
import { bucketUploadRoutes } from "./routes/bucket-uploads.ts"
import { bucketRoutes } from "./routes/buckets.ts"
import { collectionRoutes } from "./routes/collections.ts"
import { docsRoutes } from "./routes/docs.ts"
import { documentRoutes } from "./routes/documents.ts"
import { extractorRoutes } from "./routes/extractors.ts"
import { healthRoutes } from "./routes/health.ts"
import { inferenceRoutes } from "./routes/inference.ts"
import { namespaceRoutes } from "./routes/namespaces.ts"
import { notEnabledRoutes } from "./routes/not-enabled.ts"
import { objectRoutes } from "./routes/objects.ts"
import { organizationRoutes } from "./routes/organizations.ts"
import { pluginUploadRoutes } from "./routes/plugin-uploads.ts"
import { pluginRoutes } from "./routes/plugins.ts"
import { taskRoutes } from "./routes/tasks.ts"

export interface HttpEnv {
  Bindings: { allowSilence?: (seconds: number) => void }
  Variables: {
    requestId: string
    caller: Caller
    /** The JSON body's bytes as they came. */
    body: Uint8Array
    /** Why the JSON body cannot be read; hono, which asks for it, says only that. */
    malformedBody?: ApplianceError
    /** Sets how long this connection may be silent, in seconds; 0 lifts the limit. */
    allowSilence: (seconds: number) => void
  }
}

export type App = OpenAPIHono<HttpEnv>

export interface HttpDeps extends RouteDeps {
  log: Log
  authentication: Authentication
  rateLimits: RateLimits
  requestsPerSecond: number | null
}

type RouteDeps = Parameters<typeof apiKeyRoutes>[1] &
  Parameters<typeof batchRoutes>[1] &
  Parameters<typeof bucketUploadRoutes>[1] &
  Parameters<typeof bucketRoutes>[1] &
  Parameters<typeof collectionRoutes>[1] &
  Parameters<typeof documentRoutes>[1] &
  Parameters<typeof extractorRoutes>[1] &
  Parameters<typeof healthRoutes>[1] &
  Parameters<typeof inferenceRoutes>[1] &
  Parameters<typeof namespaceRoutes>[1] &
  Parameters<typeof objectRoutes>[1] &
  Parameters<typeof organizationRoutes>[1] &
  Parameters<typeof pluginUploadRoutes>[1] &
  Parameters<typeof pluginRoutes>[1] &
  Parameters<typeof taskRoutes>[1]

export function httpApp(deps: HttpDeps) {
  const app: App = new OpenAPIHono<HttpEnv>({
    defaultHook: (result, c) => {
      if (result.success) return
      const repeated = (name: string) => result.target === "query" && (c.req.queries(name)?.length ?? 0) > 1
      throw validationError(result.target === "json" ? "body" : result.target, result.error, repeated)
    },
  })
  app.use(async (c, next) => {
    const requestId = newRequestId()
    const started = performance.now()
    c.set("requestId", requestId)
    c.set("allowSilence", c.env?.allowSilence ?? (() => {}))
    c.header("X-Request-Id", requestId)
    await next()
    logRequest(deps.log, { requestId, method: c.req.method, path: c.req.path, status: c.res.status, started })
  })
  app.onError((error, c) => errorResponse(c, error, deps.log))
  app.notFound((c) => errorResponse(c, noRoute(app, c.req.method, c.req.path), deps.log))
  for (const path of ["/v1/*", "/inference/*"]) {
    app.use(path, authentication(deps.authentication))
    app.use(path, rateLimiting(deps))
    app.use(path, jsonBody)
  }

  notEnabledRoutes(app)
  healthRoutes(app, deps)
  organizationRoutes(app, deps)
  apiKeyRoutes(app, deps)
  namespaceRoutes(app, deps)
  extractorRoutes(app, deps)
  pluginUploadRoutes(app, deps)
  pluginRoutes(app, deps)
  bucketUploadRoutes(app, deps)
  objectRoutes(app, deps)
  batchRoutes(app, deps)
  bucketRoutes(app, deps)
  documentRoutes(app, deps)
  collectionRoutes(app, deps)
  taskRoutes(app, deps)
  inferenceRoutes(app, deps)
  docsRoutes(app)

  app.openAPIRegistry.registerComponent("securitySchemes", "ApiKey", { type: "http", scheme: "bearer" })
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "Mixpeek appliance", version: VERSION },
    security: [{ ApiKey: [] }],
  })
  return app
}

/** A known path with another method is 405 with `Allow`; anything else is 404. */
function noRoute(app: App, method: string, path: string): ApplianceError {
  const allowed = methodsOf(app, path)
  if (allowed.size === 0) {
    const meant = nearlyWritten(path).find((other) => methodsOf(app, other).has(method))
    const hint = meant === undefined ? "" : ` Did you mean ${meant}? The base URL of a client may end otherwise.`
    return new ApplianceError("NotFoundError", `There is no route ${method} ${path}.${hint}`)
  }
  return new ApplianceError(
    "MethodNotAllowedError",
    `${path} takes ${[...allowed].sort().join(", ")}, not ${method}.`,
    {
      headers: { Allow: [...allowed].sort().join(", ") },
    },
  )
}

function methodsOf(app: App, path: string): Set<string> {
  const here = app.routes.filter((route) => route.method !== "ALL" && pattern(route.path).test(path))
  return new Set(here.map((route) => route.method))
}

/** One client adds /v1 to its base URL and another does not; some end it with a slash. */
function nearlyWritten(path: string): string[] {
  const plain = path.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1")
  return [plain, plain.replace(/^\/v1\/v1\//, "/v1/"), `/v1${plain}`].filter((other) => other !== path)
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/:[A-Za-z0-9_]+(\{[^}]*\})?/g, "[^/]+")}$`)
}

const BELOW_NAMESPACE =
  /^\/v1\/namespaces\/([^/]+)\/((?:buckets|collections|objects|retrievers|batches|inference)(?:\/.*)?)$/

/** Printable ASCII, escaped or not: anything else could neither be decoded for sure nor stand in a header. */
const NAMESPACE_SEGMENT = /^[A-Za-z0-9](?:[!-$&-~]|%(?:[2-6][0-9A-F]|7[0-9A-E]))*$/i

/**
 * The newer docs put the namespace into the path (`/v1/namespaces/{ns}/buckets…`); those are the same routes with the
 * namespace in its header (api.md §0.1).
 */
export function withNamespaceFromPath(request: Request): Request {
  if (!request.url.includes("/v1/namespaces/")) return request
  const url = new URL(request.url)
  const match = BELOW_NAMESPACE.exec(url.pathname)
  if (match === null) return request
  const [, namespace = "", rest = ""] = match
  url.pathname = `/v1/${rest}`
  const rewritten = new Request(url.href, request)
  // What is neither an id nor a name stays as it is, and no namespace is called that.
  rewritten.headers.set("X-Namespace", NAMESPACE_SEGMENT.test(namespace) ? decodeURIComponent(namespace) : namespace)
  return rewritten
}
