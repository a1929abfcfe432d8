/** What other collections made of the documents of a version that is dropped, and others of that: it goes with them. */
import type { Documents, PartRef } from "../documents/process.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { partRef, type Superseded, supersededIn } from "./part-ref.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  documents: Pick<Documents, "findMadeOf">
  dataDir: string
}

/** What was found, and all that was looked at, as it was then. */
export interface MadeBelow {
  readonly superseded: readonly Superseded[]
  readonly rests: string
}

/** Nothing changes until `removeMadeBelow`; files of what is found are left over then. @throws DocumentsUnavailable */
export async function findMadeBelow(
  { metadata: { read }, documents, dataDir }: Deps,
  row: CollectionRow,
  pluginId: string,
): Promise<MadeBelow> {
  const rests = looked(read, row, pluginId)
  const dropped = read.parts.ofCollection(row.collection_id).filter((part) => part.plugin_id === pluginId)
  const gone = new Map<string, { part: PartRef; dead_file?: string }[]>([
    [row.collection_id, dropped.map((part) => ({ part: partRef(dataDir, part) }))],
  ])
  const all: Superseded[] = []
  for (const collectionId of below(read, row)) {
    const above = read.collections.sources(collectionId).flatMap((id) => gone.get(id) ?? [])
    const parts = read.parts.ofCollection(collectionId).map((part) => partRef(dataDir, part))
    if (above.length === 0 || parts.length === 0) continue
    const found = await documents.findMadeOf({ parts, gone: above })
    const byId = new Map(parts.map((part) => [part.part_id, part]))
    gone.set(
      collectionId,
      found.flatMap(({ part_id: id, dead_file }) => {
        const part = byId.get(id)
        return part === undefined ? [] : [{ part, dead_file }]
      }),
    )
    for (const dead of found) all.push(supersededIn(dataDir, dead))
  }
  return { superseded: all, rests }
}

/** False when something has changed since it was looked for: nothing is written then. */
export function removeMadeBelow(tx: Transaction, row: CollectionRow, pluginId: string, found: MadeBelow): boolean {
  if (looked(tx.read, row, pluginId) !== found.rests) return false
  for (const dead of found.superseded) tx.write.parts.supersede(dead.part_id, dead.dead_file, dead.dead_rows)
  return true
}

/** Every part that bears on it, with its dead documents. */
function looked(read: Metadata["read"], row: CollectionRow, pluginId: string): string {
  const parts = (collectionId: string) =>
    read.parts
      .ofCollection(collectionId)
      .map(({ part_id, dead_file, plugin_id }) => ({ part_id, dead_file, plugin_id }))
  const own = parts(row.collection_id).filter((part) => part.plugin_id === pluginId)
  return JSON.stringify([own, ...below(read, row).map((id) => [id, read.collections.sources(id), parts(id)])])
}

/** The collections that read it, and those that read them, each after all that it reads. */
function below(read: Metadata["read"], row: CollectionRow): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (collectionId: string) => {
    if (seen.has(collectionId)) return
    seen.add(collectionId)
    for (const reader of read.collections.readersOf(collectionId)) visit(reader.collection_id)
    order.push(collectionId)
  }
  visit(row.collection_id)
  return order.reverse().slice(1)
}
