/**
 * Batches as they change, for whoever follows them. Each batch that is followed is looked at twice a second, once for all that follow
 * it; a follower that reads slowly misses states, never the last one, and holds one state at most.
 */
import type { BatchEvent } from "../contract/batches.ts"
import { ApplianceError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import { batchEvent, type LiveProgress } from "./model.ts"
import { isTerminal } from "./states.ts"

const LOOK_MS = 500
/** A connection that is silent for longer would be closed on the way (architecture.md §12). */
const HEARTBEAT_MS = 5_000
/** Of one namespace: each holds a connection. */
const MAX_FOLLOWERS = 64
/** Of all: each batch that is followed is two looks a second, at some 0.2 ms. */
const MAX_FOLLOWERS_TOGETHER = 512
const RETRY_AFTER_SECONDS = 5

/** Null: nothing has changed, the connection lives. */
export type Followed = { readonly event: "progress" | "end"; readonly batch: BatchEvent } | null

interface Deps {
  metadata: Pick<Metadata, "read">
  progress: LiveProgress
  log: Log
}

interface Watch {
  readonly wake: Set<() => void>
  readonly timer: ReturnType<typeof setInterval>
  latest: BatchEvent | null
  version: number
}

export function batchEvents({ metadata, progress, log }: Deps) {
  const watches = new Map<string, Watch>()
  const followers = new Map<string, number>()
  const stopping = new AbortController()

  /** Null when the batch is no more. */
  const look = (batchId: string): BatchEvent | null => {
    const batch = metadata.read.batches.byId(batchId)
    if (batch === undefined) return null
    const { runs, steps } = metadata.read.batches
    return batchEvent({ batch, runs: runs(batchId), steps: steps(batchId), live: progress })
  }

  const watch = (batchId: string): Watch => {
    const known = watches.get(batchId)
    if (known !== undefined) return known
    let written = ""
    const made: Watch = { wake: new Set(), timer: setInterval(() => seeAgain(), LOOK_MS), latest: null, version: 0 }
    const seeAgain = () => {
      try {
        see()
      } catch (error) {
        // It is looked at again in half a second, and followers have heartbeats until then.
        log.warn(
          { event: "batch_not_read", batch_id: batchId, err: error },
          "a batch that is followed could not be read",
        )
      }
    }
    const see = () => {
      const state = look(batchId)
      const text = JSON.stringify(state)
      if (text === written) return
      written = text
      made.latest = state
      made.version += 1
      for (const wake of made.wake) wake()
    }
    see()
    watches.set(batchId, made)
    return made
  }

  /** Until it ends, is deleted, or nobody reads any more: progress, then one `end`. */
  async function* follow(batchId: string, signal: AbortSignal): AsyncGenerator<Followed> {
    const watching = watch(batchId)
    const ended = AbortSignal.any([signal, stopping.signal])
    let wake = () => {}
    const woken = () => wake()
    watching.wake.add(woken)
    ended.addEventListener("abort", woken)
    try {
      let seen = 0
      let last: BatchEvent | null = null
      while (!ended.aborted) {
        if (watching.version === seen) {
          const changed = await new Promise<boolean>((resolve) => {
            const timer = setTimeout(() => resolve(false), HEARTBEAT_MS)
            wake = () => {
              clearTimeout(timer)
              resolve(true)
            }
          })
          wake = () => {}
          if (!changed) yield null
          continue
        }
        seen = watching.version
        const { latest }: Watch = watching
        if (latest !== null) {
          last = latest
          yield { event: "progress", batch: latest }
        }
        if (last !== null && (latest === null || isTerminal(last.status))) {
          yield { event: "end", batch: last }
          return
        }
        if (latest === null) return
      }
    } finally {
      ended.removeEventListener("abort", woken)
      watching.wake.delete(woken)
      if (watching.wake.size === 0) {
        clearInterval(watching.timer)
        watches.delete(batchId)
      }
    }
  }

  return {
    /**
     * Iterate it to its end, or abort the signal. @throws TooManyRequestsError when the namespace follows too many already
     */
    follow(namespaceId: string, batchId: string, signal: AbortSignal): AsyncIterable<Followed> {
      const count = followers.get(namespaceId) ?? 0
      if (count >= MAX_FOLLOWERS) throw tooMany(`The namespace follows ${MAX_FOLLOWERS} batches`, MAX_FOLLOWERS)
      const together = [...followers.values()].reduce((sum, each) => sum + each, 0)
      if (together >= MAX_FOLLOWERS_TOGETHER) {
        throw tooMany(`The appliance has ${MAX_FOLLOWERS_TOGETHER} followers of batches`, MAX_FOLLOWERS_TOGETHER)
      }
      followers.set(namespaceId, count + 1)
      return counted(follow(batchId, signal), () => {
        const left = (followers.get(namespaceId) ?? 1) - 1
        if (left > 0) followers.set(namespaceId, left)
        else followers.delete(namespaceId)
      })
    },

    /** For tests: batches that are looked at. */
    get watched() {
      return watches.size
    },

    /** Ends every stream; those that come later end at once. */
    [Symbol.dispose]: () => stopping.abort(),
  }
}

export type BatchEvents = ReturnType<typeof batchEvents>

function tooMany(what: string, limit: number): ApplianceError {
  return new ApplianceError(
    "TooManyRequestsError",
    `${what} already; close one of these streams, or ask for the batch itself.`,
    {
      details: { limit, retry_after: RETRY_AFTER_SECONDS },
      headers: { "Retry-After": String(RETRY_AFTER_SECONDS) },
    },
  )
}

async function* counted<T>(items: AsyncIterable<T>, done: () => void): AsyncGenerator<T> {
  try {
    yield* items
  } finally {
    done()
  }
}
