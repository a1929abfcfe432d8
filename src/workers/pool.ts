/**
 * Workers between uses. A key stands for one namespace, plugin version and code hash, and a worker never serves another:
 * what plugin code left in memory stays with the plugin. How many may run at once is the scheduler's business.
 */
import type { Worker } from "./worker.ts"

export interface WorkerPoolOptions {
  /** Starts a worker for the key; the signal aborts when the pool closes or the one who asked gives up. */
  readonly start: (key: string, signal: AbortSignal) => Promise<Worker>
  /** False: nobody will ask for a worker of the key again, and one that is given back is ended. */
  readonly wanted: (key: string) => boolean
  /** A worker that was idle for longer is ended, in milliseconds. */
  readonly maxIdleMs: number
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number
}

export interface WorkerPermit {
  readonly worker: Worker
  /** Something was wrong with it: it is ended at the brace, never used again. */
  poison(): void
  [Symbol.dispose](): void
}

export interface WorkerPool {
  /**
   * `using permit = await pool.acquire(key, signal)`: an idle worker of the key, or a new one.
   * @throws what `start` throws, the signal's reason, or an Error when the pool is closed
   */
  acquire(key: string, signal?: AbortSignal): Promise<WorkerPermit>
  /** Ends the workers that were idle for longer than `maxIdleMs`, which the pool does by itself too, or those that are meant. */
  endIdle(which?: { longerThanMs?: number; matching?: (key: string) => boolean }): Promise<void>
  /** Ends the idle workers whose keys are not wanted any more. */
  endUnwanted(): Promise<void>
  /** Ends every worker, lent ones too, and resolves when all are gone; nothing can be acquired afterwards. */
  closeAll(): Promise<void>
  readonly idle: number
}

export function workerPool({ start, wanted, maxIdleMs, now }: WorkerPoolOptions): WorkerPool {
  const idle = new Map<string, { worker: Worker; since: number }[]>()
  const lent = new Set<Worker>()
  const underway = new Set<Promise<unknown>>()
  const closing = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined

  const track = <T>(work: Promise<T>): Promise<T> => {
    underway.add(work)
    const done = () => void underway.delete(work)
    work.then(done, done)
    return work
  }
  const end = (worker: Worker) => track(worker.end())

  const takeIdle = (key: string): Worker | null => {
    const resting = idle.get(key) ?? []
    // The one that rested last: the others come to their idle limit and end.
    for (let entry = resting.pop(); entry !== undefined; entry = resting.pop()) {
      if (entry.worker.alive) return entry.worker
    }
    idle.delete(key)
    return null
  }

  const giveBack = (key: string, worker: Worker, poisoned: boolean) => {
    const ends = poisoned || !worker.alive || closing.signal.aborted || !wanted(key)
    lent.delete(worker)
    if (ends) return void end(worker)
    idle.set(key, [...(idle.get(key) ?? []), { worker, since: now() }])
    timer ??= setTimeout(sweep, maxIdleMs)
    return undefined
  }

  const sweep = () => {
    timer = undefined
    void endIdle()
    if (idle.size > 0) timer = setTimeout(sweep, maxIdleMs)
  }

  const endIdle: WorkerPool["endIdle"] = async ({ longerThanMs = maxIdleMs, matching = () => true } = {}) => {
    const ends: Promise<unknown>[] = []
    for (const [key, resting] of idle) {
      if (!matching(key)) continue
      const kept = resting.filter(({ worker, since }) => worker.alive && now() - since < longerThanMs)
      for (const entry of resting) if (!kept.includes(entry)) ends.push(end(entry.worker))
      if (kept.length === 0) idle.delete(key)
      else idle.set(key, kept)
    }
    await Promise.all(ends)
  }

  const permitFor = (key: string, worker: Worker): WorkerPermit => {
    let poisoned = false
    let open = true
    lent.add(worker)
    return {
      worker,
      poison() {
        poisoned = true
      },
      [Symbol.dispose]() {
        if (open) giveBack(key, worker, poisoned)
        open = false
      },
    }
  }

  return {
    async acquire(key, signal) {
      if (closing.signal.aborted) throw new Error("the worker pool is closed")
      signal?.throwIfAborted()
      const resting = takeIdle(key)
      if (resting !== null) return permitFor(key, resting)
      const either = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal])
      const worker = await track(start(key, either))
      if (either.aborted) {
        await end(worker)
        throw either.reason
      }
      return permitFor(key, worker)
    },
    endIdle,
    endUnwanted: () => endIdle({ longerThanMs: 0, matching: (key) => !wanted(key) }),
    async closeAll() {
      closing.abort(new Error("the worker pool is closed"))
      clearTimeout(timer)
      for (const resting of idle.values()) for (const { worker } of resting) end(worker)
      idle.clear()
      for (const worker of lent) end(worker)
      while (underway.size > 0) await Promise.allSettled([...underway])
    },
    get idle() {
      let count = 0
      for (const resting of idle.values()) count += resting.length
      return count
    },
  }
}
