/**
 * One builder per environment. The lock is a file that names its holder by pid and start time, so that a kill leaves no
 * lock that holds: the next builder sees that the holder is gone and takes over.
 */
import { link, readFile, rename, rm, writeFile } from "node:fs/promises"
import { z } from "zod"
import { isRunning, type ProcessRecord, recordProcess } from "../process-identity.ts"

/** There is no event for another process's end or for a file's removal that works on every filesystem. */
const POLL_MS = 100

const Holder = z.object({ pid: z.int().positive(), startTime: z.string() })

export interface BuildLock {
  release(): Promise<void>
}

/**
 * Waits until the lock is ours, or until `done` says that somebody else did the work; null then.
 * @throws the signal's reason when it aborts
 */
export async function acquireBuildLock(
  path: string,
  options: { done: () => boolean; onWait: (holder: ProcessRecord) => void; signal?: AbortSignal | undefined },
): Promise<BuildLock | null> {
  const own = recordProcess(process.pid)
  if (own === null) throw new Error("this process cannot read its own start time")
  const offer = `${path}.${crypto.randomUUID()}`
  // Written aside and linked: the lock never exists without its holder's name.
  await writeFile(offer, JSON.stringify(own), { mode: 0o600 })
  let told = false
  try {
    for (;;) {
      options.signal?.throwIfAborted()
      if (options.done()) return null
      if (await linked(offer, path)) return { release: () => rm(path, { force: true }) }
      const holder = await readHolder(path)
      if (holder !== null && isRunning(holder)) {
        if (!told) options.onWait(holder)
        told = true
        await Bun.sleep(POLL_MS)
      } else await removeStale(path)
    }
  } finally {
    await rm(offer, { force: true })
  }
}

/** Null when nobody holds it, or its holder is gone. */
export async function lockHolder(path: string): Promise<ProcessRecord | null> {
  const holder = await readHolder(path)
  return holder !== null && isRunning(holder) ? holder : null
}

async function linked(offer: string, path: string): Promise<boolean> {
  try {
    await link(offer, path)
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false
    throw error
  }
}

/**
 * Two waiters may both see the dead holder, and the slower one would remove the lock that the faster one has just taken.
 * So it is moved aside and looked at again; a living holder's lock goes back. In the moment between a third one could
 * still get in: two builds then run, and the rename at the end of a build lets only one of them count.
 */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${crypto.randomUUID()}`
  try {
    await rename(path, aside)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return
    throw error
  }
  if ((await lockHolder(aside)) !== null) await linked(aside, path)
  await rm(aside, { force: true })
}

async function readHolder(path: string): Promise<ProcessRecord | null> {
  try {
    const parsed = Holder.safeParse(JSON.parse(await readFile(path, "utf8")))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
