/**
 * Environments: packages in one directory per (lock, Python ABI, platform). Built aside, sealed and renamed, so a directory
 * without `.partial` is whole; built once however many ask; shared by all workers. The base environment is what every plugin
 * may import; a plugin's own one lies over it and holds what the plugin needs beyond it, or in another version.
 * A hash of the ABI, not of the interpreter's path: 3.11.8 in place of 3.11.7 runs the same files.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import baseRequirements from "../../python/base-requirements.txt" with { type: "text" }
import { PARTIAL_SUFFIX, renameDurably, syncDirectory, writeDurably } from "../../write-durably.ts"
import type { Interpreter } from "../interpreters.ts"
import { EnvironmentBuildFailed } from "./build-failed.ts"
import { acquireBuildLock } from "./build-lock.ts"
import { type Confined, type InstallSource, installPackages, type Recipe } from "./install.ts"
import { parseLock } from "./lock.ts"
import { lockPath, removeTree, sweepPartials } from "./partials.ts"
import { sealTree } from "./seal-tree.ts"

/** Raise when the layout of an environment's directory changes. */
const LAYOUT = 1

export const BASE_RECIPE: Recipe = {
  lock: baseRequirements,
  modules: ["numpy", "pandas", "pyarrow", "pydantic", "orjson"],
}

export interface Environment {
  readonly hash: string
  readonly directory: string
  /** What a worker gets to append to its path. */
  readonly sitePackages: string
  readonly ready: boolean
}

/** What a plugin's environment lies over, and whose it is: organizations share none. */
export interface Layer {
  /** Hash of the base environment. */
  readonly base: string
  readonly organization: string
}

export interface EnvironmentOptions {
  /** `<data>/environments`. */
  readonly environmentsDir: string
  readonly interpreter: Pick<Interpreter, "abi" | "platform">
  readonly recipe?: Recipe
  /** Absent for a base environment. */
  readonly layer?: Layer
}

/**
 * Whether this interpreter is one that the admin set up. A base environment that was built because one plugin asks for that
 * Python does not count: it must not become what all the others run in.
 */
export function isSetUp(environmentsDir: string, interpreter: Pick<Interpreter, "abi" | "platform">): boolean {
  const { directory, ready } = environmentOf({ environmentsDir, interpreter })
  return ready && readRecord(directory)?.for_plugin !== true
}

/** Where the environment of this content and interpreter is or will be; the base one by default. Looks, and changes nothing. */
export function environmentOf(options: EnvironmentOptions): Environment {
  const { environmentsDir, interpreter, recipe = BASE_RECIPE, layer } = options
  const over = layer === undefined ? [] : [layer.base, layer.organization]
  const hash = createHash("sha256")
    .update([LAYOUT, interpreter.abi, interpreter.platform, recipe.lock, ...over].join("\n"))
    .digest("hex")
    .slice(0, 32)
  return environmentAt(environmentsDir, hash)
}

/** By its hash. Looks, and changes nothing. */
export function environmentAt(environmentsDir: string, hash: string): Environment {
  const directory = join(environmentsDir, hash)
  return { hash, directory, sitePackages: join(directory, "site-packages"), ready: isWhole(directory) }
}

/** Both: whoever removed the packages by hand left a record that promises them. */
function isWhole(directory: string): boolean {
  return existsSync(recordPath(directory)) && existsSync(join(directory, "site-packages"))
}

export interface BuildOptions extends InstallSource, EnvironmentOptions {
  readonly interpreter: Interpreter
  /** Of a base environment: a plugin needs it, and nobody set it up. */
  readonly forPlugin?: boolean
  readonly confined?: Confined | undefined
  readonly signal?: AbortSignal | undefined
  /** Progress for people, a line at a time. */
  onLine(line: string): void
}

export interface BuildResult {
  readonly environment: Environment
  /** False when it was there already, or another process built it meanwhile. */
  readonly built: boolean
}

/**
 * Makes the environment ready. Any number may call this at once, in any number of processes.
 * @throws EnvironmentBuildFailed when it cannot be built; it names what is missing, and nothing is left behind
 * @throws the signal's reason when it aborts
 */
export async function buildEnvironment(options: BuildOptions): Promise<BuildResult> {
  const { environmentsDir, interpreter, signal, onLine, recipe = BASE_RECIPE } = options
  const look = () => environmentOf(options)
  if (look().ready) {
    if (options.forPlugin !== true) await setUp(look().directory)
    return { environment: look(), built: false }
  }
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
      onLine("writing everything to disk")
      const bytes = await sealTree(join(partial, "site-packages"))
      await writeRecord(partial, { ...options, recipe, hash, bytes })
      signal?.throwIfAborted()
      await takePlace(partial, directory)
    } catch (error) {
      await removeTree(partial)
      throw error
    }
    return { environment: look(), built: true }
  } finally {
    await lock.release()
  }
}

async function writeRecord(
  partial: string,
  {
    hash,
    interpreter,
    recipe,
    layer,
    forPlugin = false,
    bytes,
  }: BuildOptions & { recipe: Recipe; hash: string; bytes: number },
): Promise<void> {
  const record: EnvironmentRecord = {
    hash,
    base: layer?.base ?? null,
    organization: layer?.organization ?? null,
    lock_sha256: createHash("sha256").update(recipe.lock).digest("hex"),
    interpreter: { path: interpreter.path, version: interpreter.version, abi: interpreter.abi },
    platform: interpreter.platform,
    packages: Object.fromEntries(parseLock(recipe.lock, interpreter).map((pin) => [pin.name, pin.version])),
    bytes,
    ...(forPlugin ? { for_plugin: true } : {}),
    created_at: new Date().toISOString(),
  }
  await writeDurably(recordPath(partial), (file) => file.writeFile(`${JSON.stringify(record, null, 2)}\n`))
}

/** `environment.json`: it makes its directory an environment. Before plugins had their own, `base` and `bytes` were not written. */
export interface EnvironmentRecord {
  readonly hash: string
  readonly base?: string | null
  readonly organization?: string | null
  readonly lock_sha256: string
  readonly interpreter: { readonly path: string; readonly version: string; readonly abi: string }
  readonly platform: string
  readonly packages: Readonly<Record<string, string>>
  readonly bytes?: number
  readonly for_plugin?: boolean
  readonly created_at: string
}

/** What a plugin needed first, the admin wants by now. */
async function setUp(directory: string): Promise<void> {
  const { for_plugin: forPlugin, ...record } = readRecord(directory) ?? {}
  if (forPlugin !== true) return
  await writeDurably(recordPath(directory), (file) => file.writeFile(`${JSON.stringify(record, null, 2)}\n`))
}

/** Null when it is not there, or cannot be read: then it is no environment. */
export function readRecord(directory: string): EnvironmentRecord | null {
  try {
    return JSON.parse(readFileSync(recordPath(directory), "utf8"))
  } catch {
    return null
  }
}

async function takePlace(partial: string, directory: string): Promise<void> {
  if (!isWhole(directory)) await removeTree(directory)
  try {
    await renameDurably(partial, directory)
  } catch (error) {
    // Only when two builders held the lock at once (see build-lock.ts); the other one's copy is as good.
    if (!isWhole(directory)) throw error
    await removeTree(partial)
    await syncDirectory(dirname(directory))
  }
}

export function recordPath(directory: string): string {
  return join(directory, "environment.json")
}
