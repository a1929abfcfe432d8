/**
 * A worker's result files as an attacker's: opened without following links, regular, one name, capped, and copied, since
 * the plugin may still hold them open. Only the copies are read further, but for vectors, which are most of the bytes: the
 * documents process copies and checks those in one go, by the same rules.
 */
import { constants, createReadStream } from "node:fs"
import { type FileHandle, lstat, open, rename } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"

const CHUNK_BYTES = 256 * 1024
const ERRORS_BYTES = 256 * 1024 ** 2
/** The longest texts of `ErrorLine`, every character of them escaped. */
const ERROR_LINE_BYTES = 256 * 1024
const NEWLINE = 0x0a

/** Per row: a document's fields are at most 1 MiB, checked again where they are read. */
const SCALARS_BYTES = 2 * 1024 ** 3

export class HostileOutput extends Error {
  override readonly name = "HostileOutput"
}

export interface RowFailure {
  readonly row: number
  readonly exception: string
  readonly message: string
  readonly traceback: string | null
  readonly stage: string | null
  readonly error_type: string
}

const ErrorLine = z.object({
  row: z.int().min(0),
  exception: z.string().max(512),
  message: z.string().max(8192),
  traceback: z.string().max(32_768).nullish(),
  stage: z.string().max(512).nullish(),
  error_type: z.enum(["dependency", "authentication", "validation", "runtime", "network", "resource"]).catch("runtime"),
})

export interface Collected {
  readonly scalars: string
  /** The worker's own files, of `bytes` when they were seen: whoever reads one takes what it has checked in its memory. */
  readonly vectors: readonly {
    readonly feature_name: string
    readonly embedding_dim: number
    readonly path: string
    readonly bytes: number
  }[]
  readonly failures: readonly RowFailure[]
}

export interface OutputLimits {
  /** Input rows: no more can have failed. */
  readonly asked: number
  /** Of earlier step groups: what has failed does so once. */
  readonly failed?: readonly RowFailure[]
  readonly rows: number
  readonly bytes: number
}

/** @throws HostileOutput with a plain reason when a file is not what it must be */
export async function collectOutput(
  output: string,
  copies: string,
  features: readonly { readonly feature_name: string; readonly embedding_dim: number }[],
  { asked, failed = [], rows: maxOutputRows, bytes: maxBytes }: OutputLimits,
): Promise<Collected> {
  await checkDirectory(output)
  let room = maxBytes
  const copy = async (name: string, most: number) => {
    const to = join(copies, name)
    const bytes = await copyPlain(join(output, name), to, Math.min(most, room))
    room -= bytes
    return to
  }
  const scalars = await copy("scalars.parquet", SCALARS_BYTES)
  const vectors = []
  for (const [index, feature] of features.entries()) {
    const limit = maxOutputRows * feature.embedding_dim * 4
    const path = join(output, `${index}.f32`)
    const bytes = await withPlain(path, Math.min(limit, room), async (_file, size) => size)
    room -= bytes
    vectors.push({ feature_name: feature.feature_name, embedding_dim: feature.embedding_dim, path, bytes })
  }
  const errors = await copy("errors.jsonl", ERRORS_BYTES)
  return { scalars, vectors, failures: await readFailures(errors, asked, failed) }
}

/** As of step_group.py. */
const HANDED_ON = "rows.arrow"

/**
 * What a step group that is not the last left: its rows, which nobody here reads, and the row errors of this group and the earlier ones.
 * @throws HostileOutput with a plain reason when a file is not what it must be
 */
export async function collectHandedOn(
  output: string,
  copies: string,
  { asked, failed = [], bytes }: Pick<OutputLimits, "asked" | "failed" | "bytes">,
): Promise<{ readonly rows: string; readonly failures: readonly RowFailure[] }> {
  await checkDirectory(output)
  const [rows, errors] = [join(copies, HANDED_ON), join(copies, "errors.jsonl")]
  const taken = await copyPlain(join(output, HANDED_ON), rows, bytes)
  await copyPlain(join(output, "errors.jsonl"), errors, Math.min(ERRORS_BYTES, bytes - taken))
  return { rows, failures: await readFailures(errors, asked, failed) }
}

/**
 * Moves what a worker left to where it does not reach it.
 * @throws HostileOutput when its directory is not there: a plugin may rename or remove it
 */
export async function takeDirectory(output: string, taken: string): Promise<void> {
  await rename(output, taken).catch((cause: unknown) => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") {
      throw new HostileOutput("The worker left no directory of files.", { cause })
    }
    throw cause
  })
}

/** It has been moved away from the worker, who may have put a link in its place before. */
async function checkDirectory(output: string): Promise<void> {
  const directory = await lstat(output)
  if (!directory.isDirectory()) throw new HostileOutput("The worker left no directory of files.")
}

async function copyPlain(from: string, to: string, maxBytes: number): Promise<number> {
  return withPlain(from, maxBytes, async (source) => {
    let copied = 0
    const target = await open(to, "wx", 0o600)
    try {
      const buffer = new Uint8Array(CHUNK_BYTES)
      for (;;) {
        const { bytesRead } = await source.read(buffer, 0, CHUNK_BYTES, copied)
        if (bytesRead === 0) break
        copied += bytesRead
        if (copied > maxBytes) {
          throw new HostileOutput(`'${nameOf(from)}' grew past ${maxBytes} bytes while it was read.`)
        }
        await target.writeFile(buffer.subarray(0, bytesRead))
      }
    } finally {
      await target.close()
    }
    return copied
  })
}

/** Opens a regular file with one name and at most `maxBytes`; a link at its end is not followed. */
async function withPlain<T>(
  path: string,
  maxBytes: number,
  work: (file: FileHandle, bytes: number) => Promise<T>,
): Promise<T> {
  const name = nameOf(path)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw new HostileOutput(`The worker left no plain file '${name}'.`, { cause })
    },
  )
  try {
    const facts = await file.stat()
    if (!facts.isFile()) throw new HostileOutput(`'${name}' is not a regular file.`)
    if (facts.nlink !== 1) throw new HostileOutput(`'${name}' has more than one name.`)
    if (facts.size > maxBytes) {
      throw new HostileOutput(
        `'${name}' has ${facts.size} bytes; at most ${maxBytes} are taken (MIXPEEK_WORKER_OUTPUT_MB bounds all files).`,
      )
    }
    return await work(file, facts.size)
  } finally {
    await file.close()
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1)
}

/** Behind `earlier`. Whether a row was asked at all, who writes the part looks at. */
async function readFailures(path: string, asked: number, earlier: readonly RowFailure[]): Promise<RowFailure[]> {
  const failures = [...earlier]
  const seen = new Set(earlier.map(({ row }) => row))
  for await (const line of linesOf(path)) {
    const parsed = ErrorLine.safeParse(parseJson(line))
    if (!parsed.success) throw new HostileOutput("'errors.jsonl' has a line that is not a row error.")
    const { row, exception, message, traceback, stage, error_type } = parsed.data
    if (seen.size >= asked)
      throw new HostileOutput(`'errors.jsonl' names more than the ${asked} rows of this partition.`)
    if (seen.has(row)) throw new HostileOutput(`'errors.jsonl' names row ${row} twice.`)
    seen.add(row)
    failures.push({ row, exception, message, traceback: traceback ?? null, stage: stage ?? null, error_type })
  }
  return failures
}

/** One at a time: 256 MiB of newlines, split at once, took 5 GB and kept the event loop for 24 s. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let held = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    held = Buffer.concat([held, chunk])
    let from = 0
    for (let end = held.indexOf(NEWLINE); end !== -1; end = held.indexOf(NEWLINE, from)) {
      yield held.toString("utf8", from, end)
      from = end + 1
    }
    held = held.subarray(from)
    if (held.byteLength > ERROR_LINE_BYTES) throw new HostileOutput("'errors.jsonl' has a line that is too long.")
  }
  if (held.byteLength > 0) yield held.toString("utf8")
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
