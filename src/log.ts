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

/**
 * A line of level info, put together by who calls: `rest` are the members after the time, as JSON without braces. For the line that every
 * request leaves: pino takes 3 us for it, most of them in a diagnostics channel of which Bun does not say that nobody listens, and a
 * serializer 2. Bindings of a child logger are not in it.
 */
export function logPlainly(log: Log, rest: string): void {
  if (!log.isLevelEnabled("info")) return
  destinationOf(log).write(`{"level":"info","time":"${isoTime()}",${rest}}\n`)
}

let lastTime = 0
let lastText = ""

/** Many lines are of one millisecond. */
function isoTime(): string {
  const at = Date.now()
  if (at !== lastTime) lastText = new Date(at).toISOString()
  lastTime = at
  return lastText
}

/** pino's typings leave out what its symbols name. */
function destinationOf(log: Log): pino.DestinationStream {
  return (log as unknown as Record<symbol, pino.DestinationStream>)[pino.symbols.streamSym] as pino.DestinationStream
}

/** A line leaves that much later at most; what tells of a fault leaves at once, since the process may end of it. */
const FLUSH_MS = 5
const FLUSH_CHARACTERS = 32 * 1024
const URGENT = /^\{"level":"(?:warn|error|fatal)"/

/** What is logged within some milliseconds leaves in one write: a line each cost a realtime request a twentieth of its time. */
function lines(): pino.DestinationStream {
  const output = pino.destination({ dest: 2, sync: true })
  let unwritten = ""
  let timer: ReturnType<typeof setTimeout> | null = null
  const flush = () => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const text = unwritten
    unwritten = ""
    if (text !== "") output.write(text)
  }
  process.on("exit", flush)
  return {
    write(line) {
      timer ??= setTimeout(flush, FLUSH_MS)
      unwritten += line
      if (unwritten.length >= FLUSH_CHARACTERS || URGENT.test(line)) flush()
    },
  }
}
