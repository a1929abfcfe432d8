import { existsSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { Command } from "commander"
import { ConfigError, hostEnvironment, readConfig, searchPath } from "../config.ts"
import { EnvironmentBuildFailed } from "../workers/environments/build-failed.ts"
import { BASE_RECIPE, buildEnvironment, isSetUp } from "../workers/environments/environment.ts"
import { missingWheels, parseLock } from "../workers/environments/lock.ts"
import { WHEELS_FOLDER } from "../workers/environments/plugin-environments.ts"
import { findInterpreter, type Interpreter, type InterpreterSearch } from "../workers/interpreters.ts"
import { CommandFailed } from "./command-failed.ts"
import { DATA, JSON_OUTPUT, LOG_LEVEL, PYTHON } from "./options.ts"
import { CHECK, colors, print, printError, printJson, printTable } from "./output.ts"

interface SetupOptions {
  readonly data?: string
  readonly python?: string
  readonly index?: string
  readonly wheels?: string
  readonly json?: boolean
  readonly logLevel?: string
}

export function runtimeCommand(): Command {
  const setup = new Command("setup")
    .description("find a Python (3.10 to 3.13) and install the packages that plugins may rely on")
    .addOption(DATA())
    .addOption(PYTHON())
    .option("--index <url>", "package index to install from (default: the one pip is configured with)")
    .option("--wheels <dir>", "install offline from a directory of wheels; nothing is fetched")
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .addHelpText(
      "after",
      "\nInstalls numpy, pandas, pyarrow, pydantic and orjson, pinned and checked by hash, into the data directory.\n" +
        "Your Python itself is not changed. Safe to run again: what is there is kept.",
    )
    .action((options: SetupOptions) => runtimeSetup(options))
  return new Command("runtime").description("set up the Python environment that plugins run in").addCommand(setup)
}

/** @throws ConfigError for options that cannot be; CommandFailed when there is no usable Python or the installation fails */
async function runtimeSetup(options: SetupOptions): Promise<void> {
  const { dataDir, python } = readConfig(
    {
      ...(options.data === undefined ? {} : { data: options.data }),
      ...(options.python === undefined ? {} : { python: options.python }),
    },
    1,
  )
  const source = installSource(options)
  const environmentsDir = join(dataDir, "environments")
  const search = await findInterpreter({
    override: python,
    pathVariable: searchPath(),
    isReady: (interpreter) => isSetUp(environmentsDir, interpreter),
  })
  if (search.chosen === null) throw noInterpreter(search, options)
  if (options.json !== true) print(`${CHECK.passed} Python ${search.chosen.version} ${colors.dim(search.chosen.path)}`)
  await install(search.chosen, environmentsDir, await orStore(source, dataDir, search.chosen), options)
}

/** Whoever has brought the wheels into the store need not say so again. */
async function orStore(
  source: { index?: string; wheels?: string[] },
  dataDir: string,
  interpreter: Interpreter,
): Promise<{ index?: string; wheels?: string[] }> {
  const store = join(dataDir, WHEELS_FOLDER)
  if (Object.keys(source).length > 0 || !existsSync(store)) return source
  const missing = await missingWheels([store], parseLock(BASE_RECIPE.lock, interpreter), interpreter)
  return missing.length === 0 ? { wheels: [store] } : source
}

async function install(
  interpreter: Interpreter,
  environmentsDir: string,
  source: { index?: string; wheels?: string[] },
  options: SetupOptions,
): Promise<void> {
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort(new CommandFailed("Interrupted; nothing is left behind."))
  const progress = progressLine(options)
  const started = performance.now()
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt)
  try {
    const { environment, built } = await buildEnvironment({
      environmentsDir,
      interpreter,
      ...source,
      hostEnvironment: hostEnvironment(),
      signal: interrupted.signal,
      onLine: progress.show,
    })
    progress.clear()
    const seconds = (performance.now() - started) / 1000
    if (options.json === true) {
      printJson({
        success: true,
        python: interpreter,
        environment: { hash: environment.hash, directory: environment.directory, built },
      })
    } else {
      const how = built ? `installed in ${seconds.toFixed(0)} s` : "already installed"
      print(`${CHECK.passed} base packages ${how} ${colors.dim(environment.directory)}`)
    }
  } catch (error) {
    progress.clear()
    if (!(error instanceof EnvironmentBuildFailed)) throw error
    const { reason, message, missing } = error
    printError(`${CHECK.failed} ${message}`)
    if (options.json === true) printJson({ success: false, python: interpreter, error: { reason, message, missing } })
    throw new CommandFailed(message, { reported: true, cause: error })
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt)
  }
}

function installSource({ index, wheels }: SetupOptions): { index?: string; wheels?: string[] } {
  if (index !== undefined && wheels !== undefined) {
    throw new ConfigError("--index and --wheels exclude one another: --wheels installs without any index")
  }
  if (index !== undefined) {
    if (!URL.canParse(index)) throw new ConfigError(`--index is '${index}'; it takes a URL`)
    return { index }
  }
  if (wheels === undefined) return {}
  const directory = resolve(wheels)
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConfigError(`--wheels is '${wheels}'; there is no such directory`)
  }
  return { wheels: [directory] }
}

function noInterpreter(search: InterpreterSearch, options: SetupOptions): CommandFailed {
  const message = search.problem ?? "No Python was found."
  printError(`${CHECK.failed} ${message}`)
  if (options.json === true) {
    const error = { reason: "no_interpreter", message }
    printJson({ success: false, candidates: search.candidates, error })
  } else if (search.candidates.length > 0) {
    printTable(
      ["Looked at", "Why it was not taken"],
      search.candidates.map(({ found, reason }) => [found, reason ?? ""]),
    )
  }
  return new CommandFailed(message, { reported: true })
}

/** One line that is written over, for people only; with `--log-level debug` every line stays. */
function progressLine({ json, logLevel }: SetupOptions): { show(line: string): void; clear(): void } {
  const { stderr } = process
  if (logLevel === "debug" || logLevel === "trace") return { show: printError, clear: () => undefined }
  if (json === true || stderr.isTTY !== true) return { show: () => undefined, clear: () => undefined }
  const clear = () => void stderr.write("\r\u001b[K")
  return {
    show(line) {
      clear()
      stderr.write(colors.dim(line.trim().slice(0, Math.max(20, stderr.columns - 1))))
    },
    clear,
  }
}
