import { drainLines, type OutputLimits, type OutputLine, OutputTail } from "./output.ts"
import { endGroup, settlesWithin, signalGroup } from "./terminate.ts"

/** Probes answer in one line and pip in some hundreds; a program that floods is cut, never buffered whole. */
const LIMITS: OutputLimits = { lineBytes: 64 * 1024, totalBytes: 4 * 1024 * 1024 }
const DRAIN_MS = 500
const GRACE_MS = 1_000

export interface ProgramOptions {
  readonly argv: readonly [string, ...string[]]
  /** The whole environment of the program. */
  readonly environment: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly timeoutMs: number
  /** Aborting ends the program and its group. */
  readonly signal?: AbortSignal | undefined
  onLine?(line: Pick<OutputLine, "stream" | "text">): void
  onStart?(pid: number): Promise<void>
}

export interface ProgramResult {
  readonly code: number | null
  readonly signal: string | null
  /** Who ended it before it was done. */
  readonly stopped: "timeout" | "aborted" | null
  /** Lines of standard output, control characters removed. */
  readonly stdout: readonly string[]
  /** The last lines of both streams. */
  readonly lastOutput: string
}

/**
 * Runs a program of the host (an interpreter, pip) in its own process group to its end, output captured and bounded.
 * @throws when the program cannot be started at all
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramResult> {
  const child = Bun.spawn([...options.argv], {
    env: { ...options.environment },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  })
  const tail = new OutputTail()
  const stdout: string[] = []
  const drains = (["stdout", "stderr"] as const).map((stream) =>
    drainLines(
      child[stream],
      tail,
      (text) => {
        if (stream === "stdout") stdout.push(text)
        options.onLine?.({ stream, text })
      },
      LIMITS,
    ),
  )
  let stopped: ProgramResult["stopped"] = null
  const stop = (why: "timeout" | "aborted") => {
    stopped ??= why
    void endGroup(child.pid, child.exited, GRACE_MS)
  }
  const timer = setTimeout(stop, options.timeoutMs, "timeout")
  const abort = () => stop("aborted")
  options.signal?.addEventListener("abort", abort, { once: true })
  if (options.signal?.aborted) abort()
  try {
    await options.onStart?.(child.pid)
    await child.exited
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener("abort", abort)
    signalGroup(child.pid, "SIGKILL")
    await settlesWithin(Promise.all(drains.map((drain) => drain.done)), DRAIN_MS)
    await Promise.all(drains.map((drain) => drain.stop()))
  }
  const killer = child.signalCode === null ? null : String(child.signalCode)
  return { code: child.exitCode, signal: killer, stopped, stdout, lastOutput: tail.toString() }
}
