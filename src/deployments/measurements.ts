/** What a revision has done and how fast, over its last answers; nothing of it is stored. */
import type { Percentiles } from "../contract/plugins.ts"

const KEPT = 1_024

export class Measurements {
  readonly #latencies = new Samples()
  readonly #queueDelays = new Samples()
  requests = 0
  /** However they failed: a client that went away counts. */
  errors = 0
  /** Failed by the plugin or its worker: it raised, died or was late. */
  faults = 0
  /** Workers that died, and starts that failed. */
  restarts = 0
  /** Unix milliseconds. */
  #lastAnswer: number | null = null
  /** A worker died, hung or did not start, and no other has come up since. */
  failing = false

  get lastAnswerAt(): Date | null {
    return this.#lastAnswer === null ? null : new Date(this.#lastAnswer)
  }

  /** Milliseconds from a request's arrival until a worker had it. */
  begun(milliseconds: number): void {
    this.#queueDelays.add(milliseconds)
  }

  /** Milliseconds from a request's arrival to its end. An exception that the handler raises is the answer of a worker that works. */
  ended(milliseconds: number, outcome: "answered" | "raised" | "lost" | "refused"): void {
    this.#latencies.add(milliseconds)
    if (outcome === "answered") this.#lastAnswer = Date.now()
    else this.errors += 1
    if (outcome === "raised" || outcome === "lost") this.faults += 1
    if (outcome !== "refused") this.failing = outcome === "lost"
  }

  /** A worker has its handler: whether that works, the next request tells. */
  constructed(): void {
    if (this.failing) this.#lastAnswer = null
    this.failing = false
  }

  restarted(): void {
    this.restarts += 1
    this.failing = true
  }

  /** Of the last 1,024 requests, in milliseconds; null before there was one. */
  latency(): Percentiles | null {
    return this.#latencies.percentiles()
  }

  queueDelay(): Percentiles | null {
    return this.#queueDelays.percentiles()
  }
}

class Samples {
  readonly #values = new Float64Array(KEPT)
  #count = 0

  add(value: number): void {
    this.#values[this.#count % KEPT] = value
    this.#count += 1
  }

  percentiles(): Percentiles | null {
    const count = Math.min(this.#count, KEPT)
    if (count === 0) return null
    const sorted = this.#values.slice(0, count).sort()
    const at = (share: number) =>
      Math.round((sorted[Math.min(count - 1, Math.floor(count * share))] ?? 0) * 1000) / 1000
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}
