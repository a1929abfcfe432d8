/**
 * Partitions whose step group wants a GPU that another one of the same key has: they wait for its worker, with its model loaded,
 * and do not ask for the device, which would end that worker the moment it rests.
 */
import { GpuBusy } from "../scheduler/gpu-leases.ts"
import type { WorkerPermit } from "../workers/pool.ts"

/** `lookMs`: who waits looks again after that time, since room may come from elsewhere. */
export function gpuTurns(lookMs: number) {
  const lent = new Map<string, number>()
  /** Keys that were refused a device while they had one. */
  const crowded = new Set<string>()
  const waiting = new Map<string, Set<() => void>>()

  const back = (key: string) => {
    lent.set(key, (lent.get(key) ?? 1) - 1)
    if (lent.get(key) === 0) lent.delete(key)
    for (const wake of waiting.get(key) ?? []) wake()
  }

  return {
    /** @throws GpuBusy, also without asking; or what `lend` throws */
    async take<Permit extends WorkerPermit>(key: string, lend: () => Promise<Permit>): Promise<Permit> {
      if (crowded.has(key) && lent.has(key)) throw new GpuBusy("Its GPU is at work on another partition.")
      const permit = await lend().catch((error: unknown) => {
        if (error instanceof GpuBusy) crowded.add(key)
        throw error
      })
      crowded.delete(key)
      lent.set(key, (lent.get(key) ?? 0) + 1)
      let open = true
      return {
        ...permit,
        [Symbol.dispose]() {
          permit[Symbol.dispose]()
          if (open) back(key)
          open = false
        },
      }
    },

    /** Resolves when a worker of the key has come back, or after a while. @throws the signal's reason */
    async next(key: string, signal: AbortSignal): Promise<void> {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiters = waiting.get(key) ?? new Set()
      waiting.set(key, waiters.add(resolve))
      const timer = setTimeout(resolve, lookMs)
      const abort = () => reject(signal.reason)
      signal.addEventListener("abort", abort, { once: true })
      try {
        await promise
      } finally {
        clearTimeout(timer)
        signal.removeEventListener("abort", abort)
        waiters.delete(resolve)
        if (waiters.size === 0) waiting.delete(key)
      }
    },
  }
}
