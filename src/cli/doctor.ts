import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Command } from "commander"
import { readConfig, searchPath } from "../config.ts"
import { buildTarget } from "../native-files.ts"
import { type Diagnosis, doctor } from "../operations/doctor.ts"
import { prepareRuntime } from "../runtime.ts"
import { NAME, VERSION } from "../version.ts"
import { environmentOf, isSetUp } from "../workers/environments/environment.ts"
import { usableInterpreters } from "../workers/environments/interpreter-choice.ts"
import { cudaOf, describeInterpreter, type Target } from "../workers/environments/machine.ts"
import { ENVIRONMENTS_FOLDER } from "../workers/environments/plugin-environments.ts"
import { findInterpreter, type Interpreter } from "../workers/interpreters.ts"
import { workerFacts } from "../workers/worker-facts.ts"
import { CommandFailed } from "./command-failed.ts"
import { DATA, JSON_OUTPUT, LOG_LEVEL, MINIMUM_ISOLATION, PYTHON } from "./options.ts"
import { CHECK, colors, print, printJson } from "./output.ts"

interface DoctorOptions {
  readonly data?: string
  readonly python?: string
  readonly json?: boolean
  readonly target?: boolean
  readonly minimumIsolation?: string
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("say what this machine has, what is missing and how to get it")
    .addOption(DATA())
    .addOption(PYTHON())
    .addOption(MINIMUM_ISOLATION())
    .option("--target", "print target.json instead: what 'mixpeek wheels download' needs to know of this machine")
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(runDoctor)
}

/** @throws CommandFailed when something is missing */
async function runDoctor(options: DoctorOptions): Promise<void> {
  const { dataDir, python, minimumIsolation, isolationLimits } = readConfig(options, 1)
  // The libraries must lie on disk to be tried; a data directory is not made for that.
  const temporary = existsSync(dataDir) ? null : await mkdtemp(join(tmpdir(), "mixpeek-"))
  try {
    const runtime = await prepareRuntime(temporary ?? join(dataDir, "runtime"))
    const environmentsDir = join(dataDir, ENVIRONMENTS_FOLDER)
    if (options.target === true) {
      printJson(await targetOf({ environmentsDir, python, pythonTree: runtime.pythonTree }))
      return
    }
    const diagnosis = await doctor({
      version: `${NAME} ${VERSION}`,
      target: buildTarget,
      runtime,
      dataDir,
      workerFacts: () =>
        workerFacts({
          override: python,
          pathVariable: searchPath(),
          environmentsDir,
          pythonTree: runtime.pythonTree,
          minimumIsolation,
          isolationLimits,
        }),
    })
    if (options.json === true) printJson({ success: diagnosis.healthy, ...diagnosis })
    else report(diagnosis)
    if (!diagnosis.healthy) throw new CommandFailed("Something is missing.", { reported: true })
  } finally {
    if (temporary !== null) await rm(temporary, { recursive: true, force: true })
  }
}

/** @throws CommandFailed without a Python; Error for one without pip */
async function targetOf({
  environmentsDir,
  python,
  pythonTree,
}: {
  environmentsDir: string
  python: string | null
  pythonTree: string
}): Promise<Target> {
  const isReady = (interpreter: Interpreter) => environmentOf({ environmentsDir, interpreter }).ready
  const search = await findInterpreter({
    override: python,
    pathVariable: searchPath(),
    isReady: (interpreter) => isSetUp(environmentsDir, interpreter),
  })
  const usable = usableInterpreters(search).filter(({ pip }) => pip)
  if (usable.length === 0) throw new CommandFailed(search.problem ?? "No Python here has pip.")
  const scratchDir = await mkdtemp(join(tmpdir(), "mixpeek-"))
  try {
    const interpreters = await Promise.all(
      usable.map((each) => describeInterpreter(each, isReady(each), { pythonTree, scratchDir })),
    )
    return { format: 1, mixpeek: VERSION, interpreters, cuda: await cudaOf(searchPath()) }
  } finally {
    await rm(scratchDir, { recursive: true, force: true })
  }
}

const MARK = { ok: CHECK.passed, notice: CHECK.warning, missing: CHECK.failed }

function report({ findings, workers, healthy }: Diagnosis): void {
  for (const { name, status, value, advice } of findings) {
    print(`${MARK[status]} ${name.padEnd(14)} ${value}`)
    if (advice !== null) print(`    ${advice}`)
    if (name === "Python") {
      for (const { found, interpreter, reason } of workers.interpreter.candidates) {
        if (reason === null) continue
        const version = interpreter === null ? "" : ` (${interpreter.version})`
        print(colors.dim(`    ${found}${version}: ${reason}`))
      }
    }
  }
  print()
  print(healthy ? colors.green("Everything needed is here.") : colors.red("Something is missing: see ✗ above."))
}
