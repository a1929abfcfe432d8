/** What a plugin needs, resolved on this machine as the server does it at confirm. */
import { manifestRequirements, readRequirementsFile } from "../plugins/requirements.ts"
import type { StatedRequirement } from "../workers/environments/plugin-environment.ts"
import { EnvironmentRefused } from "../workers/environments/refused.ts"
import { type Check, check, count } from "./check.ts"
import type { LocalPython } from "./local-python.ts"
import type { ManifestCheck } from "./plugin-checks.ts"
import type { PluginDirectory } from "./plugin-directory.ts"

/** `read` is null when there is no outcome; `dependencies` is null when nothing is asked for, or not known. */
export interface ReadPlugin<R> {
  readonly read: R | null
  readonly dependencies: Check | null
}

/** Reads the manifest by `read`, and once more where requirements.txt is installed if it imports what that names. */
export async function readWhereInstalled<R extends ManifestCheck | null>(
  requirements: readonly StatedRequirement[],
  python: LocalPython,
  read: () => Promise<R>,
): Promise<ReadPlugin<R>> {
  const first = await read()
  if (first?.manifest !== null || requirements.length === 0 || !python.hasBase)
    return { read: first, dependencies: null }
  const dependencies = await checkDependencies(python, requirements, null)
  return { read: dependencies.status === "failed" ? first : await read(), dependencies }
}

/** Reads the manifest and makes ready what the plugin asks for. */
export async function readWithDependencies<R extends ManifestCheck | null>(
  plugin: PluginDirectory,
  python: LocalPython,
  read: () => Promise<R>,
): Promise<ReadPlugin<R>> {
  const file = await readRequirementsFile(plugin.directory)
  if (!file.ok) return { read: null, dependencies: check("Dependencies", "failed", file.problem) }
  const first = await readWhereInstalled(file.requirements, python, read)
  const declared = first.read?.manifest ?? null
  if (declared === null) return first
  const requirements = [...manifestRequirements(declared.dependencies), ...file.requirements]
  const requiresPython = declared.requires_python ?? null
  if (requirements.length === 0 && requiresPython === null) return { ...first, dependencies: null }
  return { ...first, dependencies: await checkDependencies(python, requirements, requiresPython) }
}

export const BRINGING_WHEELS =
  "Check the names. Wheels come by 'mixpeek wheels add'; where there is an index, 'mixpeek wheels download' collects them, or --index names it."

/** What the server would refuse, with this machine's wheels and index. */
async function checkDependencies(
  python: LocalPython,
  requirements: readonly StatedRequirement[],
  requiresPython: string | null,
): Promise<Check> {
  if (!python.hasBase) {
    const how = "not resolved: the base environment is not here ('mixpeek runtime setup')"
    return check("Dependencies", "skipped", how)
  }
  try {
    const environment = await python.use(requirements, requiresPython)
    const packages = environment?.packages ?? []
    const summary =
      packages.length === 0 ? "the base environment has them" : `${count(packages.length, "package")} of its own`
    return check("Dependencies", "passed", `${summary}; Python ${python.interpreter.version}`, {
      details: packages.map(({ name, version, file }) => `${name} ${version} (${file})`),
    })
  } catch (error) {
    if (!(error instanceof EnvironmentRefused)) throw error
    const advice = error.missing.length === 0 ? [] : [BRINGING_WHEELS]
    return check("Dependencies", "failed", error.message, { findings: [...error.problems, ...advice] })
  }
}
