/** One request to a revision, from its arrival to its one end: answered, raised, lost with its worker, or refused. */
import { ApplianceError } from "../errors.ts"
import type { WorkerFailure } from "../workers/protocol.ts"
import type { WorkerExit } from "../workers/worker-died.ts"
import type { Place } from "./in-order.ts"

export interface CallHolder {
  /**
   * Nobody waits for it any more. It had not begun (`waiting`), or it has: then the worker is told to give it up (`canceled`), or ends
   * it in its own time (`executed`).
   */
  forget(call: Call): "waiting" | "canceled" | "executed"
}

export type CallOutcome = "answered" | "raised" | "lost" | "refused"

/** Where it waits first, and who is told how it went. */
export interface CallOwner extends CallHolder {
  /** Why no worker came up lately; null while they do. */
  readonly problem: string | null
  /** A worker has it, so many milliseconds after its arrival. */
  given(milliseconds: number): void
  /** The error is null for one that was answered. `at`, on the clock of performance.now(), is now. */
  ended(call: Call, outcome: CallOutcome, error: Error | null, at: number): void
}

export interface CallOptions {
  readonly deadlineMs: number
  /** Of who asks; none for our own. */
  readonly requestId?: string
  /** Aborts when they go away; asked for when the call takes a while. */
  readonly signal?: () => AbortSignal
  /** Of a streamed answer. May throw the reason why no more are taken: the call ends with it. */
  readonly onPiece: (body: Uint8Array) => void
}

/**
 * How it ended, told once: the handler's answer as bytes of JSON, empty after the last piece of a streamed one, or why there is none.
 * Not a promise: each costs a request that is answered at once about a hundredth of its time.
 */
export type CallEnd = (error: Error | null, body: Uint8Array) => void

const EMPTY: Uint8Array = new Uint8Array(0)

/** Of a call that is late while it is executed. */
export const tooLong = (deadlineMs: number): string =>
  `'predict' did not finish within the request's deadline of ${deadlineMs / 1000} s (MIXPEEK_REQUEST_DEADLINE_SECONDS)`

export class Call {
  /** Who has it: the revision where it waits, or the replica that it was given to. */
  holder: CallHolder
  /** Among those whose deadline is waited for. */
  place: Place<Call> | null = null
  /** X-Request-Id of who asked; null for our own. */
  readonly requestId: string | null
  readonly body: Uint8Array
  /** Milliseconds from its arrival to the deadline. */
  readonly deadlineMs: number
  /** On the clock of performance.now(). */
  readonly deadline: number
  /** On that clock too; 0 before. */
  givenAt = 0
  /** On that clock too. */
  readonly arrived = performance.now()
  #owner: CallOwner
  readonly #end: CallEnd
  readonly #options: CallOptions
  #over = false
  #watched: boolean

  constructor(owner: CallOwner, body: Uint8Array, options: CallOptions, end: CallEnd) {
    this.#end = end
    this.holder = owner
    this.#owner = owner
    this.body = body
    this.#options = options
    this.requestId = options.requestId ?? null
    this.deadlineMs = options.deadlineMs
    this.deadline = this.arrived + options.deadlineMs
    this.#watched = options.signal === undefined
  }

  /** Nobody waits for it any more. */
  get abandoned(): boolean {
    return this.#over
  }

  /** Another waits with it from now on, and is told how it went. */
  moveTo(owner: CallOwner): void {
    this.#owner = owner
    this.holder = owner
  }

  /** To a worker, now. */
  given(at: number): void {
    this.givenAt = at
    this.#owner.given(this.givenAt - this.arrived)
  }

  /** Now. */
  answered(body: Uint8Array, at: number): void {
    this.#settle("answered", null, body, at)
  }

  piece(body: Uint8Array): void {
    if (this.#over) return
    try {
      this.#options.onPiece(body)
    } catch (error) {
      this.holder.forget(this)
      this.#settle("refused", error instanceof Error ? error : new Error(String(error)))
    }
  }

  failed(failure: WorkerFailure): void {
    this.#settle("raised", handlerFailed(failure))
  }

  /** Its worker died while it was executed. */
  lost(exit: WorkerExit): void {
    this.#settle("lost", workerLost(exit))
  }

  /** Nobody will execute it. */
  refused(error: ApplianceError): void {
    this.#settle("refused", error)
  }

  /** Its deadline is now. One that is executed and cannot be given up ends with its worker, which tells why. */
  late(): void {
    const found = this.holder.forget(this)
    if (found === "waiting") this.tooLate()
    if (found === "canceled") this.#settle("raised", new ApplianceError("TimeoutError", tooLong(this.deadlineMs)))
  }

  /** Nobody was free before its deadline. */
  tooLate(): void {
    const { problem } = this.#owner
    const why = problem === null ? "." : `; the last one did not start: ${problem}`
    this.refused(
      new ApplianceError("TimeoutError", `No worker was free within the request's ${this.deadlineMs} ms${why}`),
    )
  }

  /** Nobody asked who could go away, or it ends when they do. */
  get watched(): boolean {
    return this.#watched
  }

  /** See Departures. */
  watch(): void {
    if (this.#watched) return
    this.#watched = true
    const signal = this.#options.signal?.()
    // Not taken off again, which costs as much as a timer: the signal goes with its request.
    signal?.addEventListener("abort", () => this.abort(), { once: true })
    if (signal?.aborted) this.abort()
  }

  /** Who asked went away. */
  abort(): void {
    if (this.#over) return
    this.holder.forget(this)
    this.#settle("refused", new ApplianceError("BadRequestError", "The caller went away."))
  }

  #settle(outcome: CallOutcome, error: Error | null, body = EMPTY, at = performance.now()): void {
    if (this.#over) return
    this.#over = true
    this.#owner.ended(this, outcome, error, at)
    this.#end(error, body)
  }
}

function handlerFailed({ exception, message, traceback, stage }: WorkerFailure): ApplianceError {
  return new ApplianceError("ProcessingError", `${exception}: ${message}`, {
    details: { exception, stage, ...(traceback === "" ? {} : { traceback }) },
  })
}

function workerLost(exit: WorkerExit): ApplianceError {
  if (exit.reason === "deadline") return new ApplianceError("TimeoutError", exit.message)
  return new ApplianceError("BadGatewayError", `The worker died while it executed this request: ${exit.message}`, {
    details: { reason: exit.reason, signal: exit.signal, code: exit.code },
  })
}
