/**
 * Slots and the work that fills them. Work is pulled, never pushed: `next` leases it from the ledger, so that what waits lives
 * in the database and a kill loses nothing. A job holds a slot only while a worker computes for it; one job more than there
 * are slots is under way, so that the rows of one are written and the output of another is taken in beside the workers. Whose
 * worker waits for a service, or who waits for a GPU, leaves the processors to others: they have slots of other kinds, of which there are as
 * many, and are not counted.
 */
import type { Log } from "../log.ts"

export interface Job {
  /** For the log only. */
  readonly name: string
  run(signal: AbortSignal, slot: TakeSlot): Promise<void>
  /** The run threw: an unexpected fault, logged already. */
  failed(error: unknown): void
}

/** For who computes, who calls services, and who wants a GPU behind what it has computed already; the last one computes with another. */
export type SlotKind = "cpu" | "api" | "gpu"
/** Waits for a slot, in the order of asking, and has it until it is disposed. @throws the signal's reason */
export type TakeSlot = (signal: AbortSignal, kind?: SlotKind) => Promise<Disposable>

/** Jobs under way beyond the slots. One keeps two cores busy; each has a partition's rows on the disk. */
const AHEAD = 1
/** Nobody else would wake the slots again: the ledger could not be asked (a full disk), or who goes first may be done. */
const RETRY_MS = 1000

interface Deps {
  /** Of each kind. */
  slots: number
  /** Of those that compute, how many somebody uses who goes first. One always remains: work is never put off for good. */
  taken: () => number
  /** Leases the next job, or null when nothing waits. Synchronous: two slots never get the same job. */
  next: () => Job | null
  log: Log
  retryMs?: number
}

export function scheduler({ slots, taken, next, log, retryMs = RETRY_MS }: Deps) {
  const stopping = new AbortController()
  let later: ReturnType<typeof setTimeout> | undefined
  const running = new Map<string, { done: Promise<void>; abort: AbortController }>()
  const held = { cpu: 0, api: 0, gpu: 0 }
  const asking = { cpu: new Set<() => void>(), api: new Set<() => void>(), gpu: new Set<() => void>() }

  const lease = (): Job | null => {
    try {
      return next()
    } catch (error) {
      log.error({ event: "lease_failed", err: error }, "no job could be leased; it is tried again")
      fillLater()
      return null
    }
  }

  const fillLater = () => {
    clearTimeout(later)
    later = setTimeout(fill, retryMs)
  }

  const free = () => Math.max(1, slots - taken())
  const counted = () => running.size - held.api - held.gpu

  const grant = (kind: SlotKind) => {
    for (const granted of asking[kind]) {
      if (held[kind] >= slots) return
      if (kind === "cpu" && held.cpu >= free()) return fillLater()
      asking[kind].delete(granted)
      held[kind] += 1
      granted()
    }
  }

  const takeSlot: TakeSlot = async (signal, kind = "cpu") => {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const give = () => {
      if (asking[kind].delete(resolve)) reject(signal.reason)
    }
    signal.addEventListener("abort", give, { once: true })
    asking[kind].add(resolve)
    grant(kind)
    await promise.finally(() => signal.removeEventListener("abort", give))
    if (kind !== "cpu") queueMicrotask(fill)
    return {
      [Symbol.dispose]() {
        held[kind] -= 1
        grant(kind)
      },
    }
  }

  const fill = () => {
    grant("cpu")
    while (!stopping.signal.aborted && counted() < slots + AHEAD) {
      if (counted() >= free() + AHEAD) return fillLater()
      const job = lease()
      if (job === null) return
      const abort = new AbortController()
      const done = job
        .run(AbortSignal.any([abort.signal, stopping.signal]), takeSlot)
        .catch((error: unknown) => {
          log.error({ event: "job_failed", job: job.name, err: error }, "job failed")
          job.failed(error)
        })
        .finally(() => {
          running.delete(job.name)
          queueMicrotask(fill)
        })
      running.set(job.name, { done, abort })
    }
  }

  return {
    /** Something may wait now. */
    wake: () => queueMicrotask(fill),
    /** Ends the jobs whose name passes; their run sees its signal aborted. */
    abort(matching: (name: string) => boolean): void {
      for (const [name, { abort }] of running) if (matching(name)) abort.abort()
    },
    get busy() {
      return running.size
    },
    /** Takes no new work, ends what runs, and waits for it. */
    async [Symbol.asyncDispose]() {
      stopping.abort()
      clearTimeout(later)
      await Promise.allSettled([...running.values()].map(({ done }) => done))
    },
  }
}
