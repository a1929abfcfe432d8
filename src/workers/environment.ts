/**
 * The base environment: the packages every plugin may import, in one directory per (lock, Python ABI, platform). Built
 * aside and renamed, so a directory without `.partial` is whole; built once however many ask; shared by all workers.
 * A hash of the ABI, not of the interpreter's path: 3.11.8 in place of 3.11.7 runs the same files.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import baseRequirements from "../python/base-requirements.txt" with { type: "text" }
import { PARTIAL_SUFFIX, syncDirectory, writeDurably } from "../write-durably.ts"
import { acquireBuildLock } from "./build-lock.ts"
import { EnvironmentBuildFailed } from "./environment-failures.ts"
import { type InstallSource, installPackages, type Recipe } from "./environment-install.ts"
import type { Interpreter } from "./interpreters.ts"
import { lockPath, sweepPartials } from "./partial-environments.ts"
import { syncTree } from "./sync-tree.ts"
import { parseLock } from "./wheels.ts"

/** Raise when the layout of an environment's directory changes. */
const LAYOUT = 1

export const BASE_RECIPE: Recipe = {
  lock: baseRequirements,
  modules: ["numpy", "pandas", "pyarrow", "pydantic", "orjson"],
}

export interface BaseEnvironment {
  readonly hash: string
  readonly directory: string
  /** What a worker gets to append to its path. */
  readonly sitePackages: string
  readonly ready: boolean
}

export interface BaseEnvironmentOptions {
  /** `<data>/environments`. */
  readonly environmentsDir: string
  readonly interpreter: Pick<Interpreter, "abi" | "platform">
  readonly recipe?: Recipe
}

/** Where the base environment of this interpreter is or will be. Looks, and changes nothing. */
export function baseEnvironment(options: BaseEnvironmentOptions): BaseEnvironment {
  const { environmentsDir, interpreter, recipe = BASE_RECIPE } = options
  const hash = createHash("sha256")
    .update([LAYOUT, interpreter.abi, interpreter.platform, recipe.lock].join("\n"))
    .digest("hex")
    .slice(0, 32)
  const directory = join(environmentsDir, hash)
  return { hash, directory, sitePackages: join(directory, "site-packages"), ready: existsSync(recordPath(directory)) }
}

export interface BuildOptions extends InstallSource {
  readonly environmentsDir: string
  readonly interpreter: Interpreter
  readonly recipe?: Recipe
  readonly signal?: AbortSignal | undefined
  /** Progress for people, a line at a time. */
  onLine(line: string): void
}

export interface BuildResult {
  readonly environment: BaseEnvironment
  /** False when it was there already, or another process built it meanwhile. */
  readonly built: boolean
}

/**
 * Makes the base environment ready. Any number may call this at once, in any number of processes.
 * @throws EnvironmentBuildFailed when it cannot be built; it names what is missing, and nothing is left behind
 * @throws the signal's reason when it aborts
 */
export async function buildBaseEnvironment(options: BuildOptions): Promise<BuildResult> {
  const { environmentsDir, interpreter, signal, onLine, recipe = BASE_RECIPE } = options
  const look = () => baseEnvironment({ environmentsDir, interpreter, recipe })
  if (look().ready) return { environment: look(), built: false }
  if (!interpreter.pip) throw EnvironmentBuildFailed.noPip(interpreter)
  await mkdir(environmentsDir, { recursive: true, mode: 0o700 })
  const { hash, directory } = look()
  const lock = await acquireBuildLock(lockPath(environmentsDir, hash), {
    done: () => look().ready,
    onWait: (holder) => onLine(`waiting for another setup of the same environment (process ${holder.pid})`),
    signal,
  })
  if (lock === null) return { environment: look(), built: false }
  try {
    // Between the last look and the lock another builder may have come to its end.
    if (look().ready) return { environment: look(), built: false }
    await sweepPartials(environmentsDir, hash)
    const partial = `${directory}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
    try {
      await mkdir(partial, { mode: 0o755 })
      await installPackages({ ...options, recipe, partial, finalDirectory: directory })
      await writeRecord(partial, { hash, interpreter, recipe })
      onLine("writing everything to disk")
      await syncTree(partial)
      signal?.throwIfAborted()
      await takePlace(partial, directory)
    } catch (error) {
      await rm(partial, { recursive: true, force: true })
      throw error
    }
    return { environment: look(), built: true }
  } finally {
    await lock.release()
  }
}

async function writeRecord(
  partial: string,
  { hash, interpreter, recipe }: { hash: string; interpreter: Interpreter; recipe: Recipe },
): Promise<void> {
  const record = {
    hash,
    lock_sha256: createHash("sha256").update(recipe.lock).digest("hex"),
    interpreter: { path: interpreter.path, version: interpreter.version, abi: interpreter.abi },
    platform: interpreter.platform,
    packages: Object.fromEntries(parseLock(recipe.lock, interpreter).map((pin) => [pin.name, pin.version])),
    created_at: new Date().toISOString(),
  }
  await writeDurably(recordPath(partial), (file) => file.writeFile(`${JSON.stringify(record, null, 2)}\n`))
}

async function takePlace(partial: string, directory: string): Promise<void> {
  try {
    await rename(partial, directory)
  } catch (error) {
    // Only when two builders held the lock at once (see build-lock.ts); the other one's copy is as good.
    if (!existsSync(recordPath(directory))) throw error
    await rm(partial, { recursive: true, force: true })
  }
  await syncDirectory(join(directory, ".."))
}

function recordPath(directory: string): string {
  return join(directory, "environment.json")
}
