import pino from "pino"

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type Log = pino.Logger

/**
 * One line of JSON per event on standard error, so that standard output stays a command's own. Ids, not payloads; never
 * a secret, a row or a presigned URL.
 */
export function createLog(level: LogLevel): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines(),
  )
}

/** What one turn of the event loop logs leaves in one write: a line each cost a realtime request a twentieth of its time. */
function lines(): pino.DestinationStream {
  const output = pino.destination({ dest: 2, sync: true })
  let unwritten = ""
  const flush = () => {
    const text = unwritten
    unwritten = ""
    if (text !== "") output.write(text)
  }
  process.on("exit", flush)
  return {
    write(line) {
      if (unwritten === "") setImmediate(flush)
      unwritten += line
    },
  }
}
