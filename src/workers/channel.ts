import { connect } from "node:net"
import { CALL_FRAME, CANCEL_FRAME, CONTROL_FRAME, encodeFrames, type Frame, FrameDecoder } from "../frames.ts"
import {
  checkReply,
  encodeToWorker,
  type FromWorker,
  isEvent,
  MAX_EVENT_BYTES,
  MAX_PAYLOAD_BYTES,
  ProtocolBreach,
  parseFromWorker,
  type ReplyTo,
  type ToWorker,
  type WorkerEvent,
  type WorkerRequest,
} from "./protocol.ts"

export interface ChannelOptions {
  /** Our end of the socket pair; the channel owns and closes it. */
  readonly fd: number
  /** Hello and progress. May throw ProtocolBreach. */
  onEvent(event: WorkerEvent): void
  /** Answers, failures and pieces of calls, and what has begun. May throw ProtocolBreach. */
  onCallFrame(id: number, kind: number, payload: Uint8Array): void
  /** Called once when the worker broke the protocol; nothing is read afterwards. */
  onBreach(breach: ProtocolBreach): void
}

export interface Channel {
  /** Requests without an answer yet. */
  readonly inFlight: number
  /** Settles when the socket is closed by either side; never rejects. */
  readonly closed: Promise<void>
  /**
   * Many may be in flight; replies find their request by id. Rejects with what `close` was given, or with the error
   * of a message that is too large to be sent.
   */
  request<M extends WorkerRequest>(message: M): Promise<ReplyTo<M["type"]>>
  /**
   * A realtime call; its frames come to `onCallFrame` under the id that is answered here. `atOnce`: the worker waits for it; else
   * it leaves with what comes in the same turn of the event loop.
   */
  call(body: Uint8Array, atOnce: boolean): number
  /** Nobody waits for a call any more. */
  cancel(id: number): void
  /** A message without an answer. */
  notify(message: ToWorker): void
  /** Rejects every request in flight, and later ones, with `reason`. */
  close(reason: Error): void
}

interface Pending {
  readonly request: WorkerRequest
  /** @throws ProtocolBreach when the message is no answer to the request */
  accept(message: FromWorker): void
  reject(reason: Error): void
}

/** A connection to one worker over an inherited socket pair: frames out joined per tick, frames in parsed as hostile. */
export function openChannel({ fd, onEvent, onCallFrame, onBreach }: ChannelOptions): Channel {
  // The typings ask for a path; beside a descriptor it is not looked at. `new Socket({ fd })` fails in Bun 1.4.5.
  const socket = connect({ fd, path: "" })
  const decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
  const pending = new Map<number, Pending>()
  let lastId = 0
  let closedFor: Error | null = null
  let unsent: Frame[] = []
  let flushing = false
  let congested = false

  const flush = () => {
    flushing = false
    if (congested || unsent.length === 0 || socket.destroyed) return
    const joined = encodeFrames(unsent)
    unsent = []
    congested = !socket.write(joined)
  }
  const send = (id: number, message: ToWorker) => sendFrame(id, CONTROL_FRAME, encodeToWorker(message), true)
  const sendFrame = (id: number, kind: number, payload: Uint8Array, atOnce: boolean) => {
    unsent.push({ id, kind, payload })
    if (flushing) return
    flushing = true
    if (atOnce) queueMicrotask(flush)
    // After everything that this turn of the event loop brings: calls that came together leave together.
    else setImmediate(flush)
  }
  const nextId = () => {
    do lastId = lastId >= 0xffffffff ? 1 : lastId + 1
    while (pending.has(lastId))
    return lastId
  }
  const receive = (id: number, kind: number, payload: Uint8Array) => {
    if (kind > CALL_FRAME) return onCallFrame(id, kind, payload)
    if (kind !== CONTROL_FRAME) throw new ProtocolBreach(`a frame is of unknown kind ${kind}`)
    if (id === 0 && payload.byteLength > MAX_EVENT_BYTES) {
      throw new ProtocolBreach(`an event has ${payload.byteLength} bytes; at most ${MAX_EVENT_BYTES} are taken`)
    }
    const message = parseFromWorker(payload)
    if (isEvent(message)) {
      if (id !== 0) throw new ProtocolBreach(`a '${message.type}' event carries id ${id}`)
      return onEvent(message)
    }
    const waiting = pending.get(id)
    if (waiting === undefined) throw new ProtocolBreach(`a '${message.type}' message answers no request`)
    pending.delete(id)
    try {
      waiting.accept(message)
    } catch (error) {
      pending.set(id, waiting)
      throw error
    }
  }
  const breach = (error: unknown) => {
    socket.destroy()
    const cause = error instanceof Error ? error : new Error(String(error))
    onBreach(cause instanceof ProtocolBreach ? cause : new ProtocolBreach(cause.message, { cause }))
  }

  socket.on("data", (chunk: Uint8Array) => {
    if (socket.destroyed) return
    try {
      for (const { id, kind, payload } of decoder.push(chunk)) receive(id, kind, payload)
    } catch (error) {
      breach(error)
    }
  })
  socket.on("drain", () => {
    congested = false
    flush()
  })
  // A reset says no more than the end of the stream; how the worker ended is told by its exit.
  socket.on("error", () => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))

  return {
    get inFlight() {
      return pending.size
    },
    closed,
    request<M extends WorkerRequest>(request: M) {
      return new Promise<ReplyTo<M["type"]>>((resolve, reject) => {
        if (closedFor !== null) throw closedFor
        const id = nextId()
        send(id, request)
        pending.set(id, { request, accept: (message) => resolve(checkReply(request, message)), reject })
      })
    },
    call(body, atOnce) {
      const id = nextId()
      sendFrame(id, CALL_FRAME, body, atOnce)
      return id
    },
    cancel: (id) => sendFrame(id, CANCEL_FRAME, new Uint8Array(0), true),
    notify: (message) => send(0, message),
    close(reason) {
      closedFor ??= reason
      socket.destroy()
      for (const waiting of pending.values()) waiting.reject(closedFor)
      pending.clear()
    },
  }
}
