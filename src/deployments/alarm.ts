/**
 * A timer that is put off again and again, as by every request: a timer of the system is set only when there is none, or one too late.
 * It rings once for each time that it was set.
 */
export class Alarm {
  readonly #ring: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When the system's timer goes off, and when it should ring; on the clock of performance.now(). */
  #set = Number.POSITIVE_INFINITY
  #wanted = Number.POSITIVE_INFINITY

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Replaces what it was set to. */
  setFor(at: number): void {
    this.#wanted = at
    if (at < this.#set) this.#wait(at)
  }

  /** It does not ring; what is left of it holds nothing up. */
  clear(): void {
    this.#wanted = Number.POSITIVE_INFINITY
    this.#set = Number.POSITIVE_INFINITY
    clearTimeout(this.#timer)
  }

  #wait(at: number): void {
    clearTimeout(this.#timer)
    this.#set = at
    this.#timer = setTimeout(() => this.#gone(), Math.max(0, at - performance.now()))
  }

  #gone(): void {
    const now = performance.now()
    this.#set = Number.POSITIVE_INFINITY
    if (this.#wanted > now) {
      if (this.#wanted < Number.POSITIVE_INFINITY) this.#wait(this.#wanted)
      return
    }
    this.#wanted = Number.POSITIVE_INFINITY
    this.#ring()
  }
}
