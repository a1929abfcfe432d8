import { existsSync } from "node:fs"
import { join } from "node:path"
import Database from "better-sqlite3"
import { type Holder, readHolder } from "./directory-lock.ts"

/** The server that holds the directory now: only looks, takes no lock. `said` is null when it has not told who it is. */
export function directoryHolder(dataDir: string): { held: boolean; said: Holder | null } {
  const lock = join(dataDir, "lock")
  if (!existsSync(lock)) return { held: false, said: null }
  const db = new Database(lock, { readonly: true, timeout: 0 })
  try {
    db.prepare("SELECT count(*) FROM sqlite_master").get()
    return { held: false, said: null }
  } catch (error) {
    if (!(error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY"))) throw error
    return { held: true, said: readHolder(dataDir) }
  } finally {
    db.close()
  }
}
