import { join, relative } from "node:path"
import type { PartRef } from "../documents/process.ts"
import type { PartRow } from "../metadata/parts.ts"

/** A part as the documents process takes it. */
export function partRef(
  dataDir: string,
  part: Pick<PartRow, "part_id" | "file" | "dead_file" | "features" | "document_rows">,
): PartRef {
  return {
    part_id: part.part_id,
    path: join(dataDir, part.file),
    ...(part.dead_file === null ? {} : { dead_file: join(dataDir, part.dead_file) }),
    features: JSON.parse(part.features),
    rows: part.document_rows,
  }
}

/** Documents of a part that are dead from now on, as the metadata has it: the file's path is relative to the data directory. */
export interface Superseded {
  readonly part_id: string
  readonly dead_file: string
  readonly dead_rows: number
}

/** What the documents process found. */
export function supersededIn(dataDir: string, found: Superseded): Superseded {
  return { ...found, dead_file: relative(dataDir, found.dead_file) }
}
