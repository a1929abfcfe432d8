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
  // Ids are letters and digits; what a client wrote is quoted.
  logPlainly(
    log,
    `"request_id":"${requestId}","event":"request","method":${methodText(method)},"path":${pathText(path)},"status":${status},"ms":${ms},"msg":"request"`,
  )
}

const methodText = quoted()
const pathText = quoted()

/** Many requests in a row are for the same. */
function quoted(): (text: string) => string {
  let last = ""
  let json = '""'
  return (text) => {
    if (text !== last) json = JSON.stringify(text)
    last = text
    return json
  }
}
