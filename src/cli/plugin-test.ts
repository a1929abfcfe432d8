import { newestLines } from "../newest-lines.ts"
import { isStackLine } from "../workers/author-stacks.ts"
import { PluginLoadFailed } from "../workers/worker.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import { type Check, check, count } from "./check.ts"
import { CommandFailed } from "./command-failed.ts"
import { type LocalPython, openLocalPython } from "./local-python.ts"
import { CHECK, colors, print, printJson } from "./output.ts"
import { checkManifest, checkScan, checkStructure, type ScanReport } from "./plugin-checks.ts"
import { readWithDependencies } from "./plugin-dependencies.ts"
import { type PluginDirectory, readPluginDirectory } from "./plugin-directory.ts"
import { checkTests } from "./plugin-pytest.ts"
import { checkPipeline, checkRealtime, checkSampleRun, sampleRows, sampleWorkers } from "./sample-run.ts"

export interface TestOptions {
  readonly path: string
  readonly sampleData?: string
  readonly verbose?: boolean
  readonly strict?: boolean
  readonly data?: string
  readonly python?: string
  readonly index?: string
  readonly indexCredentials?: string
  readonly json?: boolean
  readonly logLevel?: string
}

/** @throws CommandFailed when a check failed, after all that could run have run */
export async function pluginTest(options: TestOptions): Promise<void> {
  const plugin = await readPluginDirectory(options.path)
  const report = reporter(plugin, options)
  report.add(await checkStructure(plugin))
  if (!report.failed()) {
    await using python = await openLocalPython(options)
    await runChecks(plugin, python, options, report)
  }
  report.finish()
}

/** Of what the plugin prints during a check: as many as a server keeps of a batch. */
const PRINTED_LINES = 1_000
const PRINTED_CHARACTERS = 262_144
const PRINTED = "printed"

/** Code that the scan refuses is not run to look at it: it may be somebody else's. */
const NOT_RUN = "not run: the security scan found errors"

async function runChecks(
  plugin: PluginDirectory,
  python: LocalPython,
  options: TestOptions,
  report: Reporter,
): Promise<void> {
  // Scanned before anything of it runs, told in the order of the list.
  const { check: scan, report: scanned } = await checkScan(plugin, {
    strict: options.strict,
    sitePackages: python.sitePackages,
  })
  report.scanned(scanned)
  if (scan.status === "failed") {
    report.add(check("Manifest", "skipped", NOT_RUN))
    report.add(scan)
    for (const name of ["Pipeline", "Sample run", "Realtime", "Tests"]) report.add(check(name, "skipped", NOT_RUN))
    return
  }
  const { read, dependencies } = await readWithDependencies(plugin, python, async () => {
    await using worker = await survived("Manifest", python, report, () => python.start(plugin, report.hear))
    return worker === null
      ? null
      : await survived("Manifest", python, report, () => checkManifest(worker, python.signal))
  })
  if (read !== null) report.add(read.check)
  if (dependencies !== null) report.add(dependencies)
  report.add(dependencies?.status === "passed" ? await scanAgain(plugin, python, options, report) : scan)
  if (dependencies?.status === "failed") {
    const why = "its dependencies are not here"
    for (const name of ["Pipeline", "Sample run", "Realtime", "Tests"]) report.add(check(name, "skipped", why))
    return
  }

  const readable = read !== null && read.manifest !== null && read.check.status !== "failed"
  await using worker = readable
    ? await survived("Pipeline", python, report, () => python.start(plugin, report.hear))
    : null
  if (worker === null || read === null || read.manifest === null) {
    for (const name of ["Pipeline", "Sample run", "Realtime"]) report.add(check(name, "skipped", "needs the manifest"))
  } else {
    const { manifest, hasRealtime } = read
    const sample = await sampleRows(python, manifest, options.sampleData)
    const pipeline = await survived("Pipeline", python, report, () =>
      checkPipeline(worker, python, manifest, sample.rows.length),
    )
    if (pipeline !== null) report.add(pipeline.check)
    const run =
      pipeline?.check.status === "passed"
        ? await survived("Sample run", python, report, async () => {
            const workers = sampleWorkers(worker, pipeline, async () => {
              const another = await python.start(plugin, report.hear, pipeline)
              await checkPipeline(another, python, manifest, sample.rows.length)
              return another
            })
            return await checkSampleRun(workers, python, manifest, sample)
          })
        : check("Sample run", "skipped", "needs the pipeline")
    if (run !== null) report.add(run)

    if (hasRealtime) {
      // In a process of its own, as a deployment does it.
      await using handler = await survived("Realtime", python, report, () => python.start(plugin, report.hear))
      const row = options.sampleData === undefined ? null : (sample.rows[0] ?? null)
      const realtime =
        handler === null
          ? null
          : await survived("Realtime", python, report, () => checkRealtime(handler, python, manifest, row))
      if (realtime !== null) report.add(realtime)
    } else {
      report.add(check("Realtime", "skipped", "there is no realtime.py: batch only"))
    }
  }
  report.add(await checkTests(plugin, python))
}

/** With what its environment has by now, nothing is noted as missing that will be there. */
async function scanAgain(
  plugin: PluginDirectory,
  python: LocalPython,
  { strict }: TestOptions,
  report: Reporter,
): Promise<Check> {
  const { check: again, report: scanned } = await checkScan(plugin, { strict, sitePackages: python.sitePackages })
  report.scanned(scanned)
  return again
}

/** Null when the plugin's process died of `work`: that is then the result of the check. */
async function survived<T>(
  name: string,
  python: LocalPython,
  report: Reporter,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    python.signal.throwIfAborted()
    if (error instanceof PluginLoadFailed) {
      report.add(check(name, "failed", error.message, { details: error.failure.traceback.split("\n") }))
    } else if (error instanceof WorkerDied) {
      report.add(check(name, "failed", error.message, { details: error.lastOutput.split("\n") }))
    } else {
      throw error
    }
    return null
  }
}

type Reporter = ReturnType<typeof reporter>

function reporter(plugin: PluginDirectory, { json, verbose }: TestOptions) {
  const checks: Check[] = []
  const printed = newestLines({ lines: PRINTED_LINES, characters: PRINTED_CHARACTERS, keys: 1 })
  let heard = 0
  let scan: ScanReport | null = null
  const failed = () => checks.filter(({ status }) => status === "failed").length
  return {
    failed: () => failed() > 0,
    /** The whole report of the scan, for --json: what the server answers to the same files. */
    scanned(report: ScanReport) {
      scan = report
    },
    /** A line that the plugin printed; it belongs to the check that comes next. */
    hear(message: string) {
      // These are the check's own details, with the author's frames first.
      if (isStackLine(message)) return
      printed.open(PRINTED)
      printed.add(PRINTED, { message })
      heard += 1
    },
    add(done: Check) {
      const lines = printed.read(PRINTED, PRINTED_LINES).map(({ message }) => `| ${message}`)
      const left = heard > lines.length ? [`| … the last ${lines.length} of ${heard} lines printed`] : []
      const complete = { ...done, details: [...done.details.filter((line) => line !== ""), ...left, ...lines] }
      printed.forget(PRINTED)
      heard = 0
      checks.push(complete)
      if (json === true) return
      print(`${CHECK[done.status]} ${done.name.padEnd(14)} ${done.summary}`)
      for (const finding of done.findings) print(`    ${finding}`)
      if (verbose === true) for (const line of complete.details) print(colors.dim(`    ${line}`))
    },
    finish() {
      if (json === true) {
        printJson({ success: failed() === 0, plugin: plugin.directory, checks, scan })
      } else {
        print()
        const hint = verbose === true ? "" : " --verbose shows details and tracebacks."
        if (failed() === 0) print(colors.green(`${count(checks.length, "check")}, none failed.`))
        else print(colors.red(`${failed()} of ${count(checks.length, "check")} failed.${hint}`))
      }
      if (failed() > 0) throw new CommandFailed(`${failed()} checks failed`, { reported: true })
    },
  }
}
