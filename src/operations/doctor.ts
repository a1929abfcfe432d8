/** What `mixpeek doctor` says of this machine: looks at everything the appliance needs and changes nothing. */
import { accessSync, constants, statSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { dirname, join } from "node:path"
import { DEFAULT_MINIMUM_ISOLATION, isBelow } from "../isolation-levels.ts"
import { directoryHolder } from "../metadata/directory-holder.ts"
import type { Runtime } from "../runtime.ts"
import {
  ENVIRONMENTS_FOLDER,
  type EnvironmentOnDisk,
  environments,
} from "../workers/environments/plugin-environments.ts"
import { isolationProblem, sentence, type WorkerFacts } from "../workers/worker-facts.ts"
import { loadNativeLibraries } from "./native-libraries.ts"

export interface Finding {
  readonly name: string
  /** `missing`: the appliance cannot do its work without it. `notice`: it works, and somebody should know. */
  readonly status: "ok" | "notice" | "missing"
  readonly value: string
  /** How to get what is missing; null when there is nothing to do. */
  readonly advice: string | null
}

interface Deps {
  readonly version: string
  readonly target: string
  readonly runtime: Runtime
  readonly dataDir: string
  readonly workerFacts: () => Promise<WorkerFacts>
}

export interface Diagnosis {
  /** False when something is missing. */
  readonly healthy: boolean
  readonly findings: readonly Finding[]
  readonly workers: WorkerFacts
}

/** A batch writes its parts and copies on the way to them; with less room than this it may stop in the middle. */
const LOW_DISK_BYTES = 2e9
const OTHERS = 0o077

export async function doctor({ version, target, runtime, dataDir, workerFacts }: Deps): Promise<Diagnosis> {
  const [workers, libraries, disk] = await Promise.all([
    workerFacts(),
    loadNativeLibraries(runtime.nativeDirectory),
    freeDisk(dataDir),
  ])
  const findings: Finding[] = [
    ok("Version", `${version}, build ${runtime.buildId} (${target})`),
    dataDirectory(dataDir),
    holder(dataDir),
    disk,
    python(workers),
    packages(workers),
    ...pluginEnvironmentsOn(await environments(join(dataDir, ENVIRONMENTS_FOLDER))),
    isolation(workers),
    ...minimumIsolation(workers),
    ...libraries.map(({ name, version: loaded, problem }): Finding => {
      if (problem === null) return ok(name, loaded)
      return { name, status: "missing", value: problem, advice: "The binary does not fit this machine, or is damaged." }
    }),
  ]
  return { healthy: findings.every(({ status }) => status !== "missing"), findings, workers }
}

function dataDirectory(dataDir: string): Finding {
  const name = "Data directory"
  const stats = statSync(dataDir, { throwIfNoEntry: false })
  if (stats === undefined) return ok(name, `${dataDir} (not there yet; 'mixpeek serve' makes it)`)
  if (!stats.isDirectory()) {
    return { name, status: "missing", value: `${dataDir} is no directory`, advice: "Name another one with --data." }
  }
  const mode = stats.mode & 0o777
  const value = `${dataDir} (${mode.toString(8).padStart(4, "0")})`
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    return {
      name,
      status: "missing",
      value: `${value} cannot be written`,
      advice: `Run as its owner (user id ${stats.uid}).`,
    }
  }
  if ((mode & OTHERS) === 0) return ok(name, value)
  return { name, status: "notice", value, advice: `Other users may look into it: chmod 700 ${dataDir}` }
}

function holder(dataDir: string): Finding {
  const name = "Server"
  try {
    const { held, said } = directoryHolder(dataDir)
    if (!held) return ok(name, "not running on this directory")
    if (said === null) return ok(name, "running on this directory")
    return ok(name, `process ${said.pid}${said.url === null ? "" : ` at ${said.url}`}, since ${said.started_at}`)
  } catch (error) {
    return { name, status: "notice", value: `unknown: ${reason(error)}`, advice: null }
  }
}

async function freeDisk(dataDir: string): Promise<Finding> {
  const name = "Free disk"
  const { bavail, bsize } = await statfs(existingParent(dataDir))
  const free = bavail * bsize
  const value = `${(free / 1e9).toFixed(1)} GB`
  if (free >= LOW_DISK_BYTES) return ok(name, value)
  return { name, status: "notice", value, advice: "Batches need room for their results: free some, or move the data." }
}

function existingParent(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? existingParent(dirname(path)) : path
}

function python({ interpreter: { chosen, problem } }: WorkerFacts): Finding {
  if (chosen !== null) return ok("Python", `${chosen.version} ${chosen.path}`)
  return { name: "Python", status: "missing", value: "none that can be used", advice: problem }
}

function packages({ environment, problem }: WorkerFacts): Finding {
  const name = "Base packages"
  if (environment?.ready === true) return ok(name, environment.directory)
  const advice = environment === null ? "They come after Python: 'mixpeek runtime setup'." : problem
  return { name, status: "missing", value: "not installed", advice }
}

/** With their sizes, once there is one besides the base environment. */
function pluginEnvironmentsOn(all: readonly EnvironmentOnDisk[]): Finding[] {
  const own = all.filter(({ base }) => base !== null)
  if (own.length === 0) return []
  const size = (each: readonly EnvironmentOnDisk[]) =>
    `${(each.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0) / 1e6).toFixed(1)} MB`
  const each = own.map(
    ({ hash, python, packages: count, bytes }) =>
      `${hash} (Python ${python}, ${count} packages, ${((bytes ?? 0) / 1e6).toFixed(1)} MB)`,
  )
  return [{ ...ok("Environments", `${own.length} of plugins, ${size(own)}`), advice: each.join("\n    ") }]
}

function isolation({ isolation, minimumIsolation: minimum }: WorkerFacts): Finding {
  const { level, facts, refusals } = isolation
  const layers = [
    facts.landlock_abi === null ? null : `Landlock ${facts.landlock_abi}`,
    level === "none" ? null : "seccomp",
    facts.namespaces.length === 0 ? null : `namespaces ${facts.namespaces.join(" ")}`,
  ].filter((layer) => layer !== null)
  const lacking = facts.landlock_missing.length === 0 ? "" : `, not known to it: ${facts.landlock_missing.join(" ")}`
  const value = layers.length === 0 ? level : `${level} (${layers.join(", ")}${lacking})`
  const why = refusals.map(sentence).join(" ")
  if (isBelow(level, minimum))
    return { name: "Isolation", status: "missing", value, advice: isolationProblem(isolation, minimum) }
  if (!isBelow(level, DEFAULT_MINIMUM_ISOLATION)) {
    return { name: "Isolation", status: "ok", value, advice: why === "" ? null : why }
  }
  return { name: "Isolation", status: "notice", value, advice: `Publish only what you trust. ${why}` }
}

/** Said only when somebody has lowered it, and then always. */
function minimumIsolation({ minimumIsolation: minimum }: WorkerFacts): Finding[] {
  if (!isBelow(minimum, DEFAULT_MINIMUM_ISOLATION)) return []
  const advice = `SET LOWER than '${DEFAULT_MINIMUM_ISOLATION}': plugins that this machine cannot confine run all the same.`
  return [{ name: "Minimum isolation", status: "notice", value: minimum, advice }]
}

function ok(name: string, value: string): Finding {
  return { name, status: "ok", value, advice: null }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
