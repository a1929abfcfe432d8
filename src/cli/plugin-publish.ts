/**
 * `plugin publish`: check and scan here, pack, reserve, upload, confirm, deploy, report. Nothing is sent before the
 * local checks pass; only a failed check, upload or confirm makes the command fail.
 */
import { join } from "node:path"
import { createInterface } from "node:readline/promises"
import { z } from "zod"
import { normalizeVersion } from "../identifiers.ts"
import { readRequirementsFile } from "../plugins/requirements.ts"
import type { Violation } from "../validator/scan.ts"
import type { Manifest } from "../workers/protocol.ts"
import { PluginLoadFailed } from "../workers/worker.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import { type ApiClient, apiClient, type ClientOptions } from "./api-client.ts"
import { type Check, check, count } from "./check.ts"
import { CommandFailed } from "./command-failed.ts"
import { type LocalPython, openLocalPython } from "./local-python.ts"
import { bytes, CHECK, colors, print, printJson } from "./output.ts"
import { packPlugin } from "./plugin-archive.ts"
import { checkManifest, checkScan, checkStructure, type ManifestCheck } from "./plugin-checks.ts"
import { readWhereInstalled } from "./plugin-dependencies.ts"
import { type PluginDirectory, readPluginDirectory } from "./plugin-directory.ts"
import { type Confirmed, type Deployment, deploy, upload } from "./plugin-upload.ts"
import { printViolations } from "./violations-table.ts"

interface PublishOptions extends ClientOptions {
  readonly path: string
  readonly description?: string
  readonly dryRun?: boolean
  /** False with --no-deploy. */
  readonly deploy: boolean
  readonly yes?: boolean
  readonly data?: string
  readonly python?: string
  readonly json?: boolean
  readonly logLevel?: string
}

export async function pluginPublish(options: PublishOptions): Promise<void> {
  const client = options.dryRun === true ? null : apiClient(options)
  const plugin = await readPluginDirectory(options.path)
  const say = options.json === true ? () => undefined : print
  await using python = await openLocalPython(options)
  const { manifest, checks } = await checkLocally(plugin, python, options, say)

  const archive = join(python.scratch, "plugin.zip")
  const size = await packPlugin(plugin, manifest.feature_extractor_name, archive)
  say(`${CHECK.passed} ${"Archive".padEnd(14)} ${bytes(size)}, ${count(plugin.files.length, "file")}`)
  const packed = { bytes: size, files: plugin.files.map(({ path }) => path) }
  if (client === null) {
    say()
    say("Dry run: nothing was sent.")
    if (options.json === true) printJson({ success: true, dry_run: true, archive: packed, checks })
    return
  }

  const confirmed = await upload(client, {
    manifest,
    plugin,
    archive,
    size,
    description: options.description,
    json: options.json === true,
  })
  const deployment = options.deploy
    ? await deploy(client, confirmed.plugin_id, say)
    : { status: confirmed.deployment_status, message: "not deployed, as asked (--no-deploy)" }
  if (options.json === true) {
    printJson({
      success: true,
      dry_run: false,
      ...confirmed,
      deployment_status: deployment.status,
      message: deployment.message,
      archive: packed,
      checks,
    })
  } else {
    summarize(client, manifest, confirmed, deployment)
  }
}

/** Steps 1 and 2 of cli.md §4. @throws CommandFailed when one fails, or the person does not want to go on */
async function checkLocally(
  plugin: PluginDirectory,
  python: LocalPython,
  options: PublishOptions,
  say: (line?: string) => void,
): Promise<{ manifest: Manifest; checks: Check[] }> {
  const checks: Check[] = []
  const add = (done: Check) => {
    checks.push(done)
    say(`${CHECK[done.status]} ${done.name.padEnd(14)} ${done.summary}`)
  }
  const refuse = (done: Check): never => {
    if (options.json === true)
      printJson({ success: false, checks, error: { message: `${done.name}: ${done.summary}` } })
    throw new CommandFailed(done.summary, { reported: true })
  }
  const tell = (done: Check) => {
    for (const finding of done.findings) say(`    ${finding}`)
  }

  const structure = await checkStructure(plugin)
  add(structure)
  tell(structure)
  if (structure.status === "failed") refuse(structure)

  // Scanned before the manifest is imported, as the server does it; told after it, as cli.md lists it.
  const { check: scan, report } = await checkScan(plugin, { sitePackages: python.sitePackages })
  const { violations } = report
  const read = scan.status === "failed" ? null : await readAnywhere(plugin, python)
  if (read !== null) {
    add(read.check)
    tell(read.check)
    if (read.check.status === "failed") for (const line of read.check.details) say(colors.dim(`    ${line}`))
  }
  add(scan)
  if (report.notes.length > 0)
    tell({ ...scan, findings: scan.findings.filter((finding) => finding.includes(" note: ")) })
  if (violations.length > 0 && options.json !== true) await printViolations(violations, plugin)
  if (read === null) return refuse(scan)
  if (read.check.status === "failed" || read.manifest === null) return refuse(read.check)
  if (violations.length > 0) await askToGoOn(violations, options)
  return { manifest: read.manifest, checks }
}

/** Whether its dependencies can be had is for the server to say, which may have other wheels. */
async function readAnywhere(plugin: PluginDirectory, python: LocalPython): Promise<ManifestCheck> {
  const file = await readRequirementsFile(plugin.directory)
  const requirements = file.ok ? file.requirements : []
  const { read } = await readWhereInstalled(requirements, python, () => readManifest(plugin, python))
  return read ?? (await readManifest(plugin, python))
}

async function readManifest(plugin: PluginDirectory, python: LocalPython): Promise<ManifestCheck> {
  const printed: string[] = []
  try {
    await using worker = await python.start(plugin, (line) => void printed.push(line))
    return await checkManifest(worker, python.signal)
  } catch (error) {
    python.signal.throwIfAborted()
    if (!(error instanceof WorkerDied || error instanceof PluginLoadFailed)) throw error
    return {
      check: check("Manifest", "failed", error.message, { details: printed }),
      manifest: null,
      hasRealtime: false,
    }
  }
}

/** Asks only where somebody can answer; a script has decided already. */
async function askToGoOn(violations: readonly Violation[], { yes, json, dryRun }: PublishOptions): Promise<void> {
  if (yes === true || json === true || dryRun === true || process.stdin.isTTY !== true) return
  const prompt = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const answer = await prompt.question(`${count(violations.length, "warning")}. Publish all the same? [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailed("Nothing was published.")
  } finally {
    prompt.close()
  }
}

function summarize(client: ApiClient, manifest: Manifest, confirmed: Confirmed, deployment: Deployment): void {
  print()
  for (const [label, value] of [
    ["Plugin", confirmed.plugin_id],
    ["Feature URI", confirmed.feature_uri],
    ["Validation", confirmed.validation_status],
    [
      "Deployment",
      deployment.message === null ? deployment.status : `${deployment.status} ${colors.dim(`(${deployment.message})`)}`,
    ],
  ] as const) {
    print(`${colors.bold(label.padEnd(12))} ${value}`)
  }
  const extractor = {
    feature_extractor_name: manifest.feature_extractor_name,
    version: normalizeVersion(manifest.version),
  }
  const inputs = Object.keys(z.record(z.string(), z.unknown()).safeParse(manifest.input_schema?.properties).data ?? {})
  const mappings = Object.fromEntries((inputs.length > 0 ? inputs : ["text"]).map((input) => [input, input]))
  const collection = `${manifest.feature_extractor_name}_collection`
  const headers = `    -H "Authorization: Bearer $MIXPEEK_API_KEY" -H "X-Namespace: ${client.namespace}"`
  print()
  print("Use it in a collection:")
  print(`  curl -X POST ${client.baseUrl}/v1/collections \\`)
  print(`${headers} \\`)
  print(`    -H "Content-Type: application/json" \\`)
  print(
    `    -d '${JSON.stringify({ collection_name: collection, source: { type: "bucket", bucket_ids: ["<bucket id>"] }, feature_extractor: { ...extractor, input_mappings: mappings } })}'`,
  )
  print("and run it over what is new or changed in the bucket:")
  print(`  curl -X POST ${client.baseUrl}/v1/collections/${collection}/trigger \\`)
  print(headers)
}
