/**
 * Keeps the server's memory from following the load. The engine collects when its heap has grown by a share of itself,
 * and does not count what rows and bodies hold outside of it: a batch of 100,000 rows peaked at 1.8 times one of 10,000.
 * So: when resident memory has risen by STEP_BYTES since the last collection, collect (0.5 ms at this heap's size), and no more
 * often than costs a twentieth of the time: thousands of realtime requests a second raise it as fast as it is collected.
 */
const STEP_BYTES = 6 * 1024 * 1024
const BUSY_MS = 10
/** A collection that took longer is left to the engine's own thread, which frees less. */
const LONGEST_PAUSE_MS = 5
const TRY_AGAIN_MS = 10_000
/** So many times as long as a collection took is none after it. */
const REST = 20
/** An idle server looks this often; what a burst leaves in that time is the most that goes unnoticed. */
const IDLE_MS = 80

export function memoryValve(): Disposable {
  let floor = process.memoryUsage.rss()
  let last = floor
  let delay = BUSY_MS
  let restUntil = 0
  let pause = 0
  let tryAgain = 0
  let timer = setTimeout(look, delay)

  function look(): void {
    const resident = process.memoryUsage.rss()
    floor = Math.min(floor, resident)
    const at = performance.now()
    if (resident - floor >= STEP_BYTES && at >= restUntil) {
      // Under thousands of realtime requests a second the heap is large, and everybody would wait while it is collected.
      const waiting = pause < LONGEST_PAUSE_MS || at >= tryAgain
      Bun.gc(waiting)
      const collected = performance.now()
      if (waiting) {
        pause = collected - at
        tryAgain = collected + TRY_AGAIN_MS
      }
      restUntil = collected + REST * (collected - at)
      floor = process.memoryUsage.rss()
    }
    delay = resident === last ? Math.min(delay * 2, IDLE_MS) : BUSY_MS
    last = resident
    timer = setTimeout(look, delay)
  }

  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
