import { type FileHandle, open } from "node:fs/promises"
import { HostileOutput } from "./hostile-output.ts"
import { openPlain, vectorsFile } from "./part-files.ts"

export const FLOAT_BYTES = 4
/** A multiple of a float's size: a chunk never splits one. */
const CHUNK_BYTES = 1024 ** 2
/** The exponent bits of a float32: all set in NaN and in the infinities. */
const EXPONENT = 0x7f800000
const LOWEST_EXPONENT_BIT = 0x00800000

export interface WorkerVectors {
  readonly feature_name: string
  /** The worker's own file, which it may still write to. */
  readonly path: string
  /** Its size when it was first seen. */
  readonly bytes?: number | undefined
}

/**
 * Copies a worker's vectors to a new file, each chunk checked in memory before it is written: exactly `floats` numbers, all
 * finite. Memory is one chunk. The file is fsynced, the caller renames it.
 * @throws HostileOutput when they are not; the target may then be half there
 */
export async function copyVectors(vectors: WorkerVectors, target: string, floats: number): Promise<void> {
  const name = vectors.feature_name
  const source = await openPlain(vectors.path)
  if (source === null) throw new HostileOutput(`The vectors of '${name}' are no regular file of their own.`)
  try {
    const expected = floats * FLOAT_BYTES
    if (source.bytes !== expected) {
      throw new HostileOutput(`The vectors of '${name}' have ${source.bytes} bytes where ${expected} belong.`)
    }
    if (vectors.bytes !== undefined && vectors.bytes !== expected) {
      throw new HostileOutput(`The vectors of '${name}' had ${vectors.bytes} bytes before they had ${expected}.`)
    }
    const copy = await open(target, "wx", 0o600)
    try {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(FLOAT_BYTES, expected)))
      for (let offset = 0; offset < expected; ) {
        const length = Math.min(chunk.byteLength, expected - offset)
        if (!(await readFully(source.file, chunk, length, offset))) {
          throw new HostileOutput(`The vectors of '${name}' shrank while they were read.`)
        }
        if (!allFinite(new Int32Array(chunk.buffer, 0, length / FLOAT_BYTES))) {
          throw new HostileOutput(`The vectors of '${name}' hold a number that is not finite.`)
        }
        await writeFully(copy, chunk, length, offset)
        offset += length
      }
      await copy.sync()
    } finally {
      await copy.close()
    }
  } finally {
    await source.file.close()
  }
}

/**
 * One more in the lowest bit of an exponent that is all ones reaches the sign. No branch and no iterator for each number:
 * with them 384 numbers took 3.2 us, so they take 0.1.
 */
function allFinite(words: Int32Array): boolean {
  let signs = 0
  for (let index = 0; index < words.length; index++) {
    signs |= ((words[index] ?? 0) & EXPONENT) + LOWEST_EXPONENT_BIT
  }
  return signs >= 0
}

async function writeFully(file: FileHandle, bytes: Uint8Array, length: number, offset: number): Promise<void> {
  for (let done = 0; done < length; ) {
    done += (await file.write(bytes, done, length - done, offset + done)).bytesWritten
  }
}

/** False when the file ends before `length` bytes. */
async function readFully(file: FileHandle, into: Uint8Array, length: number, offset: number): Promise<boolean> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(into, done, length - done, offset + done)
    if (bytesRead === 0) return false
    done += bytesRead
  }
  return true
}

export interface VectorFile extends AsyncDisposable {
  /** The vector of the document at a 0-based position of the part. */
  at(position: number): Promise<number[]>
}

/** Reads single vectors of a part; no more than one is in memory. */
export async function openVectors(part: string, fileIndex: number, dimension: number): Promise<VectorFile> {
  const file = await open(vectorsFile(part, fileIndex), "r")
  const bytes = new Uint8Array(dimension * FLOAT_BYTES)
  return {
    async at(position) {
      if (!(await readFully(file, bytes, bytes.byteLength, position * bytes.byteLength))) {
        throw new Error(`${vectorsFile(part, fileIndex)} has no vector ${position}`)
      }
      return Array.from(new Float32Array(bytes.buffer))
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}
