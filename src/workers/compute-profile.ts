/** What a manifest's `compute_profile` asks for. The worker that read it has checked it; it is still what an author wrote. */

type Profile = Readonly<Record<string, unknown>> | null

const GIBIBYTE = 1024 ** 3
/** As in `python/plugin_worker/limits.py`. */
const MOST_CALLS = 256
const GPU_BATCH_ROWS = 8
const SLICE_ROWS = 16_384
/** Of the threads that a worker may have, the part that calls a processor: what it starts itself needs some as well. */
const CALLING_PART = 4
/** Of the silence that ends a worker. */
const CALL_PART = 0.75

/** Calls of its processors that a run may have under way at once, in all of its workers; null: it does not say. */
export function maxConcurrency(profile: Profile): number | null {
  const value = profile?.max_concurrency
  return typeof value === "number" && Number.isInteger(value) && value >= 1 ? Math.min(value, MOST_CALLS) : null
}

/** Rows that the plugin says it works on together: those of a call, or of the calls that it has under way. */
export function rowsAtOnce(profile: Profile): number {
  const value = profile?.batch_size
  const declared =
    typeof value === "number" && Number.isInteger(value) && value >= 1 ? Math.min(value, SLICE_ROWS) : null
  const ofCall = declared ?? (profile?.resource_type === "gpu" ? GPU_BATCH_ROWS : 1)
  return Math.max(ofCall, maxConcurrency(profile) ?? 1)
}

/** Of a run's concurrent calls, what one of `workers` workers may have, whose number is no greater. */
export function shareOf(concurrency: number, workers: number): number {
  return Math.max(1, Math.floor(concurrency / Math.max(1, Math.min(workers, concurrency))))
}

/** That a call which is awaited may take: it fails alone, before its worker is ended for its silence. */
export function callSeconds(silenceMs: number): number {
  return (silenceMs * CALL_PART) / 1000
}

/** Memory of one worker in bytes; null: it does not say. */
export function actorMemoryBytes(profile: Profile): number | null {
  const value = profile?.actor_memory_gb
  return typeof value === "number" && value > 0 ? Math.floor(value * GIBIBYTE) : null
}

/** Calls of processors without `async` that one worker may have under way, where it may have so many threads. */
export function callThreads(threads: number): number {
  return Math.max(1, Math.floor(threads / CALLING_PART))
}
