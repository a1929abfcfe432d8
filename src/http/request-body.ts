/**
 * Bodies before they reach a route. JSON routes get JSON whatever curl or the SDK called it; an empty body loses its
 * content type (zod-openapi answers 400 to an empty JSON body otherwise); every size is capped while it is read.
 */
import type { Context, MiddlewareHandler } from "hono"
import { ApplianceError } from "../errors.ts"
import type { HttpEnv } from "./app.ts"

const MEBIBYTE = 1024 * 1024
/** Deeper JSON than this is no plugin's parameters: refused before a recursive reader meets it. */
const MAX_DEPTH = 64

/** A frame to a worker carries 4 MiB, the envelope around it included. */
export const INFERENCE_BODY_BYTES = 4 * MEBIBYTE - 4096

/** Largest JSON body per route in bytes; the first pattern that fits counts. */
const JSON_LIMITS: readonly { readonly path: RegExp; readonly bytes: number }[] = [
  { path: /^\/v1\/buckets\/[^/]+\/objects(\/batch|\/[^/]+)?$/, bytes: 128 * MEBIBYTE },
  { path: /^(\/v1)?\/inference(\/|$)/, bytes: INFERENCE_BODY_BYTES },
  { path: /^\/v1\/buckets\/[^/]+\/batches(\/[^/]+\/objects)?$/, bytes: 16 * MEBIBYTE },
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
    keepText(c, "")
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
  keepText(c, checkedText(bytes))
  return next()
}

/** It has been read here: the validators parse this. hono keeps the promise of a text under the type of the text. */
function keepText(c: Context<HttpEnv>, text: string): void {
  c.req.bodyCache.text = Promise.resolve(text) as unknown as string
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

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false })

/** @throws BadRequestError for what is too deep, has a number that no double holds, or is no UTF-8 */
export function checkedText(bytes: Uint8Array): string {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (cause) {
    throw new ApplianceError("BadRequestError", "The body is not valid UTF-8.", { cause })
  }
  if (mayBeTooDeep(text)) checkDepth(bytes)
  if (mayBeInfinite(text)) refuseInfinite(text)
  return text
}

/** A number below 10^200 stays below 10^300 by an exponent of two digits. Strings may look like one. 1 ns a byte. */
function mayBeInfinite(text: string): boolean {
  return /[eE]\+?\d{3,}\s*[,\]}]/.test(text) || /(?<!\d)\d{200}/.test(text)
}

/** What JSON.parse makes Infinity would be stored as null, and nobody be told. @throws BadRequestError */
function refuseInfinite(text: string): void {
  try {
    JSON.parse(text, (key: string, value: unknown) => {
      if (value !== Number.POSITIVE_INFINITY && value !== Number.NEGATIVE_INFINITY) return value
      throw new ApplianceError(
        "BadRequestError",
        `The JSON body has a number that is too large${key === "" ? "" : ` at '${key.slice(0, 100)}'`}; the largest is about 1.8e308. Send it as a string.`,
      )
    })
  } catch (error) {
    // Whatever is no JSON is told of where it is parsed.
    if (!(error instanceof SyntaxError)) throw error
  }
}

/** What opens so seldom is not deep: most bodies need not be looked at byte by byte. */
function mayBeTooDeep(text: string): boolean {
  let openings = 0
  for (const opening of ["{", "["]) {
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1)) {
      if (++openings > MAX_DEPTH) return true
    }
  }
  return false
}

function checkDepth(bytes: Uint8Array): void {
  let depth = 0
  let inString = false
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (inString) {
      if (byte === 0x5c) index++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_DEPTH) {
        throw new ApplianceError("BadRequestError", `The JSON body is nested deeper than ${MAX_DEPTH} levels.`)
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
}
