import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"

/** What a crash left behind is recognised by this ending and swept at start. */
export const PARTIAL_SUFFIX = ".partial"

/**
 * A file is whole or not there: written beside its place, fsynced, renamed, and the directory fsynced. The directory is
 * created when missing. `write` gets the open file; when it throws, nothing is left.
 */
export async function writeDurably<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const partial = `${path}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
  try {
    const file = await open(partial, "wx", 0o600)
    let result: T
    try {
      result = await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await renameDurably(partial, path)
    return result
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/**
 * Renames and makes the new name survive a power cut. Works for files and directories, and everything that lands goes
 * through here. When it throws, the new name may be there all the same: only a row makes a file count.
 */
export async function renameDurably(from: string, to: string): Promise<void> {
  await renameAllDurably([{ from, to }])
}

/** The same for files that count together, in this order; each directory is fsynced once, at the end. */
export async function renameAllDurably(
  files: readonly { readonly from: string; readonly to: string }[],
): Promise<void> {
  for (const { from, to } of files) {
    meetFault()
    await rename(from, to)
    meetFault()
  }
  for (const directory of new Set(files.map(({ to }) => dirname(to)))) await syncDirectory(directory)
}

/** A disk that fails now and then, for the tests of what follows from it. */
export interface LandingFault {
  readonly code: "EIO"
  /** Of landings, from 0 to 1: half of them fail before the rename, half of them after it. */
  readonly rate: number
}

let fault: LandingFault | null = null

/** Of this process, until it ends. */
export function failLandings(injected: LandingFault | null): void {
  fault = injected
}

function meetFault(): void {
  if (fault === null || Math.random() >= fault.rate / 2) return
  throw Object.assign(new Error(`${fault.code}: i/o error, injected into a landing`), { code: fault.code })
}

/** The names in a directory live in the directory: without this a power cut can undo a rename. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
