/**
 * Unpacks what somebody uploaded. Everything about an archive may be a lie: names, sizes, types, its end. It is streamed to
 * a folder of its own beside the target, counted as it comes out, and renamed into place only when all of it was sound.
 */
import { lstat, mkdir, open, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { ApplianceError } from "../errors.ts"
import { PARTIAL_SUFFIX, renameDurably, syncDirectory } from "../write-durably.ts"
import type { ArchiveLimits } from "./archive-limits.ts"
import { readTarGz } from "./tar-reader.ts"
import { ArchiveRefused, Unpacking } from "./unpacking.ts"
import { readZip } from "./zip-reader.ts"

export { type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS } from "./archive-limits.ts"

export interface UnpackedArchive {
  /** Paths inside the plugin, the one common top directory taken off, sorted. */
  files: { path: string; bytes: number }[]
  /** Bytes that came out of the archive; for tar its headers too. */
  unpackedBytes: number
}

/**
 * Unpacks a zip or gzip'ed tar, told apart by their first bytes, into `target`, which must not exist. Files are written
 * read-only and synced. Throws `BadRequestError` with the reasons in `detail` and `validation_errors` when the archive is
 * refused; then, as after any other failure, nothing is left behind.
 */
export async function unpackArchive(archive: string, target: string, limits: ArchiveLimits): Promise<UnpackedArchive> {
  if (await exists(target)) throw new Error(`${target} exists already`)
  const partial = `${target}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
  await mkdir(partial, { mode: 0o755 })
  try {
    const { size } = await stat(archive)
    if (size > limits.packedBytes) throw new ArchiveRefused([`The archive is larger than ${limits.packedBytes} bytes`])
    const unpacking = new Unpacking(partial, size, limits)
    if ((await formatOf(archive)) === "zip") await readZip(archive, unpacking)
    else await readTarGz(archive, size, unpacking)
    unpacking.finish()
    const top = await commonTop(partial, unpacking.files)
    await syncFolders(partial)
    await renameDurably(top === null ? partial : join(partial, top), target)
    const files = unpacking.files.map(({ path, bytes }) => ({
      path: top === null ? path : path.slice(top.length + 1),
      bytes,
    }))
    return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), unpackedBytes: unpacking.unpackedBytes }
  } catch (error) {
    if (!(error instanceof ArchiveRefused)) throw error
    const detail = `The archive is refused. ${error.message}`
    throw new ApplianceError("BadRequestError", detail, {
      beside: { detail, validation_errors: [...error.problems] },
      cause: error,
    })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** `link` included: nothing of that name may be there. */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false
    throw error
  }
}

/** The content type of an upload says nothing: clients send what they like. */
async function formatOf(archive: string): Promise<"zip" | "tar.gz"> {
  const file = await open(archive, "r")
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    const magic = buffer.subarray(0, bytesRead).toString("latin1")
    if (magic === "PK\x03\x04" || magic === "PK\x05\x06") return "zip"
    if (magic.startsWith("\x1f\x8b")) return "tar.gz"
    throw new ArchiveRefused(["It is neither a zip nor a tar.gz archive"])
  } finally {
    await file.close()
  }
}

/** The one folder at the archive's top that holds every file, or null. */
async function commonTop(directory: string, files: readonly { path: string }[]): Promise<string | null> {
  const [only, ...others] = await readdir(directory)
  return only !== undefined && others.length === 0 && files.every(({ path }) => path.startsWith(`${only}/`))
    ? only
    : null
}

async function syncFolders(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolders(join(directory, entry.name))
  }
  await syncDirectory(directory)
}
