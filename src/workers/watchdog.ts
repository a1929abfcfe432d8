/**
 * What a worker uses beyond what the kernel refuses by itself: memory shared or in tmpfs, threads, files in its scratch, those
 * that it has removed and still holds open among them. Looked at from outside; the worker that goes past a limit is ended.
 */
import { readdirSync, readFileSync } from "node:fs"
import { type SeenSizes, scratchUse } from "./scratch-use.ts"

export interface WorkerLimits {
  /** Anonymous and shared memory that is resident; of private memory the kernel refuses what is past it. */
  readonly memoryBytes: number
  /** What it comes from, for messages; the setting when it is absent. */
  readonly memorySetBy?: string
  readonly threads: number
  /** Of the worker's own directories together. */
  readonly scratchBytes: number
  readonly scratchFiles: number
  /** Refused by the kernel with EMFILE. */
  readonly openFiles: number
  /** Processor time of all its threads for one request. */
  readonly cpuMs: number
  /** What it prints during one request; a line counts 64 bytes more than it has. */
  readonly logBytes: number
}

export const MEMORY_SETTING = "MIXPEEK_WORKER_MEMORY_MB"

export interface Watch {
  /** A request begins: processor time counts from here. */
  begin(): void
  stop(): void
}

/** USER_HZ of Linux on every architecture that we build for. */
const MS_PER_TICK = 10
/** A worker that fills memory as fast as it can takes some 100 MiB in that time (design/sandbox.md, "Memory"). */
const MEMORY_POLL_MS = 50
const SCRATCH_POLL_MS = 1_000
/** More than anybody needs, and a small part of what a user may watch (fs.epoll.max_user_watches, 4 % of memory): the appliance is the same one. */
const MOST_WATCHED = 10_000
const KIBIBYTE = 1024
const MEBIBYTE = 1024 * KIBIBYTE

/** A limit that was passed, as a sentence. */
interface Flaw {
  readonly what: string
  readonly memory: boolean
}

/** Calls `exceeded` once, with a sentence, as soon as a limit is passed; `memory`: that of memory. Linux only: elsewhere nothing is watched. */
export function watchWorker(
  pid: number,
  { limits, directories }: { limits: WorkerLimits; directories: readonly string[] },
  exceeded: (what: string, memory: boolean) => void,
): Watch {
  if (process.platform !== "linux") return { begin: () => undefined, stop: () => undefined }
  let watching = true
  /** Null from the beginning of a request until the next look: a look is dear beside a realtime call. */
  let cpuBefore: number | null = 0
  const sizes: SeenSizes = new Map()
  const stop = () => {
    watching = false
    clearInterval(memory)
    clearTimeout(scratch)
  }
  const end = (flaw: Flaw | null) => {
    if (flaw === null || !watching) return
    stop()
    exceeded(flaw.what, flaw.memory)
  }
  const memory = setInterval(() => end(memoryFlaw(pid, limits)), MEMORY_POLL_MS)
  const lookAtScratch = async () => {
    cpuBefore ??= cpuMs(pid) ?? 0
    const what = cpuFlaw(pid, cpuBefore, limits) ?? (await scratchFlaw(pid, directories, limits, sizes))
    end(what === null ? null : { what, memory: false })
    if (watching) scratch = setTimeout(lookAtScratch, SCRATCH_POLL_MS)
  }
  let scratch = setTimeout(lookAtScratch, SCRATCH_POLL_MS)
  return {
    begin() {
      cpuBefore = null
    },
    stop,
  }
}

function cpuFlaw(pid: number, before: number, { cpuMs: limit }: WorkerLimits): string | null {
  const used = (cpuMs(pid) ?? 0) - before
  if (used <= limit) return null
  const seconds = (ms: number) => `${Math.round(ms / 1000)} s`
  return `it used ${seconds(used)} of processor time, more than its ${seconds(limit)} (MIXPEEK_WORKER_CPU_SECONDS)`
}

/** Since its start, all threads; null when it is gone. */
function cpuMs(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it (proc(5)).
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK
  } catch {
    return null
  }
}

/** What counts towards the limit; 0 when the process is gone or nobody tells. */
export function residentBytes(pid: number): number {
  return usedBytes(memoryStatus(pid) ?? "")
}

/** Of /proc/<pid>/status. */
export function usedBytes(status: string): number {
  const value = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0)
  // Not RssFile: libraries and input that are mapped belong to everybody. Reading a page here and there of what is mapped and
  // empty takes tables only, 1 GiB of them for 512 GiB. What was written and made read-only is past the kernel's own limit, and a
  // process may ask for it to be swapped out.
  return (value("RssAnon") + value("RssShmem") + value("VmSwap") + value("VmPTE")) * KIBIBYTE
}

function memoryFlaw(pid: number, { memoryBytes, memorySetBy = MEMORY_SETTING, threads }: WorkerLimits): Flaw | null {
  const status = memoryStatus(pid)
  // It has just ended, which is noticed elsewhere.
  if (status === null) return null
  const used = usedBytes(status)
  if (used > memoryBytes) {
    const what = `it used ${inMebibytes(used)} of memory, more than its ${inMebibytes(memoryBytes)} (${memorySetBy})`
    return { what, memory: true }
  }
  const running = Number(/^Threads:\s*(\d+)/m.exec(status)?.[1] ?? 0)
  if (running <= threads) return null
  return { what: `it ran ${running} threads, more than its ${threads} (MIXPEEK_WORKER_THREADS)`, memory: false }
}

/** The thread that a process began with may end before the others: its own status tells of no memory then. */
function memoryStatus(pid: number): string | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1")
    if (hasMemory(status)) return status
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const other = readFileSync(`/proc/${pid}/task/${thread}/status`, "latin1")
      if (hasMemory(other)) return other
    }
    return null
  } catch {
    return null
  }
}

function hasMemory(status: string): boolean {
  return status.includes("\nRssAnon:")
}

async function scratchFlaw(
  pid: number,
  directories: readonly string[],
  { scratchBytes, scratchFiles }: WorkerLimits,
  sizes: SeenSizes,
): Promise<string | null> {
  const { files, bytes, watched, hidden } = await scratchUse(
    pid,
    directories,
    { bytes: scratchBytes, files: scratchFiles },
    sizes,
  )
  if (files > scratchFiles) {
    return `it made more than ${scratchFiles} files in its scratch directory (MIXPEEK_WORKER_SCRATCH_FILES)`
  }
  if (bytes > scratchBytes) {
    return `it wrote ${inMebibytes(bytes)} into its scratch directory, more than its ${inMebibytes(scratchBytes)} (MIXPEEK_WORKER_SCRATCH_MB)`
  }
  if (watched > MOST_WATCHED) {
    return `it watched descriptors by epoll or locked places in files, more than ${MOST_WATCHED} of both together`
  }
  return hidden === null ? null : `it ${hidden}, so that what it writes cannot be counted`
}

function inMebibytes(bytes: number): string {
  return `${Math.ceil(bytes / MEBIBYTE)} MiB`
}
