/**
 * One worker of a revision and the calls it has been given. It begins them in order: one at a time; several that it says have begun
 * together (a batch, or calls that take well under a millisecond); or one after another while those before await something, where the
 * handler is `async def`. What has not begun when it dies is handed back and goes to another.
 */
import { ANSWER_FRAME, BEGUN_FRAME, FAILED_FRAME, PIECE_FRAME } from "../frames.ts"
import { ProtocolBreach, WorkerFailure } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import type { WorkerExit } from "../workers/worker-died.ts"
import { Alarm } from "./alarm.ts"
import { type Call, type CallHolder, tooLong } from "./call.ts"
import { GivenCalls } from "./given-calls.ts"
import { NewestRequests } from "./newest-requests.ts"

export interface ReplicaEvents {
  /** There is room for another call, now. */
  free(at: number): void
  /** The worker is gone, and `lost` with it; `waiting` had not begun. */
  gone(exit: WorkerExit, lost: readonly Call[], waiting: readonly Call[]): void
}

/** With one call executed and one behind it the worker is never idle between two. */
const IN_FLIGHT = 2
/** Of calls so quick that it begins many at once: as many again wait behind them. */
const MOST_IN_FLIGHT = 64
/** A call that came to its turn late is executed so long at least: a worker that is only busy is not ended for it. In milliseconds. */
const LEAST_EXECUTION_MS = 1_000
/** For a call that was told to give up, before its worker is ended with all others that it executes. */
const CANCEL_MS = 1_000

/** What a worker says of its handler. */
interface Abilities {
  readonly batches: boolean
  readonly overlaps: boolean
  readonly maxBatch: number
}

export class Replica implements CallHolder {
  readonly #calls = new GivenCalls()
  readonly #requests = new NewestRequests()
  readonly #events: ReplicaEvents
  /** Its handler works; called once. */
  onFirstAnswer: (() => void) | null = null
  #worker: Worker | null = null
  #room = IN_FLIGHT
  #batches = false
  #overlaps = false
  /** Ids of what has begun and awaits something, where calls overlap. The first that is not among them may have begun too. */
  readonly #awaiting = new Set<number>()
  /** How many of the oldest calls it said it executes now; without a word, one. */
  #begun = 0
  #ended = 0
  #oldest: Call | undefined
  /** When the oldest came to its turn. */
  #turn = 0
  readonly #alarm = new Alarm(() => this.#watch())

  constructor(events: ReplicaEvents) {
    this.#events = events
  }

  /** Handed to the worker at its start, before there is one here. */
  readonly onCallFrame = (id: number, kind: number, payload: Uint8Array): void => {
    if (kind === BEGUN_FRAME) {
      this.#begin(payload)
      return
    }
    const call = this.#calls.get(id)
    if (call === undefined) throw new ProtocolBreach("a frame of a call answers none")
    if (kind === PIECE_FRAME) {
      call.piece(payload)
      return
    }
    const now = performance.now()
    if (kind === ANSWER_FRAME) {
      call.answered(payload, now)
      this.onFirstAnswer?.()
      this.onFirstAnswer = null
    } else if (kind === FAILED_FRAME) call.failed(failureOf(payload))
    else throw new ProtocolBreach(`a frame is of unknown kind ${kind}`)
    this.#calls.delete(id)
    this.#ended += 1
    this.#awaiting.delete(id)
    if (this.#begun > 0) this.#begun -= 1
    else if (!this.#batches && !this.#overlaps) this.#room = IN_FLIGHT
    // What a worker may use is counted for each call, though it is never idle between two.
    this.#worker?.begin()
    this.#nextTurn(now)
    this.#events.free(now)
  }

  /** From now on it takes calls: the handler was constructed. */
  serve(worker: Worker, { batches, overlaps, maxBatch }: Abilities): void {
    this.#worker = worker
    this.#overlaps = overlaps
    this.#batches = batches
    this.#room = batches ? 2 * maxBatch : IN_FLIGHT
    void worker.exited.then((exit) => this.#end(exit))
  }

  get worker(): Worker | null {
    return this.#worker
  }

  /** Calls that it answered, one way or the other. */
  get ended(): number {
    return this.#ended
  }

  get inFlight(): number {
    return this.#calls.size
  }

  requestOf(call: number | null): string | null {
    return call === null ? null : this.#requests.get(call)
  }

  forget(call: Call): "waiting" | "canceled" | "executed" {
    const executed = this.#executed().includes(call)
    if (!this.#overlaps) return executed ? "executed" : "waiting"
    // One that waits in the worker would begin all the same, and nobody would end it.
    for (const given of this.#calls) if (given.call === call) this.#worker?.cancel(given.id)
    return executed ? "canceled" : "waiting"
  }

  /** What its death takes with it. */
  #executed(): Call[] {
    if (this.#overlaps) {
      const entries = [...this.#calls]
      const next = entries.find(({ id }) => !this.#awaiting.has(id))
      return entries.filter((given) => given === next || this.#awaiting.has(given.id)).map(({ call }) => call)
    }
    // Without a word the oldest is the one that is executed; a handler that batches says so of every one.
    return this.#all().slice(0, this.#batches ? this.#begun : Math.max(1, this.#begun))
  }

  #all(): Call[] {
    return [...this.#calls].map(({ call }) => call)
  }

  get room(): number {
    return this.#worker?.alive === true ? this.#room - this.#calls.size : 0
  }

  /** Now. */
  give(call: Call, at: number): void {
    if (this.#worker === null) throw new Error("the replica has no worker yet")
    call.given(at)
    call.holder = this
    const idle = this.#calls.size === 0
    if (idle) this.#worker.begin()
    const id = this.#worker.call(call.body, idle)
    this.#calls.add(id, call)
    if (idle) this.#nextTurn(at)
    if (call.requestId !== null) this.#requests.add(id, call.requestId)
  }

  #begin(payload: Uint8Array): void {
    const count = payload.byteLength === 4 ? new DataView(payload.buffer, payload.byteOffset).getUint32(0, true) : 0
    if (count < 1 || count > this.#calls.size) throw new ProtocolBreach("it began calls that it has not")
    if (this.#overlaps) {
      this.#beginMore(count)
      return
    }
    if (this.#begun > 0) throw new ProtocolBreach("it began calls while others were executed")
    this.#begun = count
    if (this.#batches) return
    // It takes as many as it can end in about a millisecond: all there were, so it may have more.
    const most = count === this.#calls.size ? 2 * this.#room : 2 * count
    this.#room = Math.min(MOST_IN_FLIGHT, Math.max(IN_FLIGHT, most))
  }

  /** The next ones await something, and one more has been taken: with few that wait behind it, it may have more. */
  #beginMore(count: number): void {
    const next = [...this.#calls].map(({ id }) => id).filter((id) => !this.#awaiting.has(id))
    if (count > next.length) throw new ProtocolBreach("it began calls that it has not")
    for (const id of next.slice(0, count)) this.#awaiting.add(id)
    if (2 * this.#awaiting.size >= this.#room) this.#room = Math.min(MOST_IN_FLIGHT, 2 * this.#room)
    this.#events.free(performance.now())
  }

  /** Another call may be the oldest. */
  #nextTurn(at: number): void {
    const { oldest } = this.#calls
    if (oldest !== undefined && oldest === this.#oldest) return
    this.#oldest = oldest
    this.#turn = at
    this.#watch(at)
  }

  /**
   * When the oldest call is late it ends the worker: there is no other way to stop plugin code. One that nobody waits for any more gets
   * as long as any other.
   */
  #watch(at = performance.now()): void {
    const { oldest } = this.#calls
    if (oldest === undefined) {
      this.#alarm.setFor(Number.POSITIVE_INFINITY)
      return
    }
    const limit = this.#overlaps ? givenUp(oldest) : this.#executedUntil(oldest)
    if (limit > at) this.#alarm.setFor(limit)
    else this.#worker?.fail("deadline", tooLong(oldest.deadlineMs))
  }

  #executedUntil(call: Call): number {
    const least = call.abandoned ? call.deadlineMs : Math.min(LEAST_EXECUTION_MS, call.deadlineMs)
    return Math.max(call.deadline, this.#turn + least)
  }

  #end(exit: WorkerExit): void {
    this.#alarm.clear()
    const executed = this.#executed()
    const waiting = this.#all().filter((call) => !executed.includes(call))
    this.#calls.clear()
    for (const call of executed) call.lost(exit)
    this.#events.gone(exit, executed, waiting)
  }
}

/** Whether it was late or its client went away: it was told to give up by then. Others that overlap do not put that off. */
function givenUp(call: Call): number {
  return Math.max(call.deadline, call.givenAt + Math.min(LEAST_EXECUTION_MS, call.deadlineMs)) + CANCEL_MS
}

function failureOf(payload: Uint8Array): WorkerFailure {
  try {
    return WorkerFailure.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)))
  } catch (cause) {
    throw new ProtocolBreach("the failure of a call is not what it must be", { cause })
  }
}
