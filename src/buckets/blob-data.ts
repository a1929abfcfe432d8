/** The forms in which a blob's `data` comes (api.md §3.2), as one of three: a value, bytes, or an address. Pure. */
import type { FieldType } from "../contract/buckets.ts"
import { ApplianceError } from "../errors.ts"
import { isRecord } from "../is-record.ts"
import { parseSent } from "../sent-json.ts"
import { hasBinaryBytes, mimeOfName, sniff } from "./mime.ts"
import { isFileType, isTextType, valueProblem } from "./schema.ts"

export type BlobContent =
  | { readonly kind: "value"; readonly value: unknown; readonly mimeType?: string; readonly filename?: string | null }
  | {
      readonly kind: "bytes"
      readonly bytes: Uint8Array
      readonly mimeType: string | null
      readonly filename: string | null
    }
  | {
      readonly kind: "address"
      readonly url: string
      readonly mimeType: string | null
      readonly filename: string | null
    }
  | { readonly kind: "problem"; readonly message: string }

const ADDRESS = /^(https?|s3):\/\/[^\s]+$/
const MAX_ADDRESS = 8192
const BASE64_KEYS = new Set(["base64", "mime_type", "filename"])
const URL_KEYS = new Set(["url", "mime_type", "filename"])

/** `type` decides: a text that happens to be an address stays a text. */
export async function blobContent(data: unknown, type: FieldType): Promise<BlobContent> {
  if (data === null || data === undefined) return problem("data or upload_id is required")
  if (isRecord(data)) return fromRecord(data, type)
  if (typeof data === "string" && (isFileType(type) || type === "object")) return fromString(data, type)
  return value(data, type)
}

async function fromRecord(data: Record<string, unknown>, type: FieldType): Promise<BlobContent> {
  const keys = Object.keys(data)
  const mimeType = optionalText(data.mime_type)
  const filename = optionalText(data.filename)
  if (typeof data.base64 === "string" && keys.every((key) => BASE64_KEYS.has(key))) {
    const bytes = decodeBase64(data.base64)
    if (bytes === null) return problem("base64 is not valid")
    return content(bytes, mimeType, filename, type)
  }
  if (typeof data.url === "string" && keys.every((key) => URL_KEYS.has(key))) {
    if (data.url.startsWith("data:")) return fromDataUrl(data.url, filename, type)
    return address(data.url, mimeType, filename)
  }
  return isFileType(type) ? problem("must be {base64} or {url} for a file") : value(data, type)
}

async function fromString(data: string, type: FieldType): Promise<BlobContent> {
  if (data.startsWith("data:")) return fromDataUrl(data, null, type)
  if (/^(https?|s3):\/\//.test(data)) return address(data, null, null)
  if (type === "object") {
    const parsed = parseJson(data)
    if (parsed instanceof ApplianceError) return problem(parsed.message)
    if (typeof parsed === "object" && parsed !== null) return { kind: "value", value: parsed }
  }
  // Bare base64 cannot be told from other text, unless what it decodes to says what it is.
  const bytes = decodeBase64(data)
  if (bytes !== null && (await sniff(bytes)) !== null) return content(bytes, null, null, type)
  return problem('must be an http(s) or s3 address, a data URL or {"base64": …}')
}

async function fromDataUrl(url: string, filename: string | null, type: FieldType): Promise<BlobContent> {
  const comma = url.indexOf(",")
  const parts = comma < 0 ? [] : url.slice("data:".length, comma).split(";")
  if (comma < 0) return problem("is not a valid data URL")
  const mimeType = optionalText(parts[0])
  if (parts.at(-1)?.trim().toLowerCase() === "base64") {
    const bytes = decodeBase64(url.slice(comma + 1))
    return bytes === null ? problem("the data URL's base64 is not valid") : content(bytes, mimeType, filename, type)
  }
  const decoded = decodePercents(url.slice(comma + 1))
  return decoded === null ? problem("the data URL is not valid") : content(decoded, mimeType, filename, type)
}

async function content(
  bytes: Uint8Array,
  mimeType: string | null,
  filename: string | null,
  type: FieldType,
): Promise<BlobContent> {
  if (bytes.byteLength === 0) return problem("is empty")
  if (isTextType(type)) {
    const read = await textOf(bytes)
    if ("wrong" in read) return problem(read.wrong)
    const found = value(read.text, type)
    return found.kind === "value" ? { ...found, mimeType: inlineMime(mimeType, filename), filename } : found
  }
  if (!isFileType(type) && type !== "object") return problem(`bytes are not taken for type ${type}`)
  return { kind: "bytes", bytes, mimeType, filename }
}

/** Bytes as the text they are, since plugins read texts inline; else what is wrong, as the end of a sentence. */
export async function textOf(bytes: Uint8Array): Promise<{ readonly text: string } | { readonly wrong: string }> {
  const sniffed = await sniff(bytes)
  if (sniffed !== null) return { wrong: `is ${sniffed}, not text` }
  if (hasBinaryBytes(bytes)) return { wrong: "is not text: it has control characters" }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
  } catch {
    return { wrong: "is not UTF-8 text" }
  }
}

/** Of text within its object: the kind of text that was declared, where one was. */
export function inlineMime(declared: string | null, filename: string | null): string {
  const claim = [declared?.split(";")[0]?.trim().toLowerCase(), mimeOfName(filename)].find((mime) => mime != null)
  return claim?.startsWith("text/") ? claim : "text/plain"
}

function value(data: unknown, type: FieldType): BlobContent {
  if (isFileType(type)) return problem("must be an address or bytes")
  const found = valueProblem(data, { type, required: false }, [])
  return found === null ? { kind: "value", value: data } : problem(found.message)
}

function address(url: string, mimeType: string | null, filename: string | null): BlobContent {
  if (url.length > MAX_ADDRESS) return problem(`an address has at most ${MAX_ADDRESS} characters`)
  if (!ADDRESS.test(url)) return problem("is not an http(s) or s3 address")
  return { kind: "address", url, mimeType, filename }
}

/** Strict: nothing but the alphabet, padding at the end, line breaks between. */
function decodeBase64(text: string): Uint8Array | null {
  const compact = /[\s]/.test(text) ? text.replaceAll(/\s+/g, "") : text
  const standard = compact
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replace(/={0,2}$/, "")
  if (standard.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(standard)) return null
  return Uint8Array.from(Buffer.from(standard, "base64"))
}

function decodePercents(text: string): Uint8Array | null {
  try {
    return new TextEncoder().encode(decodeURIComponent(text))
  } catch {
    return null
  }
}

function optionalText(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value.length <= 255 ? value : null
}

/** JSON in a text is taken as it is in a body; what is refused there is answered as an error. */
function parseJson(text: string): unknown {
  try {
    return parseSent(text, "The JSON in it")
  } catch (error) {
    return error instanceof ApplianceError ? error : undefined
  }
}

function problem(message: string): BlobContent {
  return { kind: "problem", message }
}
