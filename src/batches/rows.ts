import { type FileHandle, mkdir, open } from "node:fs/promises"
import { join } from "node:path"
import type { StoredBlob } from "../buckets/stored-blob.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import { documentId } from "./document-id.ts"
import { type InputPlan, prepareRow } from "./inputs.ts"

/** Rows prepared between two turns of the event loop: at about 5 us a row, some milliseconds. */
const ROWS_PER_TURN = 500

export interface WrittenRows {
  /** The worker's input, JSON lines. */
  readonly input: string
  /** The appliance's own account of the same rows, JSON lines; no worker sees it. */
  readonly lineage: string
  readonly rows: number
  readonly objectIds: ReadonlyMap<number, string>
  /** Objects that are gone or that the collection's source filter leaves out. */
  readonly skipped: number
  readonly failed: readonly { readonly ordinal: number; readonly object_id: string; readonly message: string }[]
}

/** Writes a partition's rows into `directory` (created), memory bounded by the slice that is in flight. */
export async function writeRows(
  read: Metadata["read"],
  plan: InputPlan,
  partition: PartitionRow,
  directory: string,
): Promise<WrittenRows> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const input = join(directory, "input.jsonl")
  const lineage = join(directory, "lineage.jsonl")
  const inputFile = await open(input, "wx", 0o600)
  const lineageFile = await open(lineage, "wx", 0o600)
  const objectIds = new Map<number, string>()
  const failed: { ordinal: number; object_id: string; message: string }[] = []
  let skipped = 0
  try {
    for (let first = partition.first_ordinal; first < partition.end_ordinal; first += ROWS_PER_TURN) {
      const end = Math.min(first + ROWS_PER_TURN, partition.end_ordinal)
      let rows = ""
      let lineages = ""
      for (const stored of read.objects.forPartition(partition.batch_id, first, end)) {
        if (stored.fields === null || stored.blobs === null || stored.bucket_id === null) {
          skipped++
          continue
        }
        const object = {
          ordinal: stored.ordinal,
          object_id: stored.object_id,
          bucket_id: stored.bucket_id,
          key_prefix: stored.key_prefix,
          fields: JSON.parse(stored.fields) as Record<string, unknown>,
          blobs: JSON.parse(stored.blobs) as StoredBlob[],
        }
        const id = documentId(plan.collectionId, object.object_id, plan.pluginVersion, plan.codeHash, 0)
        const prepared = prepareRow(plan, object, id)
        if (prepared.kind === "skipped") skipped++
        else if (prepared.kind === "failed") {
          failed.push({ ordinal: object.ordinal, object_id: object.object_id, message: prepared.message })
        } else {
          objectIds.set(object.ordinal, object.object_id)
          rows += `${JSON.stringify(prepared.row)}\n`
          lineages += `${JSON.stringify(prepared.lineage)}\n`
        }
      }
      await append(inputFile, rows)
      await append(lineageFile, lineages)
    }
  } finally {
    await inputFile.close()
    await lineageFile.close()
  }
  return { input, lineage, rows: objectIds.size, objectIds, skipped, failed }
}

async function append(file: FileHandle, text: string): Promise<void> {
  if (text !== "") await file.appendFile(text)
}
