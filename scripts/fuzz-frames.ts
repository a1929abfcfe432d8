/**
 * Gives the decoder of worker frames and the parser of what a worker says hostile bytes. Only a FrameError or a ProtocolBreach
 * may be thrown; how the stream is cut must not matter; what is let through has no `__proto__` key, can be sent on as JSON
 * and leaves every object's prototype as it was; each within two seconds and without keeping memory.
 */
import { CONTROL_FRAME, type Frame, FrameDecoder, FrameError } from "../src/frames.ts"
import {
  checkReply,
  isEvent,
  MAX_PAYLOAD_BYTES,
  ProtocolBreach,
  parseFromWorker,
  type WorkerRequest,
} from "../src/workers/protocol.ts"
import { seeded } from "./differential-mutants.ts"
import { type Fuzzed, type FuzzOptions, fuzzCommand, fuzzFor } from "./fuzzing.ts"
import { hostileStream } from "./hostile-frames.ts"

export interface FuzzedFrames extends Fuzzed {
  /** How many messages the protocol took, by the way, and how many it refused. */
  readonly taken: number
  readonly refused: number
}

const REQUESTS: readonly WorkerRequest[] = [
  { type: "load", plugin_path: "/p", plugin_name: "p", package_name: "p", site_packages: [], scratch: "/s" },
  { type: "read_manifest" },
  { type: "validate_parameters", parameters: {} },
  {
    type: "run_partition",
    partition: "p",
    attempt: 1,
    input: "/i",
    output: "/o",
    features: [],
    asset_roots: {},
    concurrency: null,
    call_seconds: null,
    batch_rows: null,
  },
  { type: "construct_realtime" },
  { type: "predict", request: null },
]

export async function fuzz({ seconds, seed }: FuzzOptions): Promise<FuzzedFrames> {
  const random = seeded(seed)
  const prototype = shapeOfObjects()
  const counts = { taken: 0, refused: 0 }
  const fuzzed = await fuzzFor({
    seconds,
    input: () => hostileStream(random),
    feed(stream) {
      const whole = decoded([stream])
      const cut = decoded(chunksOf(stream, random))
      if (!Bun.deepEquals(whole, cut)) return "chunks decode to other frames than the whole"
      for (const { kind, payload } of whole.frames) {
        if (kind !== CONTROL_FRAME) continue
        const wrong = wrongMessage(payload, counts)
        if (wrong !== null) return wrong
      }
      return shapeOfObjects() === prototype ? null : "every object's prototype was changed"
    },
  })
  return { ...fuzzed, ...counts }
}

/** Frames up to the one that ends the stream, and what the decoder said of that. */
function decoded(chunks: readonly Uint8Array[]): { frames: Frame[]; error: string | null } {
  const decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
  const frames: Frame[] = []
  try {
    for (const chunk of chunks) frames.push(...decoder.push(chunk))
    return { frames, error: null }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error
    // What a chunk held before the bad frame goes with it, so only the frames of whole chunks can be told.
    return { frames: [], error: error.message }
  }
}

function chunksOf(stream: Uint8Array, random: () => number): Uint8Array[] {
  const lengths = stream.length > 100_000 ? [100, 65_536] : [1, 3, 9, 100, 65_536]
  const longest = lengths[Math.floor(random() * lengths.length)] ?? 1
  const chunks: Uint8Array[] = []
  for (let at = 0; at < stream.length; ) {
    const length = Math.floor(random() * longest) + (random() < 0.1 ? 0 : 1)
    // A Buffer, as a socket gives it.
    chunks.push(Buffer.from(stream.subarray(at, at + length)))
    at += length
  }
  return chunks
}

function wrongMessage(payload: Uint8Array, counts: { taken: number; refused: number }): string | null {
  try {
    const message = parseFromWorker(payload)
    counts.taken++
    if (holdsPrototype(message)) return "a key '__proto__' was let through"
    JSON.stringify(message)
    if (isEvent(message)) return null
    for (const request of REQUESTS) checkReplyOf(request, message)
  } catch (error) {
    if (!(error instanceof ProtocolBreach)) throw error
    counts.refused++
  }
  return null
}

function checkReplyOf(request: WorkerRequest, message: Parameters<typeof checkReply>[1]): void {
  try {
    checkReply(request, message)
  } catch (error) {
    if (!(error instanceof ProtocolBreach)) throw error
  }
}

function holdsPrototype(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false
  if (Object.hasOwn(value, "__proto__")) return true
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return true
  return Object.values(value).some(holdsPrototype)
}

function shapeOfObjects(): string {
  return [Object.prototype, Array.prototype, String.prototype, Number.prototype]
    .map((prototype) => Object.getOwnPropertyNames(prototype).join())
    .join(";")
}

if (import.meta.main) await fuzzCommand("fuzz-frames", fuzz)
