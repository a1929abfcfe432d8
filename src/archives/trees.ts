/** Unpacked plugins as whole trees: what they hold, made unchangeable and durable, and taken away. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { chmod, lstat, open, readdir, rm } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { syncDirectory } from "../write-durably.ts"

/**
 * SHA-256 over `<path>\0<SHA-256 of the content>\n` of every file, sorted by path: the same for the same code, however it
 * was packed. What is neither file nor directory counts as itself, so that its coming changes the hash.
 */
export async function treeHash(directory: string): Promise<string> {
  const entries = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
    .map(({ path, isFile }) => ({ path, isFile, name: relative(directory, path).split(sep).join("/") }))
  return filesHash(entries)
}

/** The same of files that lie anywhere, by the names that they have in the tree. */
export async function filesHash(
  files: readonly { readonly name: string; readonly path: string; readonly isFile?: boolean }[],
): Promise<string> {
  const hash = createHash("sha256")
  for (const { path, isFile = true, name } of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${name}\0${isFile ? await fileHash(path) : "not a file"}\n`)
  }
  return hash.digest("hex")
}

/** Makes every file and directory read-only and durable; a rename of the tree is then all it takes to put it in place. */
export async function freezeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const file = await open(join(entry.parentPath, entry.name), "r")
    try {
      await file.chmod(0o444)
      await file.sync()
    } finally {
      await file.close()
    }
  }
  for (const path of await directoriesOf(directory)) {
    await syncDirectory(path)
    await chmod(path, 0o555)
  }
}

/** Removes a tree, read-only or not; a path that is not there is no error. */
export async function removeTree(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null
    throw error
  })
  if (found === null) return
  if (found.isDirectory()) await makeWritable(path)
  await rm(path, { recursive: true, force: true })
}

/** A directory that cannot be written cannot lose its entries. */
async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name))
  }
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest("hex")
}

/** The directory and all below it, children before their parents. */
async function directoriesOf(directory: string): Promise<string[]> {
  const below = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const nested = await Promise.all(below.map((entry) => directoriesOf(join(directory, entry.name))))
  return [...nested.flat(), directory]
}
