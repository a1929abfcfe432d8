/**
 * The certain end of a process: signals go to its group, since libraries in a plugin fork helpers that would outlive it;
 * SIGTERM, a grace, SIGKILL, and always reaped.
 */
import { groupOutlives, isRunning, type ProcessRecord } from "./process-identity.ts"

export { type ProcessRecord, recordProcess } from "./process-identity.ts"

/** How often a process that is not our child is looked at; there is no event for its end. */
const LEFTOVER_POLL_MS = 20
const LEFTOVER_GRACE_MS = 1_000
/** A process in an uninterruptible wait outlives even SIGKILL; a start does not wait for it for ever. */
const LEFTOVER_DEADLINE_MS = 10_000

/**
 * Ends a child that leads its own group, and whatever it left in the group. `exited` settles when the child is reaped.
 * With a grace of 0 ms SIGKILL goes at once.
 */
export async function endGroup(pid: number, exited: Promise<unknown>, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    signalGroup(pid, "SIGTERM")
    await settlesWithin(exited, graceMs)
  }
  signalGroup(pid, "SIGKILL")
  await exited
}

/** False when there is no such process any more. */
export function signalProcess(pid: number, signal: "SIGUSR1"): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

/** False when the group has nobody left. Never throws for that: the end of a process is always a race. */
export function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): boolean {
  // kill(-1) and kill(-0) would reach every process of the user, or ourselves.
  if (!Number.isInteger(pid) || pid <= 1) throw new RangeError(`${pid} is no process group of a worker`)
  try {
    process.kill(-pid, signal)
    return true
  } catch (error) {
    // EPERM is macOS' answer for a group of unreaped remains.
    if (error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM")) return false
    throw error
  }
}

/**
 * Ends what an earlier run of ours left behind, found by recorded pid and start time, with its group or what is left of
 * the group; a pid that was given to another process since is left alone. Returns the records that were still running;
 * they are gone when this resolves, or were sent SIGKILL 10 s ago and hang in the kernel.
 */
export async function endLeftovers(
  records: readonly ProcessRecord[],
  graceMs: number = LEFTOVER_GRACE_MS,
): Promise<ProcessRecord[]> {
  // The worker dies with the appliance; a helper that a library forked does not, and waits for it for ever.
  const running = records.filter((record) => isRunning(record) || groupOutlives(record))
  await Promise.all(running.map((record) => endGroup(record.pid, gone(record), graceMs)))
  return running
}

/** True when `promise` settled in time, in whichever way. */
export async function settlesWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false)
  })
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}

async function gone(record: ProcessRecord): Promise<void> {
  const deadline = performance.now() + LEFTOVER_DEADLINE_MS
  while ((isRunning(record) || groupOutlives(record)) && performance.now() < deadline) await Bun.sleep(LEFTOVER_POLL_MS)
}
