import { writeFileSync } from "node:fs"
import { setPriority } from "node:os"

/** A tenth of the weight of an ordinary process (sched(7): a step is a factor of 1.25). */
const NICE = 10

/**
 * The processors are given to others first: what this process and its later threads compute waits while somebody computes for a
 * realtime request. A process cannot take it back for itself.
 */
export function yieldProcessors(pid: number): void {
  try {
    setPriority(pid, NICE)
    // Every worker leads a session: where sessions are scheduled as groups, numbers within one say nothing (sched(7), autogroup).
    if (process.platform === "linux") writeFileSync(`/proc/${pid}/autogroup`, String(NICE))
  } catch {
    // It has just ended, or the kernel has no such groups: only speed depends on it.
  }
}
