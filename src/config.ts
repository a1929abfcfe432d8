/**
 * Options and environment, read once at the edge into typed values. A wrong value stops the start and names where it
 * came from. Nothing else reads `process.env`.
 */
import { statSync } from "node:fs"
import { homedir } from "node:os"
import { join, resolve } from "node:path"
import { EgressAllowlist, NETWORK_MODES, type Network, type NetworkMode } from "./egress.ts"
import { DEFAULT_MINIMUM_ISOLATION, ISOLATION_LEVELS, type IsolationLevel } from "./isolation-levels.ts"
import { LOG_LEVELS, type LogLevel } from "./log.ts"
import type { Quotas } from "./quotas.ts"
import { DEFAULT_RULE_SET, RULE_SET_NAMES, type RuleSetName } from "./rule-set-names.ts"
import type { LandingFault } from "./write-durably.ts"

const MEBIBYTE = 1024 * 1024
/** In seconds: partitions are cut to some, and one whose rows turn out far slower than those before it still fits. */
const A_DAY = 86_400
const A_WEEK = 7 * A_DAY
/** Higher than any that is known: the kernel's own is used. */
const ANY_LANDLOCK_ABI = 99

const GPU_FALLBACKS = ["cpu", "refuse"] as const
export type GpuFallback = (typeof GPU_FALLBACKS)[number]

export interface Config {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  /** Base of presigned URLs, without a trailing slash; null: the address the server listens on. */
  readonly publicUrl: string | null
  readonly logLevel: LogLevel
  readonly strictScan: boolean
  /** False only to show that the isolation holds without the scan, or where plugins are scanned elsewhere. */
  readonly scan: boolean
  readonly ruleSet: RuleSetName
  /** Lets the server listen beyond this machine where plugin code is isolated less than `standard`. */
  readonly allowUnsandboxed: boolean
  /** Below this level plugin code does not run. */
  readonly minimumIsolation: IsolationLevel
  /** Layers to leave out, for tests and for hosts where one misbehaves; the level falls, and the minimum still holds. */
  readonly isolationLimits: { readonly landlockAbiAtMost: number; readonly namespaces: boolean }
  /** Of one worker; see `workers/watchdog.ts`. */
  readonly workerLimits: {
    readonly memoryBytes: number
    readonly threads: number
    readonly scratchBytes: number
    readonly scratchFiles: number
    readonly openFiles: number
    /** For one request. */
    readonly cpuMs: number
    readonly logBytes: number
  }
  /** Result files of one partition together. */
  readonly outputBytes: number
  /** What steps of resource type API get of the network; all others get none. */
  readonly network: NetworkMode
  /** Of each namespace that has none of its own. */
  readonly egressAllowlist: readonly string[]
  /** Of each namespace that has none of its own. */
  readonly quotas: Quotas
  /** A Python interpreter to use instead of the one that discovery would choose. */
  readonly python: string | null
  /** Where wheels are looked for that the store lacks; null: nowhere, and nothing is fetched. */
  readonly index: string | null
  /** A netrc file with who we are to the index. */
  readonly indexCredentials: string | null
  /** Whether source distributions of the store may be built, inside the isolation of a worker. */
  readonly sourceBuilds: boolean
  /** How long an environment stays that no plugin names any more. */
  readonly environmentGraceMs: number
  /** What is done with plugins that ask for a GPU on a machine that has none. */
  readonly gpuFallback: GpuFallback
  /** Batch workers that may run at once. */
  readonly workers: number
  readonly documentsMemoryMb: number
  readonly archiveBytes: number
  readonly uploadBytes: number
  readonly manifestDeadlineMs: number
  /** Longest silence of a batch worker (no progress, no answer) before it is ended. */
  readonly partitionDeadlineMs: number
  /** For one partition however much it reports: progress can be forged. */
  readonly partitionWallMs: number
  readonly partitionRows: number
  /** That one should take a worker: slower plugins get partitions of fewer rows. */
  readonly partitionSeconds: number
  /** Of a realtime request, from its arrival to its answer. */
  readonly requestDeadlineMs: number
  /** A deployment that nobody has asked for so long keeps no workers; 0: it keeps them. */
  readonly realtimeIdleMs: number
  /** After a name went over to another version it goes back when that fails, within so long; 0: never by itself. */
  readonly bakeMs: number
  /** How long requests and workers may take to finish after SIGTERM. */
  readonly shutdownGraceMs: number
  /** For the tests of a disk that fails; null but for them. */
  readonly landingFault: LandingFault | null
}

/** What a command line or the environment got wrong; printed without a stack, exit code 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError"
}

export type ConfigOptions = Partial<{
  data: string
  host: string
  port: string
  publicUrl: string
  logLevel: string
  strictScan: boolean
  allowUnsandboxed: boolean
  minimumIsolation: string
  python: string
  index: string
  indexCredentials: string
  workers: string
}>

export function readConfig(options: ConfigOptions, cores: number): Config {
  const host = options.host ?? text("MIXPEEK_HOST") ?? "127.0.0.1"
  const allowUnsandboxed = options.allowUnsandboxed ?? flag("MIXPEEK_ALLOW_UNSANDBOXED")
  return {
    dataDir: dataDirectory(options.data),
    host,
    port: integer("--port", options.port, "MIXPEEK_PORT", 8080, 0, 65_535),
    publicUrl: publicUrl(options.publicUrl ?? text("MIXPEEK_PUBLIC_URL")),
    logLevel: logLevel(options.logLevel),
    strictScan: options.strictScan ?? flag("MIXPEEK_STRICT_SCAN"),
    scan: flag("MIXPEEK_SCAN", true),
    ruleSet: ruleSet(),
    allowUnsandboxed,
    minimumIsolation: minimumIsolation(options.minimumIsolation),
    isolationLimits: {
      landlockAbiAtMost: integer(null, undefined, "MIXPEEK_LANDLOCK_ABI", ANY_LANDLOCK_ABI, 0, ANY_LANDLOCK_ABI),
      namespaces: flag("MIXPEEK_NAMESPACES", true),
    },
    workerLimits: {
      memoryBytes: integer(null, undefined, "MIXPEEK_WORKER_MEMORY_MB", 4096, 256, 1_048_576) * MEBIBYTE,
      // A numeric library starts one for each core, a plugin perhaps some for downloads.
      threads: integer(null, undefined, "MIXPEEK_WORKER_THREADS", 256, 8, 32_768),
      scratchBytes: integer(null, undefined, "MIXPEEK_WORKER_SCRATCH_MB", 10_240, 1, 1_073_741_824) * MEBIBYTE,
      scratchFiles: integer(null, undefined, "MIXPEEK_WORKER_SCRATCH_FILES", 100_000, 10, 100_000_000),
      openFiles: integer(null, undefined, "MIXPEEK_WORKER_OPEN_FILES", 1024, 32, 1_048_576),
      cpuMs: integer(null, undefined, "MIXPEEK_WORKER_CPU_SECONDS", A_DAY, 1, 31_536_000) * 1000,
      logBytes: integer(null, undefined, "MIXPEEK_WORKER_LOG_MB", 64, 1, 1_048_576) * MEBIBYTE,
    },
    outputBytes: integer(null, undefined, "MIXPEEK_WORKER_OUTPUT_MB", 8192, 1, 1_048_576) * MEBIBYTE,
    network: network(),
    egressAllowlist: egressAllowlist(),
    quotas: {
      plugins: quota("MIXPEEK_QUOTA_PLUGINS"),
      objects: quota("MIXPEEK_QUOTA_OBJECTS"),
      bytes: quota("MIXPEEK_QUOTA_MB", MEBIBYTE),
      workers: quota("MIXPEEK_QUOTA_WORKERS"),
      requests_per_second: quota("MIXPEEK_QUOTA_REQUESTS_PER_SECOND"),
    },
    python: options.python ?? text("MIXPEEK_PYTHON") ?? null,
    index: packageIndex(options.index),
    indexCredentials: credentialsFile(options.indexCredentials),
    sourceBuilds: flag("MIXPEEK_SOURCE_BUILDS"),
    environmentGraceMs: integer(null, undefined, "MIXPEEK_ENVIRONMENT_GRACE_SECONDS", A_WEEK, 60, 31_536_000) * 1000,
    workers: integer("--workers", options.workers, "MIXPEEK_WORKERS", Math.max(1, cores), 1, 256),
    gpuFallback: gpuFallback(),
    documentsMemoryMb: integer(null, undefined, "MIXPEEK_DOCUMENTS_MEMORY_MB", 1024, 256, 1_048_576),
    archiveBytes: integer(null, undefined, "MIXPEEK_ARCHIVE_MB", 500, 1, 10_240) * MEBIBYTE,
    uploadBytes: integer(null, undefined, "MIXPEEK_UPLOAD_MB", 2048, 1, 1_048_576) * MEBIBYTE,
    manifestDeadlineMs: integer(null, undefined, "MIXPEEK_MANIFEST_DEADLINE_SECONDS", 60, 1, 3600) * 1000,
    partitionDeadlineMs: integer(null, undefined, "MIXPEEK_PARTITION_DEADLINE_SECONDS", 600, 1, 86_400) * 1000,
    partitionWallMs: integer(null, undefined, "MIXPEEK_PARTITION_WALL_SECONDS", A_DAY, 1, 31_536_000) * 1000,
    partitionRows: integer(null, undefined, "MIXPEEK_PARTITION_ROWS", 50_000, 1, 100_000),
    partitionSeconds: integer(null, undefined, "MIXPEEK_PARTITION_SECONDS", 10, 1, 86_400),
    requestDeadlineMs: integer(null, undefined, "MIXPEEK_REQUEST_DEADLINE_SECONDS", 30, 1, 3600) * 1000,
    realtimeIdleMs: integer(null, undefined, "MIXPEEK_REALTIME_IDLE_SECONDS", 600, 0, 86_400) * 1000,
    bakeMs: integer(null, undefined, "MIXPEEK_BAKE_SECONDS", 60, 0, 86_400) * 1000,
    shutdownGraceMs: integer(null, undefined, "MIXPEEK_SHUTDOWN_GRACE_SECONDS", 10, 1, 600) * 1000,
    landingFault: landingFault(),
  }
}

/** @throws ConfigError for an empty option: an unset variable must not make the working directory a data directory */
export function dataDirectory(option?: string): string {
  if (option === "") throw new ConfigError("--data is empty; name a directory")
  return resolve(option ?? text("MIXPEEK_DATA") ?? join(homedir(), ".mixpeek"))
}

/** PATH of the person who runs the command: where interpreters are looked for. */
export function searchPath(): string {
  return process.env.PATH ?? ""
}

export function logLevel(option?: string): LogLevel {
  const value = option ?? text("MIXPEEK_LOG_LEVEL") ?? "info"
  const level = LOG_LEVELS.find((known) => known === value)
  if (level === undefined) throw new ConfigError(`log level '${value}' is not one of ${LOG_LEVELS.join(", ")}`)
  return level
}

/** Of the scan. The newer docs let plugins name getattr and hasattr (`compat-2026-03`); the seed page does not. */
export function ruleSet(option?: string): RuleSetName {
  const value = option ?? text("MIXPEEK_RULE_SET") ?? DEFAULT_RULE_SET
  const known = RULE_SET_NAMES.find((name) => name === value)
  if (known !== undefined) return known
  const source = option === undefined ? "MIXPEEK_RULE_SET" : "--rule-set"
  throw new ConfigError(`${source} is '${value}'; it takes ${RULE_SET_NAMES.join(" or ")}`)
}

/** A lower one than the default is a decision about every plugin that is ever published here: it is said aloud. */
export function minimumIsolation(option?: string): IsolationLevel {
  const value = option ?? text("MIXPEEK_MINIMUM_ISOLATION") ?? DEFAULT_MINIMUM_ISOLATION
  const level = ISOLATION_LEVELS.find((known) => known === value)
  if (level !== undefined) return level
  const source = option === undefined ? "MIXPEEK_MINIMUM_ISOLATION" : "--minimum-isolation"
  throw new ConfigError(`${source} is '${value}'; it takes ${ISOLATION_LEVELS.toReversed().join(", ")}`)
}

/** The whole environment, for a program of the host that is started on a person's behalf (pip behind a proxy). */
export function hostEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env
}

/** What the client commands (publish, list) need: option → environment → default (cli.md §1). */
export function clientSettings(options: Partial<{ apiKey: string; baseUrl: string; namespace: string }>) {
  const base = options.baseUrl ?? text("MIXPEEK_BASE_URL") ?? text("MIXPEEK_API_URL") ?? "http://127.0.0.1:8080"
  return {
    apiKey: options.apiKey ?? text("MIXPEEK_API_KEY") ?? null,
    baseUrl: base.replace(/\/+$/, "").replace(/\/v1$/, ""),
    namespace: options.namespace ?? text("MIXPEEK_NAMESPACE") ?? text("MIXPEEK_NAMESPACE_ID") ?? null,
  }
}

function text(name: string): string | undefined {
  const value = process.env[name]
  return value === undefined || value === "" ? undefined : value
}

function flag(name: string, unset = false): boolean {
  const value = text(name)
  if (value === undefined) return unset
  if (["0", "false", "no"].includes(value.toLowerCase())) return false
  if (["1", "true", "yes"].includes(value.toLowerCase())) return true
  throw new ConfigError(`${name} is '${value}'; it takes 1 or 0`)
}

function integer(
  option: string | null,
  given: string | undefined,
  variable: string,
  fallback: number,
  minimum: number,
  maximum: number,
): number {
  const value = given ?? text(variable)
  if (value === undefined) return fallback
  const number = /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isInteger(number) && number >= minimum && number <= maximum) return number
  const source = given === undefined || option === null ? variable : option
  throw new ConfigError(`${source} is '${value}'; it takes a whole number from ${minimum} to ${maximum}`)
}

/** For a namespace whose own allowlist is `own`, JSON or null. */
export function networkOf({ network: mode, egressAllowlist: allow }: Config, own: string | null): Network {
  return mode === "proxy" ? { mode, allow: own === null ? allow : JSON.parse(own) } : { mode }
}

function gpuFallback(): GpuFallback {
  const value = text("MIXPEEK_GPU_FALLBACK") ?? "cpu"
  const known = GPU_FALLBACKS.find((name) => name === value)
  if (known !== undefined) return known
  throw new ConfigError(`MIXPEEK_GPU_FALLBACK is '${value}'; it takes ${GPU_FALLBACKS.join(" or ")}`)
}

function network(): NetworkMode {
  const value = text("MIXPEEK_NETWORK") ?? "proxy"
  const mode = NETWORK_MODES.find((known) => known === value)
  if (mode !== undefined) return mode
  throw new ConfigError(`MIXPEEK_NETWORK is '${value}'; it takes ${NETWORK_MODES.join(", ")}`)
}

function egressAllowlist(): string[] {
  const entries = (text("MIXPEEK_EGRESS_ALLOWLIST") ?? "").split(/[,\s]+/).filter((entry) => entry !== "")
  const parsed = EgressAllowlist.safeParse(entries)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new ConfigError(
    `MIXPEEK_EGRESS_ALLOWLIST: '${entries[Number(issue?.path[0])] ?? ""}' does not fit: ${issue?.message}`,
  )
}

function packageIndex(option: string | undefined): string | null {
  const value = option ?? text("MIXPEEK_INDEX_URL")
  if (value === undefined) return null
  if (URL.canParse(value) && ["http:", "https:"].includes(new URL(value).protocol)) return value
  throw new ConfigError(`the package index '${value}' is not an http(s) address`)
}

/** pip takes it by its path, from wherever it runs. */
function credentialsFile(option: string | undefined): string | null {
  const value = option ?? text("MIXPEEK_INDEX_CREDENTIALS")
  if (value === undefined) return null
  const path = resolve(value)
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path
  throw new ConfigError(`the credentials file of the package index, '${value}', is not there`)
}

/** Unset is unlimited. */
function quota(variable: string, unit = 1): number | null {
  if (text(variable) === undefined) return null
  return integer(null, undefined, variable, 1, 1, 999_999_999_999) * unit
}

/** Two settings, so that a server of which somebody copied one does not start. */
function landingFault(): LandingFault | null {
  const value = text("MIXPEEK_FAULT_INJECTION")
  if (value === undefined) return null
  if (!flag("MIXPEEK_ALLOW_FAULT_INJECTION")) {
    throw new ConfigError(
      "MIXPEEK_FAULT_INJECTION makes this server fail on purpose, for its own tests; unset it (MIXPEEK_ALLOW_FAULT_INJECTION is not set)",
    )
  }
  const rate = Number(/^land:EIO:(0\.\d{1,6}|1)$/.exec(value)?.[1] ?? Number.NaN)
  if (rate > 0) return { code: "EIO", rate }
  throw new ConfigError(`MIXPEEK_FAULT_INJECTION is '${value}'; it takes land:EIO:RATE, as in land:EIO:0.05`)
}

function publicUrl(value: string | undefined): string | null {
  if (value === undefined) return null
  const url = URL.canParse(value) ? new URL(value) : null
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new ConfigError(`public URL '${value}' is not an http(s) address without query`)
  }
  return url.href.replace(/\/+$/, "")
}

/** Addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
