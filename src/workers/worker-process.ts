/**
 * One worker process from spawn to reaped. Whatever goes wrong (a deadline, a broken protocol, an abort, a death of its
 * own) leads to the same end: the group is ended, the child reaped, the pipes and the channel closed, and only then do
 * the requests that were in flight fail. So who sees `WorkerDied` may remove the worker's scratch.
 */
import { type Channel, openChannel } from "./channel.ts"
import { drainLines, OUTPUT_LIMITS, type OutputLine, OutputTail } from "./output.ts"
import { type ProcessRecord, recordProcess } from "./process-identity.ts"
import { ProtocolBreach, type ReplyTo, type WorkerEvent, type WorkerRequest } from "./protocol.ts"
import type { Ending, SpawnedProcess } from "./spawned-process.ts"
import { endGroup, settlesWithin, signalGroup, signalProcess } from "./terminate.ts"
import { WorkerDied, type WorkerExit } from "./worker-died.ts"

/** A helper that left the group may hold pipes open after the worker's death; what it prints is not waited for longer. */
const DRAIN_MS = 500
/** A hundred threads print their stacks in a few milliseconds. */
const STACKS_MS = 200
/** For a worker that was asked to shut down, and again for one that got SIGTERM. */
const END_GRACE_MS = 1_000
/** The worker reports at most twice a second; a flood of small events would keep the appliance from its own work. */
const MAX_EVENTS_PER_SECOND = 1_000
/** setTimeout's own limit; a longer wait would fire at once. */
const MAX_TIMER_MS = 2_147_483_647

export interface ProcessOptions {
  readonly process: SpawnedProcess
  onLog(line: OutputLine): void
  /** See Channel; a breach without it. */
  onCallFrame?(id: number, kind: number, payload: Uint8Array): void
  /** Bytes printed, whatever becomes of them. */
  onPrinted(bytes: number): void
  /** May throw ProtocolBreach. */
  onEvent(event: WorkerEvent): void
  /** Asked once it is reaped: the limit of memory that the kernel ended it for, in words, or null. */
  overLimit?(): string | null
  /** Asked when it was killed and nobody says why: whether the machine had no memory left. */
  machineRanOutOfMemory?(): boolean
  /** What it printed last, for whoever is told of its death. */
  inAuthorsWords?(output: string): string
}

export interface RequestOptions {
  /** Until the answer, in milliseconds. A worker that is late is ended. */
  readonly deadlineMs?: number
  /** Longest time between events of the worker, or before its answer, in milliseconds. */
  readonly silenceMs?: number
  /** Settings that the two come from; a worker that is late is told of by them. */
  readonly setBy?: { readonly deadline: string; readonly silence: string }
  /** Aborting ends the worker: there is no way to stop plugin code but that. */
  readonly signal?: AbortSignal | undefined
}

type Fault = {
  readonly reason: "deadline" | "limit" | "protocol" | "aborted"
  readonly message: string
  readonly memory?: boolean
}

export interface WorkerProcess {
  readonly pid: number
  /** For finding it after our own death; null when it ended at once. */
  readonly record: ProcessRecord | null
  /** Settles when everything of the worker is closed and reaped; never rejects. */
  readonly exited: Promise<WorkerExit>
  /** False from the moment it ended or its end was decided. */
  readonly alive: boolean
  /** @throws WorkerDied when the worker is, or is being, ended */
  request<M extends WorkerRequest>(message: M, options: RequestOptions): Promise<ReplyTo<M["type"]>>
  /** See Channel. Only while it is alive. */
  call(body: Uint8Array, atOnce: boolean): number
  cancel(id: number): void
  /** Ends the worker within the limits while `task` has not settled; `task` must settle when the worker has exited. */
  limited<T>(what: string, task: Promise<T>, options: RequestOptions): Promise<T>
  /** `memory`: it used too much of it. */
  fail(reason: Fault["reason"], message: string, memory?: boolean): void
  end(): Promise<WorkerExit>
}

export function superviseProcess({
  process: child,
  onLog,
  onPrinted,
  onEvent,
  onCallFrame,
  overLimit,
  machineRanOutOfMemory,
  inAuthorsWords = (output) => output,
}: ProcessOptions): WorkerProcess {
  const record = recordProcess(child.pid)
  const heard = new Set<() => void>()
  const eventGate = rateGate(MAX_EVENTS_PER_SECOND)
  let fault: Fault | null = null
  let ending = false
  let gone: WorkerExit | null = null
  const alive = () => fault === null && !ending && gone === null

  const tail = new OutputTail()
  const outputs = (["stdout", "stderr"] as const).map((stream) =>
    drainLines(child[stream], tail, (text, call) => onLog({ stream, text, call }), OUTPUT_LIMITS, onPrinted),
  )
  const channel: Channel = openChannel({
    fd: child.channel,
    onEvent(event) {
      if (!eventGate()) throw new ProtocolBreach(`more than ${MAX_EVENTS_PER_SECOND} events in a second`)
      onEvent(event)
      for (const listener of heard) listener()
    },
    onCallFrame(id, kind, payload) {
      if (onCallFrame === undefined) throw new ProtocolBreach(`a frame is of unknown kind ${kind}`)
      onCallFrame(id, kind, payload)
    },
    onBreach: (breach) => fail("protocol", `it broke the protocol: ${breach.message}`),
  })

  const fail = (reason: Fault["reason"], message: string, memory = false) => {
    if (fault !== null || gone !== null) return
    fault = { reason, message, memory }
    // Where it hangs is what its author needs: it prints its stacks, from a signal handler that asks no Python code.
    if (reason === "deadline" && signalProcess(child.pid, "SIGUSR1")) {
      setTimeout(() => signalGroup(child.pid, "SIGKILL"), STACKS_MS)
      return
    }
    // No grace: plugin code that lies or takes too much gets no say in when it ends.
    signalGroup(child.pid, "SIGKILL")
  }

  // A worker without its channel is of no use; one that ends closes it a moment before its exit.
  void channel.closed.then(async () => {
    if (!(await settlesWithin(child.exited, END_GRACE_MS))) fail("protocol", "it closed its channel")
  })

  const finish = async (): Promise<WorkerExit> => {
    const ended = await child.exited
    const over = fault === null ? overLimit?.() : null
    if (over != null) fault = { reason: "limit", message: over, memory: true }
    const outOfMemory = fault?.memory ?? (ended.signal === "SIGKILL" && machineRanOutOfMemory?.() === true)
    signalGroup(child.pid, "SIGKILL")
    // Frames and lines that were sent before the death are still in the pipes.
    await settlesWithin(Promise.all([channel.closed, ...outputs.map((output) => output.done)]), DRAIN_MS)
    const stops = outputs.map((output) => output.stop())
    const exit = describeExit(ended, { fault, ending, outOfMemory, lastOutput: inAuthorsWords(tail.toString()) })
    gone = exit
    channel.close(new WorkerDied(exit))
    await Promise.all([channel.closed, ...stops])
    return exit
  }
  const exited = finish()

  const limited = async <T>(
    what: string,
    task: Promise<T>,
    { deadlineMs, silenceMs, setBy, signal }: RequestOptions,
  ) => {
    const late = (milliseconds: number, words: string, setting: string | undefined) =>
      setTimeout(
        () =>
          fail("deadline", `${what} ${words} within ${milliseconds} ms${setting === undefined ? "" : ` (${setting})`}`),
        Math.min(milliseconds, MAX_TIMER_MS),
      )
    const listen = () => late(silenceMs ?? MAX_TIMER_MS, "showed no progress", setBy?.silence)
    const deadline = deadlineMs === undefined ? undefined : late(deadlineMs, "did not finish", setBy?.deadline)
    let silence = silenceMs === undefined ? undefined : listen()
    const hear = () => {
      clearTimeout(silence)
      silence = listen()
    }
    const abort = () => fail("aborted", `${what} was aborted`)
    if (silence !== undefined) heard.add(hear)
    signal?.addEventListener("abort", abort, { once: true })
    if (signal?.aborted) abort()
    try {
      return await task
    } finally {
      clearTimeout(deadline)
      clearTimeout(silence)
      heard.delete(hear)
      signal?.removeEventListener("abort", abort)
    }
  }

  const end = async () => {
    if (alive()) {
      ending = true
      if (channel.inFlight === 0) {
        channel.notify({ type: "shutdown" })
        await settlesWithin(child.exited, END_GRACE_MS)
      }
      await endGroup(child.pid, child.exited, END_GRACE_MS)
    }
    return exited
  }

  return {
    pid: child.pid,
    record,
    exited,
    get alive() {
      return alive()
    },
    async request(message, options) {
      if (!alive()) throw new WorkerDied(await exited)
      return await limited(`'${message.type}'`, channel.request(message), options)
    },
    call: channel.call,
    cancel: channel.cancel,
    limited,
    fail,
    end,
  }
}

function describeExit(
  { code, signal }: Ending,
  { fault, ending, ...facts }: { fault: Fault | null; ending: boolean; outOfMemory: boolean; lastOutput: string },
): WorkerExit {
  const how = { code, signal, ...facts }
  if (fault !== null) return { ...how, reason: fault.reason, message: `The worker was ended: ${fault.message}.` }
  if (ending) return { ...how, reason: "ended", message: "The worker was ended on request." }
  if (signal !== null) return { ...how, reason: "signal", message: `The worker was killed by ${signal}.` }
  return { ...how, reason: "exit", message: `The worker exited with code ${code}.` }
}

/** A function that says whether one more event fits into the current second. */
function rateGate(perSecond: number): () => boolean {
  let second = 0
  let count = 0
  return () => {
    const now = Math.floor(performance.now() / 1000)
    count = now === second ? count + 1 : 1
    second = now
    return count <= perSecond
  }
}
