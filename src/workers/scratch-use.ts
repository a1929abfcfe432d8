/**
 * What a worker's files take, those without a name that it holds open among them. It may rename folders while we look, so that
 * no path that was just listed leads anywhere: a look at which something vanished is repeated with the worker stopped.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs"
import { open, readdir } from "node:fs/promises"

export interface ScratchUse {
  files: number
  bytes: number
  /** Descriptors that its epolls watch and places in files that it has locked: memory of the kernel's, and places of all of our user. */
  watched: number
  /** Why there is more than was counted, in words; null when all was seen. */
  hidden: string | null
}

/** Of `st_blocks`, whatever the file system's own are. */
const BLOCK = 512
/** Of /proc/<pid>/maps, a file that has been removed: addresses, inode, the path it had (proc(5)). */
const MAPPED = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+) +(\/.*) \(deleted\)$/
const SLASH = Buffer.from("/")
/** Deeper folders are made to have paths too long to be opened. */
const MAX_DEPTH = 64
/** Of a descriptor's fdinfo, which is mostly some lines; the most that is read of one are some 15,000. */
const FDINFO_BYTES = 4096
const MOST_FDINFO_BYTES = 1024 * 1024
/** Files of which only root could see how large they are: each may have grown for as long as lies between two looks. */
const MOST_UNSEEN = 16
/** Threads that are in a call finish it first. */
const STOP_MS = 5

/** Bytes of files by inode, as the last look saw them; kept by the caller from one look to the next. */
export type SeenSizes = Map<string, number>

/** Counting ends at the limits: a worker that makes files without end must not hold the server up. */
export async function scratchUse(
  pid: number,
  directories: readonly string[],
  limits: { readonly bytes: number; readonly files: number },
  sizes: SeenSizes = new Map(),
): Promise<ScratchUse> {
  const seen = await look(pid, directories, limits, sizes)
  if (!seen.vanished || seen.hidden !== null) return seen
  try {
    process.kill(pid, "SIGSTOP")
    await Bun.sleep(STOP_MS)
    const again = await look(pid, directories, limits, sizes)
    // A timer of its own may have sent it SIGCONT.
    if (again.vanished && isRunning(pid)) again.hidden ??= "moved its folders while they were looked at"
    return again
  } catch {
    // It has just ended.
    return seen
  } finally {
    try {
      process.kill(pid, "SIGCONT")
    } catch {
      // The same.
    }
  }
}

interface Look extends ScratchUse {
  /** A folder that was listed was no longer there. */
  vanished: boolean
}

async function look(
  pid: number,
  directories: readonly string[],
  limits: { readonly bytes: number; readonly files: number },
  sizes: SeenSizes,
): Promise<Look> {
  const now: SeenSizes = new Map()
  const use: Look = { files: 0, bytes: 0, watched: 0, hidden: null, vanished: false }
  const enough = () => use.files > limits.files || use.bytes > limits.bytes || use.hidden !== null
  // As bytes: a name that is no UTF-8 would lead nowhere as a string.
  const pending = directories.map((path) => ({ path: Buffer.from(path), depth: 0 }))
  for (let at = pending.pop(); at !== undefined && !enough(); at = pending.pop()) {
    const { path: directory, depth } = at
    try {
      for (const name of await readdir(directory, { encoding: "buffer" })) {
        const path = Buffer.concat([directory, SLASH, name])
        use.files++
        const facts = lstatSync(path, { throwIfNoEntry: false })
        if (facts === undefined) use.vanished = true
        else if (facts.isDirectory()) pending.push({ path, depth: depth + 1 })
        else {
          use.bytes += facts.blocks * BLOCK
          now.set(String(facts.ino), facts.blocks * BLOCK)
        }
        if (enough()) break
      }
    } catch (error) {
      if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
        use.vanished = true
      } else use.hidden = "made a folder that cannot be looked into"
    }
    if (depth > MAX_DEPTH) use.hidden = `nested folders more than ${MAX_DEPTH} deep`
  }
  const held = await addHeld(pid, use)
  for (const [inode, bytes] of held) now.set(inode, bytes)
  addMapped(pid, directories, { held, before: sizes, now }, use)
  sizes.clear()
  for (const [inode, bytes] of now) sizes.set(inode, bytes)
  return use
}

/** Files without a name that are open still take their room, and those on their way through a socket are not even open. */
async function addHeld(pid: number, use: Look): Promise<SeenSizes> {
  const counted: SeenSizes = new Map()
  const { process, descriptors } = await openDescriptors(pid)
  for (const descriptor of descriptors) {
    const link = `${process}/fd/${descriptor}`
    try {
      const target = readlinkSync(link)
      // Of a pipe, a timer and the like it tells of nothing that is looked for.
      if (/^(\/|socket:|anon_inode:\[eventpoll\])/.test(target)) await addTold(`${process}/fdinfo/${descriptor}`, use)
      if (!target.endsWith(" (deleted)")) continue
      const { ino, blocks } = statSync(link)
      counted.set(String(ino), blocks * BLOCK)
      use.files++
      use.bytes += blocks * BLOCK
    } catch {
      // Closed meanwhile.
    }
  }
  return counted
}

/** Removed and closed, but mapped: still there. Only root sees how large they are; to others they are as large as they were, or as is mapped. */
function addMapped(
  pid: number,
  directories: readonly string[],
  { held, before, now }: Record<"held" | "before" | "now", SeenSizes>,
  use: Look,
): void {
  let maps: string
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "latin1")
  } catch {
    return
  }
  const mapped = new Map<string, { range: string; bytes: number }>()
  for (const line of maps.split("\n")) {
    const [, start, end, inode, path] = MAPPED.exec(line) ?? []
    if (start === undefined || end === undefined || inode === undefined || path === undefined) continue
    if (held.has(inode) || !directories.some((directory) => path.startsWith(`${directory}/`))) continue
    const bytes = Number.parseInt(end, 16) - Number.parseInt(start, 16) + (mapped.get(inode)?.bytes ?? 0)
    mapped.set(inode, { range: `${start}-${end}`, bytes })
  }
  let unseen = 0
  for (const [inode, { range, bytes }] of mapped) {
    use.files++
    try {
      use.bytes += statSync(`/proc/${pid}/map_files/${range}`).blocks * BLOCK
    } catch {
      const known = Math.max(bytes, before.get(inode) ?? 0)
      use.bytes += known
      now.set(inode, known)
      unseen++
    }
  }
  if (unseen > MOST_UNSEEN) use.hidden = `removed and closed more than ${MOST_UNSEEN} files that it has mapped`
}

/** In another thread, and no more than bounds it: the kernel writes a line for each, of millions too. */
async function addTold(path: string, use: Look): Promise<void> {
  await using info = await open(path)
  let text = ""
  for (let size = FDINFO_BYTES; size <= MOST_FDINFO_BYTES; size *= MOST_FDINFO_BYTES / FDINFO_BYTES) {
    const { bytesRead, buffer } = await info.read(Buffer.allocUnsafe(size), 0, size, 0)
    text = buffer.toString("latin1", 0, bytesRead)
    if (bytesRead < size) break
  }
  use.watched += text.match(/^(tfd|lock):/gm)?.length ?? 0
  // Told by kernels from 5.11 on.
  if (/^scm_fds:\s*[1-9]/m.test(text)) use.hidden = "sent open files through a socket"
}

/** All threads have one table (system_call_rules.py), but the one that the process began with has none once it has ended. */
async function openDescriptors(pid: number): Promise<{ process: string; descriptors: readonly string[] }> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  for (const process of [`/proc/${pid}`, ...threads.map((thread) => `/proc/${pid}/task/${thread}`)]) {
    const descriptors = await readdir(`${process}/fd`).catch(() => [])
    if (descriptors.length > 0) return { process, descriptors }
  }
  return { process: `/proc/${pid}`, descriptors: [] }
}

/** Whether a thread of it runs or waits, neither stopped nor ending a call of before the stop. */
function isRunning(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1")
    return /^ [RS]/.test(text.slice(text.lastIndexOf(")") + 1))
  })
}
