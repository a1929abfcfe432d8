import { afterEach, beforeEach, expect } from "bun:test"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DEFAULT_ARCHIVE_LIMITS, unpackArchive } from "../../src/archives/reader.ts"
import { ApplianceError } from "../../src/errors.ts"

/** A directory for each test of the file that calls this: the archive lies there as `upload`, unpacked as `plugin`. */
export function ownDirectory() {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "archives-"))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  async function unpack(bytes: Buffer, limits: Partial<typeof DEFAULT_ARCHIVE_LIMITS> = {}) {
    await writeFile(join(directory, "upload"), bytes)
    return unpackArchive(join(directory, "upload"), join(directory, "plugin"), { ...DEFAULT_ARCHIVE_LIMITS, ...limits })
  }

  /** The reasons of the refusal; fails when the archive was taken or anything stayed behind. */
  async function refusalOf(bytes: Buffer, limits: Partial<typeof DEFAULT_ARCHIVE_LIMITS> = {}): Promise<string[]> {
    const answer = await unpack(bytes, limits).catch((error: unknown) => error)
    expect(answer).toBeInstanceOf(ApplianceError)
    expect(await readdir(directory)).toEqual(["upload"])
    if (!(answer instanceof ApplianceError)) return []
    expect(answer.type).toBe("BadRequestError")
    expect(answer.beside?.detail).toBe(answer.message)
    return answer.beside?.validation_errors as string[]
  }

  return { unpack, refusalOf, directory: () => directory }
}
