import { createReadStream } from "node:fs"
import { writeFile } from "node:fs/promises"

export interface Piece {
  readonly path: string
  readonly bytes: number
}

const NEWLINE = 0x0a
const CHUNK_BYTES = 1024 ** 2

/**
 * A file of lines as files beside it, one after another: each of whole lines, at most `maxBytes` or one line. Memory is one
 * piece. The caller removes a piece when it is done with it.
 */
export async function* splitLines(path: string, maxBytes: number): AsyncGenerator<Piece> {
  const name = `${path}.${crypto.randomUUID()}`
  let pieces = 0
  const write = async (bytes: Buffer): Promise<Piece> => {
    const piece = { path: `${name}.${pieces++}.piece`, bytes: bytes.byteLength }
    await writeFile(piece.path, bytes, { mode: 0o600, flag: "wx" })
    return piece
  }
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    held = Buffer.concat([held, chunk])
    while (held.byteLength > maxBytes) {
      const end = lineEnd(held, maxBytes)
      if (end < 0) break
      yield await write(held.subarray(0, end))
      held = held.subarray(end)
    }
  }
  while (held.byteLength > 0) {
    const end = held.byteLength <= maxBytes ? held.byteLength : lineEnd(held, maxBytes)
    const length = end < 0 ? held.byteLength : end
    yield await write(held.subarray(0, length))
    held = held.subarray(length)
  }
}

/** Behind the last line that ends within `maxBytes`, else behind the first line; -1 when no line ends. */
function lineEnd(bytes: Buffer, maxBytes: number): number {
  const last = bytes.lastIndexOf(NEWLINE, maxBytes - 1)
  const end = last >= 0 ? last : bytes.indexOf(NEWLINE)
  return end < 0 ? -1 : end + 1
}
