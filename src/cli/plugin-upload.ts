/** What `plugin publish` sends: reserve, upload, confirm, deploy, and the wait for the deployment's end. */
import { SingleBar } from "cli-progress"
import { z } from "zod"
import { normalizeVersion } from "../identifiers.ts"
import type { Manifest } from "../workers/protocol.ts"
import { type ApiClient, ApiError } from "./api-client.ts"
import { CommandFailed } from "./command-failed.ts"
import { CHECK, printError, printJson } from "./output.ts"
import { BRINGING_WHEELS } from "./plugin-dependencies.ts"
import type { PluginDirectory } from "./plugin-directory.ts"
import { printViolations } from "./violations-table.ts"

/** The server's own limit (api.md §1.1); a longer description of the manifest is cut, not refused. */
const DESCRIPTION_CHARACTERS = 500
const POLL_MS = 1_000
/** When the server gives no estimate. */
const DEFAULT_ESTIMATE_SECONDS = 60

export interface Upload {
  readonly manifest: Manifest
  readonly plugin: PluginDirectory
  /** Path of the zip, and its size in bytes. */
  readonly archive: string
  readonly size: number
  readonly description: string | undefined
  readonly json: boolean
}

const Reserved = z.object({ upload_id: z.string(), presigned_url: z.url() })
const Confirmed = z.object({
  plugin_id: z.string(),
  feature_uri: z.string(),
  validation_status: z.string(),
  deployment_status: z.string(),
})
export type Confirmed = z.infer<typeof Confirmed>

/** @throws CommandFailed, told already, when the server refuses the plugin */
export async function upload(
  client: ApiClient,
  { manifest, plugin, archive, size, ...options }: Upload,
): Promise<Confirmed> {
  const version = normalizeVersion(manifest.version) ?? manifest.version
  const description = options.description ?? manifest.description?.slice(0, DESCRIPTION_CHARACTERS)
  try {
    const reserved = await client.call(Reserved, "POST", "/plugins/uploads", {
      name: manifest.feature_extractor_name,
      version,
      ...(description === undefined ? {} : { description }),
      file_size_bytes: size,
    })
    const progress = progressBar(size, options.json)
    const etag = await client.upload(reserved.presigned_url, archive, progress.show).finally(progress.stop)
    return await client.call(Confirmed, "POST", `/plugins/uploads/${reserved.upload_id}/confirm`, {
      ...(etag === "" ? {} : { etag }),
      file_size_bytes: size,
    })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    await tellRefusal(error, version, plugin, options.json)
    throw new CommandFailed(error.message, { reported: true, cause: error })
  }
}

async function tellRefusal(error: ApiError, version: string, plugin: PluginDirectory, json: boolean): Promise<void> {
  const { violations = [], validation_errors: problems = [], error: envelope } = error.body
  printError(`${CHECK.failed} ${error.message}`)
  for (const problem of problems) if (!error.message.endsWith(problem)) printError(`    ${problem}`)
  if (envelope?.details?.missing_wheels !== undefined) printError(`    ${BRINGING_WHEELS} Then publish again.`)
  if (error.status === 409) printError(`    Raise 'version' in manifest.py (now ${version}) and publish again.`)
  if (json) {
    const { message, status } = error
    printJson({
      success: false,
      error: { message, status, type: envelope?.type },
      violations,
      validation_errors: problems,
    })
  } else if (violations.length > 0) {
    await printViolations(violations, plugin)
  }
}

const Deploying = z.object({
  status: z.string(),
  message: z.string().nullish(),
  estimated_completion_seconds: z.number().nullish(),
})
const Status = z.object({ status: z.string(), message: z.string().nullish(), error: z.string().nullish() })

export interface Deployment {
  readonly status: string
  readonly message: string | null
}

/** A good upload stays good: what goes wrong from here on is told and changes no exit code (cli.md §4). */
export async function deploy(client: ApiClient, pluginId: string, say: (line?: string) => void): Promise<Deployment> {
  const path = `/plugins/${encodeURIComponent(pluginId)}`
  try {
    const queued = await client.call(Deploying, "POST", `${path}/deploy`)
    if (queued.status.toLowerCase() !== "queued") return { status: queued.status, message: queued.message ?? null }
    say(`${CHECK.passed} ${"Deployment".padEnd(14)} ${queued.message ?? "queued"}`)
    const until = performance.now() + (queued.estimated_completion_seconds ?? DEFAULT_ESTIMATE_SECONDS) * 1000
    for (;;) {
      const { status, message, error } = await client.call(Status, "GET", `${path}/status`)
      const ended = ["deployed", "failed", "not_deployed"].includes(status.toLowerCase())
      if (ended || performance.now() > until) return { status, message: error ?? message ?? null }
      await Bun.sleep(POLL_MS)
    }
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof CommandFailed)) throw error
    printError(`${CHECK.warning} The plugin is published, but its deployment failed: ${error.message}`)
    return { status: "failed", message: error.message }
  }
}

function progressBar(size: number, json: boolean): { show(sent: number): void; stop(): void } {
  if (json || process.stderr.isTTY !== true) return { show: () => undefined, stop: () => undefined }
  const bar = new SingleBar({
    format: "  Upload {bar} {percentage}%",
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(size, 0)
  return { show: (sent) => bar.update(sent), stop: () => bar.stop() }
}
