/**
 * Files of plugins: bytes as they were uploaded, the archive a plugin was registered from, and its unpacked, read-only tree.
 * Everything is written as `*.partial` beside its place and lands by rename; what no row names is removed at the next start.
 */
import { createHash } from "node:crypto"
import { constants, createReadStream } from "node:fs"
import { copyFile, link, mkdir, open, readdir, rm, rmdir, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { ApplianceError } from "../errors.ts"
import { PARTIAL_SUFFIX, renameDurably, writeDurably } from "../write-durably.ts"
import { archivePaths, type NamespacePlace, type PluginPlace, treeName } from "./paths.ts"
import { freezeTree, removeTree, treeHash } from "./trees.ts"

export interface Received {
  readonly bytes: number
  readonly md5: string
}

export interface ByteSource {
  readonly chunks: AsyncIterable<Uint8Array>
  /** What Content-Length announced; null when it did not. */
  readonly announcedBytes: number | null
}

export function pluginArchives(dataDir: string) {
  const paths = archivePaths(dataDir)
  return {
    /**
     * Uploaded bytes, streamed to their place; earlier bytes of the same upload are replaced only when the new ones are whole.
     * @throws PayloadTooLargeError over the limit, BadRequestError when the sender stops early; nothing is left then
     */
    receive: (place: PluginPlace, uploadId: string, source: ByteSource, limitBytes: number): Promise<Received> =>
      receive(paths.file(place, uploadId), source, limitBytes),

    /** As `receive`, while it is not known yet what the bytes belong to. */
    hold: (place: NamespacePlace, uploadId: string, source: ByteSource, limitBytes: number): Promise<Received> =>
      receive(paths.incoming(place, uploadId), source, limitBytes),

    /** Files held bytes under the plugin they belong to. */
    async file(place: PluginPlace, uploadId: string): Promise<void> {
      const target = paths.file(place, uploadId)
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      await renameDurably(paths.incoming(place, uploadId), target)
    },

    dropHeld: (place: NamespacePlace, uploadId: string) => rm(paths.incoming(place, uploadId), { force: true }),
    dropUpload: (place: PluginPlace, uploadId: string) => rm(paths.file(place, uploadId), { force: true }),

    /**
     * A look at an upload's bytes that no later PUT changes, with a directory for its tree beside it; null without bytes.
     * What was not landed is removed on disposal.
     */
    async stage(place: PluginPlace, uploadId: string): Promise<StagedArchive | null> {
      const staging = `${paths.file(place, uploadId)}.${crypto.randomUUID()}`
      const archive = `${staging}${PARTIAL_SUFFIX}`
      return (await snapshot(paths.file(place, uploadId), archive))
        ? stagedArchive(archive, `${staging}-tree${PARTIAL_SUFFIX}`)
        : null
    },

    /**
     * Puts a staged archive and its frozen tree in place. Only for a version that no row names: what a killed run left there
     * is replaced. The caller keeps others from this plugin's place meanwhile.
     */
    async land(place: PluginPlace, staged: StagedArchive, archiveFile: string): Promise<void> {
      const [archive, tree] = [paths.file(place, archiveFile), paths.tree(place, archiveFile)]
      await rm(archive, { force: true })
      await removeTree(tree)
      await renameDurably(staged.tree, tree)
      await renameDurably(staged.archive, archive)
    },

    async remove(place: PluginPlace, archiveFile: string): Promise<void> {
      await rm(paths.file(place, archiveFile), { force: true })
      await removeTree(paths.tree(place, archiveFile))
    },

    removeNamespace: (place: NamespacePlace) => removeTree(paths.namespace(place)),

    archivePath: (place: PluginPlace, archiveFile: string) => paths.file(place, archiveFile),
    treePath: (place: PluginPlace, archiveFile: string) => paths.tree(place, archiveFile),

    /**
     * Removes every file of plugins that `kept` (keys of `pluginKey`: archives and waiting uploads) does not name. Only at
     * start: work in flight would lose its partial files. Returns how many were removed.
     */
    sweep: (kept: ReadonlySet<string>) => sweep(paths.root, kept),
  }
}

export type PluginArchives = ReturnType<typeof pluginArchives>

function stagedArchive(archive: string, tree: string) {
  return {
    archive,
    /** Not there until something unpacks into it. */
    tree,
    /** Of the packed bytes, by reading them. */
    async fingerprint() {
      const [sha256, md5] = [createHash("sha256"), createHash("md5")]
      let bytes = 0
      for await (const chunk of createReadStream(archive)) {
        sha256.update(chunk)
        md5.update(chunk)
        bytes += chunk.length
      }
      return { sha256: sha256.digest("hex"), md5: md5.digest("hex"), bytes }
    },
    /** `.zip` or `.tar.gz`, by the first bytes. */
    async ending() {
      const start = await Bun.file(archive).slice(0, 2).bytes()
      return start[0] === 0x50 && start[1] === 0x4b ? ".zip" : ".tar.gz"
    },
    freeze: () => freezeTree(tree),
    treeHash: () => treeHash(tree),
    async [Symbol.asyncDispose]() {
      await rm(archive, { force: true })
      await removeTree(tree)
    },
  }
}

export type StagedArchive = ReturnType<typeof stagedArchive>

async function receive(path: string, { chunks, announcedBytes }: ByteSource, limitBytes: number): Promise<Received> {
  if (announcedBytes !== null && announcedBytes > limitBytes) throw tooLarge(limitBytes)
  return writeDurably(path, async (file) => {
    const md5 = createHash("md5")
    let bytes = 0
    for await (const chunk of arriving(chunks)) {
      bytes += chunk.byteLength
      if (bytes > limitBytes) throw tooLarge(limitBytes)
      md5.update(chunk)
      await file.appendFile(chunk)
    }
    if (bytes === 0) throw new ApplianceError("BadRequestError", "The upload has no bytes.")
    if (announcedBytes !== null && bytes !== announcedBytes) throw endedEarly(bytes)
    return { bytes, md5: md5.digest("hex") }
  })
}

/** A sender that goes away is the caller's failure, not ours. */
async function* arriving(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof ApplianceError) throw cause
    throw endedEarly(bytes, cause)
  }
}

function endedEarly(bytes: number, cause?: unknown): ApplianceError {
  return new ApplianceError(
    "BadRequestError",
    `The upload ended early, after ${bytes} bytes; nothing of it was kept.`,
    { cause },
  )
}

function tooLarge(limitBytes: number): ApplianceError {
  return new ApplianceError("PayloadTooLargeError", `A plugin archive may have ${limitBytes} bytes at most.`, {
    details: { limit_bytes: limitBytes },
  })
}

/** A second name for the same bytes, or a copy where the filesystem has no second names. False without a source. */
async function snapshot(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (isMissing(error)) return false
  }
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL)
  } catch (error) {
    if (isMissing(error)) return false
    await rm(to, { force: true })
    throw error
  }
  const file = await open(to, "r")
  await file.sync()
  await file.close()
  return true
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}

async function sweep(root: string, kept: ReadonlySet<string>): Promise<number> {
  const trees = new Set([...kept].map(treeName))
  let removed = 0
  for (const organization of await directories(root)) {
    for (const namespace of await directories(join(root, organization))) {
      const home = join(root, organization, namespace)
      await rm(join(home, "incoming"), { recursive: true, force: true })
      for (const plugin of await directories(join(home, "plugin_custom"))) {
        const place = join(home, "plugin_custom", plugin)
        const names = await readdir(place)
        for (const name of names) {
          const key = `${organization}/${namespace}/plugin_custom/${plugin}/${name}`
          if (kept.has(key) || (trees.has(key) && (await stat(join(place, name))).isDirectory())) continue
          await removeTree(join(place, name))
          removed++
        }
        if ((await readdir(place)).length === 0) await rmdir(place)
      }
    }
  }
  return removed
}

async function directories(path: string): Promise<string[]> {
  try {
    return (await readdir(path, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
