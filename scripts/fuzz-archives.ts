/**
 * Gives the archive reader what `hostile-archives.ts` makes of archives that Python writes in this run. Each is taken whole or
 * refused with the product's own error: nothing outside its target, no link or device in it, no more than the limits, no
 * descriptor left open, within two seconds and without keeping memory.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { lstat, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  type ArchiveLimits,
  DEFAULT_ARCHIVE_LIMITS,
  type UnpackedArchive,
  unpackArchive,
} from "../src/archives/reader.ts"
import { ApplianceError } from "../src/errors.ts"
import { seeded } from "./differential-mutants.ts"
import { type Fuzzed, type FuzzOptions, fuzzCommand, fuzzFor } from "./fuzzing.ts"
import { hostileArchive, type Seed } from "./hostile-archives.ts"

/** The real rules with less room, so that small inputs go past it. */
const LIMITS: ArchiveLimits = {
  ...DEFAULT_ARCHIVE_LIMITS,
  packedBytes: 2_000_000,
  unpackedBytes: 4_000_000,
  files: 100,
}
/** The target lies this deep below the scratch folder: names climb as far and land where it is looked. */
const DEPTH = ["1", "2", "3", "4"]
/** Descriptors that the reader may still be closing. */
const SPARE_DESCRIPTORS = 20

export interface FuzzedArchives extends Fuzzed {
  /** How many archives were taken, by the way. */
  readonly taken: number
}

export async function fuzz({ seconds, seed }: FuzzOptions): Promise<FuzzedArchives> {
  const scratch = mkdtempSync(join(tmpdir(), "fuzz-archives-"))
  try {
    const random = seeded(seed)
    const home = join(scratch, ...DEPTH)
    mkdirSync(home, { recursive: true })
    const outside = join(scratch, "outside")
    mkdirSync(outside)
    const seeds = writtenByPython(join(scratch, "seeds"), outside)
    rmSync(join(scratch, "seeds"), { recursive: true })
    const descriptors = openDescriptors()
    let taken = 0
    const fuzzed = await fuzzFor({
      seconds,
      input: () => hostileArchive(seeds, outside, random),
      async feed(input) {
        const archive = await unpacked(home, input)
        if (archive !== null) taken++
        const wrong = (archive === null ? null : await wrongInside(join(home, "plugin"), archive)) ?? strayed(scratch)
        await rm(join(home, "plugin"), { recursive: true, force: true })
        if (wrong !== null) return wrong
        const left = openDescriptors() - descriptors
        return left > SPARE_DESCRIPTORS ? `${left} descriptors left open` : null
      },
    })
    return { ...fuzzed, taken }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function writtenByPython(folder: string, outside: string): Seed[] {
  mkdirSync(folder)
  const { exitCode, stderr } = Bun.spawnSync(["python3", join(import.meta.dir, "archive_seeds.py"), folder, outside])
  if (exitCode !== 0) throw new Error(`archive_seeds.py failed: ${stderr}`)
  return readdirSync(folder)
    .sort()
    .map((name) => ({ format: name.endsWith(".zip") ? "zip" : "tar", bytes: readFileSync(join(folder, name)) }))
}

/** Null for a refusal as it should be; any other error is the finding. */
async function unpacked(home: string, input: Uint8Array): Promise<UnpackedArchive | null> {
  const upload = join(home, "upload")
  await writeFile(upload, input)
  try {
    return await unpackArchive(upload, join(home, "plugin"), LIMITS)
  } catch (error) {
    if (!(error instanceof ApplianceError) || error.type !== "BadRequestError") throw error
    return null
  }
}

/** What the target holds beside plain files in folders, as they were reported and within the limits. */
async function wrongInside(target: string, { files, unpackedBytes }: UnpackedArchive): Promise<string | null> {
  const found: string[] = []
  let bytes = 0
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const status = await lstat(path)
    if (status.isDirectory()) continue
    if (!status.isFile() || status.nlink !== 1) return `${path} is no plain file`
    if ((status.mode & 0o7777) !== 0o444) return `${path} has mode ${status.mode.toString(8)}`
    found.push(`${path.slice(target.length + 1)}:${status.size}`)
    bytes += status.size
  }
  if (bytes > LIMITS.unpackedBytes || bytes > unpackedBytes) return `${bytes} bytes were written`
  if (found.length > LIMITS.files) return `${found.length} files were written`
  const reported = files.map(({ path, bytes }) => `${path}:${bytes}`)
  return found.sort().join("\n") === reported.sort().join("\n") ? null : `reported ${reported} and wrote ${found}`
}

/** What lies anywhere in the scratch folder but in the target: also a partial folder that a refusal left behind. */
function strayed(scratch: string): string | null {
  const expected = ["outside", ...DEPTH.map((_, index) => DEPTH.slice(0, index + 1).join("/"))]
  const home = DEPTH.join("/")
  const stray = readdirSync(scratch, { recursive: true })
    .map(String)
    .find((path) => {
      if (expected.includes(path) || path === `${home}/upload`) return false
      return path !== `${home}/plugin` && !path.startsWith(`${home}/plugin/`)
    })
  return stray === undefined ? null : `left ${stray}`
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length
}

if (import.meta.main) await fuzzCommand("fuzz-archives", fuzz)
