/** The appliance's end of one documents process: spawned, asked by frames, ended for certain. */
import { connect } from "node:net"
import { ApplianceError } from "../errors.ts"
import { parseExactly } from "../exact-json.ts"
import { CONTROL_FRAME, encodeFrame, FrameDecoder } from "../frames.ts"
import type { Log } from "../log.ts"
import { type DocumentsRequest, FromDocuments, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, type ReplyTo } from "./protocol.ts"

/** From the end of its socket to SIGKILL. */
const END_GRACE_MS = 2_000
/** DuckDB's calls wait in Bun's thread pool, which has as many threads as cores: a few long queries would stop the rest. */
const POOL_THREADS = 16
const MAX_LOG_LINE = 2_000

export class DocumentsDied extends Error {
  override readonly name = "DocumentsDied"
}

export interface DocumentsChild {
  readonly pid: number
  /** Settles when the process is reaped; never rejects. Says how it ended. */
  readonly exited: Promise<string>
  /**
   * Many may be in flight. A process that is later than `deadlineMs` is ended: it has deadlines of its own, so it hangs.
   * @throws DocumentsDied when the process ends before it answers
   * @throws ApplianceError what it refused; Error a fault of its own
   */
  request<M extends DocumentsRequest>(message: M, deadlineMs: number): Promise<ReplyTo<M["type"]>>
  end(): Promise<void>
}

interface Pending {
  settle(reply: FromDocuments): void
  reject(reason: Error): void
}

/** The reply of each request; `failed` answers any. */
const REPLIES = {
  open: "ready",
  write_part: "part_written",
  find_superseded: "superseded",
  find_made_of: "superseded",
  write_rows: "rows_written",
  list: "page",
  get: "found",
  count: "counted",
} as const

export function spawnDocuments(command: readonly string[], log: Log): DocumentsChild {
  const child = Bun.spawn([...command], {
    env: { PATH: "/usr/bin:/bin", UV_THREADPOOL_SIZE: String(POOL_THREADS) },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    // Its own group: an interrupt typed at a terminal is for the appliance, which then ends it in its turn.
    detached: true,
  })
  const fd = child.stdio[3]
  if (typeof fd !== "number") throw new TypeError("the fourth stdio of a child is a descriptor")
  // The typings ask for a path; beside a descriptor it is not looked at.
  const socket = connect({ fd, path: "" })
  const decoder = new FrameDecoder(MAX_REPLY_BYTES)
  const pending = new Map<number, Pending>()
  let lastId = 0
  let gone: DocumentsDied | null = null
  let broken: string | null = null

  const kill = (why: string) => {
    broken ??= why
    child.kill("SIGKILL")
  }
  const receive = (id: number, kind: number, payload: Uint8Array) => {
    const waiting = pending.get(id)
    if (kind !== CONTROL_FRAME || waiting === undefined) throw new Error("it sent a frame that answers nothing")
    pending.delete(id)
    waiting.settle(FromDocuments.parse(parseExactly(new TextDecoder().decode(payload))))
  }
  socket.on("data", (chunk: Uint8Array) => {
    if (broken !== null) return
    try {
      for (const { id, kind, payload } of decoder.push(chunk)) receive(id, kind, payload)
    } catch (error) {
      kill(`it broke the protocol: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`)
    }
  })
  // A reset says no more than the end of the stream; how the process ended is told by its exit.
  socket.on("error", () => socket.destroy())
  socket.on("close", () => {
    setTimeout(() => kill("it closed its channel"), END_GRACE_MS).unref()
  })
  void logLines(child.stderr, log)

  const exited = child.exited.then(() => {
    const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`
    const message = broken === null ? how : `${how}: ${broken}`
    gone = new DocumentsDied(`The documents process ended (${message}).`)
    socket.destroy()
    for (const waiting of pending.values()) waiting.reject(gone)
    pending.clear()
    return message
  })

  return {
    pid: child.pid,
    exited,
    async request<M extends DocumentsRequest>(message: M, deadlineMs: number) {
      if (gone !== null) throw gone
      const payload = new TextEncoder().encode(JSON.stringify(message))
      if (payload.byteLength > MAX_REQUEST_BYTES) {
        throw new ApplianceError(
          "ValidationError",
          `The request has ${payload.byteLength} bytes; it asks for too much at once.`,
        )
      }
      do lastId = lastId >= 0xffffffff ? 1 : lastId + 1
      while (pending.has(lastId))
      const id = lastId
      const timer = setTimeout(() => kill(`it did not answer '${message.type}' in ${deadlineMs} ms`), deadlineMs)
      try {
        return await new Promise<ReplyTo<M["type"]>>((resolve, reject) => {
          pending.set(id, {
            reject,
            settle(reply) {
              if (reply.type === "failed") return reject(refusal(reply.error))
              if (reply.type !== REPLIES[message.type])
                return kill(`it answered '${message.type}' with '${reply.type}'`)
              // The line above has just proved it.
              resolve(reply as ReplyTo<M["type"]>)
            },
          })
          socket.write(encodeFrame(id, CONTROL_FRAME, payload))
        })
      } finally {
        clearTimeout(timer)
        pending.delete(id)
      }
    },
    async end() {
      socket.end()
      const timer = setTimeout(() => child.kill("SIGKILL"), END_GRACE_MS)
      await exited
      clearTimeout(timer)
    },
  }
}

function refusal(error: Extract<FromDocuments, { type: "failed" }>["error"]): Error {
  if (error.type === null) return new Error(`The documents process failed: ${error.message}`)
  return new ApplianceError(error.type, error.message, error.details === undefined ? {} : { details: error.details })
}

async function logLines(stream: ReadableStream<Uint8Array>, log: Log): Promise<void> {
  const decoder = new TextDecoder()
  let line = ""
  const flush = () => {
    if (line.trim() !== "") log.warn({ event: "documents_output", text: line.slice(0, MAX_LOG_LINE) }, "documents")
    line = ""
  }
  for await (const chunk of stream) {
    for (const piece of decoder.decode(chunk, { stream: true }).split(/(?<=\n)/)) {
      // A line without an end is cut: its rest would only fill memory.
      if (line.length < MAX_LOG_LINE) line += piece.slice(0, MAX_LOG_LINE)
      if (piece.endsWith("\n")) flush()
    }
  }
  flush()
}
