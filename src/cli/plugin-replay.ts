/** One failed row of a batch, run again on this machine by the author's own directory, with what the server gave the plugin. */
import { join } from "node:path"
import { filesHash } from "../archives/trees.ts"
import { ConfigError } from "../config.ts"
import { isStackLine } from "../workers/author-stacks.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import { ApiError, apiClient, type ClientOptions } from "./api-client.ts"
import { type Check, check } from "./check.ts"
import { CommandFailed } from "./command-failed.ts"
import { type LocalPython, type LocalPythonOptions, openLocalPython } from "./local-python.ts"
import { CHECK, colors, print, printJson } from "./output.ts"
import { checkManifest, checkScan } from "./plugin-checks.ts"
import { readWithDependencies } from "./plugin-dependencies.ts"
import { type PluginDirectory, readPluginDirectory } from "./plugin-directory.ts"
import { type FailedRow, failedRow, fetchAssets, type RowError } from "./replayed-row.ts"
import { checkPipeline, checkSampleRun, sampleWorkers } from "./sample-run.ts"

export interface ReplayOptions extends ClientOptions, LocalPythonOptions {
  readonly batch: string
  readonly row: string
  readonly path: string
  readonly bucket?: string
  readonly collection?: string
  readonly json?: boolean
}

/** @throws CommandFailed when the row still fails, or cannot be run here */
export async function pluginReplay(options: ReplayOptions): Promise<void> {
  const row = Number(options.row)
  // An empty one, such as an unset variable of a shell, would be row 0.
  if (!/^\d+$/.test(options.row) || !Number.isSafeInteger(row))
    throw new ConfigError(`--row '${options.row}' is no row number`)
  const client = apiClient(options)
  const plugin = await readPluginDirectory(options.path)
  const failed = await failedRow(client, { ...options, row }).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error
    const where =
      error.status === 404 ? ` Looked for in namespace '${client.namespace}'; --namespace names another.` : ""
    throw new CommandFailed(`${error.message}${where}`, { cause: error })
  })
  const localHash = await filesHash(plugin.files.map(({ path, absolute }) => ({ name: path, path: absolute })))
  await using python = await openLocalPython(options)
  const assets = await fetchAssets(client, failed, join(python.scratch, "assets"))
  const printed: string[] = []
  const result = await run(plugin, python, failed, assets, (line) => {
    if (!isStackLine(line)) printed.push(`| ${line}`)
  })
  report(result, printed, failed.error, localHash, options.json === true)
  if (result.status !== "passed") throw new CommandFailed("the row still fails", { reported: true })
}

async function run(
  plugin: PluginDirectory,
  python: LocalPython,
  { error, input, parameters }: FailedRow,
  assetRoots: Record<string, string>,
  hear: (line: string) => void,
): Promise<Check> {
  const { check: scan } = await checkScan(plugin, { strict: undefined, sitePackages: python.sitePackages })
  // Code that the scan refuses is not run to look at it: it may be somebody else's.
  if (scan.status === "failed") return scan
  try {
    const { read, dependencies } = await readWithDependencies(plugin, python, async () => {
      await using worker = await python.start(plugin, hear)
      return await checkManifest(worker, python.signal)
    })
    if (dependencies?.status === "failed") return dependencies
    if (read === null || read.manifest === null) return read?.check ?? check("Manifest", "failed", "cannot be read")
    const rows = [{ ...input, __row: error.row }]
    const sample = { rows, assetRoots, advice: [], called: () => `row ${error.row}` }
    const { manifest } = read
    await using worker = await python.start(plugin, hear)
    const pipeline = await checkPipeline(worker, python, manifest, rows.length, parameters)
    if (pipeline.check.status === "failed") return pipeline.check
    const workers = sampleWorkers(worker, pipeline, async () => {
      const another = await python.start(plugin, hear, pipeline)
      await checkPipeline(another, python, manifest, rows.length, parameters)
      return another
    })
    return await checkSampleRun(workers, python, manifest, sample)
  } catch (died) {
    python.signal.throwIfAborted()
    if (!(died instanceof WorkerDied)) throw died
    return check("Replay", "failed", died.message, { details: died.lastOutput.split("\n") })
  }
}

function report(result: Check, printed: readonly string[], error: RowError, localHash: string, json: boolean): void {
  const { input: _, ...server } = error
  const passed = result.status === "passed"
  const sameCode = error.code_hash === null ? null : error.code_hash === localHash
  if (json) {
    const local = { code_hash: localHash, summary: result.summary, findings: result.findings, details: result.details }
    printJson({ passed, same_code: sameCode, server, local: { ...local, printed } })
    return
  }
  const version = error.plugin_version === null ? "" : ` in version ${error.plugin_version}`
  print(`row ${error.row} (${error.object_id}) failed${version}: ${error.exception}: ${error.error.split("\n")[0]}`)
  if (sameCode === false) {
    print(
      colors.dim(
        `the code that failed was ${error.code_hash?.slice(0, 12)}; this directory is ${localHash.slice(0, 12)}`,
      ),
    )
  }
  for (const line of printed) print(colors.dim(line))
  // The traceback begins with the author's own frames.
  for (const line of result.details) if (line !== "") print(`    ${line}`)
  for (const finding of result.findings) print(`    ${finding}`)
  print(
    passed ? `${CHECK.passed} it passes here: ${result.summary}` : `${CHECK.failed} it fails here: ${result.summary}`,
  )
}
