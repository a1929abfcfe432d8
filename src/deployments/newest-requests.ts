const REMEMBERED = 1_024

/** Requests of the newest calls: what they printed may be read after their answer. Ids of calls are one more each time. */
export class NewestRequests {
  readonly #calls = new Uint32Array(REMEMBERED)
  readonly #requests: (string | null)[] = new Array(REMEMBERED).fill(null)

  add(call: number, requestId: string): void {
    this.#calls[call % REMEMBERED] = call
    this.#requests[call % REMEMBERED] = requestId
  }

  get(call: number): string | null {
    return this.#calls[call % REMEMBERED] === call ? (this.#requests[call % REMEMBERED] ?? null) : null
  }
}
