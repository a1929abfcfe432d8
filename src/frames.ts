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
/** Realtime calls, whose bodies pass as the bytes they are. */
export const CALL_FRAME = 2
export const ANSWER_FRAME = 3
/** A WorkerFailure as JSON. */
export const FAILED_FRAME = 4
/** Of an answer that is streamed; an empty answer ends it. */
export const PIECE_FRAME = 5
/** How many of the calls that wait, u32le, have just begun together. */
export const BEGUN_FRAME = 6
/** Nobody waits for a call any more; where calls overlap. */
export const CANCEL_FRAME = 7

const LENGTH_BYTES = 4
const HEAD_BYTES = 5

export class FrameError extends Error {
  override readonly name = "FrameError"
}

/** @throws FrameError when id or kind do not fit their fields */
export function encodeFrame(id: number, kind: number, payload: Uint8Array): Uint8Array {
  return encodeFrames([{ id, kind, payload }])
}

/** All of them in one piece. @throws FrameError when id or kind of one do not fit their fields */
export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  let size = 0
  for (const { payload } of frames) size += LENGTH_BYTES + HEAD_BYTES + payload.byteLength
  const bytes = new Uint8Array(size)
  let at = 0
  for (const { id, kind, payload } of frames) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw new FrameError(`frame id ${id} is not a u32`)
    if (!Number.isInteger(kind) || kind < 0 || kind > 0xff) throw new FrameError(`frame kind ${kind} is not a u8`)
    // Byte by byte: a view over a small array costs five times what the whole frame does.
    writeUint32(bytes, at, HEAD_BYTES + payload.byteLength)
    writeUint32(bytes, at + LENGTH_BYTES, id)
    bytes[at + LENGTH_BYTES + 4] = kind
    bytes.set(payload, at + LENGTH_BYTES + HEAD_BYTES)
    at += LENGTH_BYTES + HEAD_BYTES + payload.byteLength
  }
  return bytes
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  for (let place = 0; place < 4; place++) bytes[at + place] = value >>> (8 * place)
}

/**
 * Cuts a byte stream into frames. One per connection; after a FrameError the stream is not usable any more. What has come of
 * a frame is kept in one buffer: a list of chunks would cost some 200 bytes for each byte of a sender that sends them singly.
 */
export class FrameDecoder {
  readonly #maxPayloadBytes: number
  #buffer = new Uint8Array(0)
  #filled = 0

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes
  }

  /** @throws FrameError when a frame announces fewer bytes than a head or more payload than the maximum */
  push(chunk: Uint8Array): Frame[] {
    const bytes = this.#filled === 0 ? chunk : this.#append(chunk)
    const frames: Frame[] = []
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (bytes.byteLength - at >= LENGTH_BYTES) {
      const length = view.getUint32(at, true)
      if (length < HEAD_BYTES) throw new FrameError(`a frame of ${length} bytes is shorter than its head`)
      if (length - HEAD_BYTES > this.#maxPayloadBytes) {
        throw new FrameError(`a frame of ${length} bytes is over the limit of ${this.#maxPayloadBytes}`)
      }
      const end = at + LENGTH_BYTES + length
      if (end > bytes.byteLength) break
      frames.push({
        id: view.getUint32(at + 4, true),
        kind: view.getUint8(at + 8),
        payload: copyOf(bytes.subarray(at + LENGTH_BYTES + HEAD_BYTES, end)),
      })
      at = end
    }
    if (this.#filled === 0 || at > 0) {
      this.#buffer = copyOf(bytes.subarray(at))
      this.#filled = this.#buffer.byteLength
    }
    return frames
  }

  /** All bytes that wait, `chunk` the last of them. */
  #append(chunk: Uint8Array): Uint8Array {
    const filled = this.#filled + chunk.byteLength
    if (filled > this.#buffer.byteLength) {
      const larger = new Uint8Array(Math.max(filled, 2 * this.#buffer.byteLength))
      larger.set(this.#buffer.subarray(0, this.#filled))
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.#filled)
    this.#filled = filled
    return this.#buffer.subarray(0, filled)
  }
}

/** What was pushed belongs to the caller. Not `slice`: that of a Buffer copies nothing. */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}
