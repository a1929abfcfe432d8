/**
 * A revision in the shadow of another: it gets copies of what the other is asked, after the caller has its answer, and nobody
 * gets its own. What differs is counted here, and told before anybody decides on the flip.
 */
import type { ShadowReport } from "../contract/plugins.ts"
import type { RunningRevision } from "./revision.ts"

/** Copies under way at once; what comes beyond is not copied: the shadow must not fall behind, nor take the machine. */
const MOST_AT_ONCE = 8
const MAX_FIELDS = 100
const EXAMPLES = 3
const EXAMPLE_LENGTH = 200
/** Answers name their fields as they like: longer ones are not told of. */
const MAX_NAME_LENGTH = 200
const MAX_FAILURE_LENGTH = 1_000
/** Numbers this near, relative to the larger one, are the same number computed in another order. */
const SAME = 1e-6

interface Field {
  compared: number
  only_before: number
  only_after: number
  changed: number
  examples: { before: string; after: string }[]
  /** Of arrays of numbers. */
  distances: { count: number; sum: number; most: number }
}

export class Shadow {
  #before: RunningRevision
  readonly #after: RunningRevision
  readonly #deadlineMs: number
  readonly #fields = new Map<string, Field>()
  readonly #since: Date
  #underway = 0
  #requests = 0
  #compared = 0
  #skipped = 0
  #failed = 0
  #lastFailure: string | null = null

  constructor(before: RunningRevision, after: RunningRevision, deadlineMs: number, since: Date) {
    this.#before = before
    this.#after = after
    this.#deadlineMs = deadlineMs
    this.#since = since
  }

  /** The revision whose requests are copied. */
  get before(): RunningRevision {
    return this.#before
  }

  /** What was asked is replaced by another revision. */
  follow(before: RunningRevision): void {
    this.#before = before
  }

  /** `answer` is what the caller got. Never throws, and nobody waits for it. */
  copy(body: Uint8Array, answer: Uint8Array): void {
    this.#requests += 1
    if (this.#underway >= MOST_AT_ONCE) {
      this.#skipped += 1
      return
    }
    this.#underway += 1
    let streamed = false
    const onPiece = () => {
      streamed = true
    }
    this.#after
      .call(body, { deadlineMs: this.#deadlineMs, onPiece })
      .then((other) =>
        streamed ? this.#fail("It streams its answer; the one before does not.") : this.#compare(answer, other),
      )
      .catch((error: unknown) => this.#fail(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        this.#underway -= 1
      })
  }

  report(): ShadowReport {
    const fields = [...this.#fields].map(([name, { distances, ...field }]) => ({
      name,
      ...field,
      cosine_distance: distances.count === 0 ? null : { mean: distances.sum / distances.count, max: distances.most },
    }))
    const side = (revision: RunningRevision) => ({
      revision_id: revision.id,
      latency_ms: revision.measured.latency(),
      memory_bytes: revision.memoryBytes,
    })
    return {
      since: this.#since.toISOString(),
      requests: this.#requests,
      compared: this.#compared,
      skipped: this.#skipped,
      failed: this.#failed,
      last_failure: this.#lastFailure,
      fields,
      before: side(this.#before),
      after: side(this.#after),
    }
  }

  #fail(message: string): void {
    this.#failed += 1
    this.#lastFailure = copied(message, MAX_FAILURE_LENGTH)
  }

  #compare(before: Uint8Array, after: Uint8Array): void {
    const [one, other] = [objectOf(before), objectOf(after)]
    this.#compared += 1
    for (const name of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const field = this.#field(name)
      if (field === null) continue
      field.compared += 1
      if (!(name in other)) field.only_before += 1
      else if (!(name in one)) field.only_after += 1
      else differ(field, one[name], other[name])
    }
  }

  #field(name: string): Field | null {
    const known = this.#fields.get(name)
    if (known !== undefined) return known
    if (this.#fields.size >= MAX_FIELDS || name.length > MAX_NAME_LENGTH) return null
    const distances = { count: 0, sum: 0, most: 0 }
    const field: Field = { compared: 0, only_before: 0, only_after: 0, changed: 0, examples: [], distances }
    this.#fields.set(name, field)
    return field
  }
}

function objectOf(bytes: Uint8Array): Record<string, unknown> {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}
}

function differ(field: Field, before: unknown, after: unknown): void {
  if (isVector(before) && isVector(after) && before.length === after.length) {
    const distance = cosineDistance(before, after)
    field.distances.count += 1
    field.distances.sum += distance
    field.distances.most = Math.max(field.distances.most, distance)
    if (before.every((value, index) => near(value, after[index] ?? Number.NaN))) return
  } else if (same(before, after)) return
  field.changed += 1
  if (field.examples.length < EXAMPLES) field.examples.push({ before: shown(before), after: shown(after) })
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 1 && value.every((item) => typeof item === "number")
}

function same(before: unknown, after: unknown): boolean {
  if (typeof before === "number" && typeof after === "number") return near(before, after)
  return Bun.deepEquals(before, after)
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b))
}

/** 1 - cos; 0 for two zero vectors, 1 for one. */
function cosineDistance(a: readonly number[], b: readonly number[]): number {
  let [dot, left, right] = [0, 0, 0]
  for (const [index, x] of a.entries()) {
    const y = b[index] ?? 0
    dot += x * y
    left += x * x
    right += y * y
  }
  if (left === 0 && right === 0) return 0
  return left === 0 || right === 0 ? 1 : Math.max(0, 1 - dot / Math.sqrt(left * right))
}

function shown(value: unknown): string {
  return copied(JSON.stringify(value) ?? "null", EXAMPLE_LENGTH)
}

/** A slice would keep the whole text alive. */
function copied(text: string, length: number): string {
  return Buffer.from(text.slice(0, length)).toString()
}
