import { constants } from "node:fs"
import { type FileHandle, lstat, open, stat } from "node:fs/promises"
import { normalize } from "node:path"
import { writeDurably } from "../write-durably.ts"
import type { PartRef } from "./protocol.ts"

export const scalarsFile = (part: string) => `${part}.parquet`
export const vectorsFile = (part: string, index: number) => `${part}.${index}.f32`

/**
 * Documents in a row group: what is decoded to read a single one, and what one filter in the file answers for. DuckDB's
 * own vector size, below which a group would only cost.
 */
export const ROW_GROUP = 2048

/** Bytes of a position in a `.dead` file: u32 little endian. */
const POSITION_BYTES = 4

/**
 * Opens a file for reading when it is a regular one with one name; a link at its end is not followed.
 * @returns null when it is not
 */
export async function openPlain(path: string): Promise<{ file: FileHandle; bytes: number } | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null)
  if (file === null) return null
  const facts = await file.stat()
  if (facts.isFile() && facts.nlink === 1) return { file, bytes: facts.size }
  await file.close()
  return null
}

/** The size of a regular file with one name; null for anything else. */
export async function plainFileBytes(path: string): Promise<number | null> {
  const facts = await lstat(path).catch(() => null)
  return facts?.isFile() === true && facts.nlink === 1 ? facts.size : null
}

/**
 * Positions of superseded documents in a part: 0-based places in its Parquet file, ascending. A `.dead` file is immutable;
 * a part's next one holds the earlier positions too.
 */
export async function readDead(path: string): Promise<Uint32Array> {
  const bytes = await Bun.file(path).bytes()
  if (bytes.byteLength % POSITION_BYTES !== 0) throw new Error(`${path} is no list of positions`)
  return new Uint32Array(bytes.slice().buffer)
}

export async function writeDead(path: string, positions: Uint32Array): Promise<void> {
  await writeDurably(path, (file) =>
    file.writeFile(new Uint8Array(positions.buffer, positions.byteOffset, positions.byteLength)),
  )
}

/** Living documents of a part, by the sizes alone. */
export async function livingRows(part: PartRef): Promise<number> {
  if (part.dead_file == null) return part.rows
  return part.rows - (await stat(part.dead_file)).size / POSITION_BYTES
}

/** One byte a row, 1 where it is dead; null when no row of any part is. */
export async function deadMarks(parts: readonly PartRef[]): Promise<Uint8Array[] | null> {
  if (parts.every((part) => part.dead_file == null)) return null
  return Promise.all(
    parts.map(async (part) => {
      const marks = new Uint8Array(Math.max(1, part.rows))
      if (part.dead_file != null) for (const position of await readDead(part.dead_file)) marks[position] = 1
      return marks
    }),
  )
}

/** Refuses paths outside the directories that this process may touch: DuckDB checks its own, this is for ours. */
export function pathGuard(directories: readonly string[]) {
  return (path: string): void => {
    const inside = directories.some((directory) => path.startsWith(`${directory}/`))
    if (!inside || normalize(path) !== path) throw new Error(`${path} is not a place of documents`)
  }
}
