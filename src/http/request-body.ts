/**
 * Bodies before they reach a route. JSON routes get JSON whatever curl or the SDK called it; an empty body loses its
 * content type (zod-openapi answers 400 to an empty JSON body otherwise); every size is capped while it is read.
 */
import type { Context, MiddlewareHandler } from "hono"
import { ApplianceError } from "../errors.ts"
import { parseSent } from "../sent-json.ts"
import type { HttpEnv } from "./app.ts"

const MEBIBYTE = 1024 * 1024
/** A frame to a worker carries 4 MiB, the envelope around it included. */
export const INFERENCE_BODY_BYTES = 4 * MEBIBYTE - 4096

/** Largest JSON body per route in bytes; the first pattern that fits counts. */
const JSON_LIMITS: readonly { readonly path: RegExp; readonly bytes: number }[] = [
  { path: /^\/v1\/buckets\/[^/]+\/objects(\/batch|\/[^/]+)?$/, bytes: 128 * MEBIBYTE },
  { path: /^(\/v1)?\/inference(\/|$)/, bytes: INFERENCE_BODY_BYTES },
  { path: /^\/v1\/buckets\/[^/]+\/batches(\/trigger|\/[^/]+\/objects)?$/, bytes: 16 * MEBIBYTE },
  { path: /^\/v1\/collections\/[^/]+\/trigger$/, bytes: 16 * MEBIBYTE },
]
const DEFAULT_JSON_LIMIT = MEBIBYTE

/** `application/x-www-form-urlencoded` is what `curl -d` says of JSON. */
const JSON_TYPES = /^(application\/(.+\+)?json|application\/x-www-form-urlencoded|text\/(plain|json))$/

export const jsonBody: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const request = c.req.raw
  if (["GET", "HEAD", "OPTIONS"].includes(request.method) || isRaw(request.method, c.req.path)) return next()
  const type = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? ""
  const limit = JSON_LIMITS.find(({ path }) => path.test(c.req.path))?.bytes ?? DEFAULT_JSON_LIMIT
  const bytes = await readBounded(request, limit)
  if (bytes.byteLength === 0) {
    request.headers.delete("content-type")
    return next()
  }
  if (type !== "" && !JSON_TYPES.test(type)) {
    throw new ApplianceError(
      "UnsupportedMediaTypeError",
      `Content-Type '${type}' is not taken here; send application/json.`,
    )
  }
  c.set("body", bytes)
  if (type !== "application/json") request.headers.set("content-type", "application/json")
  keepBody(c, bytes)
  return next()
}

/** The validators ask for what has been read and parsed here; hono would parse it again, and round. */
function keepBody(c: Context<HttpEnv>, bytes: Uint8Array): void {
  try {
    const body = parsedBody(bytes)
    c.req.json = async <T>() => body as T
  } catch (error) {
    if (!(error instanceof MalformedBody)) throw error
    c.set("malformedBody", error)
    c.req.json = () => Promise.reject(error)
  }
}

/** Routes that read their own body, streaming: signed PUTs and the multipart plugin upload. */
function isRaw(method: string, path: string): boolean {
  if (method === "PUT" && path.startsWith("/v1/presigned/")) return true
  return method === "POST" && /^\/v1\/namespaces\/[^/]+\/plugins$/.test(path)
}

async function readBounded(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? "0")
  if (announced > limit) throw tooLarge(limit)
  // A length that was announced is one that the sender cannot exceed.
  if (announced > 0) return new Uint8Array(await arrived(request.arrayBuffer()))
  if (request.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of arriving(request.body)) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

async function arrived<T>(body: Promise<T>): Promise<T> {
  try {
    return await body
  } catch (cause) {
    throw endedEarly(cause)
  }
}

/** A sender that goes away is no fault of ours. */
async function* arriving(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (cause) {
    throw endedEarly(cause)
  }
}

export function endedEarly(cause: unknown): ApplianceError {
  return new ApplianceError("BadRequestError", "The body ended early.", { cause })
}

export function tooLarge(limitBytes: number): ApplianceError {
  return new ApplianceError("PayloadTooLargeError", `The body is over this route's limit of ${limitBytes} bytes.`, {
    details: { limit_bytes: limitBytes },
  })
}

/** The parser repeats what it could not read, however long. */
const MAX_REASON = 200

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false })

/**
 * Whole numbers past 53 bits are bigints in it.
 * @throws BadRequestError for what is no UTF-8 or no JSON, and what `parseSent` refuses
 */
export function parsedBody(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (cause) {
    throw new ApplianceError("BadRequestError", "The body is not valid UTF-8.", { cause })
  }
  try {
    return parseSent(text, "The JSON body")
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    const reason = cause.message.replace(/^JSON Parse error: /, "").slice(0, MAX_REASON)
    throw new MalformedBody("BadRequestError", `Malformed JSON in request body: ${reason}`, { cause })
  }
}

/** Told only where a route reads the body. */
class MalformedBody extends ApplianceError {}
