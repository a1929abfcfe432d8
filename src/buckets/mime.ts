/** What bytes are: by their first bytes, then by what the sender says, then by the file's name. */

/** As many leading bytes as the signatures below look at. */
export const HEAD_BYTES = 64

type Signature = readonly [mime: string, offset: number, text: string]

/** Latin-1 spellings of well-known magic numbers. */
const SIGNATURES: readonly Signature[] = [
  ["image/png", 0, "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", 0, "\xff\xd8\xff"],
  ["image/gif", 0, "GIF87a"],
  ["image/gif", 0, "GIF89a"],
  ["audio/mpeg", 0, "ID3"],
  ["audio/flac", 0, "fLaC"],
  ["audio/ogg", 0, "OggS"],
  ["application/pdf", 0, "%PDF-"],
  ["application/zip", 0, "PK\x03\x04"],
  ["application/zip", 0, "PK\x05\x06"],
]

const RIFF_KINDS: Readonly<Record<string, string>> = {
  WEBP: "image/webp",
  WAVE: "audio/wav",
  "AVI ": "video/x-msvideo",
}

/** Office files are zip archives; these claims are finer than the signature and do not contradict it. */
const ZIP_BASED =
  /^application\/(vnd\.openxmlformats-officedocument\.|vnd\.oasis\.opendocument\.|epub\+zip|java-archive)/

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

export function mimeType(head: Uint8Array, declared: string | null, filename: string | null): string {
  const sniffed = sniff(head)
  const claimed = declared?.split(";")[0]?.trim().toLowerCase() ?? null
  if (sniffed === "application/zip") {
    const finer = [claimed, mimeOfName(filename)].find((claim) => claim !== null && ZIP_BASED.test(claim))
    return finer ?? sniffed
  }
  // Containers that hold either: the sender knows which.
  if (sniffed === "video/mp4" && claimed === "audio/mp4") return claimed
  if (sniffed === "audio/ogg" && claimed === "video/ogg") return claimed
  return sniffed ?? usable(claimed) ?? mimeOfName(filename) ?? "application/octet-stream"
}

/** Null when no signature fits. */
export function sniff(head: Uint8Array): string | null {
  const text = Buffer.from(head.subarray(0, HEAD_BYTES)).toString("latin1")
  for (const [mime, offset, magic] of SIGNATURES) if (text.startsWith(magic, offset)) return mime
  if (text.startsWith("RIFF")) return RIFF_KINDS[text.slice(8, 12)] ?? null
  if (text.startsWith("ftyp", 4)) return brand(text.slice(8, 12))
  if (text.startsWith("\x1a\x45\xdf\xa3")) return text.includes("webm") ? "video/webm" : "video/x-matroska"
  // "BM" alone begins many a text: a bitmap also has four reserved zero bytes.
  if (text.startsWith("BM") && text.startsWith("\0\0\0\0", 6)) return "image/bmp"
  return isMp3Frame(head) ? "audio/mpeg" : null
}

export function mimeOfName(filename: string | null): string | null {
  const extension = filename?.includes(".") ? filename.slice(filename.lastIndexOf(".") + 1).toLowerCase() : ""
  return EXTENSIONS[extension] ?? null
}

function usable(claimed: string | null): string | null {
  return claimed === null ||
    claimed === "application/octet-stream" ||
    !/^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/.test(claimed)
    ? null
    : claimed
}

function brand(name: string): string {
  if (name === "qt  ") return "video/quicktime"
  if (name.startsWith("M4A")) return "audio/mp4"
  if (name === "heic" || name === "heix" || name === "mif1") return "image/heic"
  return name === "avif" ? "image/avif" : "video/mp4"
}

/** An MPEG audio frame without a tag: eleven set bits, layer III, a bit rate and a sample rate that exist. */
function isMp3Frame(head: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = head
  const version = (second >> 3) & 3
  return (
    first === 0xff &&
    second >> 5 === 7 &&
    version !== 1 &&
    ((second >> 1) & 3) === 1 &&
    third >> 4 !== 15 &&
    third >> 4 !== 0 &&
    ((third >> 2) & 3) !== 3
  )
}
