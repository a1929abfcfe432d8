import { setDefaultTimeout } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createLog } from "../../src/log.ts"
import { findInterpreter, type Interpreter } from "../../src/workers/interpreters.ts"
import type { Confinement } from "../../src/workers/lock-down.ts"
import type { OutputLine } from "../../src/workers/output.ts"
import { startWorker, type Worker, type WorkerOptions } from "../../src/workers/worker.ts"

/** Real processes on a shared machine. Bun 1.4.5 reads no timeout from bunfig.toml. */
setDefaultTimeout(60_000)

const search = await findInterpreter({ pathVariable: process.env.PATH ?? "" })
if (search.chosen === null) throw new Error(`the tests need a Python: ${search.problem}`)
export const interpreter: Interpreter = search.chosen

/** For tests of everything but the confinement; those are in lock-down.test.ts. */
export const UNCONFINED: Confinement = {
  level: "none",
  readable: [],
  writable: [],
  devices: [],
  hidden: [],
  limits: {
    memoryBytes: 4 * 1024 ** 3,
    threads: 256,
    scratchBytes: 10 * 1024 ** 3,
    scratchFiles: 100_000,
    openFiles: 1024,
    cpuMs: 3_600_000,
    logBytes: 64 * 1024 ** 2,
  },
  network: { mode: "none" },
  landlockAbiAtMost: 99,
  namespaces: true,
}

/** A worker tree whose plugin_worker does what a test tells it to. */
export const FAKE_TREE = join(import.meta.dir, "fixtures", "tree")
export const REAL_TREE = join(import.meta.dir, "..", "..", "src", "python")

export interface TemporaryDirectory {
  readonly path: string
  [Symbol.asyncDispose](): Promise<void>
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), "workers-test-"))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export interface FakeWorker {
  readonly worker: Worker
  readonly lines: OutputLine[]
  readonly scratch: string
  [Symbol.asyncDispose](): Promise<void>
}

/** `behaviour` is what it does before the first request; see fixtures/tree/plugin_worker. */
export async function startFake(behaviour = "", options: Partial<WorkerOptions> = {}): Promise<FakeWorker> {
  await using starting = new AsyncDisposableStack()
  const scratch = starting.use(await temporaryDirectory())
  const lines: OutputLine[] = []
  const worker = starting.use(
    await startWorker({
      interpreter,
      pythonTree: FAKE_TREE,
      scratch: scratch.path,
      plugin: { path: scratch.path, name: "sample", packageName: "plugin_1" },
      sitePackages: [],
      exchange: scratch.path,
      confinement: UNCONFINED,
      onLog: (line) => lines.push(line),
      log: createLog("silent"),
      ...options,
      environment: { BEHAVIOUR: behaviour, ...options.environment },
    }),
  )
  const running = starting.move()
  return { worker, lines, scratch: scratch.path, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Asks the fake worker to do something; see fixtures/tree/plugin_worker. */
export async function ask(worker: Worker, request: Record<string, unknown>, deadlineMs = 30_000): Promise<unknown> {
  const reply = await worker.request({ type: "predict", request }, { deadlineMs })
  if (reply.type !== "predicted") throw new Error(`answered ${reply.type}`)
  return reply.response
}

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => {
      throw new Error(`expected an error, got ${JSON.stringify(value)}`)
    },
    (error: unknown) => error,
  )
}

export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length
}

/** True while a process of this pid runs; its unreaped remains do not count. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return false
  }
}

/** Waits for a state with a deadline; for what has no event. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`)
    await Bun.sleep(10)
  }
}
