import { createReadStream } from "node:fs"
import { type FileHandle, mkdir, open } from "node:fs/promises"
import { join } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { lineageLine, lineageStart } from "../documents/lineage-line.ts"
import { parseExactly } from "../exact-json.ts"
import type { Metadata } from "../metadata/open.ts"
import type { RowObject, RowRange } from "../metadata/partition-rows.ts"
import type { RunSourceRow } from "../metadata/run-sources.ts"
import { type BlobColumns, storedBlobs } from "../metadata/stored-blobs.ts"
import { documentId } from "./document-id.ts"
import { type InputPlan, passedThrough, prepareRow, type SourceObject, takesAll } from "./inputs.ts"

/** Between two turns of the event loop: at some microseconds a row, a few milliseconds. */
const ROWS_PER_TURN = 2_000
/** The same, and what is held: rows may carry texts of megabytes. */
const BYTES_PER_TURN = 1024 ** 2
const NEWLINE = 0x0a
/** Of a line of lineage: its row, its object and the tabs behind them. */
const START_BYTES = 128
/** Before anything is known of how large they are. */
const FIRST_ROWS = 64

/** Of one failed row and of a partition's together; what is larger is known by its size alone. */
export const INPUT_BYTES = 256 * 1024
export const PARTITION_INPUT_BYTES = 32 * 1024 ** 2

export interface WrittenRows {
  /** Taken before the first object was read. */
  readonly readAt: string
  /** The worker's input, JSON lines: objects as they are stored, each with its ordinal, or rows as they are. */
  readonly input: string
  /** The appliance's own account of the same rows, a `lineageLine` each; no worker sees it. */
  readonly lineage: string
  readonly rows: number
  /** Of these rows, or of all for null, the objects. */
  readonly objectIds: (rows: readonly number[] | null) => Promise<ReadonlyMap<number, string>>
  /** Of a run over documents: what the rows were read from, and each row's document. */
  readonly chain: {
    readonly sources: readonly RunSourceRow[]
    readonly documentIds: ReadonlyMap<number, string>
  } | null
  /** Objects that are gone or that the collection's source filter leaves out. */
  readonly skipped: number
  readonly failed: readonly {
    readonly ordinal: number
    readonly object_id: string
    readonly document_id?: string
    readonly message: string
  }[]
  /**
   * What was there before the first object was read: the newest change, the newest part, and how many objects of the bucket had
   * been deleted; null for documents.
   */
  readonly readAfter: { readonly change: number; readonly part: number; readonly removals: number } | null
}

/** Writes the rows of `objects` objects into `directory` (created), memory bounded by the slice that is in flight. */
export async function writeRows(
  read: Metadata["read"],
  plan: InputPlan,
  range: RowRange,
  objects: number,
  directory: string,
  now: () => Date,
): Promise<WrittenRows> {
  const readAt = now().toISOString()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const input = join(directory, "input.jsonl")
  const lineage = join(directory, "lineage.tsv")
  const readAfter = {
    change: read.objects.lastChange(),
    part: read.parts.lastSeq(),
    removals: read.buckets.removals(range.bucket_id),
  }
  await using inputFile = await open(input, "wx", 0o600)
  await using lineageFile = await open(lineage, "wx", 0o600)
  const slice = takesAll(plan) ? wholeSlice(read) : lookedAtSlice(read, plan)
  const failed: Slice["failed"][number][] = []
  let rows = 0
  let limit = FIRST_ROWS
  for (let rest = range; ; ) {
    const found = slice(rest, limit)
    await append(inputFile, found.input)
    await append(lineageFile, found.lineage)
    rows += found.rows
    failed.push(...found.failed)
    if (found.seen < limit) break
    rest = {
      ...range,
      first_ordinal: found.last_ordinal + 1,
      after_seq: range.after_seq === null ? null : found.last_seq,
    }
    const size = Math.max(1, found.input.length / found.seen)
    limit = Math.max(1, Math.min(ROWS_PER_TURN, Math.floor(BYTES_PER_TURN / size)))
    await nextTurn()
  }
  return {
    readAt,
    readAfter,
    input,
    lineage,
    rows,
    objectIds: (some) => objectsOf(lineage, some),
    chain: null,
    skipped: objects - rows - failed.length,
    failed,
  }
}

interface Slice {
  readonly seen: number
  readonly last_ordinal: number
  readonly last_seq: number
  readonly rows: number
  readonly input: Uint8Array<ArrayBuffer> | string
  readonly lineage: Uint8Array<ArrayBuffer> | string
  readonly failed: readonly { readonly ordinal: number; readonly object_id: string; readonly message: string }[]
}

function wholeSlice(read: Metadata["read"]): (range: RowRange, limit: number) => Slice {
  return (range, limit) => {
    const lines = read.partitionRows.lines(range, limit)
    return { ...lines, seen: lines.rows, failed: [] }
  }
}

function lookedAtSlice(read: Metadata["read"], plan: InputPlan): (range: RowRange, limit: number) => Slice {
  return (range, limit) => {
    const objects = read.partitionRows.objects(range, limit)
    const failed: Slice["failed"][number][] = []
    let rows = 0
    let input = ""
    let lineage = ""
    for (const stored of objects) {
      const { ordinal, object_id, line, source } = stored
      const passed = passedThrough(plan, sourceObject(stored))
      if (passed.kind === "failed") failed.push({ ordinal, object_id, message: passed.message })
      if (passed.kind !== "row") continue
      rows++
      input += `${line}\n`
      const passthrough = JSON.stringify(passed.passthrough)
      lineage += lineageLine({ row: ordinal, object_id, passthrough, source })
    }
    const last = objects.at(-1)
    const marks = { last_ordinal: last?.ordinal ?? 0, last_seq: last?.seq ?? 0 }
    return { seen: objects.length, ...marks, rows, input, lineage, failed }
  }
}

/** A line by its first bytes: what follows may be megabytes, and a reader of whole lines took 10 us for each. */
async function objectsOf(lineage: string, rows: readonly number[] | null): Promise<Map<number, string>> {
  const wanted = rows === null ? null : new Set(rows)
  const found = new Map<number, string>()
  if (wanted?.size === 0) return found
  let held = Buffer.alloc(0)
  for await (const chunk of createReadStream(lineage, { highWaterMark: BYTES_PER_TURN })) {
    held = held.byteLength === 0 ? chunk : Buffer.concat([held, chunk])
    let from = 0
    for (let end = held.indexOf(NEWLINE); end !== -1; end = held.indexOf(NEWLINE, from)) {
      const { row, object_id: objectId } = lineageStart(
        held.toString("latin1", from, Math.min(end, from + START_BYTES)),
      )
      if (wanted === null || wanted.has(row)) found.set(row, objectId)
      if (found.size === wanted?.size) return found
      from = end + 1
    }
    held = held.subarray(from)
  }
  return found
}

/** A row as the plugin was given it. */
export interface RowInput {
  /** JSON; null when it is larger than what is kept. */
  readonly text: string | null
  readonly bytes: number
}

/**
 * What the plugin was given of these rows, made again from their objects and not from files that a worker could reach. An
 * object that has changed since has none: it would not be what failed.
 */
export async function rowInputs(
  read: Metadata["read"],
  plan: InputPlan,
  bucketId: string,
  { readAt }: WrittenRows,
  objects: ReadonlyMap<number, string>,
): Promise<Map<number, RowInput>> {
  const inputs = new Map<number, RowInput>()
  const ordinals = new Map([...objects].map(([ordinal, objectId]) => [objectId, ordinal]))
  const ids = [...ordinals.keys()]
  let room = PARTITION_INPUT_BYTES
  for (let at = 0; at < ids.length; at += ROWS_PER_TURN) {
    if (at > 0) await nextTurn()
    for (const stored of read.partitionRows.byId(bucketId, ids.slice(at, at + ROWS_PER_TURN))) {
      if (stored.updated_at >= readAt) continue
      const object = sourceObject(stored)
      const first = documentId(plan.collectionId, object.object_id, plan.pluginVersion, plan.codeHash, 0)
      const text = JSON.stringify(prepareRow(plan, object, first))
      const bytes = Buffer.byteLength(text)
      const kept = bytes <= Math.min(INPUT_BYTES, room)
      if (kept) room -= bytes
      inputs.set(ordinals.get(object.object_id) ?? 0, { text: kept ? text : null, bytes })
    }
  }
  return inputs
}

type StoredObject = Pick<RowObject, "object_id" | "bucket_id" | "fields" | keyof BlobColumns>

function sourceObject({ object_id, bucket_id, fields, ...columns }: StoredObject): SourceObject {
  return { object_id, bucket_id, fields: parseExactly(fields), blobs: storedBlobs(columns) }
}

/** `text`, where it is bytes, is gone afterwards: left to the collector, slices of a million rows would be 150 collections. */
async function append(file: FileHandle, text: Uint8Array<ArrayBuffer> | string): Promise<void> {
  if (text.length === 0) return
  await file.appendFile(text)
  if (typeof text !== "string") text.buffer.transfer(0)
}
