/**
 * The Python that `plugin test` and `plugin publish` run a plugin with on this machine: the appliance's own environment
 * when it is built, else what the interpreter itself has.
 */
import { mkdtemp, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { z } from "zod"
import { hostEnvironment, networkOf, readConfig, searchPath } from "../config.ts"
import { createLog } from "../log.ts"
import { prepareRuntime } from "../runtime.ts"
import type { PluginEnvironment, StatedRequirement } from "../workers/environments/plugin-environment.ts"
import { PLUGIN_TEST, pluginEnvironments, type WorkerPackages } from "../workers/environments/plugin-environments.ts"
import type { Interpreter } from "../workers/interpreters.ts"
import { type PartitionLimits, partitionLimits } from "../workers/partition-limits.ts"
import { runProgram } from "../workers/run-program.ts"
import { startWorker, type Worker } from "../workers/worker.ts"
import { isolationProblem, workerFacts } from "../workers/worker-facts.ts"
import { CommandFailed } from "./command-failed.ts"
import type { PluginDirectory } from "./plugin-directory.ts"

export interface LocalPythonOptions {
  readonly data?: string
  readonly python?: string
  readonly index?: string
  readonly indexCredentials?: string
  readonly logLevel?: string
}

export interface LocalPython {
  /** These two are the plugin's own from `use` on. */
  readonly interpreter: Interpreter
  readonly sitePackages: readonly string[]
  /** Whether the appliance's base environment is here, over which a plugin's own can lie. */
  readonly hasBase: boolean
  /** Holds `engine/` and `shared/`. */
  readonly pythonTree: string
  readonly nativeDirectory: string | null
  /** Temporary, removed at the end. */
  readonly scratch: string
  /** Aborts when the person interrupts: pass it on, so that nothing stays behind. */
  readonly signal: AbortSignal
  /** How long the rows may take, as in a batch. */
  readonly partitionLimits: PartitionLimits
  /**
   * A worker that has the plugin; `onLine` gets what the plugin prints. With `callsOut` it may use the network as a plugin with
   * steps of resource type API may on a server with the same settings.
   */
  start(plugin: PluginDirectory, onLine: (line: string) => void, options?: { callsOut: boolean }): Promise<Worker>
  /**
   * Makes ready what the plugin asks for, as the server does at confirm, and runs everything in it from now on.
   * @throws EnvironmentRefused
   */
  use(requirements: readonly StatedRequirement[], requiresPython: string | null): Promise<PluginEnvironment | null>
  [Symbol.asyncDispose](): Promise<void>
}

const PROBE_MS = 30_000

/** @throws CommandFailed when no interpreter, or none with the base packages, is there, or no isolation that suffices */
export async function openLocalPython(options: LocalPythonOptions): Promise<LocalPython> {
  const config = readConfig(options, 1)
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort(new CommandFailed("Interrupted."))
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt)
  const runtime = await prepareRuntime(join(config.dataDir, "runtime"))
  const facts = await workerFacts({
    pythonTree: runtime.pythonTree,
    minimumIsolation: config.minimumIsolation,
    isolationLimits: config.isolationLimits,
    override: config.python,
    pathVariable: searchPath(),
    environmentsDir: join(config.dataDir, "environments"),
  })
  interrupted.signal.throwIfAborted()
  const chosen = facts.interpreter.chosen
  if (chosen === null) throw new CommandFailed(facts.problem ?? "No Python was found.")
  const sitePackages =
    facts.environment?.ready === true ? [facts.environment.sitePackages] : await ownSitePackages(chosen)
  if (sitePackages === null) throw new CommandFailed(facts.problem ?? "The base packages are missing.")
  const tooWeak = isolationProblem(facts.isolation, facts.minimumIsolation)
  if (tooWeak !== null) throw new CommandFailed(tooWeak)

  const scratch = await realpath(await mkdtemp(join(tmpdir(), "mixpeek-")))
  const log = createLog(config.logLevel)
  const environments = pluginEnvironments({
    dataDir: config.dataDir,
    pythonTree: runtime.pythonTree,
    scratchDir: scratch,
    confinement: { limits: config.workerLimits, hidden: [], ...config.isolationLimits },
    sourceBuilds: config.sourceBuilds,
    ...(config.index === null ? {} : { index: config.index }),
    ...(config.indexCredentials === null ? {} : { credentials: config.indexCredentials }),
    hostEnvironment: hostEnvironment(),
    now: () => new Date(),
    // What a build says is for an operator's log; here a check says it.
    log: createLog(options.logLevel === undefined ? "warn" : config.logLevel),
  })
  let inUse: Pick<WorkerPackages, "interpreter" | "sitePackages"> = { interpreter: chosen, sitePackages }
  return {
    get interpreter() {
      return inUse.interpreter
    },
    get sitePackages() {
      return inUse.sitePackages
    },
    hasBase: facts.environment?.ready === true,
    pythonTree: runtime.pythonTree,
    nativeDirectory: runtime.nativeDirectory,
    scratch,
    signal: interrupted.signal,
    partitionLimits: partitionLimits(config.partitionDeadlineMs, config.partitionWallMs),
    start: async (plugin, onLine, { callsOut } = { callsOut: false }) =>
      startWorker({
        interpreter: inUse.interpreter,
        pythonTree: runtime.pythonTree,
        scratch: await mkdtemp(join(scratch, "worker-")),
        plugin: { path: plugin.directory, name: "", packageName: "mixpeek_local_plugin" },
        sitePackages: inUse.sitePackages,
        exchange: scratch,
        confinement: {
          level: facts.isolation.level,
          readable: [],
          writable: [],
          devices: [],
          hidden: [],
          limits: config.workerLimits,
          network: callsOut ? networkOf(config, null) : { mode: "none" },
          ...config.isolationLimits,
        },
        onLog: ({ text }) => onLine(text),
        signal: interrupted.signal,
        log,
      }),
    async use(requirements, requiresPython) {
      const wanted = { organization: PLUGIN_TEST, requirements, requiresPython, signal: interrupted.signal }
      const environment = await environments.prepare(wanted, facts)
      inUse = await environments.locate(environment, facts)
      return environment
    },
    async [Symbol.asyncDispose]() {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt)
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

/** Where the interpreter itself finds the base packages; null when it lacks one. */
async function ownSitePackages(interpreter: Interpreter): Promise<string[] | null> {
  const code =
    "import json, sys; import numpy, pandas, pyarrow, pydantic; " +
    "print(json.dumps([p for p in sys.path if p.endswith(('site-packages', 'dist-packages'))]))"
  const { code: exit, stdout } = await runProgram({
    argv: [interpreter.path, "-I", "-c", code],
    environment: {},
    timeoutMs: PROBE_MS,
  })
  return exit === 0 ? z.array(z.string()).parse(JSON.parse(stdout.at(-1) ?? "")) : null
}
