import { readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"
import { PARTIAL_SUFFIX } from "../../write-durably.ts"
import type { ProcessRecord } from "../process-identity.ts"
import { endLeftovers } from "../terminate.ts"
import { lockHolder } from "./build-lock.ts"
import { unsealTree } from "./seal-tree.ts"

/** Inside a partial directory: which process is installing into it. It outlives a kill of ours. */
export const INSTALLER_RECORD = "installer.json"

const InstallerRecord = z.object({ pid: z.int().positive(), startTime: z.string() })

export function lockPath(environmentsDir: string, hash: string): string {
  return join(environmentsDir, `${hash}.lock`)
}

/**
 * Removes what killed builds left. Environments that a living process is building now are not touched, but for `ownHash`, whose
 * lock the caller holds.
 */
export async function sweepPartials(environmentsDir: string, ownHash: string | null): Promise<void> {
  for (const entry of await entriesOf(environmentsDir)) {
    if (/\.lock(\.[0-9a-f-]{36})?$/.test(entry) && !entry.startsWith(`${ownHash}.`)) {
      // A lock, or an offer to take one, whose maker is gone.
      if ((await lockHolder(join(environmentsDir, entry))) === null)
        await rm(join(environmentsDir, entry), { force: true })
    }
    if (!entry.endsWith(PARTIAL_SUFFIX)) continue
    const hash = entry.slice(0, entry.indexOf("."))
    if (hash !== ownHash && (await lockHolder(lockPath(environmentsDir, hash))) !== null) continue
    const partial = join(environmentsDir, entry)
    // An installer whose parent was killed goes on writing and would make the removal fail.
    const installer = await readInstaller(partial)
    if (installer !== null) await endLeftovers([installer])
    await removeTree(partial)
  }
}

/** Sealed or not; nothing when it is not there. */
export async function removeTree(directory: string): Promise<void> {
  await unsealTree(directory)
  await rm(directory, { recursive: true, force: true })
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return []
    throw error
  }
}

/** Null when none was started yet, or the kill came while the record was being written. */
async function readInstaller(partial: string): Promise<ProcessRecord | null> {
  try {
    return InstallerRecord.parse(JSON.parse(await readFile(join(partial, INSTALLER_RECORD), "utf8")))
  } catch {
    return null
  }
}
