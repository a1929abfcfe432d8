/** Wheels for another machine: resolved with its tags and markers, fetched from an index, every hash checked. */
import { mkdir } from "node:fs/promises"
import { z } from "zod"
import type { Interpreter } from "../interpreters.ts"
import { BASE_RECIPE } from "./environment.ts"
import { type InstallSource, pipEnvironment } from "./install.ts"
import { parseLock } from "./lock.ts"
import type { TargetInterpreter } from "./machine.ts"
import type { StatedRequirement } from "./plugin-environment.ts"
import { EnvironmentRefused } from "./refused.ts"
import { WORKERS_NEED } from "./resolution.ts"
import { runTool } from "./tool.ts"

const TIMEOUT_MS = 60 * 60_000

const Collected = z.object({
  ok: z.literal(true),
  packages: z.array(z.object({ name: z.string(), version: z.string(), file: z.string(), sha256: z.string() })),
})
export type CollectedPackage = z.output<typeof Collected>["packages"][number]

export interface Collection extends InstallSource {
  /** Runs pip here; it may be of another version than the target's. */
  readonly interpreter: Interpreter
  readonly pythonTree: string
  readonly scratchDir: string
  readonly target: TargetInterpreter
  readonly requirements: readonly StatedRequirement[]
  /** Where the wheels go. */
  readonly directory: string
  readonly signal?: AbortSignal | undefined
  onLine(line: string): void
}

/**
 * The wheels that the target lacks for these requirements, its base packages among them where it has none yet.
 * @throws EnvironmentRefused when the index cannot give them
 */
export async function collectWheels(options: Collection): Promise<CollectedPackage[]> {
  const { interpreter, pythonTree, scratchDir, target, requirements, directory, signal, onLine } = options
  await mkdir(directory, { recursive: true })
  const base = parseLock(BASE_RECIPE.lock, target).map(({ name, version }) => `${name}==${version}`)
  const answer = await runTool("collect", Collected, {
    interpreter,
    pythonTree,
    scratchDir,
    request: (work) => ({
      requirements,
      workers_need: WORKERS_NEED,
      base: null,
      stores: [directory],
      index: true,
      work,
      target: {
        python: target.version,
        abi: target.abi,
        platforms: target.platforms,
        markers: target.markers,
      },
      pins: base,
      with_base: !target.base_ready,
      directory,
    }),
    confinement: null,
    readable: [],
    environment: (work) => pipEnvironment(options, work),
    timeoutMs: TIMEOUT_MS,
    signal,
    onLine,
  })
  if (!answer.ok) {
    const other = { ...interpreter, ...target, pip: true }
    throw EnvironmentRefused.unresolved(answer, other, "the index")
  }
  return answer.packages
}
