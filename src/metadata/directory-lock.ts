import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import Database from "better-sqlite3"

export interface Holder {
  readonly pid: number
  readonly url: string | null
  readonly started_at: string
}

export class DirectoryInUse extends Error {
  override readonly name = "DirectoryInUse"
  readonly holder: Holder | null

  constructor(dataDir: string, holder: Holder | null) {
    const who =
      holder === null
        ? "another mixpeek server"
        : `mixpeek server ${holder.pid}${holder.url === null ? "" : ` at ${holder.url}`}, started ${holder.started_at}`
    super(`The data directory ${dataDir} is in use by ${who}. Stop it, or serve another directory with --data.`)
    this.holder = holder
  }
}

/**
 * One server per data directory. The lock is an exclusive SQLite transaction on a file of its own, which is a lock of the
 * operating system: it ends with the process, also by kill -9, and needs no clean-up. Who holds it is told beside it.
 * @throws DirectoryInUse naming the holder
 */
export function lockDirectory(dataDir: string, now: () => Date) {
  const db = new Database(join(dataDir, "lock"), { timeout: 0 })
  try {
    db.pragma("journal_mode = DELETE")
    db.exec("BEGIN EXCLUSIVE")
  } catch (error) {
    db.close()
    if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY")) {
      throw new DirectoryInUse(dataDir, readHolder(dataDir))
    }
    throw new Error(
      `The lock ${join(dataDir, "lock")} cannot be taken: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    )
  }
  const holder: Holder = { pid: process.pid, url: null, started_at: now().toISOString() }
  writeFileSync(holderPath(dataDir), JSON.stringify(holder), { mode: 0o600 })
  return {
    /** Says where the server listens, for whoever is refused. */
    announce(url: string) {
      writeFileSync(holderPath(dataDir), JSON.stringify({ ...holder, url }), { mode: 0o600 })
    },
    [Symbol.dispose]() {
      db.exec("ROLLBACK")
      db.close()
    },
  }
}

/** Who holds or last held the directory; null when nobody said. */
export function readHolder(dataDir: string): Holder | null {
  if (!existsSync(holderPath(dataDir))) return null
  try {
    const holder: Holder = JSON.parse(readFileSync(holderPath(dataDir), "utf8"))
    return typeof holder.pid === "number" ? holder : null
  } catch {
    // A holder that was killed while it wrote: the lock itself decides, this is only for the message.
    return null
  }
}

function holderPath(dataDir: string): string {
  return join(dataDir, "holder.json")
}
