/**
 * Keeps the server's memory from following the load. The engine collects when its heap has grown by a share of itself,
 * and does not count what rows and bodies hold outside of it: a batch of 100,000 rows peaked at 1.8 times one of 10,000.
 * So: when resident memory has risen by STEP_BYTES since the last collection, collect. Everybody waits meanwhile (some 30 ms), so while
 * realtime requests come it is left to the engine's own thread, and costs no more than a twentieth of the time.
 */
const STEP_BYTES = 6 * 1024 * 1024
const BUSY_MS = 10
/** So many times as long as a collection took is none after it, while realtime requests come. */
const REST = 20
/** A collection that nobody waits for is over when it is over: it takes what the last one took that was waited for, or this before any. */
const USUAL_MS = 30
/** Realtime requests, between two looks, that would feel a pause. */
const FEW_REQUESTS = 2
/** An idle server looks this often; what a burst leaves in that time is the most that goes unnoticed. */
const IDLE_MS = 80

/** `requests` counts realtime requests since the start. */
export function memoryValve(requests: () => number): Disposable {
  let floor = process.memoryUsage.rss()
  let last = floor
  let delay = BUSY_MS
  let restUntil = 0
  let took = USUAL_MS
  let asked = 0
  let timer = setTimeout(look, delay)

  function look(): void {
    const resident = process.memoryUsage.rss()
    floor = Math.min(floor, resident)
    const at = performance.now()
    const counted = requests()
    const quiet = counted - asked < FEW_REQUESTS
    asked = counted
    if (resident - floor >= STEP_BYTES && (quiet || at >= restUntil)) {
      Bun.gc(quiet)
      if (quiet) took = performance.now() - at
      restUntil = at + REST * took
      floor = process.memoryUsage.rss()
    }
    delay = resident === last ? Math.min(delay * 2, IDLE_MS) : BUSY_MS
    last = resident
    timer = setTimeout(look, delay)
  }

  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
