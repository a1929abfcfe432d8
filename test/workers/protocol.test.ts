import { heapStats } from "bun:jsc"
import { expect, test } from "bun:test"
import { encodeFrame, FrameDecoder } from "../../src/frames.ts"
import {
  encodeToWorker,
  MAX_PAYLOAD_BYTES,
  ProtocolBreach,
  parseFromWorker,
  ToWorker,
} from "../../src/workers/protocol.ts"
import fixture from "../python/fixtures/frames.json" with { type: "json" }

const parse = (message: unknown) => parseFromWorker(new TextEncoder().encode(JSON.stringify(message)))

test.each(fixture.frames.map((frame) => [frame.title, frame] as const))(
  "the shared fixture encodes and decodes the same here: %s",
  (_title, { id, kind, payload_hex, frame_hex, message }) => {
    const payload = new Uint8Array(Buffer.from(payload_hex, "hex"))
    expect(Buffer.from(encodeFrame(id, kind, payload)).toString("hex")).toBe(frame_hex)
    // Byte by byte: frames are found wherever the stream was cut.
    const decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
    const frames = [...Buffer.from(frame_hex, "hex")].flatMap((byte) => decoder.push(Uint8Array.of(byte)))
    expect(frames).toEqual([{ id, kind, payload }])
    if (message === undefined) return
    const request = ToWorker.safeParse(message)
    if (request.success) expect(Buffer.from(encodeToWorker(request.data)).toString("hex")).toBe(payload_hex)
    else expect(parseFromWorker(payload)).toMatchObject(message as never)
  },
)

test.each(fixture.malformed.map((stream) => [stream.title, stream.stream_hex] as const))(
  "the shared fixture of malformed streams is refused here: %s",
  (_title, hex) => {
    expect(() => new FrameDecoder(MAX_PAYLOAD_BYTES).push(Buffer.from(hex, "hex"))).toThrow("frame")
  },
)

test("a frame that comes byte by byte is not kept as an object for each byte", () => {
  const frame = encodeFrame(1, 1, new Uint8Array(100_000))
  const decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
  const before = heapStats().objectCount
  for (const byte of frame.subarray(0, -1)) decoder.push(Uint8Array.of(byte))
  Bun.gc(true)
  expect(heapStats().objectCount - before).toBeLessThan(10_000)
  expect(decoder.push(frame.subarray(-1))).toHaveLength(1)
})

test("frames stay what they were when the buffer that brought them is used again", () => {
  const decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
  const [first, second] = [encodeFrame(1, 1, Uint8Array.of(1, 2)), encodeFrame(2, 1, Uint8Array.of(3, 4))]
  const chunk = Buffer.concat([first, second.subarray(0, 5)])
  const frames = decoder.push(chunk)
  chunk.fill(0xff)
  expect([...frames, ...decoder.push(second.subarray(5))]).toEqual([
    { id: 1, kind: 1, payload: Uint8Array.of(1, 2) },
    { id: 2, kind: 1, payload: Uint8Array.of(3, 4) },
  ])
})

test("the limit is the one of the fixture", () => {
  expect(MAX_PAYLOAD_BYTES).toBe(fixture.max_payload_bytes)
})

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])

const HOSTILE: [string, string][] = [
  ["an array", "[]"],
  ["null", "null"],
  ["a type that is no string", '{"type":{}}'],
  ["a type that every object has", '{"type":"constructor"}'],
  ["a __proto__ key", '{"type":"predicted","response":{"__proto__":{"admin":true}}}'],
  ["a __proto__ key, escaped", '{"type":"predicted","response":[{"\\u005f_proto__":1}]}'],
  ["deep nesting", JSON.stringify({ type: "predicted", response: nested(200) })],
  ["very deep nesting", `{"type":"predicted","response":${"[".repeat(500_000)}${"]".repeat(500_000)}}`],
  ["more values than any answer", JSON.stringify({ type: "predicted", response: Array(1_000_001).fill(1) })],
  ["a negative count", '{"type":"progress","partition":"p","attempt":1,"rows":-1}'],
  [
    "a step beyond those that are told of",
    '{"type":"step_progress","partition":"p","attempt":1,"index":32,"step":"s","rows":1,"rows_failed":0,"seconds":1}',
  ],
  [
    "seconds without end",
    '{"type":"step_progress","partition":"p","attempt":1,"index":0,"step":"s","rows":1,"rows_failed":0,"seconds":1e999}',
  ],
  [
    "a count that is none",
    '{"type":"actor_progress","partition":"p","attempt":1,"message":null,"done":"5","total":null}',
  ],
  ["a count beyond integers", '{"type":"progress","partition":"p","attempt":1,"rows":1e300}'],
  ["a path for a vector's file", done({ emb: "../../secrets.key" })],
  [
    "more vectors than a plugin has features",
    done(Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`${index}`, `${index}.f32`]))),
  ],
  ["an isolation it cannot have", '{"type":"locked_down","isolation":"absolute"}'],
  ["a traceback without end", failed("x".repeat(40_000))],
]

test.each(HOSTILE)("a message is refused for %s", (_title, text) => {
  expect(() => parseFromWorker(new TextEncoder().encode(text))).toThrow(ProtocolBreach)
})

test("keys the protocol does not know are dropped, missing optional ones read as null", () => {
  const manifest = {
    feature_extractor_name: "n",
    version: "1",
    supported_input_types: [],
    features: [],
    dependencies: [],
  }
  const message = parse({ type: "manifest", manifest, warnings: [], has_realtime: true, extra: 1 })
  expect(message).not.toHaveProperty("extra")
  expect(message).toMatchObject({
    manifest: { description: null, tier: null, example_input: null, input_schema: null },
  })
})

test("vectors named after parts of an object are just names", () => {
  expect(parseFromWorker(new TextEncoder().encode(done({ constructor: "0.f32" })))).toMatchObject({
    vectors: { constructor: "0.f32" },
  })
})

function done(vectors: Record<string, string>): string {
  return JSON.stringify({
    type: "partition_done",
    partition: "p",
    attempt: 1,
    rows_in: 1,
    rows_failed: 0,
    rows_out: 1,
    vectors,
  })
}

function failed(traceback: string): string {
  const error = { error_type: "runtime", exception: "E", message: "m", traceback, stage: "s" }
  return JSON.stringify({ type: "failed", error })
}
