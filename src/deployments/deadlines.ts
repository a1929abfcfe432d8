import { Alarm } from "./alarm.ts"
import { InOrder, type Place } from "./in-order.ts"

interface Bounded<T> {
  /** On the clock of performance.now(). */
  readonly deadline: number
  /** From its arrival. */
  readonly deadlineMs: number
  /** Among those that are waited for; ours. */
  place: Place<T> | null
  /** Called once, when it is late. */
  late(): void
}

/** Who is late, with one timer for all: those with the same time to their deadline come to it in the order of their arrival. */
export class Deadlines<T extends Bounded<T>> implements Iterable<T> {
  readonly #inOrder = new Map<number, InOrder<T>>()
  readonly #alarm = new Alarm(() => this.#ring())
  #next = Number.POSITIVE_INFINITY

  add(one: T): void {
    let same = this.#inOrder.get(one.deadlineMs)
    if (same === undefined) {
      same = new InOrder()
      this.#inOrder.set(one.deadlineMs, same)
    }
    one.place = same.add(one)
    if (one.deadline < this.#next) this.#expect(one.deadline)
  }

  delete(one: T): void {
    if (one.place === null) return
    this.#inOrder.get(one.deadlineMs)?.remove(one.place)
    one.place = null
  }

  *[Symbol.iterator](): Generator<T> {
    for (const same of this.#inOrder.values()) yield* same
  }

  /** Nobody is told any more. */
  clear(): void {
    for (const one of this) this.delete(one)
    this.#inOrder.clear()
    this.#alarm.clear()
    this.#next = Number.POSITIVE_INFINITY
  }

  #expect(at: number): void {
    this.#next = at
    this.#alarm.setFor(at)
  }

  #ring(): void {
    const now = performance.now()
    this.#next = Number.POSITIVE_INFINITY
    const late: T[] = []
    let next = Number.POSITIVE_INFINITY
    for (const [milliseconds, same] of this.#inOrder) {
      for (const one of same) {
        if (one.deadline > now) {
          next = Math.min(next, one.deadline)
          break
        }
        this.delete(one)
        late.push(one)
      }
      if (same.size === 0) this.#inOrder.delete(milliseconds)
    }
    if (next < Number.POSITIVE_INFINITY) this.#expect(next)
    for (const one of late) one.late()
  }
}
