/**
 * Object bytes as content-addressed files, `blobs/<org_id>/<ns_id>/<bucket_id>/<xx>/<sha256>`. Bytes land durably before
 * the transaction that names them, so a crash leaves at most a file that nothing names; `sweep` takes those away. Whoever
 * is about to name a file holds it meanwhile, and no held file is ever removed.
 */
import { createHash } from "node:crypto"
import { existsSync, unlinkSync } from "node:fs"
import { type FileHandle, mkdir, opendir, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { PARTIAL_SUFFIX, renameDurably, syncDirectory, writeDurably } from "../write-durably.ts"

/** Whose bucket it is; a Namespace is one. */
export interface BlobScope {
  readonly orgId: string
  readonly namespaceId: string
}

export interface ReceivedBlob {
  readonly sha256: string
  readonly md5: string
  readonly bytes: number
}

/** A stream went over its limit; nothing of it is left. */
export class TooManyBytes extends Error {
  override readonly name = "TooManyBytes"
  constructor(readonly limit: number) {
    super(`more than ${limit} bytes`)
  }
}

/** The sender went away or said something else about the length than came. */
export class BrokenBody extends Error {
  override readonly name = "BrokenBody"
}

/** What a caller is about to name, kept from removal until it is disposed. */
export interface Hold extends Disposable {
  add(scope: BlobScope, bucketId: string, sha256: string): void
}

export function blobStore({ dataDir }: { dataDir: string }) {
  const root = join(dataDir, "blobs")
  const held = new Map<string, number>()
  /** Files on their way: a second writer of the same bytes waits for the first instead of trusting a half-synced name. */
  const landing = new Map<string, Promise<void>>()

  const directory = ({ orgId, namespaceId }: BlobScope, bucketId: string) => join(root, orgId, namespaceId, bucketId)
  const path = (scope: BlobScope, bucketId: string, sha256: string) =>
    join(directory(scope, bucketId), sha256.slice(0, 2), sha256)

  const hold = (): Hold => {
    const mine: string[] = []
    return {
      add(scope, bucketId, sha256) {
        const file = path(scope, bucketId, sha256)
        mine.push(file)
        held.set(file, (held.get(file) ?? 0) + 1)
      },
      [Symbol.dispose]() {
        for (const file of mine.splice(0)) {
          const count = held.get(file) ?? 0
          if (count > 1) held.set(file, count - 1)
          else held.delete(file)
        }
      },
    }
  }

  const landOnce = (file: string, write: () => Promise<void>): Promise<void> => {
    const running = landing.get(file)
    if (running !== undefined) return running
    const started = write().finally(() => landing.delete(file))
    landing.set(file, started)
    return started
  }

  return {
    directory,
    path,
    hold,

    /** Bytes of a stored file; null when there is none. */
    async size(scope: BlobScope, bucketId: string, sha256: string): Promise<number | null> {
      return sizeOf(path(scope, bucketId, sha256))
    },

    /** Lands bytes under their SHA-256, held by `by` from before they are there. */
    async land(scope: BlobScope, bucketId: string, bytes: Uint8Array, by: Hold): Promise<string> {
      const sha256 = createHash("sha256").update(bytes).digest("hex")
      const file = path(scope, bucketId, sha256)
      by.add(scope, bucketId, sha256)
      await landOnce(file, async () => {
        // There from before: perhaps from just before a crash, its name not yet safe.
        if ((await sizeOf(file)) === bytes.byteLength) return syncDirectory(dirname(file))
        await makeDirectory(dirname(file))
        await writeDurably(file, (handle) => handle.writeFile(bytes))
      })
      return sha256
    },

    /**
     * Streams a body to disk and lands it under its SHA-256. When it breaks off, or has other than `announced` bytes,
     * nothing is left.
     * @throws TooManyBytes, BrokenBody
     */
    async receive(
      scope: BlobScope,
      bucketId: string,
      body: {
        readonly stream: AsyncIterable<Uint8Array>
        readonly announced: number | null
        readonly maxBytes: number
      },
      by: Hold,
    ): Promise<ReceivedBlob> {
      const { stream, announced, maxBytes } = body
      const incoming = join(directory(scope, bucketId), "incoming", `${crypto.randomUUID()}${PARTIAL_SUFFIX}`)
      await makeDirectory(dirname(incoming))
      const sha256 = createHash("sha256")
      const md5 = createHash("md5")
      let bytes = 0
      try {
        // The name is known only when the last byte was read: whole under a passing name first, then under its own.
        await writeDurably(incoming, async (handle) => {
          for await (const chunk of fromSender(stream)) {
            bytes += chunk.byteLength
            if (bytes > maxBytes) throw new TooManyBytes(maxBytes)
            sha256.update(chunk)
            md5.update(chunk)
            await writeAll(handle, chunk)
          }
          if (announced !== null && announced !== bytes) throw new BrokenBody(`${bytes} of ${announced} bytes came`)
        })
        const hash = sha256.digest("hex")
        const file = path(scope, bucketId, hash)
        by.add(scope, bucketId, hash)
        await landOnce(file, async () => {
          if ((await sizeOf(file)) === bytes) return syncDirectory(dirname(file))
          await makeDirectory(dirname(file))
          await renameDurably(incoming, file)
        })
        return { sha256: hash, md5: md5.digest("hex"), bytes }
      } finally {
        await rm(incoming, { force: true })
      }
    },

    /** Up to `bytes` leading bytes of a stored file. */
    async head(scope: BlobScope, bucketId: string, sha256: string, bytes: number): Promise<Uint8Array> {
      return new Uint8Array(
        await Bun.file(path(scope, bucketId, sha256))
          .slice(0, bytes)
          .arrayBuffer(),
      )
    },

    /** Removes a file unless it is held or `isNamed` says so; both are asked in the same turn as the removal. */
    removeUnnamed(scope: BlobScope, bucketId: string, sha256: string, isNamed: () => boolean): boolean {
      return removeFile(path(scope, bucketId, sha256), isNamed)
    },

    /** All files of a bucket that is gone. */
    async removeBucket(scope: BlobScope, bucketId: string): Promise<void> {
      await rm(directory(scope, bucketId), { recursive: true, force: true })
    },

    /**
     * Takes away what a crash left: files that nothing names, partial ones older than `startedAt`, and buckets that are
     * gone. Safe beside running requests; one directory entry in memory at a time. Answers how many entries went.
     */
    async sweep(
      startedAt: Date,
      bucketExists: (bucketId: string) => boolean,
      isNamed: (bucketId: string, sha256: string) => boolean,
    ): Promise<number> {
      let removed = 0
      for await (const organization of directories(root)) {
        for await (const namespace of directories(organization.path)) {
          for await (const bucket of directories(namespace.path)) {
            if (!bucketExists(bucket.name)) {
              await rm(bucket.path, { recursive: true, force: true })
              removed++
              continue
            }
            for await (const shard of directories(bucket.path)) {
              for await (const entry of await opendir(shard.path)) {
                const file = join(shard.path, entry.name)
                if (entry.name.endsWith(PARTIAL_SUFFIX)) {
                  const facts = await stat(file).catch(() => null)
                  if (facts === null || facts.mtime >= startedAt) continue
                  await rm(file, { force: true })
                  removed++
                } else if (removeFile(file, () => isNamed(bucket.name, entry.name))) removed++
              }
            }
          }
        }
      }
      return removed
    },
  }

  function removeFile(file: string, isNamed: () => boolean): boolean {
    if (held.has(file) || isNamed() || !existsSync(file)) return false
    unlinkSync(file)
    return true
  }
}

export type BlobStore = ReturnType<typeof blobStore>

/** Tells a failing sender from a failing disk. */
async function* fromSender(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream
  } catch (cause) {
    throw new BrokenBody("the body broke off", { cause })
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.byteLength; ) {
    written += (await file.write(bytes, written, bytes.byteLength - written)).bytesWritten
  }
}

async function sizeOf(file: string): Promise<number | null> {
  const facts = await stat(file).catch(() => null)
  return facts?.isFile() ? facts.size : null
}

/** A new directory's name lives in its parent: every level that was made here is synced. */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = directory; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
}

async function* directories(parent: string): AsyncGenerator<{ name: string; path: string }> {
  const listing = await opendir(parent).catch(() => null)
  if (listing === null) return
  for await (const entry of listing) {
    if (entry.isDirectory()) yield { name: entry.name, path: join(parent, entry.name) }
  }
}
