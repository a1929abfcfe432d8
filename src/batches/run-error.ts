/** Why a run (one collection's share of a batch) failed as a whole; stored as JSON, answered as a BatchErrorDetail. */
export interface RunError {
  readonly error_type: "dependency" | "authentication" | "validation" | "runtime" | "network" | "resource"
  readonly message: string
  readonly traceback: string | null
  readonly stage: string | null
  readonly timestamp: string
}

export function dependencyError(message: string): Omit<RunError, "timestamp"> {
  return { error_type: "dependency", message, traceback: null, stage: null }
}

export function leftUntried(rows: number, of: number): Omit<RunError, "timestamp"> {
  const message = `The run failed before, and ${rows} of its ${of} rows were never tried; retry_mode 'all' runs them.`
  return { error_type: "runtime", message, traceback: null, stage: null }
}
