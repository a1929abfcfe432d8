/** What went wrong with a partition, in the words of a row error or of a failed run. */
import type { GpuRefused } from "../scheduler/gpu-leases.ts"
import type { EnvironmentGone } from "../workers/environments/plugin-environments.ts"
import type { WorkerFailure } from "../workers/protocol.ts"
import type { WorkerDied } from "../workers/worker-died.ts"

export function refusal({ name, message }: GpuRefused): WorkerFailure {
  return { error_type: "resource", exception: name, message, traceback: "", stage: "start" }
}

/** As for a library that cannot be imported: the run fails visibly, and is repeated when what is missing is back. */
export function gone({ message }: EnvironmentGone): WorkerFailure {
  return { error_type: "dependency", exception: "EnvironmentGone", message, traceback: "", stage: "start" }
}

export function ranOutOfMemory({ error_type: type, exception }: WorkerFailure): boolean {
  return type === "resource" && exception.endsWith("MemoryError")
}

/** The kernel when the machine is short of memory, an administrator, the end of the launcher: they kill whoever works. */
export function othersMayHaveKilled({ reason, signal }: WorkerDied): boolean {
  return reason === "signal" && signal === "SIGKILL"
}

export function deathFault(error: WorkerDied) {
  const resource = error.signal === "SIGKILL" || error.reason === "deadline" || error.reason === "limit"
  return {
    error_type: resource ? "resource" : "runtime",
    exception: "WorkerDied",
    message: error.message,
    traceback: error.lastOutput === "" ? null : error.lastOutput.slice(-8192),
    stage: "run_partition",
  }
}

export function failureFault(error: WorkerFailure) {
  return {
    error_type: error.error_type,
    exception: error.exception,
    message: error.message,
    traceback: error.traceback ?? null,
    stage: error.stage ?? null,
  }
}
