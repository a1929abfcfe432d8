import { lstatSync } from "node:fs"
import { chmod, open, readdir } from "node:fs/promises"
import { join } from "node:path"
import { syncDirectory } from "../../write-durably.ts"

/** Enough to keep a disk busy, few enough to leave descriptors for others. */
const AT_ONCE = 16
const EXECUTABLE = 0o111

/**
 * Takes the right to write off every file and directory below and off the directory itself, with an fsync of each: after it,
 * a rename makes the tree durable. Returns the bytes of its files.
 */
export async function sealTree(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const directories = entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
  let bytes = 0
  await inTurns(files, async (path) => {
    const size = await sealFile(path)
    bytes += size
  })
  await inTurns([...directories, directory], sealDirectory)
  return bytes
}

async function sealFile(path: string): Promise<number> {
  const file = await open(path, "r")
  try {
    const { mode, size } = await file.stat()
    await file.chmod(0o444 | (mode & EXECUTABLE))
    await file.sync()
    return size
  } finally {
    await file.close()
  }
}

async function sealDirectory(path: string): Promise<void> {
  await chmod(path, 0o555)
  await syncDirectory(path)
}

/** The directories of a sealed tree take changes again, so that it can be removed. */
export async function unsealTree(directory: string): Promise<void> {
  if (!isDirectory(directory)) return
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await unsealTree(join(directory, entry.name))
  }
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function inTurns(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const queue = paths.values()
  const turn = async () => {
    for (const path of queue) await work(path)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, turn))
}
