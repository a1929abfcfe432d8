/**
 * Tar archives in gzip, read block by block so that nothing between, inside or after the entries goes unseen. Headers are
 * decoded by the `tar` package; the extensions that can give an entry another name or size are read here.
 */
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream/promises"
import { createGunzip } from "node:zlib"
import { Header } from "tar"
import { ByteStream } from "./byte-stream.ts"
import { decodeName, type EntryType } from "./entry-names.ts"
import { ArchiveRefused, type Unpacking } from "./unpacking.ts"

const BLOCK = 512
/** A name of the longest kind and some attributes fit many times. */
const MAX_EXTENSION_BYTES = 64 * 1024
const FILE_TYPES = new Set(["File", "OldFile", "ContiguousFile"])
/** Attributes of a global header that name no file; any other could change what the entries mean. */
const GLOBAL_KEYS = new Set(["comment", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "mode"])

interface Extension {
  path?: string
  size?: number
}

/** `packedBytes` is the size of the archive file: what gzip did not read of it is garbage. */
export async function readTarGz(archive: string, packedBytes: number, unpacking: Unpacking): Promise<void> {
  const gunzip = createGunzip()
  try {
    await pipeline(createReadStream(archive), gunzip, (source: AsyncIterable<Buffer>) =>
      readTar(counted(source, unpacking), unpacking),
    )
  } catch (error) {
    if (error instanceof ArchiveRefused || !(error instanceof Error) || "syscall" in error) throw error
    const code = "code" in error ? String(error.code) : ""
    // Gzip came to its end while the file goes on: the pipeline then aborts, or closes, what still feeds it.
    if (code === "ABORT_ERR" || code === "ERR_STREAM_PREMATURE_CLOSE") throw goesOn()
    if (!code.startsWith("Z_")) throw error
    throw new ArchiveRefused([`The gzip archive cannot be read: ${error.message}`])
  }
  if (gunzip.bytesWritten !== packedBytes) throw goesOn()
}

function goesOn(): ArchiveRefused {
  return new ArchiveRefused(["The archive has something behind its end"])
}

async function* counted(source: AsyncIterable<Buffer>, unpacking: Unpacking): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    unpacking.count(chunk.length)
    yield chunk
  }
}

async function readTar(source: AsyncIterable<Uint8Array>, unpacking: Unpacking): Promise<void> {
  const stream = new ByteStream(source)
  let extension: Extension = {}
  for (;;) {
    const block = await nextBlock(stream)
    if (isZero(block)) {
      if (Object.keys(extension).length > 0) throw refused("ends in the middle of an entry")
      return finish(stream)
    }
    const header = decodeHeader(block)
    const size = extension.size ?? header.size ?? 0
    if (!Number.isSafeInteger(size) || size < 0) throw refused("has an entry of an impossible size")
    const extended = await readExtension(stream, header, size, extension)
    if (extended !== null) {
      extension = extended
      continue
    }
    await readEntry(stream, header, block, extension.path ?? header.path ?? "", size, unpacking)
    extension = {}
  }
}

async function readEntry(
  stream: ByteStream,
  header: Header,
  block: Buffer,
  name: string,
  size: number,
  unpacking: Unpacking,
): Promise<void> {
  const type = typeOf(header, name)
  const path = unpacking.accept(name, type)
  // Links and folders have no content; where a size is given all the same, readers differ in what they do with it.
  const promised = block
    .subarray(124, 136)
    .toString("latin1")
    .replace(/[0 \0]/g, "")
  if (type !== "file" && (promised !== "" || size > 0)) throw refused(`has content in '${name}', which is no file`)
  if (path !== null && type === "directory") await unpacking.makeFolder(path)
  else if (path !== null) await unpacking.writeFile(path, content(stream, size))
  else for await (const _ of content(stream, size));
  await stream.skip(padding(size))
}

function typeOf(header: Header, name: string): EntryType {
  if (header.type === "Directory" || (FILE_TYPES.has(header.type) && name.endsWith("/"))) return "directory"
  return FILE_TYPES.has(header.type) ? "file" : "other"
}

/** Reads a header that speaks of the next entry; null when `header` is an entry itself. */
async function readExtension(
  stream: ByteStream,
  header: Header,
  size: number,
  extension: Extension,
): Promise<Extension | null> {
  switch (header.type) {
    case "ExtendedHeader":
    case "OldExtendedHeader":
      return { ...extension, ...paxExtension(await extensionBytes(stream, size)) }
    case "GlobalExtendedHeader":
      for (const [key] of paxRecords(await extensionBytes(stream, size))) {
        if (!GLOBAL_KEYS.has(key)) throw refused(`has a global header with '${key}'`)
      }
      return extension
    case "NextFileHasLongPath":
    case "OldGnuLongPath": {
      const bytes = await extensionBytes(stream, size)
      const end = bytes.indexOf(0)
      return { ...extension, path: decoded(end < 0 ? bytes : bytes.subarray(0, end)) }
    }
    case "NextFileHasLongLinkpath":
      await extensionBytes(stream, size)
      return extension
    default:
      return null
  }
}

function paxExtension(bytes: Buffer): Extension {
  const found: Extension = {}
  for (const [key, value] of paxRecords(bytes)) {
    if (key.startsWith("GNU.sparse")) throw refused("has a sparse file")
    if (key === "path") found.path = value
    if (key === "size") {
      if (!/^\d{1,15}$/.test(value)) throw refused("has an entry of an impossible size")
      found.size = Number(value)
    }
  }
  return found
}

/** Records of a pax header, `length key=value\n`, where length counts the whole record in bytes. */
function paxRecords(bytes: Buffer): [string, string][] {
  const records: [string, string][] = []
  let at = 0
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at)
    const length = space < 0 ? Number.NaN : Number(bytes.toString("latin1", at, space))
    const record = bytes.subarray(space + 1, at + length)
    const equals = record.indexOf(0x3d)
    if (!Number.isSafeInteger(length) || at + length > bytes.length || equals < 1 || record.at(-1) !== 0x0a) {
      throw refused("has a damaged extended header")
    }
    records.push([decoded(record.subarray(0, equals)), decoded(record.subarray(equals + 1, -1))])
    at += length
  }
  return records
}

async function extensionBytes(stream: ByteStream, size: number): Promise<Buffer> {
  if (size > MAX_EXTENSION_BYTES) throw refused("has an extended header that is too large")
  const bytes = await stream.read(size)
  if (bytes === null) throw truncated()
  await stream.skip(padding(size))
  return bytes
}

function decodeHeader(block: Buffer): Header {
  const name = block.subarray(0, 100)
  const prefix = block.subarray(345, 500)
  if (decodeName(untilNul(name)) === null || decodeName(untilNul(prefix)) === null)
    throw refused("has a name that is not UTF-8")
  const header = headerOf(block)
  if (header === null || !header.cksumValid) throw refused("has a damaged header")
  return header
}

/** Null when the library throws: it does so, with no error class of its own, for numbers of more than twelve digits in base 256. */
function headerOf(block: Buffer): Header | null {
  try {
    return new Header(block)
  } catch {
    return null
  }
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

function decoded(bytes: Uint8Array): string {
  const name = decodeName(bytes)
  if (name === null) throw refused("has a name that is not UTF-8")
  return name
}

async function* content(stream: ByteStream, size: number): AsyncGenerator<Uint8Array> {
  let left = size
  while (left > 0) {
    const chunk = await stream.upTo(left)
    if (chunk === null) throw truncated()
    left -= chunk.length
    yield chunk
  }
}

/** An archive ends with two blocks of zeros; tar pads with more of them, and with nothing else. */
async function finish(stream: ByteStream): Promise<void> {
  if (!isZero(await nextBlock(stream))) throw refused("goes on behind its end")
  for (let chunk = await stream.upTo(BLOCK); chunk !== null; chunk = await stream.upTo(BLOCK)) {
    if (!isZero(chunk)) throw refused("goes on behind its end")
  }
}

async function nextBlock(stream: ByteStream): Promise<Buffer> {
  const block = await stream.read(BLOCK)
  if (block === null) throw truncated()
  return block
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK
}

function truncated(): ArchiveRefused {
  return refused("ends too early")
}

function refused(what: string): ArchiveRefused {
  return new ArchiveRefused([`The tar archive ${what}`])
}
