import { statfs } from "node:fs/promises"
import type { WorkerFailure } from "../workers/protocol.ts"

/** Room that a batch may need at once; less is short whatever the disk's size. */
const SHORT_BYTES = 2 * 1024 ** 3

/** The documents process, and DuckDB in it, say it in words only. */
const IN_WORDS = /no space left on device|disk is full|disk quota exceeded/i

const FAILS_IN_WORDS = /\bEIO\b|input\/output error|disk i\/o error/i

/** The machine's trouble, not the batch's: a disk that has no room, or that fails. */
export function isDiskFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = "code" in error ? String(error.code) : ""
  if (["ENOSPC", "EDQUOT", "EIO", "SQLITE_FULL"].includes(code) || code.startsWith("SQLITE_IOERR")) return true
  return IN_WORDS.test(error.message) || FAILS_IN_WORDS.test(error.message)
}

/** A worker may say so of a disk that has room, and its rows would be tried for ever. */
export async function roomIsShort(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize < SHORT_BYTES
}

/** The worker itself could not write its result files; a step that could not write its own has the step's stage. */
export function workerFoundDiskFull({ stage, exception, message }: WorkerFailure): boolean {
  return stage === "worker, run_partition" && exception === "OSError" && IN_WORDS.test(message)
}
