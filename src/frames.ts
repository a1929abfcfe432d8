/**
 * Frames between the appliance and its child processes: `u32le length | u32le id | u8 kind | payload`, where length
 * counts what follows it. `python/plugin_worker/protocol.py` is the mirror; one fixture tests both.
 */
export interface Frame {
  readonly id: number
  readonly kind: number
  readonly payload: Uint8Array
}

/** A JSON object with a string `type`. */
export const CONTROL_FRAME = 1

const LENGTH_BYTES = 4
const HEAD_BYTES = 5

export class FrameError extends Error {
  override readonly name = "FrameError"
}

/** @throws FrameError when id or kind do not fit their fields */
export function encodeFrame(id: number, kind: number, payload: Uint8Array): Uint8Array {
  if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw new FrameError(`frame id ${id} is not a u32`)
  if (!Number.isInteger(kind) || kind < 0 || kind > 0xff) throw new FrameError(`frame kind ${kind} is not a u8`)
  const frame = new Uint8Array(LENGTH_BYTES + HEAD_BYTES + payload.byteLength)
  const view = new DataView(frame.buffer)
  view.setUint32(0, HEAD_BYTES + payload.byteLength, true)
  view.setUint32(4, id, true)
  view.setUint8(8, kind)
  frame.set(payload, LENGTH_BYTES + HEAD_BYTES)
  return frame
}

/** Cuts a byte stream into frames. One per connection; after a FrameError the stream is not usable any more. */
export class FrameDecoder {
  readonly #maxPayloadBytes: number
  #chunks: Uint8Array[] = []
  #buffered = 0

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes
  }

  /** @throws FrameError when a frame announces fewer bytes than a head or more payload than the maximum */
  push(chunk: Uint8Array): Frame[] {
    this.#chunks.push(chunk)
    this.#buffered += chunk.byteLength
    const frames: Frame[] = []
    for (;;) {
      if (this.#buffered < LENGTH_BYTES) return frames
      const length = new DataView(this.#peek(LENGTH_BYTES).buffer).getUint32(0, true)
      if (length < HEAD_BYTES) throw new FrameError(`a frame of ${length} bytes is shorter than its head`)
      if (length - HEAD_BYTES > this.#maxPayloadBytes) {
        throw new FrameError(`a frame of ${length} bytes is over the limit of ${this.#maxPayloadBytes}`)
      }
      if (this.#buffered < LENGTH_BYTES + length) return frames
      const whole = this.#take(LENGTH_BYTES + length)
      const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength)
      frames.push({
        id: view.getUint32(4, true),
        kind: view.getUint8(8),
        payload: whole.subarray(LENGTH_BYTES + HEAD_BYTES),
      })
    }
  }

  #peek(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    let filled = 0
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(0, count - filled)
      bytes.set(part, filled)
      filled += part.byteLength
      if (filled === count) break
    }
    return bytes
  }

  #take(count: number): Uint8Array {
    const bytes = this.#peek(count)
    let left = count
    while (left > 0) {
      const head = this.#chunks[0]
      if (head === undefined) break
      if (head.byteLength <= left) {
        this.#chunks.shift()
        left -= head.byteLength
      } else {
        this.#chunks[0] = head.subarray(left)
        left = 0
      }
    }
    this.#buffered -= count
    return bytes
  }
}
