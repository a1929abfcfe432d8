/**
 * A real appliance for a test: the binary when MIXPEEK_BINARY names one, the sources otherwise, in a temporary data
 * directory, with the base environment that the gate built once.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ISOLATION_ENVIRONMENT } from "./isolation.ts"

const ROOT = resolve(import.meta.dir, "../..")

/** Holds `environments/`, built once by `scripts/test` (or by the first test that needs it). */
export const SHARED_DATA = process.env.MIXPEEK_TEST_DATA ?? join(ROOT, "dist/test-data")

export function commandLine(): string[] {
  const binary = process.env.MIXPEEK_BINARY
  return binary === undefined || binary === "" ? [process.execPath, join(ROOT, "src/main.ts")] : [resolve(binary)]
}

export interface CallOptions {
  readonly body?: unknown
  /** null sends no key. */
  readonly key?: string | null
  readonly headers?: Record<string, string>
  /** Null sends no X-Namespace. */
  readonly namespace?: string | null
  readonly raw?: NonNullable<ConstructorParameters<typeof Response>[0]>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The JSON body; null when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says and asserts on it
  readonly body: any
  readonly text: string
}

export interface TestAppliance {
  readonly url: string
  readonly dataDir: string
  readonly adminKey: string
  /** A key of another organization in the same appliance. */
  readonly otherKey: string
  readonly namespaceId: string
  readonly pid: number
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** The server's log so far. */
  log(): string
  /** SIGKILL to the server alone, and the wait until it is gone. */
  kill(): Promise<void>
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number>
  /** Starts again on the same directory (after kill or stop), with these variables beside those of the first start. */
  start(environment?: Record<string, string>): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface ApplianceOptions {
  readonly environment?: Record<string, string>
  readonly arguments?: readonly string[]
  readonly dataDir?: string
  /** What is built there is this appliance's alone; only the base environment is the gate's. */
  readonly ownEnvironments?: boolean
}

export async function startTestAppliance(options: ApplianceOptions = {}): Promise<TestAppliance> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "mixpeek-test-"))
  shareEnvironments(dataDir, options.ownEnvironments ?? false)
  let running = await launch(dataDir, options)
  const adminKey = readFileSync(join(dataDir, "admin.key"), "utf8").trim()
  const otherKey = createOtherKey(dataDir)
  const call = (method: string, path: string, request: CallOptions = {}) =>
    callAt(running.url, adminKey, method, path, request)
  const namespaces = await callAt(running.url, adminKey, "GET", "/v1/namespaces", {})
  return {
    get url() {
      return running.url
    },
    get pid() {
      return running.process.pid
    },
    dataDir,
    adminKey,
    otherKey,
    namespaceId: namespaces.body.results[0].namespace_id,
    call,
    log: () => running.log(),
    async kill() {
      running.process.kill("SIGKILL")
      await running.process.exited
    },
    async stop() {
      running.process.kill("SIGTERM")
      return running.process.exited
    },
    async start(environment = {}) {
      running = await launch(dataDir, { ...options, environment: { ...options.environment, ...environment } })
    },
    async [Symbol.asyncDispose]() {
      if (running.process.exitCode === null) running.process.kill("SIGTERM")
      await running.process.exited
      if (options.dataDir === undefined) removeDataDirectory(dataDir)
    },
  }
}

/** Trees of plugins are read-only, which stops everybody but root. */
export function removeDataDirectory(dataDir: string): void {
  Bun.spawnSync(["chmod", "-R", "u+rwX", dataDir])
  rmSync(dataDir, { recursive: true, force: true })
}

async function launch(dataDir: string, options: ApplianceOptions) {
  const child = Bun.spawn([...commandLine(), "serve", "--data", dataDir, "--port", "0", ...(options.arguments ?? [])], {
    env: { PATH: process.env.PATH ?? "", HOME: dataDir, ...ISOLATION_ENVIRONMENT, ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  let log = ""
  const drain = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) log += decoder.decode(chunk, { stream: true })
  }
  void drain(child.stderr)
  let out = ""
  const decoder = new TextDecoder()
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true })
    const url = /listening on (http:\/\/\S+)/.exec(out)?.[1]
    if (url !== undefined) {
      return { process: child, url, log: () => log }
    }
  }
  await child.exited
  throw new Error(`the appliance did not start (exit ${child.exitCode}):\n${out}\n${log}`)
}

async function callAt(
  url: string,
  adminKey: string,
  method: string,
  path: string,
  request: CallOptions,
): Promise<Answer> {
  const headers = new Headers(request.headers)
  const key = request.key === undefined ? adminKey : request.key
  if (key !== null) headers.set("Authorization", `Bearer ${key}`)
  if (request.namespace != null) headers.set("X-Namespace", request.namespace)
  const body = request.raw ?? (request.body === undefined ? undefined : JSON.stringify(request.body))
  if (request.body !== undefined && !headers.has("Content-Type")) headers.set("Content-Type", "application/json")
  const target = path.startsWith("http") ? path : `${url}${path}`
  const response = await fetch(target, { method, headers, ...(body === undefined ? {} : { body }) })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parse(text), text }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function shareEnvironments(dataDir: string, own: boolean): void {
  const shared = join(SHARED_DATA, "environments")
  if (!existsSync(shared) || !readdirSync(shared).some((name) => /^[0-9a-f]{32}$/.test(name))) {
    mkdirSync(SHARED_DATA, { recursive: true })
    const setup = Bun.spawnSync([...commandLine(), "runtime", "setup", "--data", SHARED_DATA], {
      stderr: "pipe",
      stdout: "pipe",
    })
    if (setup.exitCode !== 0) throw new Error(`runtime setup failed: ${setup.stderr.toString()}`)
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const link = join(dataDir, "environments")
  if (existsSync(link)) return
  if (!own) {
    symlinkSync(shared, link)
    return
  }
  mkdirSync(link, { mode: 0o700 })
  for (const name of readdirSync(shared)) {
    if (/^[0-9a-f]{32}$/.test(name)) symlinkSync(join(shared, name), join(link, name))
  }
}

function createOtherKey(dataDir: string): string {
  const created = Bun.spawnSync(
    [
      ...commandLine(),
      "keys",
      "create",
      "--data",
      dataDir,
      "--organization",
      "other",
      "--name",
      `test-${crypto.randomUUID()}`,
      "--permissions",
      "read,write,delete,admin",
      "--json",
    ],
    { stderr: "pipe", stdout: "pipe" },
  )
  if (created.exitCode !== 0) throw new Error(`keys create failed: ${created.stderr.toString()}`)
  return JSON.parse(created.stdout.toString()).key
}

/** Polls `check` until it gives something; a deadline, not a sleep, decides. */
export async function eventually<T>(
  check: () => Promise<T | null | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await check()
    if (value !== null && value !== undefined && value !== false) return value
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms`)
    await Bun.sleep(25)
  }
}
