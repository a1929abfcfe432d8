import type { Call } from "./call.ts"
import { InOrder, type Place } from "./in-order.ts"

interface Given {
  readonly id: number
  readonly call: Call
}

/** Calls that a worker has, in the order in which it was given them. They are few, and most end in that order. */
export class GivenCalls implements Iterable<Given> {
  readonly #inOrder = new InOrder<Given>()

  get size(): number {
    return this.#inOrder.size
  }

  get oldest(): Call | undefined {
    return this.#inOrder.first?.value.call
  }

  get(id: number): Call | undefined {
    return this.#place(id)?.value.call
  }

  add(id: number, call: Call): void {
    this.#inOrder.add({ id, call })
  }

  delete(id: number): void {
    const place = this.#place(id)
    if (place !== null) this.#inOrder.remove(place)
  }

  clear(): void {
    this.#inOrder.clear()
  }

  /** Oldest first. */
  [Symbol.iterator](): Iterator<Given> {
    return this.#inOrder[Symbol.iterator]()
  }

  #place(id: number): Place<Given> | null {
    let place = this.#inOrder.first
    while (place !== null && place.value.id !== id) place = place.after
    return place
  }
}
