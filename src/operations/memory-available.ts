import { readFileSync } from "node:fs"

const KIBIBYTE = 1024

/** Bytes that the kernel says could be given without swapping (MemAvailable, proc(5)); unbounded where it does not say. */
export function memoryAvailable(): number {
  try {
    const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "latin1"))
    return match?.[1] === undefined ? Number.POSITIVE_INFINITY : Number(match[1]) * KIBIBYTE
  } catch {
    // Not Linux: nobody tells, and a rollout is not held up for it.
    return Number.POSITIVE_INFINITY
  }
}
