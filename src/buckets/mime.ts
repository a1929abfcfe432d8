/**
 * What bytes are: by themselves where they tell, then by what the sender says, then by the file's name. What is stored here
 * decides a row's conditions and which input it fills, so a wrong word of the sender must not decide it.
 */
import { fileTypeFromBuffer } from "file-type"

/** As many leading bytes as are looked at: an Office file says what it is in its first entry, a few thousand bytes in. */
export const HEAD_BYTES = 16 * 1024

/** Names of the library's that others spell otherwise. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "video/vnd.avi": "video/x-msvideo",
  "video/matroska": "video/x-matroska",
  "video/x-m4v": "video/mp4",
  "video/MP1S": "video/mpeg",
  "video/MP2P": "video/mpeg",
  "audio/x-m4a": "audio/mp4",
  "audio/vnd.wave": "audio/wav",
  "audio/x-flac": "audio/flac",
  "application/vnd.ms-asf": "video/x-ms-asf",
  "application/ogg": "audio/ogg",
}

/** By a byte or two, which other bytes may have by chance: enough only where nobody says anything. */
const BY_CHANCE =
  /^(video\/mp2t|audio\/vnd\.dolby\.dd-raw|application\/(x-apple-diskimage|x-msdownload|x-compress|x-cpio|x-arj))$/

/** Containers that hold several kinds; the sender knows which. */
const FINER: readonly (readonly [sniffed: RegExp, claim: RegExp])[] = [
  [
    /^application\/zip$/,
    /^application\/(vnd\.openxmlformats-officedocument\.|vnd\.oasis\.opendocument\.|vnd\.ms-|epub\+zip|java-archive)/,
  ],
  [/^application\/x-cfb$/, /^application\/(msword|vnd\.ms-)/],
  [/^video\/(mp4|3gpp2?|quicktime)$/, /^audio\/(mp4|x-m4a|m4a|3gpp2?)$/],
  [/^video\/(webm|x-matroska)$/, /^audio\/(webm|x-matroska)$/],
  [/^audio\/ogg$/, /^(video\/ogg|audio\/opus)$/],
  [/^image\/tiff$/, /^image\/x-/],
]

/** Latin-1 beginnings that say enough where the library wants more of the file than its head. */
const BEGINNINGS: readonly (readonly [mime: string, text: string])[] = [
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/tiff", "II*\0"],
  ["image/tiff", "MM\0*"],
  ["audio/mpeg", "ID3"],
  ["audio/ogg", "OggS"],
  ["video/x-matroska", "\x1a\x45\xdf\xa3"],
  ["application/zip", "PK\x03\x04"],
]

/** Claims of which every byte is text. */
const TEXTUAL = /^(text\/|application\/(json|xml|javascript|x-ndjson|yaml|x-yaml|sql)$|[^/]+\/[^/]+\+(xml|json)$)/

const EXTENSIONS: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  bmp: "image/bmp",
  svg: "image/svg+xml",
  tif: "image/tiff",
  tiff: "image/tiff",
  wav: "audio/wav",
  mp3: "audio/mpeg",
  flac: "audio/flac",
  ogg: "audio/ogg",
  m4a: "audio/mp4",
  mp4: "video/mp4",
  mov: "video/quicktime",
  avi: "video/x-msvideo",
  webm: "video/webm",
  mkv: "video/x-matroska",
  pdf: "application/pdf",
  zip: "application/zip",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xls: "application/vnd.ms-excel",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  txt: "text/plain",
  md: "text/markdown",
  csv: "text/csv",
  html: "text/html",
  json: "application/json",
  xml: "application/xml",
}

/** `head`: up to HEAD_BYTES leading bytes. A claim that the bytes neither confirm nor deny stays. Never throws. */
export async function mimeType(head: Uint8Array, declared: string | null, filename: string | null): Promise<string> {
  const binary = hasBinaryBytes(head)
  const claims = [usable(declared), mimeOfName(filename)].filter((claim) => claim !== null)
  const [claim = null] = claims.filter((name) => !(binary && TEXTUAL.test(name)))
  const sniffed = await sniff(head)
  if (sniffed === null) return claim ?? (binary || !isText(head) ? "application/octet-stream" : "text/plain")
  if (claim !== null && BY_CHANCE.test(sniffed)) return claim
  const kinds = FINER.filter(([container]) => container.test(sniffed)).map(([, kind]) => kind)
  return claims.find((name) => kinds.some((kind) => kind.test(name))) ?? sniffed
}

/** Null when the bytes do not say. Text says nothing, whatever letters it begins with ("BM", "MZ", "solid "); a PDF may be text. */
export async function sniff(head: Uint8Array): Promise<string | null> {
  const bytes = head.subarray(0, HEAD_BYTES)
  const beginning = Buffer.from(bytes.subarray(0, 16)).toString("latin1")
  if (beginning.startsWith("%PDF-")) return "application/pdf"
  if (isText(bytes)) return null
  // The library would unpack it to look for an archive within.
  if (beginning.startsWith("\x1f\x8b\x08")) return "application/gzip"
  // A bitmap has four reserved zero bytes as well.
  if (beginning.startsWith("BM") && !beginning.startsWith("\0\0\0\0", 6)) return null
  const found = await byLibrary(bytes)
  return found ?? BEGINNINGS.find(([, text]) => beginning.startsWith(text))?.[0] ?? null
}

async function byLibrary(bytes: Uint8Array): Promise<string | null> {
  try {
    const mime = (await fileTypeFromBuffer(bytes))?.mime.split(";")[0]
    return mime === undefined ? null : (SPELLINGS[mime] ?? mime)
  } catch {
    // Damaged beyond what it reads: then the bytes say nothing.
    return null
  }
}

export function mimeOfName(filename: string | null): string | null {
  const extension = filename?.includes(".") ? filename.slice(filename.lastIndexOf(".") + 1).toLowerCase() : ""
  return EXTENSIONS[extension] ?? null
}

function usable(declared: string | null): string | null {
  const claim = declared?.split(";")[0]?.trim().toLowerCase() ?? ""
  const isType = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/.test(claim)
  return isType && claim !== "application/octet-stream" ? claim : null
}

/** UTF-8, or UTF-16 with its mark, without bytes that no text has. */
function isText(head: Uint8Array): boolean {
  if (head.length === 0 || hasBinaryBytes(head)) return false
  const encoding = isUtf16(head) ? (head[0] === 0xff ? "utf-16le" : "utf-16be") : "utf-8"
  try {
    // As a stream: a character may be cut by the end of the head.
    new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true })
    return true
  } catch {
    return false
  }
}

/** Control characters that occur in no text (those of the WHATWG's MIME sniffing); of UTF-16 only the zero. */
export function hasBinaryBytes(head: Uint8Array): boolean {
  if (isUtf16(head)) {
    for (let at = 2; at + 1 < head.length; at += 2) if (head[at] === 0 && head[at + 1] === 0) return true
    return false
  }
  for (const byte of head) {
    if (byte < 0x20 && (byte < 0x09 || byte === 0x0b || (byte > 0x0d && byte !== 0x1b))) return true
  }
  return false
}

function isUtf16(head: Uint8Array): boolean {
  return (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)
}
