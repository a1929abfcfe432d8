/**
 * Requirements to exact wheels, by pip's resolver (python/environments/resolving.py), remembered for as long as the files at hand
 * are the same ones: fifty plugins with the same requirements ask once.
 */
import { createHash } from "node:crypto"
import { realpathSync } from "node:fs"
import { mkdir, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"
import type { Interpreter } from "../interpreters.ts"
import { BASE_RECIPE } from "./environment.ts"
import { type InstallSource, pipEnvironment } from "./install.ts"
import { parseLock } from "./lock.ts"
import type { EnvironmentPackage, StatedRequirement } from "./plugin-environment.ts"
import { EnvironmentRefused } from "./refused.ts"
import { runTool, type ToolConfinement } from "./tool.ts"

/**
 * What the worker's own code uses of the base packages; a plugin may have other versions of them, within these ranges. The
 * lower ends were tried: scripts/libraries-inside, oldest_base.
 */
export const WORKERS_NEED = ["numpy>=1.24", "pandas>=2.0", "pyarrow>=14", "pydantic>=2.5", "orjson>=3.9"]

const OFFLINE_TIMEOUT_MS = 60_000
/** A resolution may try many versions, and each is a download of its metadata. */
const INDEX_TIMEOUT_MS = 15 * 60_000
/** Of an index that changes under us. */
const INDEX_MEMORY_MS = 10 * 60_000
const MAX_REMEMBERED = 1_000

const Resolved = z.object({
  ok: z.literal(true),
  packages: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      file: z.string(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
})

interface Deps extends Omit<InstallSource, "wheels"> {
  readonly pythonTree: string
  readonly scratchDir: string
  readonly now: () => Date
}

export interface Resolution {
  readonly interpreter: Interpreter
  /** The base environment beneath. */
  readonly base: { readonly hash: string; readonly sitePackages: string }
  readonly requirements: readonly StatedRequirement[]
  /** Folders of wheels. */
  readonly wheels: readonly string[]
  readonly confinement: ToolConfinement
  readonly signal?: AbortSignal | undefined
}

export function resolver(deps: Deps) {
  const { index, pythonTree, scratchDir, now } = deps
  const remembered = new Map<string, { packages: EnvironmentPackage[]; at: number }>()
  const places = index === undefined ? "the wheel store" : "the wheel store or the index"

  return async (resolution: Resolution): Promise<EnvironmentPackage[]> => {
    const { interpreter, base, requirements, wheels, confinement, signal } = resolution
    for (const directory of wheels) await mkdir(directory, { recursive: true, mode: 0o700 })
    // Without links: in its sandbox nothing is left of a link in the data directory that a path could follow.
    const [stores, basePackages] = [wheels.map((directory) => realpathSync(directory)), realpathSync(base.sitePackages)]
    const key = await keyOf(resolution)
    const known = remembered.get(key)
    if (known !== undefined && (index === undefined || now().getTime() - known.at < INDEX_MEMORY_MS)) {
      return known.packages
    }
    const answer = await runTool("resolve", Resolved, {
      interpreter,
      pythonTree,
      scratchDir,
      request: (work) => ({
        requirements,
        workers_need: WORKERS_NEED,
        base: basePackages,
        base_hashes: Object.fromEntries(
          parseLock(BASE_RECIPE.lock, interpreter).map((pin) => [pin.name.toLowerCase(), [...pin.hashes]]),
        ),
        stores,
        index: index !== undefined,
        work,
        target: null,
      }),
      // An index is the admin's choice, and needs names, certificates and proxies as this user has them.
      confinement: index === undefined ? confinement : null,
      readable: [...stores, basePackages],
      environment: (work) => pipEnvironment({ ...deps, wheels }, work),
      timeoutMs: index === undefined ? OFFLINE_TIMEOUT_MS : INDEX_TIMEOUT_MS,
      signal,
    })
    if (!answer.ok) throw EnvironmentRefused.unresolved(answer, interpreter, places)
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(key, { packages: answer.packages, at: now().getTime() })
    return answer.packages
  }
}

async function keyOf({ interpreter, base, requirements, wheels }: Resolution): Promise<string> {
  const hash = createHash("sha256")
  hash.update(JSON.stringify([interpreter.path, interpreter.version, base.hash]))
  hash.update(JSON.stringify([...new Set(requirements.map(({ text }) => text))].sort()))
  for (const directory of wheels) {
    const files = (await readdir(directory)).sort()
    const stats = await Promise.all(files.map((file) => stat(join(directory, file)).catch(() => null)))
    // A copy that keeps times changes the inode or the time of change.
    const marks = stats.map((found) => [found?.ino, found?.size, found?.mtimeMs, found?.ctimeMs])
    hash.update(JSON.stringify(files.map((file, index) => [file, marks[index]])))
  }
  return hash.digest("hex")
}
