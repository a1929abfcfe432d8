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
import { workerFacts } from "../workers/worker-facts.ts"
import { CommandFailed } from "./command-failed.ts"
import { DATA, JSON_OUTPUT, LOG_LEVEL, MINIMUM_ISOLATION, PYTHON } from "./options.ts"
import { CHECK, colors, print, printJson } from "./output.ts"

interface DoctorOptions {
  readonly data?: string
  readonly python?: string
  readonly json?: boolean
  readonly minimumIsolation?: string
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("say what this machine has, what is missing and how to get it")
    .addOption(DATA())
    .addOption(PYTHON())
    .addOption(MINIMUM_ISOLATION())
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
    const diagnosis = await doctor({
      version: `${NAME} ${VERSION}`,
      target: buildTarget,
      runtime,
      dataDir,
      workerFacts: () =>
        workerFacts({
          override: python,
          pathVariable: searchPath(),
          environmentsDir: join(dataDir, "environments"),
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
