/**
 * Partitions that want a GPU while another one of the same key has one: they are given its worker, with its model loaded, when it
 * comes back. One that waited for the device alone would make that worker end the moment it rests.
 */
import { GpuBusy } from "../scheduler/gpu-leases.ts"
import type { WorkerPermit } from "../workers/pool.ts"

/** `lookMs`: who waits looks again after that time, since room may come from elsewhere. */
export function gpuTurns(lookMs: number) {
  const lent = new Map<string, number>()
  /** Keys that were refused a device while they had one. */
  const crowded = new Set<string>()
  const waiting = new Map<string, Set<() => void>>()

  /** Until it is disposed, `wake` is called when a worker of the key has come back. */
  const listen = (key: string, wake: () => void): Disposable => {
    const waiters = waiting.get(key) ?? new Set()
    waiting.set(key, waiters.add(wake))
    return {
      [Symbol.dispose]() {
        waiters.delete(wake)
        if (waiters.size === 0 && waiting.get(key) === waiters) waiting.delete(key)
      },
    }
  }

  const back = (key: string) => {
    const left = (lent.get(key) ?? 1) - 1
    if (left === 0) lent.delete(key)
    else lent.set(key, left)
    for (const wake of [...(waiting.get(key) ?? [])]) wake()
  }

  /** Null: one of its own has come back meanwhile. */
  async function asked<Permit>(key: string, lend: (giveWay: AbortSignal) => Promise<Permit>): Promise<Permit | null> {
    const giveWay = new AbortController()
    using _ = listen(key, () => giveWay.abort(new GpuBusy("A worker of its own has come back.")))
    try {
      return await lend(giveWay.signal)
    } catch (error) {
      if (giveWay.signal.aborted && error === giveWay.signal.reason) return null
      if (error instanceof GpuBusy) crowded.add(key)
      throw error
    }
  }

  return {
    /**
     * `lend` gives a worker that rests or a new one; with its signal's reason it ends its wait for a device.
     * @throws GpuBusy, also without asking; or what `lend` throws
     */
    async take<Permit extends WorkerPermit>(
      key: string,
      lend: (giveWay: AbortSignal) => Promise<Permit>,
    ): Promise<Permit> {
      let permit: Permit | null = null
      while (permit === null) {
        if (crowded.has(key) && lent.has(key)) throw new GpuBusy("Its GPU is at work on another partition.")
        permit = await asked(key, lend)
      }
      const own = permit
      crowded.delete(key)
      lent.set(key, (lent.get(key) ?? 0) + 1)
      let open = true
      return {
        ...own,
        [Symbol.dispose]() {
          own[Symbol.dispose]()
          if (open) back(key)
          open = false
        },
      }
    },

    /** Resolves when a worker of the key has come back, or after a while. @throws the signal's reason */
    async next(key: string, signal: AbortSignal): Promise<void> {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      using _ = listen(key, resolve)
      const timer = setTimeout(resolve, lookMs)
      const abort = () => reject(signal.reason)
      signal.addEventListener("abort", abort, { once: true })
      try {
        await promise
      } finally {
        clearTimeout(timer)
        signal.removeEventListener("abort", abort)
      }
    },
  }
}
