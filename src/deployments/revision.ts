/**
 * A revision that runs: its replicas, the calls that wait for one, and their certain end. Calls wait here, not in the workers,
 * with a deadline each; what a dead worker had not begun waits again, first in line.
 */
import type { DeploymentCondition } from "../contract/plugins.ts"
import { ApplianceError } from "../errors.ts"
import type { Log } from "../log.ts"
import { GpuRefused } from "../scheduler/gpu-leases.ts"
import type { WorkerFailure } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import type { WorkerExit } from "../workers/worker-died.ts"
import { Alarm } from "./alarm.ts"
import { Call, type CallEnd, type CallOptions, type CallOutcome, type CallOwner } from "./call.ts"
import { Deadlines } from "./deadlines.ts"
import { Departures } from "./departures.ts"
import { Measurements } from "./measurements.ts"
import { Replica } from "./replica.ts"

/** More callers than this are told to come back: memory is bounded, and so is what the last of them waits. */
const MAX_WAITING = 1_024
const FIRST_BACKOFF_MS = 100
/** A start that fails again and again is tried this often. */
const MAX_BACKOFF_MS = 60_000
const CONSTRUCT_DEADLINE_MS = 300_000
/** Timers are as exact as this. */
const TIMER_MS = 2

export interface RevisionOptions {
  readonly id: string
  /** JSON schema of a request's inputs, as the manifest has it. */
  readonly inputSchema: unknown
  /** Kept however idle it is; 0: all end after `idleMs`, and the next call starts one. */
  readonly minReplicas: number
  /** Started as calls wait. */
  readonly maxReplicas: number
  readonly idleMs: number
  readonly maxBatch: number
  /** False for one that only asks outside services: it needs no processor of this machine. */
  readonly computes: boolean
  /** False when the GPUs have no room for another of its workers, though those of `without` ended. */
  fits(without: readonly number[]): Promise<boolean>
  /** Starts a worker of this revision's plugin code. @throws WorkerDied, PluginLoadFailed, ApplianceError */
  start(replica: Pick<Replica, "onCallFrame" | "requestOf" | "onFirstAnswer">, signal: AbortSignal): Promise<Worker>
  /** A request failed by the plugin or its worker. */
  onFailure(requestId: string | null, error: ApplianceError): void
  readonly log: Log
}

/** The handler could not be constructed, or its worker did not come up: the rollout fails with this. */
export class RevisionNotStarted extends Error {
  override readonly name = "RevisionNotStarted"
}

export class RunningRevision implements CallOwner {
  readonly id: string
  readonly #options: RevisionOptions
  readonly #replicas = new Set<Replica>()
  readonly #waiting: Call[] = []
  /** `#ending`, as every request asks it. */
  #ended = false
  readonly #ending = new AbortController()
  #held = false
  /** Ends what starts when the revision is held. */
  #starts = new AbortController()
  /** Whoever waits until nothing is counted any more. */
  #quiet: { count: () => number; resolve: () => void } | null = null
  readonly measured = new Measurements()
  problem: string | null = null
  #backoff = FIRST_BACKOFF_MS
  #starting = 0
  readonly #deadlines = new Deadlines<Call>()
  readonly #departures = new Departures(this.#deadlines)
  readonly #idle = new Alarm(() => this.#endIdle())

  constructor(options: RevisionOptions) {
    this.id = options.id
    this.#options = options
  }

  /** Resolves when the first replica has its handler; the others follow. @throws RevisionNotStarted */
  async start(): Promise<void> {
    await this.#startReplica()
    this.revive()
    this.#rest()
  }

  /** As many as are always kept; for what was live before a restart too, whose calls wait for the first of them. */
  revive(): void {
    for (let have = this.#replicas.size + this.#starting; have < this.#options.minReplicas; have++)
      void this.#restart(0)
  }

  /** Of its workers, by what they did and not by whether they are there. */
  get condition(): DeploymentCondition {
    if (this.measured.failing) return "failing"
    if (this.measured.lastAnswerAt === null) return "untried"
    return this.workers.length === 0 ? "resting" : "answering"
  }

  /** False when the GPUs have no room for one of its workers, beside `other` or in its place. */
  fits(other: RunningRevision, where: "beside" | "instead"): Promise<boolean> {
    return this.#options.fits(where === "beside" ? [] : other.workers.map(({ pid }) => pid))
  }

  get inputSchema(): unknown {
    return this.#options.inputSchema
  }

  get inFlight(): number {
    return [...this.#replicas].reduce((sum, replica) => sum + replica.inFlight, this.#waiting.length)
  }

  /** Processors that it uses now: replicas that execute something, if they compute it here. */
  get processors(): number {
    if (!this.#options.computes) return 0
    return [...this.#replicas].filter((replica) => replica.inFlight > 0).length
  }

  get memoryBytes(): number {
    return this.workers.reduce((sum, worker) => sum + worker.memoryBytes(), 0)
  }

  get workers(): Worker[] {
    return [...this.#replicas].flatMap(({ worker }) => (worker?.alive === true ? [worker] : []))
  }

  /**
   * The handler's answer, as bytes of JSON; empty after the last piece of a streamed one.
   * @throws what `ask` ends with
   */
  call(body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.ask(body, options, (error, answer) => (error === null ? resolve(answer) : reject(error)))
    })
  }

  /**
   * `end` is told TooManyRequestsError, TimeoutError, BadGatewayError, ProcessingError, InferenceServiceUnavailableError, or
   * BadRequestError when the signal aborts.
   */
  ask(body: Uint8Array, options: CallOptions, end: CallEnd): void {
    const refusal = this.#refusal()
    if (refusal !== null) {
      end(refusal, body)
      return
    }
    this.measured.requests += 1
    const call = new Call(this, body, options, end)
    this.#deadlines.add(call)
    if (!call.watched) this.#departures.expect()
    this.#waiting.push(call)
    this.#dispatch(call.arrived)
  }

  #refusal(): ApplianceError | null {
    if (this.#ended) return new ApplianceError("InferenceServiceUnavailableError", "The deployment was taken down.")
    if (this.#waiting.length < MAX_WAITING) return null
    return new ApplianceError("TooManyRequestsError", `${MAX_WAITING} requests wait for this deployment already.`, {
      details: { limit: MAX_WAITING, retry_after: 1 },
      headers: { "Retry-After": "1" },
    })
  }

  given(milliseconds: number): void {
    this.measured.begun(milliseconds)
  }

  ended(call: Call, outcome: CallOutcome, error: Error | null, at: number): void {
    this.#deadlines.delete(call)
    this.measured.ended(at - call.arrived, outcome)
    if (error instanceof ApplianceError && (outcome === "raised" || outcome === "lost")) {
      this.#options.onFailure(call.requestId, error)
    }
    this.#rest(at)
    this.#drained()
  }

  /** From now on calls wait, those that are under way end, at most so long; then no worker is left. `resume` takes it back. */
  async hold(deadlineMs: number): Promise<void> {
    this.#held = true
    // One that waits for a GPU would take it from the one that this makes room for.
    this.#starts.abort(new Error("the revision is held"))
    await this.#untilQuiet(() => this.inFlight - this.#waiting.length, deadlineMs)
    const ending = [...this.#replicas]
    this.#replicas.clear()
    await Promise.all(ending.map(({ worker }) => worker?.end()))
  }

  resume(): void {
    this.#held = false
    this.#starts = new AbortController()
    this.revive()
    this.#dispatch()
  }

  /** What waits in `other` waits here from now on, before what does already. */
  takeOver(other: RunningRevision): void {
    const calls = other.#waiting.splice(0).filter((call) => !call.abandoned)
    for (const call of calls) {
      other.#deadlines.delete(call)
      call.moveTo(this)
      this.#deadlines.add(call)
      this.#departures.expect()
    }
    this.#waiting.unshift(...calls)
    this.#dispatch()
  }

  /** Takes what is under way to its end, at most so long, then ends the workers. */
  async drain(deadlineMs: number): Promise<void> {
    if (!this.#held) await this.#untilQuiet(() => this.inFlight, deadlineMs)
    await this.end()
  }

  /** One at a time: what is held is ended, not drained. */
  async #untilQuiet(count: () => number, deadlineMs: number): Promise<void> {
    if (count() === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#quiet = { count, resolve }
    const timer = setTimeout(resolve, deadlineMs)
    await promise
    clearTimeout(timer)
    this.#quiet = null
  }

  async end(): Promise<void> {
    this.#idle.clear()
    this.#ended = true
    this.#ending.abort(new Error("the revision ends"))
    this.#refuseWaiting()
    await Promise.all([...this.#replicas].map(({ worker }) => worker?.end()))
    this.#deadlines.clear()
  }

  #refuseWaiting(): void {
    for (const call of this.#waiting.splice(0)) {
      call.refused(new ApplianceError("InferenceServiceUnavailableError", "The deployment was taken down."))
    }
  }

  forget(call: Call): "waiting" {
    const place = this.#waiting.indexOf(call)
    if (place >= 0) this.#waiting.splice(place, 1)
    return "waiting"
  }

  #drained(): void {
    if (this.#quiet?.count() === 0) this.#quiet.resolve()
  }

  /** `at` is now: to ask the clock takes longer than all else that a call costs here. */
  #dispatch(at = performance.now()): void {
    if (this.#held) return
    while (this.#waiting.length > 0) {
      let best: Replica | null = null
      for (const replica of this.#replicas) {
        if (replica.room > 0 && (best === null || replica.inFlight < best.inFlight)) best = replica
      }
      if (best === null) {
        this.#grow()
        return
      }
      const call = this.#waiting.shift()
      if (call === undefined || call.abandoned) continue
      // Its timer is about to fire: a worker would be ended for it.
      if (call.deadline - at < TIMER_MS) call.tooLate()
      else best.give(call, at)
    }
  }

  /** Calls wait and nobody is free: one more, while there may be. */
  #grow(): void {
    const have = this.#replicas.size + this.#starting
    const most = Math.max(1, this.#options.maxReplicas)
    if (have === 0 || (this.#starting === 0 && have < most)) void this.#restart(0)
  }

  /** From now on nobody asks: after a while the replicas that need not be kept end. */
  #rest(at = performance.now()): void {
    if (this.#ended || this.#options.idleMs === 0) return
    this.#idle.setFor(at + this.#options.idleMs)
  }

  #endIdle(): void {
    if (this.inFlight > 0) return
    for (const replica of [...this.#replicas].slice(this.#options.minReplicas)) {
      this.#replicas.delete(replica)
      void replica.worker?.end()
    }
  }

  async #startReplica(): Promise<void> {
    const signal = AbortSignal.any([this.#ending.signal, this.#starts.signal])
    const replica = new Replica({
      free: (at) => {
        this.#dispatch(at)
        this.#drained()
      },
      gone: (exit, lost, waiting) => this.#lost(replica, { exit, lost, waiting }),
    })
    let worker: Worker | null = null
    try {
      worker = await this.#options.start(replica, signal)
      const reply = await worker.request({ type: "construct_realtime" }, { deadlineMs: CONSTRUCT_DEADLINE_MS, signal })
      if (reply.type === "failed") throw new RevisionNotStarted(describe(reply.error))
      if (this.#held) throw new RevisionNotStarted("The revision is held.")
      this.measured.constructed()
      this.problem = null
      replica.serve(worker, { ...reply, maxBatch: this.#options.maxBatch })
      this.#replicas.add(replica)
      this.#dispatch()
    } catch (error) {
      await worker?.end()
      if (error instanceof RevisionNotStarted) throw error
      throw new RevisionNotStarted(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  #lost(
    replica: Replica,
    { exit, lost, waiting }: { exit: WorkerExit; lost: readonly Call[]; waiting: readonly Call[] },
  ): void {
    const kept = waiting.filter((call) => !call.abandoned)
    for (const call of kept) call.holder = this
    this.#waiting.unshift(...kept)
    if (this.#ended) {
      this.#refuseWaiting()
      return
    }
    // One that was sent to rest, or held, is none of these any more.
    if (!this.#replicas.delete(replica)) return
    this.measured.restarted()
    this.#options.log.warn({ event: "replica_died", revision_id: this.id, reason: exit.message }, "a replica died")
    // One that worked is replaced at once: what ended it may have been a request, its first too. One that died of itself is not worth a spin.
    const worked = replica.ended > 0 || lost.length > 0
    this.#backoff = worked ? FIRST_BACKOFF_MS : Math.min(this.#backoff * 2, MAX_BACKOFF_MS)
    const missed = this.#waiting.length > 0 || this.#replicas.size < Math.max(1, this.#options.minReplicas)
    if (missed) void this.#restart(worked ? 0 : this.#backoff)
    this.#dispatch()
  }

  /** Until one has started, or nobody misses it; what waits for that is started already, as far as others may know. */
  async #restart(delayMs: number): Promise<void> {
    this.#starting += 1
    try {
      for (let delay = delayMs; !this.#ended; delay = this.#backoff) {
        if (delay > 0) await Bun.sleep(delay)
        if (this.#ended || this.#held) return
        const outcome = await this.#tryToStart()
        const enough = this.#replicas.size >= Math.max(1, this.#options.minReplicas)
        const missed = this.#waiting.length > 0 || this.#options.minReplicas > 0
        if (outcome === "started" || enough || (outcome === "no room" && !missed)) return
      }
    } finally {
      this.#starting -= 1
    }
  }

  async #tryToStart(): Promise<"started" | "failed" | "no room"> {
    try {
      await this.#startReplica()
      return "started"
    } catch (error) {
      this.#backoff = Math.min(this.#backoff * 2, MAX_BACKOFF_MS)
      this.problem = (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? null
      // Without room on a GPU nothing was started, and nothing is wrong with what answers.
      const room = !(error instanceof Error && error.cause instanceof GpuRefused)
      if (room && !this.#ended && !this.#held) this.measured.restarted()
      const { log } = this.#options
      log.warn({ event: "replica_not_started", revision_id: this.id, err: error }, "a replica did not start")
      return room ? "failed" : "no room"
    }
  }
}

function describe({ exception, message, traceback }: WorkerFailure): string {
  return [`${exception}: ${message}`, traceback].filter((part) => part !== "").join("\n")
}
