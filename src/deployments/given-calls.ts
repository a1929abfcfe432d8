import type { Call } from "./call.ts"

interface Given {
  readonly id: number
  readonly call: Call
  before: Given | null
  after: Given | null
}

/**
 * Calls that a worker has, by their ids and in the order in which it was given them. A Map alone knows the order too, but steps over
 * what was deleted before its first entry each time that it is asked for it.
 */
export class GivenCalls {
  readonly #byId = new Map<number, Given>()
  #first: Given | null = null
  #last: Given | null = null

  get size(): number {
    return this.#byId.size
  }

  get oldest(): Call | undefined {
    return this.#first?.call
  }

  get(id: number): Call | undefined {
    return this.#byId.get(id)?.call
  }

  add(id: number, call: Call): void {
    const given: Given = { id, call, before: this.#last, after: null }
    if (this.#last === null) this.#first = given
    else this.#last.after = given
    this.#last = given
    this.#byId.set(id, given)
  }

  delete(id: number): void {
    const given = this.#byId.get(id)
    if (given === undefined) return
    this.#byId.delete(id)
    const { before, after } = given
    if (before === null) this.#first = after
    else before.after = after
    if (after === null) this.#last = before
    else after.before = before
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<readonly [id: number, call: Call]> {
    for (let given = this.#first; given !== null; given = given.after) yield [given.id, given.call]
  }

  clear(): void {
    this.#byId.clear()
    this.#first = null
    this.#last = null
  }
}
