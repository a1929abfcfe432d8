import { writeFileSync } from "node:fs"
import { setPriority } from "node:os"

/** A tenth of the weight of an ordinary process (sched(7): a step is a factor of 1.25). */
const NICE = 10
/** The kernel takes one such write in a tenth of a second from who is not its administrator. */
const RETRY_MS = 150
const MOST_TRIES = 20

/**
 * The processors are given to others first: what this process and its later threads compute waits while somebody computes for a
 * realtime request. A process cannot take it back for itself. Where it does not work only speed depends on it.
 */
export function yieldProcessors(pid: number): void {
  try {
    setPriority(pid, NICE)
  } catch {
    // It has just ended.
    return
  }
  // Every worker leads a session: where sessions are scheduled as groups, numbers within one say nothing (sched(7), autogroup).
  if (process.platform === "linux") yieldAsGroup(pid, MOST_TRIES)
}

function yieldAsGroup(pid: number, tries: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(NICE))
  } catch (error) {
    const again = error instanceof Error && "code" in error && error.code === "EAGAIN" && tries > 1
    if (again) setTimeout(yieldAsGroup, RETRY_MS, pid, tries - 1).unref()
  }
}
