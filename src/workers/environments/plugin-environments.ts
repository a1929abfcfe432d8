/**
 * Environments of plugins: resolved and built once when a plugin is confirmed, found again whenever one of its workers starts,
 * collected when no plugin has named them for long. Shared by all plugins of an organization with the same lock.
 */
import { existsSync } from "node:fs"
import { mkdir, readdir, rename, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import { ApplianceError } from "../../errors.ts"
import type { Log } from "../../log.ts"
import { PARTIAL_SUFFIX } from "../../write-durably.ts"
import type { Interpreter } from "../interpreters.ts"
import type { WorkerFacts } from "../worker-facts.ts"
import { EnvironmentBuildFailed } from "./build-failed.ts"
import { buildEnvironment, environmentAt, environmentOf, readRecord, recordPath } from "./environment.ts"
import type { InstallSource } from "./install.ts"
import { chooseInterpreter, usableInterpreters } from "./interpreter-choice.ts"
import { modulesIn } from "./modules.ts"
import { removeTree, sweepPartials } from "./partials.ts"
import {
  type EnvironmentPackage,
  lockText,
  type PluginEnvironment,
  type StatedRequirement,
} from "./plugin-environment.ts"
import { EnvironmentRefused } from "./refused.ts"
import { type Resolution, resolver } from "./resolution.ts"
import { buildFromSource } from "./source-builds.ts"
import type { ToolConfinement } from "./tool.ts"
import { wheelStore } from "./wheel-store.ts"

interface Deps extends Omit<InstallSource, "wheels"> {
  readonly dataDir: string
  readonly pythonTree: string
  readonly scratchDir: string
  readonly confinement: Omit<ToolConfinement, "level">
  /** Whether source distributions of the store may be built. */
  readonly sourceBuilds: boolean
  readonly now: () => Date
  readonly log: Log
}

/** This machine no longer has what a confirmed plugin runs in. */
export class EnvironmentGone extends ApplianceError {
  constructor(message: string) {
    super("ServiceUnavailableError", message, { headers: { "Retry-After": "30" } })
  }
}

export interface Wanted {
  /** Whose plugin it is. */
  readonly organization: string
  readonly requirements: readonly StatedRequirement[]
  /** PEP 440; null: the appliance's own Python. */
  readonly requiresPython: string | null
  readonly signal?: AbortSignal | undefined
  /** Progress for people, a line at a time. */
  readonly onLine?: (line: string) => void
}

/** What a worker is started with. */
export interface WorkerPackages {
  readonly interpreter: Interpreter
  /** In the order in which modules are looked up. */
  readonly sitePackages: readonly string[]
  /** Of these a launcher may have modules in memory; null: it would have ones that the plugin has others of. */
  readonly warm: readonly string[] | null
}

/** Below `<data>`. */
export const ENVIRONMENTS_FOLDER = "environments"
export const WHEELS_FOLDER = "wheels"
const BUILT_WHEELS_FOLDER = "wheels-built"
/** Whose environments build backends run in. */
const SOURCE_BUILDS = "source-builds"
const MAX_BUILD_DEPTH = 3
/** Whose environments they are that `plugin test` builds: no organization's of the server. */
export const PLUGIN_TEST = "plugin-test"
const UNNAMED_GRACE_MS = 3600_000
/** The sweep, once a minute, tells what is named. */
const NAMED_AFTER_MS = 30_000

export function pluginEnvironments(deps: Deps) {
  const { dataDir, now, log } = deps
  const environmentsDir = join(dataDir, ENVIRONMENTS_FOLDER)
  const store = join(dataDir, WHEELS_FOLDER)
  const resolve = resolver(deps)
  /** Built wheels are an interpreter's own: what a build does may depend on it. */
  const builtFor = ({ abi, platform }: Interpreter) => join(dataDir, BUILT_WHEELS_FOLDER, `${abi}-${platform}`)
  const wheelsFor = (interpreter: Interpreter) => (deps.sourceBuilds ? [store, builtFor(interpreter)] : [store])
  const shadowing = new Map<string, boolean>()

  /** @throws EnvironmentBuildFailed */
  const build = async (
    environment: Pick<PluginEnvironment, "packages" | "base" | "organization">,
    interpreter: Interpreter,
    { signal, onLine, confinement }: Pick<Wanted, "signal" | "onLine"> & { confinement: ToolConfinement },
  ) => {
    const recipe = { lock: lockText(environment.packages), modules: [] }
    const layer = { base: environment.base, organization: environment.organization }
    const options = { environmentsDir, interpreter, recipe, layer }
    const known = environmentOf(options)
    // Whoever collects must not take it between now and the plugin's row.
    if (known.ready && (await touch(known.directory, now()))) return known
    const started = performance.now()
    const { environment: made, built } = await buildEnvironment({
      ...deps,
      ...options,
      wheels: wheelsFor(interpreter),
      confined: { pythonTree: deps.pythonTree, confinement },
      signal,
      onLine: onLine ?? (() => undefined),
    })
    const seconds = (performance.now() - started) / 1000
    if (built) log.info({ event: "environment_built", hash: made.hash, seconds }, "an environment was built")
    return made
  }

  /** With source distributions built on the way, where that is allowed. @throws EnvironmentRefused */
  const resolved = async (asked: Omit<Resolution, "wheels">, depth = 0): Promise<EnvironmentPackage[]> => {
    const { interpreter, base, confinement, signal } = asked
    const tried = new Set<string>()
    for (;;) {
      try {
        return await resolve({ ...asked, wheels: wheelsFor(interpreter) })
      } catch (error) {
        const sources = error instanceof EnvironmentRefused ? error.sources.filter((path) => !tried.has(path)) : []
        // A backend that needs backends that need backends is followed no further.
        if (!deps.sourceBuilds || sources.length === 0 || depth >= MAX_BUILD_DEPTH) throw error
        for (const source of sources) {
          tried.add(source)
          await buildFromSource(deps, {
            ...{ interpreter, confinement, source, signal, directory: builtFor(interpreter) },
            backend: async (requirements) => {
              const packages = await resolved({ ...asked, requirements }, depth + 1)
              if (packages.length === 0) return [base.sitePackages]
              const made = await build({ base: base.hash, organization: SOURCE_BUILDS, packages }, interpreter, {
                signal,
                confinement,
              })
              return [made.sitePackages, base.sitePackages]
            },
          })
        }
      }
    }
  }

  /** What pip calls an exception, told by the file that it choked on. */
  const damagedWheels = async (
    packages: readonly EnvironmentPackage[],
    interpreter: Interpreter,
  ): Promise<string[]> => {
    const { inspect } = wheelStore({ ...deps, directory: store, interpreter })
    const paths = wheelsFor(interpreter).flatMap((directory) => packages.map(({ file }) => join(directory, file)))
    const found = await inspect(paths.filter(existsSync), true)
    return found.flatMap(({ file, problem }) =>
      problem === null
        ? []
        : [`${file} in the wheel store is damaged: ${problem} ('mixpeek wheels add' takes a sound one)`],
    )
  }

  const baseFor = async (interpreter: Interpreter, requiresPython: string | null, wanted: Wanted) => {
    const base = environmentOf({ environmentsDir, interpreter })
    if (base.ready) return base
    try {
      const onLine = wanted.onLine ?? (() => undefined)
      await mkdir(store, { recursive: true, mode: 0o700 })
      return (
        await buildEnvironment({
          ...deps,
          environmentsDir,
          interpreter,
          wheels: [store],
          forPlugin: true,
          signal: wanted.signal,
          onLine,
        })
      ).environment
    } catch (error) {
      if (!(error instanceof EnvironmentBuildFailed)) throw error
      throw EnvironmentRefused.withoutBase(error, interpreter, { requiresPython, dataDir })
    }
  }

  return {
    /**
     * Makes ready what the plugin asks for. Null when the base environment of the appliance's own Python is all that it needs.
     * @throws EnvironmentRefused when it cannot be had, with every reason; nothing is left behind
     */
    async prepare(wanted: Wanted, facts: WorkerFacts): Promise<PluginEnvironment | null> {
      const { organization, requiresPython, signal } = wanted
      const requirements = [...new Map(wanted.requirements.map((each) => [each.text, each])).values()]
      const isReady = (candidate: Interpreter) => environmentOf({ environmentsDir, interpreter: candidate }).ready
      const interpreter = chooseInterpreter(facts.interpreter, requiresPython, isReady)
      if (requirements.length === 0 && interpreter.path === facts.interpreter.chosen?.path) return null
      const base = await baseFor(interpreter, requiresPython, wanted)
      const confinement = { ...deps.confinement, level: facts.isolation.level }
      const packages =
        requirements.length === 0 ? [] : await resolved({ interpreter, base, requirements, confinement, signal })
      const found = { base: base.hash, organization, packages }
      try {
        const { hash } = packages.length === 0 ? base : await build(found, interpreter, { ...wanted, confinement })
        return {
          ...found,
          hash,
          python: interpreter.version,
          abi: interpreter.abi,
          platform: interpreter.platform,
          requirements: requirements.map(({ text }) => text),
          requires_python: requiresPython,
        }
      } catch (error) {
        if (!(error instanceof EnvironmentBuildFailed)) throw error
        const damaged = await damagedWheels(packages, interpreter)
        const reasons = damaged.length > 0 ? damaged : [error.message.replaceAll(dataDir, "<data>")]
        throw new EnvironmentRefused("The plugin's dependencies could not be installed", reasons)
      }
    },

    /**
     * Where a worker of the plugin finds its Python and its packages. An environment that is gone is built again from its lock.
     * @throws EnvironmentGone when this machine no longer has what it takes
     */
    async locate(environment: PluginEnvironment | null, facts: WorkerFacts): Promise<WorkerPackages> {
      if (environment === null) {
        const { interpreter, environment: base, problem } = facts
        if (interpreter.chosen === null || base === null) throw new EnvironmentGone(problem ?? "Python is not set up.")
        return { interpreter: interpreter.chosen, sitePackages: [base.sitePackages], warm: [base.sitePackages] }
      }
      const { hash, base: baseHash, abi, platform, python } = environment
      const interpreter = usableInterpreters(facts.interpreter).find(
        (candidate) => candidate.abi === abi && candidate.platform === platform,
      )
      if (interpreter === undefined) {
        throw new EnvironmentGone(
          `The plugin's environment is for Python ${python} (${abi}, ${platform}), and none like it is on this machine.`,
        )
      }
      const base = environmentAt(environmentsDir, baseHash)
      if (!base.ready) {
        throw new EnvironmentGone(
          `The plugin's environment lies over the base environment ${baseHash}, which is not on this machine. Restore it, ` +
            `run 'mixpeek runtime setup --python ${interpreter.path}', or delete and publish the plugin again.`,
        )
      }
      if (hash === baseHash) return { interpreter, sitePackages: [base.sitePackages], warm: [base.sitePackages] }
      const own = environmentAt(environmentsDir, hash)
      if (!own.ready) {
        try {
          await build(environment, interpreter, { confinement: { ...deps.confinement, level: facts.isolation.level } })
        } catch (error) {
          if (!(error instanceof EnvironmentBuildFailed)) throw error
          throw new EnvironmentGone(
            `The plugin's environment ${hash} is gone and cannot be built again: ${error.message.replaceAll(dataDir, "<data>")}`,
          )
        }
      }
      const shadows = shadowing.get(hash) ?? overlap(own.sitePackages, base.sitePackages)
      shadowing.set(hash, shadows)
      return {
        interpreter,
        sitePackages: [own.sitePackages, base.sitePackages],
        warm: shadows ? null : [base.sitePackages],
      }
    },

    /** Top-level modules of what it has beyond the base environment, and of that. */
    modules: ({ hash, base }: PluginEnvironment): ReadonlySet<string> =>
      modulesIn([hash, base].map((each) => environmentAt(environmentsDir, each).sitePackages)),

    /** What killed builds left. Before anything else runs on this directory. */
    sweep: () => sweepPartials(environmentsDir, null),

    /** Removes those that no plugin has named for `graceMs`. `named` are hashes. Base environments stay. */
    async collect(named: ReadonlySet<string>, graceMs: number): Promise<string[]> {
      const collected: string[] = []
      for (const found of await environments(environmentsDir)) {
        const { hash, base, directory, usedAt } = found
        if (base === null) continue
        if (named.has(hash)) {
          await touch(directory, now())
          continue
        }
        const grace = neverNamed(found) ? Math.min(graceMs, UNNAMED_GRACE_MS) : graceMs
        if (now().getTime() - usedAt.getTime() <= grace) continue
        try {
          const aside = `${directory}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
          await rename(directory, aside)
          await removeTree(aside)
          collected.push(hash)
          log.info({ event: "environment_collected", hash }, "an environment that no plugin names any more was removed")
        } catch (err) {
          // It is looked at again with the next sweep; the others are not kept for it.
          log.warn({ event: "environment_not_collected", hash, err }, "an environment could not be removed")
        }
      }
      return collected
    },
  }
}

export type PluginEnvironments = ReturnType<typeof pluginEnvironments>

export interface EnvironmentOnDisk {
  readonly hash: string
  /** Null for a base environment. */
  readonly base: string | null
  readonly directory: string
  readonly organization: string | null
  readonly python: string
  readonly packages: number
  /** Null where it was built before sizes were recorded. */
  readonly bytes: number | null
  readonly builtAt: Date
  /** When it was built, or last seen to be named by a plugin. */
  readonly usedAt: Date
}

/** Its confirmation was refused after it was built: nobody has been promised it. */
function neverNamed({ organization, builtAt, usedAt }: EnvironmentOnDisk): boolean {
  return organization !== PLUGIN_TEST && usedAt.getTime() - builtAt.getTime() < NAMED_AFTER_MS
}

/** All that are whole, by their directory's name. */
export async function environments(environmentsDir: string): Promise<EnvironmentOnDisk[]> {
  const found: EnvironmentOnDisk[] = []
  for (const name of (await readdir(environmentsDir).catch(() => [])).sort()) {
    if (!/^[0-9a-f]{32}$/.test(name)) continue
    const directory = join(environmentsDir, name)
    try {
      const record = readRecord(directory)
      if (record === null) continue
      const { mtime } = await stat(recordPath(directory))
      found.push({
        hash: name,
        base: record.base ?? null,
        organization: record.organization ?? null,
        builtAt: new Date(record.created_at),
        directory,
        python: record.interpreter.version,
        packages: Object.keys(record.packages).length,
        bytes: record.bytes ?? null,
        usedAt: mtime,
      })
    } catch {
      // Without its record it is none; whoever needs it builds it again.
    }
  }
  return found
}

/** False when it is not there any more. */
async function touch(directory: string, at: Date): Promise<boolean> {
  return utimes(recordPath(directory), at, at).then(
    () => true,
    () => false,
  )
}

function overlap(one: string, other: string): boolean {
  const modules = modulesIn([other])
  return [...modulesIn([one])].some((module) => modules.has(module))
}
