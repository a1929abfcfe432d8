import { type Log, logPlainly } from "../log.ts"

interface Answered {
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly status: number
  /** On the clock of performance.now(). */
  readonly started: number
}

/** One line for each request, however it was answered. */
export function logRequest(log: Log, { requestId, method, path, status, started }: Answered): void {
  const ms = Math.round(performance.now() - started)
  logPlainly(log, { request_id: requestId, event: "request", method, path, status, ms }, "request")
}
