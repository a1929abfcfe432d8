/** What a revision has done and how fast, over its last answers; nothing of it is stored. */
const KEPT = 1_024

export class Measurements {
  readonly #latencies = new Float64Array(KEPT)
  #answers = 0
  requests = 0
  errors = 0
  restarts = 0
  lastAnswerAt: Date | null = null

  /** Milliseconds from a request's arrival to its end. */
  ended(milliseconds: number, answered: boolean): void {
    this.#latencies[this.#answers % KEPT] = milliseconds
    this.#answers += 1
    if (answered) this.lastAnswerAt = new Date()
    else this.errors += 1
  }

  /** Of the last 1,024 requests, in milliseconds; null before there was one. */
  latency(): { p50: number; p95: number; p99: number } | null {
    const count = Math.min(this.#answers, KEPT)
    if (count === 0) return null
    const sorted = this.#latencies.slice(0, count).sort()
    const at = (share: number) =>
      Math.round((sorted[Math.min(count - 1, Math.floor(count * share))] ?? 0) * 1000) / 1000
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}
