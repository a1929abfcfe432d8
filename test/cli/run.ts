/** Runs the real command line: the binary when MIXPEEK_BINARY names one, the sources otherwise. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { commandLine, SHARED_DATA } from "../support/appliance.ts"

/**
 * For `setDefaultTimeout`, which holds for one file: every test here starts processes, and one of them may have to
 * install the Python environment.
 */
export const PROCESSES_MS = 120_000

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly environment?: Record<string, string>
}

export async function mixpeek(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = Bun.spawn([...commandLine(), ...args], {
    env: { PATH: process.env.PATH ?? "", HOME: tmpdir(), ...options.environment },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ["ignore", "pipe", "pipe"],
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, stdout, stderr }
}

let prepared: Promise<string> | null = null

/** A data directory whose Python environment is ready, shared by all tests and only read by these. */
export function preparedData(): Promise<string> {
  prepared ??= setUp()
  return prepared
}

async function setUp(): Promise<string> {
  const setup = await mixpeek(["runtime", "setup", "--data", SHARED_DATA])
  if (setup.code !== 0) throw new Error(`runtime setup failed: ${setup.stderr}`)
  return SHARED_DATA
}

export async function temporaryDirectory(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "mixpeek-cli-"))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
