/**
 * What the appliance and a worker say to one another over descriptor 3, in frames of `frames.ts`. One file, closed and
 * bounded: everything a worker says is hostile input, since plugin code shares its process and can forge frames.
 * `python/plugin_worker/protocol.py` is the mirror; `test/python/fixtures/frames.json` tests both. Rows never travel here.
 */
import { z } from "zod"
import { NETWORK_MODES } from "../egress.ts"
import { IsolationFacts } from "../isolation-facts.ts"
import { ISOLATION_LEVELS } from "../isolation-levels.ts"

export const PROTOCOL_VERSION = 1

/** Per frame, both directions. The largest honest message is a manifest with its three JSON schemas. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024

/** Of an event, which may come a thousand times a second: 60 of 4 MiB took the appliance 3.5 s, and the worker 0.15 s. */
export const MAX_EVENT_BYTES = 1024

/** The worker itself allows values 64 deep; they stand a few levels deep in a message. */
const MAX_DEPTH = 80
/** 4 MiB of short numbers is about this many values. */
const MAX_VALUES = 1_000_000

/** Wider than what the domain accepts: an author who wrote too long a name shall hear that, not of a broken protocol. */
const name = z.string().max(8 * 1024)
const prose = z.string().max(1024 * 1024)
/** The worker cuts at 16 Ki characters, and a character is at most two UTF-16 units. */
const traceback = z.string().max(32 * 1024)
const count = z.int().nonnegative()
const attempt = z.int().nonnegative()
/** Any JSON object. Not z.record, which would copy it key by key: 0.5 s for the most that a hostile frame holds. */
const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
)
const MAX_FEATURES = 256
const stringList = z.array(name).max(10_000)

/** A key that is missing reads as null: the sheet's optional fields are all nullable. */
function orNull<T extends z.ZodType>(schema: T) {
  return schema.nullable().default(null)
}

export const WorkerFailure = z.object({
  error_type: z.enum(["dependency", "validation", "runtime", "network", "resource"]),
  exception: name,
  message: prose,
  traceback,
  stage: name,
})
export type WorkerFailure = z.infer<typeof WorkerFailure>

/** What the worker read off a plugin's classes. Still the author's words: the domain judges names, types and sizes. */
export const Manifest = z.object({
  feature_extractor_name: name,
  version: name,
  description: orNull(prose),
  category: orNull(name),
  input_schema: orNull(jsonObject),
  output_schema: orNull(jsonObject),
  parameter_schema: orNull(jsonObject),
  supported_input_types: stringList,
  features: z
    .array(
      z.object({
        feature_name: name,
        feature_type: name,
        embedding_dim: orNull(z.int()),
        distance_metric: orNull(name),
      }),
    )
    .max(MAX_FEATURES),
  dependencies: stringList,
  input_mappings: orNull(jsonObject),
  compute_profile: orNull(jsonObject),
  feature_uri: orNull(name),
  example_input: orNull(z.unknown()),
  example_output: orNull(z.unknown()),
  required_vector_indexes: orNull(z.array(jsonObject).max(256)),
  tier: orNull(z.int()),
  tier_label: orNull(name),
  requires_python: orNull(name),
})
export type Manifest = z.infer<typeof Manifest>

export const FromWorker = z.discriminatedUnion("type", [
  z.object({ type: z.literal("hello"), protocol: z.int(), pid: z.int().positive(), python: z.string().max(64) }),
  z.object({ type: z.literal("locked_down"), isolation: z.enum(ISOLATION_LEVELS), facts: IsolationFacts.prefault({}) }),
  z.object({ type: z.literal("loaded") }),
  z.object({
    type: z.literal("manifest"),
    manifest: Manifest,
    warnings: z.array(prose).max(256),
    has_realtime: z.boolean(),
  }),
  z.object({ type: z.literal("parameters_valid"), parameters: jsonObject }),
  z.object({
    type: z.literal("parameters_invalid"),
    errors: z
      .array(z.object({ location: z.array(z.union([name, z.int()])).max(MAX_DEPTH), message: prose, type: name }))
      .max(1000),
  }),
  z.object({
    type: z.literal("steps_built"),
    steps: z
      .array(z.object({ name, resource_type: z.enum(["cpu", "gpu", "api", "none"]), condition: orNull(name) }))
      .max(10_000),
  }),
  z.object({ type: z.literal("progress"), partition: name, attempt, rows: count }),
  /** Of one step, from the partition's begin on. */
  z.object({
    type: z.literal("step_progress"),
    partition: name,
    attempt,
    index: z.int().min(0).max(31),
    step: z.string().max(128),
    rows: count,
    rows_failed: count,
    seconds: z.number().min(0).max(1e9),
  }),
  /** What processors say by `progress_actor`, from the partition's begin on. */
  z.object({
    type: z.literal("actor_progress"),
    partition: name,
    attempt,
    message: z.string().max(400).nullable(),
    done: z.number().nullable(),
    total: z.number().nullable(),
  }),
  z.object({
    type: z.literal("partition_done"),
    partition: name,
    attempt,
    rows_in: count,
    rows_failed: count,
    rows_out: count,
    /** File names inside the output directory: never a path the worker chose. */
    /** Rows a call that sufficed after more ran out of memory; null: nothing of the kind. */
    batch_rows: orNull(z.int().positive()),
    vectors: jsonObject
      .refine((vectors) => Object.keys(vectors).length <= MAX_FEATURES, { abort: true })
      .pipe(z.record(name, z.string().regex(/^\d{1,4}\.f32$/))),
  }),
  z.object({
    type: z.literal("realtime_constructed"),
    form: name,
    batches: z.boolean().default(false),
    overlaps: z.boolean().default(false),
  }),
  z.object({ type: z.literal("predicted"), response: z.unknown() }),
  z.object({ type: z.literal("failed"), error: WorkerFailure }),
])
export type FromWorker = z.infer<typeof FromWorker>

const path = z.string().min(1).max(4096)

/** By what the worker makes rows of objects (`plugin_worker/object_rows.py`). */
const ObjectPlan = z.object({
  collection_id: name,
  plugin_id: name,
  plugin_version: name,
  code_hash: z.string(),
  inputs: z.array(z.string()),
  input_types: z.array(z.string()),
  mappings: z.record(
    z.string(),
    z.object({
      source_type: z.enum(["payload", "literal"]),
      /** Dotted path into the object; null for a literal. */
      path: z.string().nullable(),
      override: z.unknown(),
    }),
  ),
})
export type ObjectPlan = z.infer<typeof ObjectPlan>

export const ToWorker = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("lock_down"),
    policy: z.union([
      z.object({ level: z.literal("none") }),
      z.object({
        level: z.enum(["full", "standard", "reduced"]),
        /** Real paths: absolute and without links. */
        read: z.array(path),
        write: z.array(path),
        /** Of a GPU. */
        devices: z.array(path),
        hide: z.array(path),
        memory_bytes: z.int().positive(),
        open_files: z.int().positive(),
        landlock_abi_at_most: z.int().nonnegative(),
        namespaces: z.boolean(),
        network: z.enum(NETWORK_MODES),
        egress: z.array(z.string()),
      }),
    ]),
  }),
  z.object({
    type: z.literal("load"),
    plugin_path: path,
    /** Empty when unknown: the worker then takes the alias from the manifest when it is read. */
    plugin_name: name,
    package_name: name,
    site_packages: z.array(path),
    scratch: path,
  }),
  z.object({ type: z.literal("read_manifest") }),
  z.object({ type: z.literal("validate_parameters"), parameters: jsonObject }),
  z.object({
    type: z.literal("build_steps"),
    parameters: jsonObject,
    dataset_size: count,
    content_flags: jsonObject,
    feature_extractor_name: name,
    version: name,
    /** Most threads that call processors of resource type API at once. */
    call_threads: z.int().positive().optional(),
  }),
  z.object({
    type: z.literal("run_partition"),
    partition: name,
    attempt,
    /** JSON lines, written by the appliance. */
    input: path,
    /** An empty directory for scalars.parquet, `<i>.f32` and errors.jsonl. */
    output: path,
    features: z.array(z.object({ feature_name: name, embedding_dim: z.int().positive() })),
    asset_roots: z.record(z.string(), path),
    /** Calls at once of an API step that are left to this worker; null: as many as it has by itself. */
    concurrency: z.int().positive().nullable(),
    /** That one of its calls may await something; null: for ever. */
    call_seconds: z.number().positive().nullable(),
    /** Rows a step is given at once, at most; null: as many as it takes. */
    batch_rows: z.int().positive().nullable(),
    /** Makes a row of each line, which is an object as it is stored; without it a line is the row itself. */
    plan: ObjectPlan.optional(),
    /** The steps to run; without it all. Unless they are the last, `output` gets rows.arrow and errors.jsonl alone. */
    group: z
      .object({
        first: count,
        end: count,
        /** What the group before left, as rows.arrow; null: this is the first one. */
        rows: path.nullable(),
      })
      .optional(),
  }),
  z.object({ type: z.literal("construct_realtime") }),
  z.object({ type: z.literal("predict"), request: z.unknown() }),
  z.object({ type: z.literal("shutdown") }),
])
export type ToWorker = z.infer<typeof ToWorker>

/** Everything that is answered; `shutdown` is answered by the end of the process. */
export type WorkerRequest = Exclude<ToWorker, { type: "shutdown" }>

/** What may answer what. `failed` may answer everything. */
const REPLY_TYPES = {
  lock_down: ["locked_down"],
  load: ["loaded"],
  read_manifest: ["manifest"],
  validate_parameters: ["parameters_valid", "parameters_invalid"],
  build_steps: ["steps_built"],
  run_partition: ["partition_done"],
  construct_realtime: ["realtime_constructed"],
  predict: ["predicted"],
} as const satisfies Record<WorkerRequest["type"], readonly FromWorker["type"][]>

export type Failed = Extract<FromWorker, { type: "failed" }>
export type ReplyTo<T extends WorkerRequest["type"]> =
  | Extract<FromWorker, { type: (typeof REPLY_TYPES)[T][number] }>
  | Failed
export type Progress = Extract<FromWorker, { type: "progress" | "step_progress" | "actor_progress" }>
export type WorkerEvent = Extract<FromWorker, { type: "hello" }> | Progress

/** The worker said something the protocol does not know. The worker is not to be trusted with anything more. */
export class ProtocolBreach extends Error {
  override readonly name = "ProtocolBreach"
}

/** @throws ProtocolBreach unless the payload is one bounded, known message in UTF-8 JSON */
export function parseFromWorker(payload: Uint8Array): FromWorker {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload))
  } catch (error) {
    throw new ProtocolBreach("a message is not UTF-8 JSON", { cause: error })
  }
  checkBounds(value)
  const parsed = FromWorker.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined || issue.path.length === 0 ? "a message" : `'${issue.path.join(".").slice(0, 200)}'`
  throw new ProtocolBreach(`${where} does not fit the protocol: ${issue?.message.slice(0, 200) ?? "unknown"}`)
}

/** @throws RangeError when the message is over MAX_PAYLOAD_BYTES; nothing was sent then */
export function encodeToWorker(message: ToWorker): Uint8Array {
  const payload = new TextEncoder().encode(JSON.stringify(message))
  if (payload.byteLength > MAX_PAYLOAD_BYTES) {
    throw new RangeError(
      `the '${message.type}' message is ${payload.byteLength} bytes; a frame carries ${MAX_PAYLOAD_BYTES} at most`,
    )
  }
  return payload
}

/** Events carry id 0 and come unasked; everything else answers a request. */
export function isEvent(message: FromWorker): message is WorkerEvent {
  switch (message.type) {
    case "hello":
    case "progress":
    case "step_progress":
    case "actor_progress":
      return true
    case "locked_down":
    case "loaded":
    case "manifest":
    case "parameters_valid":
    case "parameters_invalid":
    case "steps_built":
    case "partition_done":
    case "realtime_constructed":
    case "predicted":
    case "failed":
      return false
    default:
      return message satisfies never
  }
}

/** @throws ProtocolBreach when the message is no answer to this request */
export function checkReply<M extends WorkerRequest>(request: M, message: FromWorker): ReplyTo<M["type"]> {
  const expected: readonly string[] = REPLY_TYPES[request.type]
  if (message.type !== "failed" && !expected.includes(message.type)) {
    throw new ProtocolBreach(`'${request.type}' was answered by '${message.type}'`)
  }
  if (message.type === "partition_done" && request.type === "run_partition") {
    if (message.partition !== request.partition || message.attempt !== request.attempt) {
      throw new ProtocolBreach(
        `partition ${request.partition} attempt ${request.attempt} was answered for another partition or attempt`,
      )
    }
  }
  return message as ReplyTo<M["type"]>
}

/**
 * JSON.parse bounds nothing, and makes `__proto__` an own key that a later merge would turn into a prototype. Recursion is
 * as deep as the limit at most. 2 million values, all that fit into a frame, take some 40 ms.
 */
function checkBounds(value: unknown, depth = 0, seen = { values: 0 }): void {
  seen.values += 1
  if (seen.values > MAX_VALUES) throw new ProtocolBreach(`a message holds more than ${MAX_VALUES} values`)
  if (typeof value !== "object" || value === null) return
  if (depth >= MAX_DEPTH) throw new ProtocolBreach(`a message is nested deeper than ${MAX_DEPTH}`)
  if (Array.isArray(value)) {
    for (const item of value) checkBounds(item, depth + 1, seen)
    return
  }
  if (Object.hasOwn(value, "__proto__")) throw new ProtocolBreach("a message has a key '__proto__'")
  for (const item of Object.values(value)) checkBounds(item, depth + 1, seen)
}
