/** The wheel store of an appliance on this machine, and wheels for one on another machine. */
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Command } from "commander"
import { z } from "zod"
import { ConfigError, hostEnvironment, readConfig, searchPath } from "../config.ts"
import { manifestRequirements, readRequirementsFile, requirementLines } from "../plugins/requirements.ts"
import { prepareRuntime } from "../runtime.ts"
import { type CollectedPackage, collectWheels } from "../workers/environments/collecting.ts"
import { isSetUp } from "../workers/environments/environment.ts"
import { chooseInterpreter } from "../workers/environments/interpreter-choice.ts"
import { Target, type TargetInterpreter } from "../workers/environments/machine.ts"
import type { StatedRequirement } from "../workers/environments/plugin-environment.ts"
import { ENVIRONMENTS_FOLDER, WHEELS_FOLDER } from "../workers/environments/plugin-environments.ts"
import { EnvironmentRefused } from "../workers/environments/refused.ts"
import { type Added, type WheelStore, wheelStore } from "../workers/environments/wheel-store.ts"
import { findInterpreter, type Interpreter } from "../workers/interpreters.ts"
import { count } from "./check.ts"
import { CommandFailed } from "./command-failed.ts"
import { openLocalPython } from "./local-python.ts"
import { DATA, INDEX_CREDENTIALS, INDEX_TO_COLLECT, JSON_OUTPUT, LOG_LEVEL, PYTHON } from "./options.ts"
import { bytes, CHECK, colors, print, printError, printJson, printTable } from "./output.ts"
import { checkManifest } from "./plugin-checks.ts"
import { readPluginDirectory } from "./plugin-directory.ts"

interface WheelsOptions {
  readonly data?: string
  readonly python?: string
  readonly json?: boolean
  readonly logLevel?: string
}

interface DownloadOptions extends WheelsOptions {
  readonly for: string
  readonly path: readonly string[]
  readonly requirements: readonly string[]
  readonly to: string
  readonly index?: string
  readonly indexCredentials?: string
}

export function wheelsCommand(): Command {
  const wheels = new Command("wheels").description("the wheels from which plugins' environments are built offline")
  for (const command of [listCommand(), addCommand(), verifyCommand(), downloadCommand()]) {
    wheels.addCommand(command.addOption(DATA()).addOption(PYTHON()).addOption(JSON_OUTPUT()).addOption(LOG_LEVEL()))
  }
  return wheels
}

function listCommand(): Command {
  return new Command("list").description("list the wheel store").action(listWheels)
}

function addCommand(): Command {
  return new Command("add")
    .description("check wheels and put them into the store")
    .argument("<paths...>", "wheels, or directories of wheels")
    .action(addWheels)
}

function verifyCommand(): Command {
  return new Command("verify")
    .description("compare every byte of the store with what each wheel's own record says")
    .action(verifyWheels)
}

function downloadCommand(): Command {
  const more = (value: string, all: readonly string[]) => [...all, value]
  return new Command("download")
    .description("on a machine with an index: collect the wheels that plugins need on another machine")
    .argument("[requirements...]", "packages, such as 'polars>=1'")
    .requiredOption("--for <file>", "target.json, which 'mixpeek doctor --target' printed on the other machine")
    .option("--path <dir>", "a plugin whose dependencies are collected (may be given again)", more, [])
    .option("--requirements <file>", "a requirements.txt (may be given again)", more, [])
    .option("--to <dir>", "where the wheels go", "wheels")
    .addOption(INDEX_TO_COLLECT())
    .addOption(INDEX_CREDENTIALS())
    .action(downloadWheels)
}

async function listWheels(options: WheelsOptions): Promise<void> {
  await withStore(options, async (store) => {
    const wheels = await store.list()
    if (options.json === true) return printJson({ success: true, directory: store.directory, wheels })
    if (wheels.length === 0) return print(`No wheels in ${store.directory}. 'mixpeek wheels add DIR' brings some.`)
    printTable(
      ["Package", "Version", "Size", "Fits", "File"],
      wheels.map(({ name, version, bytes: size, fits, tags, file, problem }) => [
        name ?? "?",
        version ?? "?",
        bytes(size),
        problem !== null ? "damaged" : tags.includes("source") ? "source" : fits ? "yes" : "no",
        file,
      ]),
    )
  })
}

/** @throws CommandFailed when a file was refused; the others are taken all the same */
async function addWheels(paths: readonly string[], options: WheelsOptions): Promise<void> {
  await withStore(options, async (store) => {
    const absent = paths.filter((path) => !existsSync(path))
    if (absent.length > 0) throw new CommandFailed(`There is no ${absent.join(", ")}.`)
    const added = await store.add(paths.map((path) => resolve(path)))
    const refused = added.filter(({ outcome }) => outcome === "refused")
    if (options.json === true) printJson({ success: refused.length === 0, directory: store.directory, wheels: added })
    else tellAdded(added, store)
    if (refused.length > 0) throw new CommandFailed(`${refused.length} files were refused`, { reported: true })
  })
}

function tellAdded(added: readonly Added[], store: WheelStore): void {
  for (const { file, outcome, problem } of added) {
    if (outcome === "refused") printError(`${CHECK.failed} ${file}: ${problem}`)
    else print(`${CHECK.passed} ${file}${outcome === "added" ? "" : colors.dim(` (${outcome})`)}`)
  }
  if (added.some(({ file, outcome }) => outcome !== "refused" && !file.endsWith(".whl"))) {
    printError(`${CHECK.warning} Source distributions are used only where the server has MIXPEEK_SOURCE_BUILDS=1.`)
  }
  const taken = added.filter(({ outcome }) => outcome === "added" || outcome === "replaced").length
  print(`${count(taken, "file")} added to ${store.directory}`)
}

/** @throws CommandFailed when a file is damaged */
async function verifyWheels(options: WheelsOptions): Promise<void> {
  await withStore(options, async (store) => {
    const wheels = await store.list(true)
    const damaged = wheels.filter(({ problem }) => problem !== null)
    if (options.json === true) printJson({ success: damaged.length === 0, directory: store.directory, wheels })
    else {
      for (const { file, problem } of damaged) printError(`${CHECK.failed} ${file}: ${problem}`)
      const sound = `${wheels.length - damaged.length} of ${count(wheels.length, "file")}`
      print(`${damaged.length === 0 ? CHECK.passed : CHECK.failed} ${sound} are what their records say`)
    }
    if (damaged.length > 0) throw new CommandFailed(`${damaged.length} files are damaged`, { reported: true })
  })
}

/** @throws CommandFailed when the wheels cannot be had; ConfigError for a target.json that is none */
async function downloadWheels(words: readonly string[], options: DownloadOptions): Promise<void> {
  const config = readConfig(options, 1)
  const target = await readTarget(options.for)
  const interpreter = await ownInterpreter(config.python)
  const runtime = await prepareRuntime(join(config.dataDir, "runtime"))
  const directory = resolve(options.to)
  const scratchDir = await mkdtemp(join(tmpdir(), "mixpeek-"))
  const packages = new Map<string, CollectedPackage>()
  try {
    for (const { requirements, machine } of await requirementGroups(words, options, target)) {
      const collected = await collectWheels({
        interpreter,
        pythonTree: runtime.pythonTree,
        scratchDir,
        target: machine,
        requirements,
        directory,
        ...(config.index === null ? {} : { index: config.index }),
        ...(config.indexCredentials === null ? {} : { credentials: config.indexCredentials }),
        hostEnvironment: hostEnvironment(),
        onLine: options.logLevel === "debug" ? printError : () => undefined,
      })
      for (const each of collected) packages.set(each.file, each)
    }
  } catch (error) {
    if (!(error instanceof EnvironmentRefused)) throw error
    for (const line of [error.message, ...error.problems]) printError(`${CHECK.failed} ${line}`)
    if (options.json === true)
      printJson({ success: false, error: { message: error.message, problems: error.problems } })
    throw new CommandFailed(error.message, { reported: true })
  } finally {
    await rm(scratchDir, { recursive: true, force: true })
  }
  const wheels = [...packages.values()].sort((a, b) => (a.file < b.file ? -1 : 1))
  const warnings = cudaWarnings(wheels, target)
  if (options.json === true) return printJson({ success: true, directory, wheels, warnings })
  for (const { file } of wheels) print(`${CHECK.passed} ${file}`)
  for (const warning of warnings) printError(`${CHECK.warning} ${warning}`)
  const bare = target.interpreters[0]?.base_ready === false ? "'mixpeek runtime setup' after " : ""
  print(
    `${count(wheels.length, "wheel")} in ${directory}. On the other machine: ${bare}'mixpeek wheels add ${options.to}'`,
  )
}

interface Group {
  readonly requirements: readonly StatedRequirement[]
  /** The target's interpreter that it is for. */
  readonly machine: TargetInterpreter
}

/** Each plugin by itself: their environments are their own, and may have other versions of one package. */
async function requirementGroups(words: readonly string[], options: DownloadOptions, target: Target): Promise<Group[]> {
  const [first] = target.interpreters
  if (first === undefined) throw new ConfigError("target.json names no interpreter")
  const loose = words.map((text) => ({ text, origin: "the command line" }))
  for (const file of options.requirements) loose.push(...requirementLines(await readFile(file, "utf8")))
  const groups: Group[] = loose.length > 0 ? [{ requirements: loose, machine: first }] : []
  if (options.path.length > 0) {
    await using python = await openLocalPython(options)
    for (const path of options.path) {
      const plugin = await readPluginDirectory(path)
      await using worker = await python.start(plugin, () => undefined)
      const { manifest, check } = await checkManifest(worker, python.signal)
      if (manifest === null) throw new CommandFailed(`${path}: ${check.summary}`)
      const file = await readRequirementsFile(plugin.directory)
      if (!file.ok) throw new CommandFailed(`${path}: ${file.problem}`)
      const requirements = [...manifestRequirements(manifest.dependencies), ...file.requirements]
      groups.push({ requirements, machine: interpreterOf(target, manifest.requires_python ?? null) })
    }
  }
  // Nothing asked for: what the base environment takes.
  return groups.length > 0 ? groups : [{ requirements: [], machine: first }]
}

function interpreterOf({ interpreters }: Target, requiresPython: string | null): TargetInterpreter {
  const candidates = interpreters.map((each) => ({
    found: each.path,
    interpreter: { ...each, pip: true },
    reason: null,
  }))
  const chosen = candidates[0]?.interpreter ?? null
  const ready = ({ path }: Interpreter) => interpreters.some((each) => each.path === path && each.base_ready)
  const { path } = chooseInterpreter({ chosen, candidates, problem: null }, requiresPython, ready)
  return interpreters.find((each) => each.path === path) ?? (interpreters[0] as TargetInterpreter)
}

async function readTarget(path: string): Promise<Target> {
  try {
    return Target.parse(JSON.parse(await readFile(path, "utf8")))
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined
    const why = issue === undefined ? String(error) : `${issue.path.join(".")}: ${issue.message}`
    throw new ConfigError(`--for ${path} is no target.json of 'mixpeek doctor --target': ${why}`)
  }
}

/** Wheels with CUDA inside that the target's driver does not run, or has no GPU for. */
function cudaWarnings(wheels: readonly CollectedPackage[], { cuda }: Target): string[] {
  const majors = wheels.flatMap(({ name }) => /^nvidia-.*-cu(\d+)$/.exec(name)?.[1] ?? [])
  const needed = Math.max(0, ...majors.map(Number))
  if (needed === 0) return []
  if (cuda === null) {
    return [
      "These wheels bring CUDA, and the target has no NVIDIA driver. An index of builds for the CPU saves gigabytes; " +
        "for PyTorch see its site, and name it with --index.",
    ]
  }
  const runs = Number(cuda.version.split(".")[0])
  if (runs >= needed) return []
  return [
    `These wheels bring CUDA ${needed}, and the target's driver ${cuda.driver} runs CUDA ${cuda.version} at most.`,
  ]
}

async function withStore(options: WheelsOptions, work: (store: WheelStore) => Promise<void>): Promise<void> {
  const config = readConfig(options, 1)
  const interpreter = await ownInterpreter(config.python, join(config.dataDir, ENVIRONMENTS_FOLDER))
  const runtime = await prepareRuntime(join(config.dataDir, "runtime"))
  const scratchDir = await mkdtemp(join(tmpdir(), "mixpeek-"))
  const directory = join(config.dataDir, WHEELS_FOLDER)
  try {
    await work(wheelStore({ directory, interpreter, pythonTree: runtime.pythonTree, scratchDir }))
  } finally {
    await rm(scratchDir, { recursive: true, force: true })
  }
}

async function ownInterpreter(python: string | null, environmentsDir?: string): Promise<Interpreter> {
  const search = await findInterpreter({
    override: python,
    pathVariable: searchPath(),
    ...(environmentsDir === undefined ? {} : { isReady: (interpreter) => isSetUp(environmentsDir, interpreter) }),
  })
  if (search.chosen === null) throw new CommandFailed(search.problem ?? "No Python was found.")
  return search.chosen
}
