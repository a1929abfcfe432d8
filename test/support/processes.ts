import { readdirSync, readFileSync } from "node:fs"

/** Of the process and all below it, by what /proc says now. */
export function descendants(pid: number): number[] {
  let children = ""
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      children += ` ${readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1")}`
    }
  } catch {
    return []
  }
  const direct = children.split(/\s+/).filter(Boolean).map(Number)
  return [...direct, ...direct.flatMap(descendants)]
}

/** False for a zombie: it holds nothing. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return false
  }
}

const MS_PER_TICK = 10

/** Of the process and of its children that have ended, in milliseconds; 0 when it is gone. */
export function processorMs(pid: number): number {
  return statistics(pid).reduce((sum, ticks) => sum + ticks * MS_PER_TICK, 0)
}

/** utime, stime, cutime and cstime, the 12th to 15th fields after the name in parentheses (proc(5)). */
function statistics(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    return text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 15)
      .map(Number)
  } catch {
    return []
  }
}

/** Of the process alone, in milliseconds; 0 when it is gone. */
export function ownProcessorMs(pid: number): number {
  return statistics(pid)
    .slice(0, 2)
    .reduce((sum, ticks) => sum + ticks * MS_PER_TICK, 0)
}

/** 0 when the process is gone. */
export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * PAGE_BYTES
  } catch {
    return 0
  }
}

const PAGE_BYTES = 4096

/** Proportional: what is shared counts for each sharer in part. 0 when the process is gone. */
export function pssBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1")
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
