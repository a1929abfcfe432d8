/**
 * What a worker or an installer prints. The pipes are always drained, since a full pipe would stop the process, and
 * everything that is kept is bounded, since a plugin prints what it likes.
 */
import { setImmediate as nextTurn } from "node:timers/promises"

export interface OutputLine {
  readonly stream: "stdout" | "stderr"
  readonly text: string
  /** Id of the realtime call that it was printed for, as the worker says; null when it is none's. */
  readonly call: number | null
}

export interface OutputLimits {
  /** A longer line is cut here and marked. */
  readonly lineBytes: number
  /** Per stream; later lines reach the tail only. */
  readonly totalBytes: number
}

export const OUTPUT_LIMITS: OutputLimits = { lineBytes: 8 * 1024, totalBytes: 16 * 1024 * 1024 }

const TAIL_BYTES = 16 * 1024
const NEWLINE = 10
/** See `python/plugin_worker/output_capture.py`; a plugin can print one itself, and then deceives its own log. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a character that no text has
const CALL_MARK = /^\x1f(\d{1,10})\x1f/
/** What a line counts besides its bytes: 30 MiB of newlines were 30 million lines, and the event loop's for 19 s. */
const LINE_COST = 64

/** The last lines of a process, across its streams, at most 16 KiB. */
export class OutputTail {
  readonly #lines: string[] = []
  #length = 0

  add(text: string): void {
    this.#lines.push(text)
    this.#length += text.length + 1
    while (this.#length > TAIL_BYTES && this.#lines.length > 1) this.#length -= (this.#lines.shift()?.length ?? 0) + 1
  }

  toString(): string {
    return this.#lines.join("\n")
  }
}

export interface Drain {
  /** Settles at the end of the stream or after `stop`; never rejects. */
  readonly done: Promise<void>
  /** Closes our end: a helper that the process left behind may hold the other one open for ever. */
  stop(): Promise<void>
}

/** Reads the stream to its end; `onLine` gets each line while the total lasts, `tail` every line, `onBytes` all there is, lines weighed. */
export function drainLines(
  stream: ReadableStream<Uint8Array>,
  tail: OutputTail,
  onLine: (text: string, call: number | null) => void,
  limits: OutputLimits = OUTPUT_LIMITS,
  onBytes: (count: number) => void = () => undefined,
): Drain {
  const reader = stream.getReader()
  const cutter = new LineCutter(limits.lineBytes)
  let passed = 0
  let full = false
  const take = (line: Line) => {
    tail.add(line.text)
    if (full) return
    passed += line.bytes
    full = passed > limits.totalBytes
    onLine(full ? `[output over ${limits.totalBytes} bytes is not kept]` : line.text, line.call)
  }
  const read = async () => {
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = cutter.push(part.value, take)
        onBytes(part.value.byteLength + lines * LINE_COST)
        // A pipe that is never empty would give nobody else a turn, not even the deadline.
        await nextTurn()
      }
    } catch {
      // A pipe that cannot be read has nothing more to say; how the process ended is told by its exit.
    }
    cutter.finish(take)
  }
  return { done: read(), stop: () => reader.cancel().catch(() => undefined) }
}

interface Line {
  readonly text: string
  readonly call: number | null
  /** As printed, the cut part included. */
  readonly bytes: number
}

class LineCutter {
  readonly #limit: number
  #parts: Uint8Array[] = []
  #kept = 0
  #seen = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Answers how many lines it ended. */
  push(chunk: Uint8Array, take: (line: Line) => void): number {
    let from = 0
    let lines = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, at))
      this.#emit(take)
      from = at + 1
      lines++
    }
    this.#keep(chunk.subarray(from))
    return lines
  }

  finish(take: (line: Line) => void): void {
    if (this.#seen > 0) this.#emit(take)
  }

  #keep(bytes: Uint8Array): void {
    this.#seen += bytes.byteLength
    const room = this.#limit - this.#kept
    if (room <= 0 || bytes.byteLength === 0) return
    // A copy: the chunk's buffer is as large as the pipe and may be used again.
    const part = bytes.slice(0, room)
    this.#parts.push(part)
    this.#kept += part.byteLength
  }

  #emit(take: (line: Line) => void): void {
    const cut = this.#seen > this.#kept ? ` [line of ${this.#seen} bytes cut]` : ""
    const line = new TextDecoder().decode(Buffer.concat(this.#parts))
    const mark = CALL_MARK.exec(line)
    const text = printable(mark === null ? line : line.slice(mark[0].length)) + cut
    take({ text, call: mark === null ? null : Number(mark[1]), bytes: this.#seen + 1 })
    this.#parts = []
    this.#kept = 0
    this.#seen = 0
  }
}

/** Output ends up on terminals: escape sequences and other control characters do not. */
function printable(text: string): string {
  return text.replace(/(?!\t)\p{Cc}/gu, " ").trimEnd()
}
