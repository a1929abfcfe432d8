/**
 * Zip archives. The central directory is what is read; where a local header tells another story, other programs would
 * unpack something else than what was scanned, so the archive is refused.
 */
import type { Readable } from "node:stream"
import { crc32 } from "node:zlib"
import { type Entry, openPromise, type ZipFile } from "yauzl"
import { decodeName, type EntryType } from "./entry-names.ts"
import { ArchiveRefused, type Unpacking } from "./unpacking.ts"

const STORED = 0
const DEFLATED = 8
const ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
/** File type bits of a Unix mode, kept in the upper half of the external attributes. */
const TYPE_MASK = 0o170000
const REGULAR = 0o100000
const DIRECTORY = 0o040000

export async function readZip(archive: string, unpacking: Unpacking): Promise<void> {
  let zip: ZipFile
  try {
    zip = await openPromise(archive, {
      lazyEntries: true,
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: true,
    })
  } catch (error) {
    throw unreadable(error)
  }
  try {
    const records: { start: number; end: number }[] = []
    for await (const entry of entriesOf(zip)) {
      const record = await readEntry(zip, entry, unpacking)
      records.push(record)
    }
    refuseOverlaps(records)
    refuseSecondArchive(zip)
  } finally {
    zip.close()
  }
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  const entries = zip.eachEntry()
  for (;;) {
    let next: IteratorResult<Entry>
    try {
      next = await entries.next()
    } catch (error) {
      throw unreadable(error)
    }
    if (next.done === true) return
    yield next.value
  }
}

async function readEntry(zip: ZipFile, entry: Entry, unpacking: Unpacking): Promise<{ start: number; end: number }> {
  const name = decodeName(entry.fileNameRaw)
  const start = entry.relativeOffsetOfLocalHeader
  const local = await zip.readLocalFileHeaderPromise(entry).catch((error: unknown) => Promise.reject(unreadable(error)))
  const record = { start, end: local.fileDataStart + entry.compressedSize }
  if (name === null) {
    unpacking.problem(`'${entry.fileNameRaw.toString("latin1").slice(0, 200)}': a name that is not UTF-8`)
    return record
  }
  const type = typeOf(entry, name)
  const path = unpacking.accept(name, type)
  if (path === null) return record
  const problem = headerProblem(entry, local)
  if (problem !== null) {
    unpacking.problem(`'${path}': ${problem}`)
    return record
  }
  if (type === "directory") {
    if (entry.uncompressedSize > 0) unpacking.problem(`'${path}': a folder with content`)
    else await unpacking.makeFolder(path)
    return record
  }
  const stream = await zip.openReadStreamPromise(entry).catch((error: unknown) => Promise.reject(unreadable(error)))
  const content = new CheckedContent(stream, unpacking)
  await unpacking.writeFile(path, content.chunks())
  if (content.checksum !== entry.crc32)
    throw new ArchiveRefused([`'${path}': the checksum does not match; the archive is damaged`])
  return record
}

function typeOf(entry: Entry, name: string): EntryType {
  const type = (entry.externalFileAttributes >>> 16) & TYPE_MASK
  if (type !== 0 && type !== REGULAR && type !== DIRECTORY) return "other"
  if (name.endsWith("/")) return type === REGULAR ? "other" : "directory"
  return type === DIRECTORY ? "other" : "file"
}

function headerProblem(entry: Entry, local: Awaited<ReturnType<ZipFile["readLocalFileHeaderPromise"]>>): string | null {
  if (!("fileName" in local) || !entry.fileNameRaw.equals(local.fileName)) return "has another name in its local header"
  if (((entry.generalPurposeBitFlag | local.generalPurposeBitFlag) & ENCRYPTED_FLAGS) !== 0) return "encrypted"
  if (entry.compressionMethod !== local.compressionMethod) return "has another compression in its local header"
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) return "not compressed by deflate"
  return null
}

class CheckedContent {
  checksum = 0
  private failure: Error | null = null

  constructor(
    private readonly stream: Readable,
    private readonly unpacking: Unpacking,
  ) {
    // The library emits an error without ending the stream: one that comes before the reading loop listens, while the
    // file to write is still being opened, would leave that loop waiting for ever.
    stream.on("error", (error) => {
      this.failure ??= error
    })
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      if (this.failure !== null) throw this.failure
      for await (const chunk of this.stream as AsyncIterable<Buffer>) {
        this.unpacking.count(chunk.length)
        this.checksum = crc32(chunk, this.checksum)
        yield chunk
      }
    } catch (error) {
      throw unreadable(error)
    } finally {
      this.stream.destroy()
    }
  }
}

/** Entries that share bytes make a small archive unpack to any size, and mean different things to different readers. */
function refuseOverlaps(records: { start: number; end: number }[]): void {
  records.sort((a, b) => a.start - b.start)
  if (records.length > 0 && records[0]?.start !== 0)
    throw new ArchiveRefused(["The archive starts with something else than its first entry"])
  let end = 0
  for (const record of records) {
    if (record.start < end) throw new ArchiveRefused(["The archive's entries overlap"])
    end = record.end
  }
}

/** 56 bytes of record and 20 of locator. */
const ZIP64_END_BYTES = 76
const END_BYTES = 22

/**
 * Behind the directory that was read comes the end record and nothing else: of two archives in one file, others would
 * unpack the second. The library reads the directory from where the end record says, and has its cursor behind it now.
 */
function refuseSecondArchive(zip: ZipFile): void {
  // Its types call this number a boolean.
  const directoryEnd = Number(zip.readEntryCursor)
  const between = zip.fileSize - directoryEnd - END_BYTES - Buffer.byteLength(zip.comment)
  if (between !== 0 && between !== ZIP64_END_BYTES)
    throw new ArchiveRefused(["The archive has something between its directory and its end"])
}

function unreadable(error: unknown): unknown {
  if (error instanceof ArchiveRefused || !(error instanceof Error) || isFault(error)) return error
  return new ArchiveRefused([`The zip archive cannot be read: ${error.message}`])
}

/** A full disk or a missing file is no fault of the archive. */
function isFault(error: Error): boolean {
  return "syscall" in error
}
