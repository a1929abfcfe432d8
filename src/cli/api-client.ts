/** Requests to an appliance, for the commands that need one. */
import { open } from "node:fs/promises"
import { z } from "zod"
import { ConfigError, clientSettings } from "../config.ts"
import { parseExactly } from "../exact-json.ts"
import { CommandFailed } from "./command-failed.ts"

export interface ClientOptions {
  readonly apiKey?: string
  readonly baseUrl?: string
  readonly namespace?: string
}

/** What an answer of 400 or more says; every part is optional, since a proxy may have written it. */
const ErrorBody = z.object({
  error: z
    .object({
      message: z.string().optional(),
      type: z.string().optional(),
      details: z
        .object({ missing_wheels: z.array(z.unknown()).optional() })
        .optional()
        .catch(undefined),
    })
    .optional()
    .catch(undefined),
  detail: z.string().optional().catch(undefined),
  validation_errors: z.array(z.string()).optional().catch(undefined),
  violations: z
    .array(
      z.object({
        file: z.string(),
        line: z.int(),
        column: z.int(),
        message: z.string(),
        severity: z.enum(["error", "warning"]),
      }),
    )
    .optional()
    .catch(undefined),
})
export type ErrorBody = z.infer<typeof ErrorBody>

export class ApiError extends Error {
  override readonly name = "ApiError"
  readonly status: number
  readonly body: ErrorBody

  constructor(status: number, body: ErrorBody) {
    super(body.error?.message ?? body.detail ?? `The appliance answered ${status}.`)
    this.status = status
    this.body = body
  }
}

/** @throws ConfigError when key or namespace is neither an option nor in the environment */
export function apiClient(options: ClientOptions) {
  const { apiKey, baseUrl, namespace } = clientSettings(options)
  if (apiKey === null) throw new ConfigError("no API key: give --api-key or set MIXPEEK_API_KEY")
  if (namespace === null) throw new ConfigError("no namespace: give --namespace (id or name) or set MIXPEEK_NAMESPACE")
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new ConfigError(`base URL '${baseUrl}' is not an http(s) address`)
  }
  const prefix = `${baseUrl}/v1/namespaces/${encodeURIComponent(namespace)}`
  return {
    baseUrl,
    namespace,
    /** A route below the namespace. @throws ApiError; CommandFailed when nothing answers or not as an appliance does */
    async call<T>(schema: z.ZodType<T>, method: "GET" | "POST", path: string, body?: object): Promise<T> {
      const response = await send(baseUrl, `${prefix}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer = await jsonOf(response)
      if (!response.ok) throw new ApiError(response.status, ErrorBody.safeParse(answer).data ?? {})
      const parsed = schema.safeParse(answer)
      if (parsed.success) return parsed.data
      throw new CommandFailed(`${baseUrl} does not answer as an appliance: ${method} ${path} gave something else.`)
    },
    /** A route below /v1 that takes the namespace as a header. @throws as `call` */
    async get<T>(schema: z.ZodType<T>, path: string): Promise<T> {
      const response = await send(baseUrl, `${baseUrl}/v1${path}`, {
        headers: { Authorization: `Bearer ${apiKey}`, "X-Namespace": namespace },
      })
      const answer = await jsonOf(response)
      if (!response.ok) throw new ApiError(response.status, ErrorBody.safeParse(answer).data ?? {})
      const parsed = schema.safeParse(answer)
      if (parsed.success) return parsed.data
      throw new CommandFailed(`${baseUrl} does not answer as an appliance: GET ${path} gave something else.`)
    },
    /** Streams what a presigned URL of the appliance gives into a new file. @throws as `call` */
    async download(url: string, path: string, onChunk: (chunk: Uint8Array) => void): Promise<void> {
      const response = await send(baseUrl, new URL(url, baseUrl).href, {})
      if (!response.ok) throw new ApiError(response.status, {})
      const file = await open(path, "wx", 0o600)
      try {
        for await (const chunk of response.body ?? []) {
          onChunk(chunk)
          await file.appendFile(chunk)
        }
      } finally {
        await file.close()
      }
    },
    /** Streams a file to a presigned URL. Returns the ETag without its quotes. @throws as `call` */
    async upload(url: string, path: string, onProgress: (sent: number) => void): Promise<string> {
      const file = Bun.file(path)
      let sent = 0
      const counted = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          sent += chunk.byteLength
          onProgress(sent)
          controller.enqueue(chunk)
        },
      })
      const response = await send(baseUrl, url, {
        method: "PUT",
        headers: { "Content-Type": "application/zip", "Content-Length": String(file.size) },
        body: file.stream().pipeThrough(counted),
      })
      const answer = await jsonOf(response)
      if (!response.ok) throw new ApiError(response.status, ErrorBody.safeParse(answer).data ?? {})
      return (response.headers.get("etag") ?? "").replaceAll('"', "")
    },
  }
}
export type ApiClient = ReturnType<typeof apiClient>

/** Null for what is no JSON. A failed row is replayed with the numbers that it had. */
async function jsonOf(response: Response): Promise<unknown> {
  try {
    return parseExactly(await response.text())
  } catch {
    return null
  }
}

async function send(baseUrl: string, url: string, request: BunFetchRequestInit): Promise<Response> {
  try {
    // Without a time-out: a confirm reads the manifest, an upload takes as long as the line needs.
    return await fetch(url, { ...request, timeout: false })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CommandFailed(
      `Cannot reach ${new URL(url).origin} (${reason}). Is 'mixpeek serve' running there? --base-url or MIXPEEK_BASE_URL names another address than ${baseUrl}.`,
      { cause: error },
    )
  }
}
