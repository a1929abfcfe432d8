/** A place in a list. */
export interface Place<T> {
  readonly value: T
  before: Place<T> | null
  after: Place<T> | null
}

/**
 * What comes at one end and leaves anywhere, thousands of times a second. Not a Map or a Set: the engine makes a new table of one every
 * hundred such changes, each old table refers to the next, and one that a collection found alive once holds all that ever were in the
 * later ones until the next full collection. Each request then survived, and a collection took 7 times as long.
 */
export class InOrder<T> implements Iterable<T> {
  #first: Place<T> | null = null
  #last: Place<T> | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): Place<T> | null {
    return this.#first
  }

  add(value: T): Place<T> {
    const place: Place<T> = { value, before: this.#last, after: null }
    if (this.#last === null) this.#first = place
    else this.#last.after = place
    this.#last = place
    this.#size += 1
    return place
  }

  /** Once for each place. */
  remove(place: Place<T>): void {
    const { before, after } = place
    if (before === null) this.#first = after
    else before.after = after
    if (after === null) this.#last = before
    else after.before = before
    // It must not hold what came after it either.
    place.before = null
    place.after = null
    this.#size -= 1
  }

  clear(): void {
    for (let place = this.#first; place !== null; place = this.#first) this.remove(place)
  }

  /** What is there now, first things first. */
  [Symbol.iterator](): Iterator<T> {
    const values: T[] = []
    for (let place = this.#first; place !== null; place = place.after) values.push(place.value)
    return values.values()
  }
}
