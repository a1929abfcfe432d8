import { readFileSync, realpathSync } from "node:fs"
import type { IsolationFacts } from "../isolation-facts.ts"
import type { IsolationLevel } from "../isolation-levels.ts"
import type { Log } from "../log.ts"
import { authorStacks } from "./author-stacks.ts"
import type { WorkerGroup } from "./cgroups.ts"
import type { Interpreter } from "./interpreters.ts"
import type { Launcher } from "./launcher.ts"
import {
  type Confinement,
  LOCK_DOWN_EXIT_CODE,
  type LockDownPolicy,
  LockDownRefused,
  lockDownFlaws,
  lockDownPolicy,
} from "./lock-down.ts"
import type { OutputLine } from "./output.ts"
import type { ProcessRecord } from "./process-identity.ts"
import { yieldProcessors } from "./processor-priority.ts"
import {
  PROTOCOL_VERSION,
  type Progress,
  ProtocolBreach,
  type ReplyTo,
  type WorkerFailure,
  type WorkerRequest,
} from "./protocol.ts"
import { spawnProcess } from "./spawned-process.ts"
import { MEMORY_SETTING, residentBytes, watchWorker } from "./watchdog.ts"
import { WorkerDied, type WorkerExit } from "./worker-died.ts"
import { type RequestOptions, superviseProcess, type WorkerProcess } from "./worker-process.ts"

/** Until `loaded`: a cold disk and a busy machine included. No plugin module is imported before that. */
const START_DEADLINE_MS = 30_000

export interface WorkerOptions {
  readonly interpreter: Interpreter
  /** Absolute; holds engine/, shared/ and plugin_worker/. */
  readonly pythonTree: string
  /** Absolute, exists, this worker's own: its working directory, HOME and TMPDIR. */
  readonly scratch: string
  readonly plugin: {
    /** Absolute path of the unpacked plugin. */
    readonly path: string
    /** The manifest's name, or "" when unknown. */
    readonly name: string
    /** Unique in this worker: the package under which the plugin's modules are imported. */
    readonly packageName: string
  }
  readonly sitePackages: readonly string[]
  /** Plugin code runs in exactly this level, or not at all. */
  readonly confinement: Confinement
  /** Forks it from there, where that has the same packages; else a Python is started. */
  readonly launcher?: Launcher | null
  /** Made for this worker: the kernel then bounds its memory whole. */
  readonly group?: WorkerGroup | null
  /** Absolute, exists: where it finds input and leaves output. Within `scratch` or what `confinement` lets it write to. */
  readonly exchange: string
  readonly startDeadlineMs?: number
  /** Added to the short fixed environment; the server's own is never passed on. Nothing secret: it stays readable. */
  readonly environment?: Readonly<Record<string, string>>
  /** Each line the plugin prints: at most 8 KiB, 16 MiB a stream, control characters removed. */
  onLog?(line: OutputLine): void
  /** See Channel: of realtime calls. */
  onCallFrame?(id: number, kind: number, payload: Uint8Array): void
  /** Threads of the numeric libraries, 1 by default. */
  readonly threads?: number
  /** Told with its facts; "none" by default. */
  readonly gpu?: IsolationFacts["gpu"]
  /** The processors are others' first. */
  readonly yields?: boolean
  /** Aborts the start; a started worker is ended with `end`. */
  readonly signal?: AbortSignal | undefined
  readonly log: Log
}

export interface Worker {
  readonly pid: number
  /** Version of its Python, such as 3.11.7. */
  readonly python: string
  readonly isolation: IsolationLevel
  readonly isolationFacts: IsolationFacts
  /** See WorkerOptions; without links. */
  readonly exchange: string
  /** Pid and start time, for `endLeftovers` after a crash of the appliance. */
  readonly record: ProcessRecord | null
  /** True until it ends, is ended or has failed. */
  readonly alive: boolean
  /**
   * The answer; a `failed` answer is a value too. Give a deadline: plugin code may hang for ever.
   * @throws WorkerDied when the worker dies, is late, breaks the protocol or the signal aborts; it is reaped by then
   * @throws RangeError when the message is over 4 MiB
   */
  request<M extends WorkerRequest>(message: M, options: RequestOptions): Promise<ReplyTo<M["type"]>>
  /** See Channel; frames come to `onCallFrame` of the options. Only while it is alive. */
  call(body: Uint8Array, atOnce: boolean): number
  /** See Channel. */
  cancel(id: number): void
  /** Ends it at once, with a reason that its death then has. */
  fail(reason: "deadline" | "limit" | "protocol" | "aborted", message: string): void
  /** Anonymous and shared memory that is resident; 0 where it is not known. */
  memoryBytes(): number
  /** A request begins or ends that is none of this channel: processor time and prints count from here. */
  begin(): void
  /** Returns the function that takes the handler off again. */
  onProgress(handler: (progress: Progress) => void): () => void
  /** Settles when the worker is reaped and everything of it closed; never rejects. */
  readonly exited: Promise<WorkerExit>
  /** Asks it to shut down when idle, then SIGTERM, then SIGKILL to its group: at most about 2 s. */
  end(): Promise<WorkerExit>
  [Symbol.asyncDispose](): Promise<void>
}

/** The worker lives but could not take the plugin in (a missing directory, say); it was ended. */
export class PluginLoadFailed extends Error {
  override readonly name = "PluginLoadFailed"
  readonly failure: WorkerFailure

  constructor(failure: WorkerFailure) {
    super(`The worker could not load the plugin: ${failure.message}`)
    this.failure = failure
  }
}

/**
 * Starts a worker and hands it the plugin; resolves after `loaded`. Call from the main thread.
 * @throws WorkerDied when it dies, is late or breaks the protocol on the way
 * @throws PluginLoadFailed when it answers that the plugin cannot be loaded
 * @throws LockDownRefused when it cannot reach the level, or is not seen to have reached it
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const deadline = performance.now() + (options.startDeadlineMs ?? START_DEADLINE_MS)
  const limits = () => ({ deadlineMs: Math.max(1, deadline - performance.now()), signal: options.signal })
  const handlers = new Set<(progress: Progress) => void>()
  const greeting = Promise.withResolvers<{ python: string }>()
  let greeted = false
  /** During the request at hand. */
  let printed = 0
  /** Of the machine, when the request at hand began. */
  let killsBefore = outOfMemoryKills()
  // Without links: at level full there is nothing left of a link in the data directory that a path could follow.
  const pythonTree = realPath(options.pythonTree)
  const scratch = realPath(options.scratch)
  const exchange = realPath(options.exchange)
  const pluginPath = realPath(options.plugin.path)
  const sitePackages = options.sitePackages.map(realPath)
  const policy = lockDownPolicy(options.confinement, {
    read: [pythonTree, pluginPath, ...sitePackages],
    write: [scratch, exchange],
  })

  const environment = workerEnvironment(scratch, options)
  const worker: WorkerProcess = superviseProcess({
    process:
      options.launcher == null
        ? spawnProcess({
            argv: [options.interpreter.path, "-I", "-S", "-B", `${pythonTree}/plugin_worker`],
            cwd: scratch,
            environment,
          })
        : await options.launcher.fork({ environment, directory: scratch }),
    onLog: options.onLog ?? (() => undefined),
    onPrinted(bytes) {
      printed += bytes
      const most = options.confinement.limits.logBytes
      if (printed > most) worker.fail("limit", `it printed more than ${most} bytes (MIXPEEK_WORKER_LOG_MB)`)
    },
    overLimit: () => memoryLimit(options),
    inAuthorsWords: (output) => authorStacks(output, { plugin: pluginPath, pythonTree, sitePackages }),
    machineRanOutOfMemory: () => outOfMemoryKills() > killsBefore,
    ...(options.onCallFrame === undefined ? {} : { onCallFrame: options.onCallFrame }),
    onEvent(event) {
      if (event.type !== "hello") {
        for (const handler of handlers) handler(event)
        return
      }
      if (greeted) throw new ProtocolBreach("a second greeting")
      if (event.protocol !== PROTOCOL_VERSION) throw new ProtocolBreach(`it speaks protocol ${event.protocol}`)
      if (event.pid !== worker.pid) throw new ProtocolBreach("its greeting names another process")
      greeted = true
      greeting.resolve(event)
    },
  })
  void worker.exited.then((exit) => {
    greeting.reject(new WorkerDied(exit))
    options.log.debug({ pid: worker.pid, reason: exit.reason, code: exit.code, signal: exit.signal }, "worker exited")
  })
  greeting.promise.catch(() => undefined)

  try {
    const { python } = await worker.limited("the start", greeting.promise, limits())
    // Before it has seen the plugin and has threads: what it starts is in the group as well, and as patient.
    options.group?.add(worker.pid)
    if (options.yields === true) yieldProcessors(worker.pid)
    const facts = await lockDown(worker, policy, limits())
    const watch = watchWorker(
      worker.pid,
      { limits: options.confinement.limits, directories: [scratch, exchange] },
      (what, memory) => worker.fail("limit", what, memory),
    )
    void worker.exited.then(watch.stop)
    await expectSuccess(
      worker.request(
        {
          type: "load",
          plugin_path: pluginPath,
          plugin_name: options.plugin.name,
          package_name: options.plugin.packageName,
          site_packages: sitePackages,
          scratch,
        },
        limits(),
      ),
    )
    options.log.debug({ pid: worker.pid, python, plugin: options.plugin.packageName }, "worker started")
    return {
      pid: worker.pid,
      python,
      isolation: policy.level,
      isolationFacts: { ...facts, gpu: options.gpu ?? "none", ...(options.group == null ? {} : { memory: "cgroup" }) },
      exchange,
      record: worker.record,
      get alive() {
        return worker.alive
      },
      request(message, limits) {
        printed = 0
        killsBefore = outOfMemoryKills()
        watch.begin()
        return worker.request(message, limits)
      },
      call: worker.call,
      cancel: worker.cancel,
      fail: worker.fail,
      memoryBytes: () => residentBytes(worker.pid),
      begin() {
        printed = 0
        watch.begin()
      },
      onProgress(handler) {
        handlers.add(handler)
        return () => void handlers.delete(handler)
      },
      exited: worker.exited,
      end: worker.end,
      async [Symbol.asyncDispose]() {
        await worker.end()
      },
    }
  } catch (error) {
    await worker.end()
    throw error
  }
}

function memoryLimit({ group, confinement }: WorkerOptions): string | null {
  if (group?.ranOutOfMemory() !== true) return null
  const mebibytes = Math.ceil(confinement.limits.memoryBytes / 1024 ** 2)
  return `it used more than its ${mebibytes} MiB of memory (${confinement.limits.memorySetBy ?? MEMORY_SETTING})`
}

/** Processes that the kernel has ended since it started because memory was short, groups' included; 0 where it does not tell. */
function outOfMemoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "latin1"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** @throws LockDownRefused, WorkerDied */
async function lockDown(
  worker: WorkerProcess,
  policy: LockDownPolicy,
  limits: RequestOptions,
): Promise<IsolationFacts> {
  try {
    const answer = await worker.request({ type: "lock_down", policy }, limits)
    if (answer.type === "failed") throw new LockDownRefused(answer.error.message)
    if (answer.isolation !== policy.level) throw new LockDownRefused(`It locked itself into ${answer.isolation}.`)
    const flaws = lockDownFlaws(worker.pid, policy.level)
    if (flaws.length > 0) throw new LockDownRefused(`Seen from outside it is not locked down: ${flaws.join("; ")}.`)
    return answer.facts
  } catch (error) {
    if (!(error instanceof WorkerDied) || error.code !== LOCK_DOWN_EXIT_CODE) throw error
    throw new LockDownRefused(error.lastOutput.trim().split("\n").at(-1), { cause: error })
  }
}

/** A path that is not there is told by whoever needs it. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

async function expectSuccess(reply: Promise<ReplyTo<"load">>): Promise<void> {
  const answer = await reply
  if (answer.type === "failed") throw new PluginLoadFailed(answer.error)
}

/** A short fixed list: what the server knows from its environment is none of a plugin's business. */
function workerEnvironment(scratch: string, { threads = 1, environment = {} }: WorkerOptions): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    LANG: "C.UTF-8",
    // getpass.getuser reads it where there is no /etc/passwd to be read.
    USER: "plugin",
    HOME: scratch,
    TMPDIR: scratch,
    ...threadCounts(threads),
    ...environment,
  }
}

/** torch and Arrow go by the first as well; numexpr has two. Rayon: tokenizers and others in Rust. */
const THREAD_VARIABLES = [
  "OMP_NUM_THREADS",
  "OPENBLAS_NUM_THREADS",
  "MKL_NUM_THREADS",
  "BLIS_NUM_THREADS",
  "VECLIB_MAXIMUM_THREADS",
  "NUMEXPR_NUM_THREADS",
  "NUMEXPR_MAX_THREADS",
  "POLARS_MAX_THREADS",
  "RAYON_NUM_THREADS",
  "OPENCV_FOR_THREADS_NUM",
  "NUMBA_NUM_THREADS",
  "TF_NUM_INTRAOP_THREADS",
] as const

/** Numeric libraries read these when they are loaded. */
export function threadCounts(threads: number): Record<string, string> {
  const count = String(threads)
  return Object.fromEntries(THREAD_VARIABLES.map((name) => [name, count]))
}
