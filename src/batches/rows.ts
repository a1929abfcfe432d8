import { type FileHandle, mkdir, open } from "node:fs/promises"
import { join } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import type { StoredBlob } from "../buckets/stored-blob.ts"
import { lineageLine } from "../documents/lineage-line.ts"
import type { PartitionObject } from "../metadata/objects.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { RunSourceRow } from "../metadata/run-sources.ts"
import { documentId } from "./document-id.ts"
import { type InputPlan, prepareRow, type SourceObject } from "./inputs.ts"

/** Rows prepared between two turns of the event loop: at about 5 us a row, some milliseconds. */
const ROWS_PER_TURN = 500

/** Of one failed row and of a partition's together; what is larger is known by its size alone. */
export const INPUT_BYTES = 256 * 1024
export const PARTITION_INPUT_BYTES = 32 * 1024 ** 2

export interface WrittenRows {
  /** Taken before the first object was read. */
  readonly readAt: string
  /** The worker's input, JSON lines. */
  readonly input: string
  /** The appliance's own account of the same rows, a `lineageLine` each; no worker sees it. */
  readonly lineage: string
  readonly rows: number
  readonly objectIds: ReadonlyMap<number, string>
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
  /** What was there before the first object was read: the newest change and the newest part; null for documents. */
  readonly readAfter: { readonly change: number; readonly part: number } | null
}

/** Writes a partition's rows into `directory` (created), memory bounded by the slice that is in flight. */
export async function writeRows(
  read: Metadata["read"],
  plan: InputPlan,
  partition: PartitionRow,
  directory: string,
  now: () => Date,
): Promise<WrittenRows> {
  const readAt = now().toISOString()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const input = join(directory, "input.jsonl")
  const lineage = join(directory, "lineage.tsv")
  const inputFile = await open(input, "wx", 0o600)
  const lineageFile = await open(lineage, "wx", 0o600)
  const readAfter = { change: read.objects.lastChange(), part: read.parts.lastSeq() }
  const objectIds = new Map<number, string>()
  const failed: { ordinal: number; object_id: string; message: string }[] = []
  let skipped = 0
  try {
    for (let next = partition.first_ordinal, more = true; more; ) {
      let rows = ""
      let lineages = ""
      const slice = read.objects.forPartition(partition, next, ROWS_PER_TURN)
      for (const stored of slice) {
        const object = sourceObject(stored)
        if (object === null) {
          skipped++
          continue
        }
        const prepared = prepareRow(plan, object, firstDocumentId(plan, object))
        if (prepared.kind === "skipped") skipped++
        else if (prepared.kind === "failed") {
          failed.push({ ordinal: object.ordinal, object_id: object.object_id, message: prepared.message })
        } else {
          objectIds.set(object.ordinal, object.object_id)
          rows += `${JSON.stringify(prepared.row)}\n`
          lineages += lineageLine(prepared.lineage)
        }
      }
      more = slice.length === ROWS_PER_TURN
      next = (slice.at(-1)?.ordinal ?? next) + 1
      await append(inputFile, rows)
      await append(lineageFile, lineages)
    }
  } finally {
    await inputFile.close()
    await lineageFile.close()
  }
  return { readAt, readAfter, input, lineage, rows: objectIds.size, objectIds, chain: null, skipped, failed }
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
  { batch_id: batchId }: PartitionRow,
  { readAt }: WrittenRows,
  ordinals: readonly number[],
): Promise<Map<number, RowInput>> {
  const inputs = new Map<number, RowInput>()
  let room = PARTITION_INPUT_BYTES
  for (let at = 0; at < ordinals.length; at += ROWS_PER_TURN) {
    if (at > 0) await nextTurn()
    for (const stored of read.objects.members(batchId, ordinals.slice(at, at + ROWS_PER_TURN))) {
      const object = sourceObject(stored)
      if (object === null || stored.updated_at === null || stored.updated_at >= readAt) continue
      const prepared = prepareRow(plan, object, firstDocumentId(plan, object))
      if (prepared.kind !== "row") continue
      const text = JSON.stringify({ ...prepared.row, __row: undefined })
      const bytes = Buffer.byteLength(text)
      const kept = bytes <= Math.min(INPUT_BYTES, room)
      if (kept) room -= bytes
      inputs.set(object.ordinal, { text: kept ? text : null, bytes })
    }
  }
  return inputs
}

/** Null when the object is gone. */
function sourceObject(stored: PartitionObject): SourceObject | null {
  if (stored.fields === null || stored.blobs === null || stored.bucket_id === null) return null
  return {
    ordinal: stored.ordinal,
    object_id: stored.object_id,
    bucket_id: stored.bucket_id,
    key_prefix: stored.key_prefix,
    fields: JSON.parse(stored.fields) as Record<string, unknown>,
    blobs: JSON.parse(stored.blobs) as StoredBlob[],
  }
}

function firstDocumentId(plan: InputPlan, { object_id: objectId }: SourceObject): string {
  return documentId(plan.collectionId, objectId, plan.pluginVersion, plan.codeHash, 0)
}

async function append(file: FileHandle, text: string): Promise<void> {
  if (text !== "") await file.appendFile(text)
}
