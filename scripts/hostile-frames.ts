/** Byte streams as a plugin makes them that took over its worker: messages with one part forged, frames that lie, noise. */
import { encodeFrame } from "../src/frames.ts"
import { MAX_PAYLOAD_BYTES } from "../src/workers/protocol.ts"
import fixture from "../test/python/fixtures/frames.json" with { type: "json" }

type Random = () => number

const below = (limit: number, random: Random) => Math.floor(random() * limit)
const chance = (probability: number, random: Random) => random() < probability
function anyOf<T>(values: readonly T[], random: Random): T {
  const value = values[below(values.length, random)]
  if (value === undefined) throw new Error("nothing to choose from")
  return value
}

export function hostileStream(random: Random): Uint8Array {
  if (chance(0.05, random)) return noise(2000, random)
  const frames = Array.from({ length: 1 + below(5, random) }, () => {
    const id = chance(0.7, random) ? below(4, random) : below(0xffffffff, random)
    const kind = chance(0.95, random) ? 1 : below(256, random)
    return encodeFrame(id, kind, hostilePayload(random))
  })
  const stream = Buffer.concat(frames)
  if (chance(0.1, random)) stream.writeUInt32LE(anyOf(LENGTHS, random), 0)
  if (chance(0.1, random)) return stream.subarray(0, below(stream.length, random))
  if (chance(0.05, random)) return Buffer.concat([noise(20, random), stream])
  return stream
}

const LENGTHS = [0, 1, 4, 5, 6, MAX_PAYLOAD_BYTES + 5, MAX_PAYLOAD_BYTES + 6, 0x7fffffff, 0x80000000, 0xffffffff]

const MANIFEST = {
  feature_extractor_name: "text_features",
  version: "1.0.0",
  supported_input_types: ["text"],
  features: [{ feature_name: "emb", feature_type: "embedding", embedding_dim: 8, distance_metric: "cosine" }],
  dependencies: [],
  input_schema: { properties: { text: { type: "string" } } },
  required_vector_indexes: [{}],
}
/** One honest message of each type. */
const HONEST: readonly unknown[] = [
  ...fixture.frames.flatMap(({ message }) => (message === undefined ? [] : [message])),
  { type: "hello", protocol: 1, pid: 7, python: "3.11.7" },
  { type: "locked_down", isolation: "full", facts: { landlock_abi: 5, network: "denied", namespaces: ["user"] } },
  { type: "loaded" },
  { type: "manifest", manifest: MANIFEST, warnings: ["w"], has_realtime: false },
  { type: "parameters_valid", parameters: { a: 1 } },
  { type: "parameters_invalid", errors: [{ location: ["a", 0], message: "m", type: "t" }] },
  { type: "steps_built", steps: [{ name: "s", resource_type: "cpu", condition: null }] },
  { type: "progress", partition: "p", attempt: 1, rows: 2 },
  { type: "step_progress", partition: "p", attempt: 1, index: 0, step: "s", rows: 2, rows_failed: 1, seconds: 0.5 },
  { type: "actor_progress", partition: "p", attempt: 1, message: "m", done: 1, total: null },
  {
    type: "partition_done",
    partition: "p",
    attempt: 1,
    rows_in: 1,
    rows_failed: 0,
    rows_out: 1,
    vectors: { emb: "0.f32" },
  },
  { type: "realtime_constructed", form: "class" },
  { type: "predicted", response: { embedding: [0.5] } },
  {
    type: "failed",
    error: { error_type: "runtime", exception: "E", message: "m", traceback: "t", stage: "load" },
  },
]

function hostilePayload(random: Random): Uint8Array {
  if (chance(0.03, random)) return noise(500, random)
  const message = structuredClone(anyOf(HONEST, random))
  const text = chance(0.85, random) ? forged(message, random) : JSON.stringify(message)
  const bytes = Buffer.from(text).subarray(0, MAX_PAYLOAD_BYTES)
  return chance(0.15, random) ? damaged(bytes, random) : bytes
}

/** Stands for a piece of JSON text that no value writes: a number of many digits, a key twice, nesting without end. */
const HOLE = "\u0001hole"

/** The message with one of its parts, or itself, replaced by something hostile, or with a key more. */
function forged(message: unknown, random: Random): string {
  const places: { holder: Record<string, unknown>; key: string }[] = []
  const root: Record<string, unknown> = { message }
  collect(root, places)
  const { holder, key } = chance(0.02, random) ? { holder: root, key: "message" } : anyOf(places, random)
  const inside = holder[key]
  if (chance(0.3, random) && typeof inside === "object" && inside !== null && !Array.isArray(inside)) {
    Object.assign(inside, { [HOLE]: 0 })
    return JSON.stringify(root.message).replace(
      `${JSON.stringify(HOLE)}:0`,
      () => `${JSON.stringify(anyOf(KEYS, random))}:${hostileJson(random)}`,
    )
  }
  if (chance(0.2, random) && Array.isArray(inside)) inside.push(HOLE)
  else if (chance(0.1, random)) delete holder[key]
  else holder[key] = HOLE
  return (JSON.stringify(root.message) ?? "").replace(JSON.stringify(HOLE), () => hostileJson(random))
}

function collect(value: unknown, places: { holder: Record<string, unknown>; key: string }[]): void {
  if (typeof value !== "object" || value === null) return
  const holder = value as Record<string, unknown>
  for (const key of Object.keys(holder)) {
    places.push({ holder, key })
    collect(holder[key], places)
  }
}

const KEYS = [
  ..."__proto__ constructor prototype toString hasOwnProperty then toJSON type manifest rows valueOf __defineGetter__".split(
    " ",
  ),
  "",
  "0",
  "-1",
  "4294967295",
  "\ud800",
  "\0",
]
const SCALARS = [
  ..."null true false 0 -0 -1 1.5 1e308 1e309 -1e999 9007199254740993 4294967296 1e-400 0.1e1 NaN 01 {} []".split(" "),
  '""',
  '"\\ud800"',
  '"\\u0000"',
  '"__proto__"',
  '{"__proto__":{"polluted":1}}',
  '{"\\u005f\\u005fproto__":[]}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"type":"hello","type":"loaded"}',
  '{"toString":1,"valueOf":1}',
  '{"length":4294967295}',
  '"../../secrets.key"',
  '"0.f32\\n"',
]

function hostileJson(random: Random): string {
  const choice = random()
  if (choice < 0.7) return anyOf(SCALARS, random)
  // Most are small, or the large ones would be all that there is time for.
  const count = chance(0.02, random) ? below(2_000_000, random) : below(2000, random)
  if (choice < 0.8) {
    const [open, close] = anyOf(
      [
        ["[", "]"],
        ['{"a":', "}"],
        ['[{"__proto__":', "}]"],
      ] as const,
      random,
    )
    const depth = Math.min(chance(0.5, random) ? below(100, random) : count, Math.floor(MAX_PAYLOAD_BYTES / 20))
    return open.repeat(depth) + anyOf(SCALARS, random) + (chance(0.9, random) ? close.repeat(depth) : "")
  }
  if (choice < 0.87) return `[${anyOf(SCALARS, random)}${`,${anyOf(SCALARS, random)}`.repeat(count)}]`
  if (choice < 0.92) return `"${anyOf(["x", "ä", "😀", "\\n", "\\ud800"], random).repeat(count)}"`
  if (choice < 0.96) return `${chance(0.5, random) ? "-" : ""}${"9".repeat(1 + count)}`
  const value = anyOf(SCALARS, random)
  return `{${Array.from({ length: Math.min(count, 200_000) }, (_, index) => `"${index.toString(36)}":${value}`).join()}}`
}

/** Some bytes changed, taken out, or of no UTF-8. */
function damaged(bytes: Buffer, random: Random): Buffer {
  const at = below(bytes.length, random)
  if (chance(0.3, random)) return bytes.subarray(0, at)
  if (chance(0.5, random)) {
    const wrong = Buffer.from(anyOf(["ff", "c0af", "eda080", "f8", "80", "efbbbf", "e282", "00"], random), "hex")
    return Buffer.concat([bytes.subarray(0, at), wrong, bytes.subarray(at)])
  }
  const changed = Buffer.from(bytes)
  for (let left = 1 + below(5, random); left > 0 && changed.length > 0; left--) {
    const where = below(changed.length, random)
    changed[where] = (changed[where] ?? 0) ^ (1 << below(8, random))
  }
  return changed
}

function noise(longest: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length: below(longest, random) }, () => below(256, random)))
}
