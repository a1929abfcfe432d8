import { readdirSync, readFileSync } from "node:fs"

/** A pid alone may by now be somebody else's; with its start time it names one process since the machine started. */
export interface ProcessRecord {
  readonly pid: number
  readonly startTime: string
}

/**
 * `<boot id>:<start in clock ticks since boot>` on Linux (field 22 of /proc/<pid>/stat), the printed start time on macOS.
 * Null when there is no such process, or only its unreaped remains.
 */
export function processStartTime(pid: number): string | null {
  if (process.platform !== "linux") return printedStartTime(pid)
  const stat = readStat(pid)
  return stat === null ? null : `${bootId()}:${stat.ticks}`
}

/**
 * True when the leader of a group of its own is gone and members live on. Linux only: its number is given to no other
 * process before the last member ends, and members are no older than it. False on macOS.
 */
export function groupOutlives({ pid, startTime }: ProcessRecord): boolean {
  if (process.platform !== "linux") return false
  const [boot, ticks] = startTime.split(":")
  if (boot !== bootId() || readStat(pid) !== null) return false
  return readdirSync("/proc").some((name) => {
    const member = /^\d+$/.test(name) ? readStat(Number(name)) : null
    return member !== null && member.group === pid && member.session === pid && member.ticks >= Number(ticks)
  })
}

interface Stat {
  readonly group: number
  readonly session: number
  /** Its start, in clock ticks since boot. */
  readonly ticks: number
}

/** Null when there is no such process, or only its unreaped remains. */
function readStat(pid: number): Stat | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // Field 2 is the name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const [state] = fields
    if (state === "Z" || state === "X" || fields[19] === undefined) return null
    return { group: Number(fields[2]), session: Number(fields[3]), ticks: Number(fields[19]) }
  } catch {
    return null
  }
}

/** Null when the process is already gone. */
export function recordProcess(pid: number): ProcessRecord | null {
  const startTime = processStartTime(pid)
  return startTime === null ? null : { pid, startTime }
}

export function isRunning(record: ProcessRecord): boolean {
  return processStartTime(record.pid) === record.startTime
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
}

function printedStartTime(pid: number): string | null {
  const answer = Bun.spawnSync(["/bin/ps", "-o", "stat=,lstart=", "-p", String(pid)], { env: { LANG: "C" } })
  const [state, ...started] = answer.stdout.toString().trim().split(/\s+/)
  return state === undefined || state === "" || state.startsWith("Z") ? null : started.join(" ")
}
