import { readFileSync } from "node:fs"

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
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // Field 2 is the name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const [state] = fields
    const ticks = fields[19]
    if (state === "Z" || state === "X" || ticks === undefined) return null
    return `${bootId()}:${ticks}`
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
