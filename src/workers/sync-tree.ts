import { open, readdir } from "node:fs/promises"
import { join } from "node:path"
import { syncDirectory } from "../write-durably.ts"

/** Enough to keep a disk busy, few enough to leave descriptors for others. */
const AT_ONCE = 16

/** fsync of every file and directory below, then of the directory itself: after it, a rename makes the tree durable. */
export async function syncTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const directories = entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
  await inTurns(files, syncFile)
  await inTurns([...directories, directory], syncDirectory)
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r")
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function inTurns(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const queue = paths.values()
  const turn = async () => {
    for (const path of queue) await work(path)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, turn))
}
