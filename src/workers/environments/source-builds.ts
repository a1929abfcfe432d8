/**
 * Wheels from source distributions of the store, where the admin allows it. A build is other people's code: it runs locked down
 * like a worker, in a Python of its own, with what its backend needs and nothing else.
 */
import { createReadStream, existsSync, realpathSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { basename, join } from "node:path"
import { z } from "zod"
import { writeDurably } from "../../write-durably.ts"
import type { Interpreter } from "../interpreters.ts"
import type { StatedRequirement } from "./plugin-environment.ts"
import { EnvironmentRefused } from "./refused.ts"
import { runTool, type ToolConfinement } from "./tool.ts"
import { wheelStore } from "./wheel-store.ts"

const TIMEOUT_MS = 10 * 60_000
const Asked = z.object({ ok: z.literal(true), requires: z.array(z.string()).max(50) })
const Built = z.object({ ok: z.literal(true), file: z.string().regex(/^[\w.!+-]+\.whl$/) })

interface Deps {
  readonly pythonTree: string
  readonly scratchDir: string
}

export interface SourceBuild {
  readonly interpreter: Interpreter
  readonly confinement: ToolConfinement
  /** Path of the source distribution. */
  readonly source: string
  /** Where the wheel goes. */
  readonly directory: string
  /** Makes ready what the backend needs; folders of packages, in their order. */
  readonly backend: (requirements: readonly StatedRequirement[]) => Promise<readonly string[]>
  readonly signal?: AbortSignal | undefined
}

/** @throws EnvironmentRefused when it cannot be built here; nothing is left behind */
export async function buildFromSource(deps: Deps, build: SourceBuild): Promise<void> {
  const { interpreter, confinement, source, backend, signal } = build
  const file = basename(source)
  if (confinement.level === "none") {
    throw refused(file, ["It is built only where plugin code is isolated, and this machine isolates nothing."])
  }
  const options = {
    ...deps,
    interpreter,
    confinement,
    environment: () => ({ PATH: "/nonexistent", LANG: "C.UTF-8", SOURCE_DATE_EPOCH: "315532800" }),
    timeoutMs: TIMEOUT_MS,
    signal,
  }
  const real = realpathSync(source)
  const asked = await runTool("build", Asked, {
    ...options,
    request: (work) => ({ source: real, work, packages: [], ask: true }),
    readable: [real],
  })
  if (!asked.ok) throw refused(file, asked.problems)
  const packages = (await backend(asked.requires.map((text) => ({ text, origin: file })))).map((path) =>
    realpathSync(path),
  )
  const built = await runTool("build", Built, {
    ...options,
    request: (work) => ({ source: real, work, packages, ask: false }),
    readable: [real, ...packages],
    take: (work, answer) => take(deps, build, join(work, "wheel", answer.file)),
  })
  if (!built.ok) throw refused(file, built.problems)
}

/** What a build left is nothing that may be believed: it must be a whole wheel before it lies with the others. */
async function take(deps: Deps, { directory, interpreter, source }: SourceBuild, path: string): Promise<void> {
  const [wheel] = await wheelStore({ ...deps, directory, interpreter }).inspect([path], true)
  if (wheel === undefined || wheel.problem !== null || !wheel.fits) {
    throw refused(basename(source), [
      `Its build gave no wheel that fits: ${wheel?.problem ?? wheel?.file ?? "nothing"}`,
    ])
  }
  const place = join(directory, wheel.file)
  if (existsSync(place)) return
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeDurably(place, async (target) => {
    for await (const chunk of createReadStream(path)) await target.writeFile(chunk)
  })
}

function refused(file: string, problems: readonly string[]): EnvironmentRefused {
  return new EnvironmentRefused(`The source distribution ${file} cannot be built here`, problems)
}
