interface Waited {
  /** On the clock of performance.now(). */
  readonly arrived: number
  /** Whether `watch` was called. */
  readonly watched: boolean
  /** From now on it ends when who asked goes away, or now if they have. */
  watch(): void
}

/** A caller that went away is noticed that long after its request, and at once from twice that on. */
const UNWATCHED_MS = 10

/**
 * Who asked and went away. Only calls that take a while are watched: to make a request's signal, listen to it and collect both cost
 * 8 of the 50 us of a request that is answered at once. `waited` are all calls that have not ended.
 */
export class Departures {
  readonly #waited: Iterable<Waited>
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(waited: Iterable<Waited>) {
    this.#waited = waited
  }

  /** There is one more call. */
  expect(): void {
    this.#timer ??= setTimeout(() => this.#look(), UNWATCHED_MS)
  }

  #look(): void {
    this.#timer = null
    const before = performance.now() - UNWATCHED_MS
    for (const call of this.#waited) {
      if (call.watched) continue
      if (call.arrived <= before) call.watch()
      else this.expect()
    }
  }
}
