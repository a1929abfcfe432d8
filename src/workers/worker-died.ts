/** How a worker ended. `reason` says who decided: the worker itself (exit, signal), we because of it (`limit`: it used more than it may), or we on request. */
export interface WorkerExit {
  readonly reason: "ended" | "exit" | "signal" | "deadline" | "limit" | "protocol" | "aborted"
  readonly code: number | null
  readonly signal: string | null
  /** It used more memory than it may, or than the machine has. */
  readonly outOfMemory: boolean
  /** One sentence for people. */
  readonly message: string
  /** The last lines of the worker's output, at most 16 KiB: the plugin's words, control characters removed. */
  readonly lastOutput: string
}

/** A request (or the start) cannot be answered because the worker is gone; it is reaped when this is thrown. */
export class WorkerDied extends Error {
  override readonly name = "WorkerDied"
  readonly reason: "exit" | "signal" | "deadline" | "limit" | "protocol" | "aborted"
  readonly code: number | null
  readonly signal: string | null
  readonly outOfMemory: boolean
  readonly lastOutput: string

  constructor(exit: WorkerExit) {
    super(exit.message)
    // Who ends a worker that still has requests in flight has given them up.
    this.reason = exit.reason === "ended" ? "aborted" : exit.reason
    this.code = exit.code
    this.signal = exit.signal
    this.outOfMemory = exit.outOfMemory
    this.lastOutput = exit.lastOutput
  }
}
