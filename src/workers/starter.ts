/**
 * Starts workers of this appliance: the interpreter and environment it found, a scratch directory each, a record of every
 * process in case the appliance is killed. Who has no environment yet is told how to get one; the next call looks again.
 */
import { mkdir, realpath, rm } from "node:fs/promises"
import { join } from "node:path"
import type { Network } from "../egress.ts"
import { ApplianceError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { Cgroups, WorkerGroup } from "./cgroups.ts"
import type { PluginEnvironment } from "./environments/plugin-environment.ts"
import type { PluginEnvironments } from "./environments/plugin-environments.ts"
import { gpuNodes } from "./gpu-nodes.ts"
import type { IsolationLimits } from "./isolation.ts"
import { LockDownRefused } from "./lock-down.ts"
import type { OutputLine } from "./output.ts"
import type { ProcessRecord } from "./process-identity.ts"
import { warmLaunchers } from "./warm-launchers.ts"
import type { WorkerLimits } from "./watchdog.ts"
import { startWorker, threadCounts, type Worker } from "./worker.ts"
import type { WorkerFacts } from "./worker-facts.ts"

export interface PluginCode {
  /** Absolute path of the unpacked tree. */
  readonly treePath: string
  /** "" when it is not known yet. */
  readonly name: string
  readonly packageName: string
  /** Absent or null: the base environment of the appliance's own Python. */
  readonly environment?: PluginEnvironment | null
}

interface Deps {
  /** Looks at the machine: which interpreter, which environment, what is missing. */
  facts: () => Promise<WorkerFacts>
  environments: Pick<PluginEnvironments, "locate">
  pythonTree: string
  /** Directory for scratch directories; each worker gets one of its own, removed at its end. */
  scratchDir: string
  /** Holds every tenant's files: of it a worker sees only what it is granted. */
  dataDir: string
  limits: WorkerLimits
  /** Null where the machine gives us none to divide. */
  cgroups: Cgroups | null
  isolationLimits: IsolationLimits
  started: (record: ProcessRecord) => void
  ended: (record: ProcessRecord) => void
  log: Log
}

export interface LentGpu {
  /** As CUDA_VISIBLE_DEVICES takes it. */
  readonly uuid: string
  started(pid: number, exceeded: (what: string) => void): void
  /** The worker is gone, or did not start. */
  release(): void
}

export interface StartOptions {
  readonly signal?: AbortSignal | undefined
  readonly threads?: number
  /** See WorkerOptions. */
  readonly onCallFrame?: (id: number, kind: number, payload: Uint8Array) => void
  readonly onLog?: (line: OutputLine) => void
  /** Files and folders that this worker may read besides the plugin and its packages. They exist. */
  readonly readable?: readonly string[]
  /** None unless named. */
  readonly network?: Network
  /** Lends it a GPU, once there is room; null, or nothing lent: it sees none and computes on the CPU. */
  readonly gpu?: ((signal?: AbortSignal) => Promise<LentGpu | null>) | null
  /** Most memory it gets, where that is less than the setting; null: the setting. */
  readonly memoryBytes?: number | null
  /** Batches leave the processors to whoever answers in realtime. */
  readonly yields?: boolean
}

export function workerStarter(deps: Deps) {
  const { facts, pythonTree, scratchDir, started, ended, log } = deps
  const launchers = warmLaunchers({ pythonTree, started, ended, log })
  let known: WorkerFacts | null = null

  const current = async (): Promise<WorkerFacts> => {
    if (known === null || !known.ready) known = await facts()
    return known
  }

  /** A record or a directory that stays (the disk is full) is ended or removed at the next start. */
  const forget = async (record: ProcessRecord | null, scratch: string) => {
    try {
      await rm(scratch, { recursive: true, force: true })
      if (record !== null) ended(record)
    } catch (error) {
      log.warn({ event: "worker_not_forgotten", pid: record?.pid, err: error }, "what a worker left is not gone yet")
    }
  }

  return {
    current,

    /**
     * @throws ServiceUnavailableError while there is no interpreter or environment, or not the isolation that is demanded
     * @throws EnvironmentGone; WorkerDied, PluginLoadFailed; what `gpu` throws
     */
    async start(plugin: PluginCode, options: StartOptions = {}): Promise<Worker> {
      const machine = await current()
      const { isolation, ready, problem } = machine
      if (!ready) {
        throw new ApplianceError("ServiceUnavailableError", problem ?? "Python is not set up.", {
          headers: { "Retry-After": "30" },
        })
      }
      const packages = await deps.environments.locate(plugin.environment ?? null, machine)
      const { interpreter, sitePackages } = packages
      // Before anything is made for it: this may take long.
      const gpu = options.gpu == null ? null : await options.gpu(options.signal)
      const own = join(scratchDir, crypto.randomUUID())
      const scratch = join(own, "home")
      const exchange = join(own, "exchange")
      const threads = options.threads ?? 1
      const limits = limitsOf(deps.limits, options.memoryBytes ?? null)
      let group: WorkerGroup | null = null
      try {
        for (const directory of [scratch, exchange]) await mkdir(directory, { recursive: true, mode: 0o700 })
        group = deps.cgroups?.create(`worker-${crypto.randomUUID()}`, limits) ?? null
        // It imports them where nothing confines it: never what came with a plugin.
        const launcher =
          packages.warm === null
            ? null
            : await launchers.get({
                interpreter,
                sitePackages: packages.warm,
                environment: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", ...threadCounts(1) },
              })
        const worker = await startWorker({
          interpreter,
          pythonTree,
          scratch,
          exchange,
          confinement: {
            level: isolation.level,
            readable: options.readable ?? [],
            writable: [],
            devices: gpu === null ? [] : gpuNodes(gpu.uuid),
            hidden: [await realpath(deps.dataDir)],
            limits,
            network: options.network ?? { mode: "none" },
            ...deps.isolationLimits,
          },
          plugin: { path: plugin.treePath, name: plugin.name, packageName: plugin.packageName },
          launcher,
          group,
          sitePackages,
          threads,
          yields: options.yields ?? false,
          gpu: options.gpu == null ? "none" : gpu === null ? "absent" : "leased",
          environment: { CUDA_VISIBLE_DEVICES: gpu?.uuid ?? "" },
          log,
          ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
          ...(options.onCallFrame === undefined ? {} : { onCallFrame: options.onCallFrame }),
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        })
        if (worker.record !== null) started(worker.record)
        gpu?.started(worker.pid, (what) => worker.fail("limit", what))
        void worker.exited.then(() => {
          gpu?.release()
          group?.remove()
          return forget(worker.record, own)
        })
        return worker
      } catch (error) {
        gpu?.release()
        group?.remove()
        await rm(own, { recursive: true, force: true })
        if (!(error instanceof LockDownRefused)) throw error
        // The machine's doing, never the plugin's: nothing of it was read yet.
        throw new ApplianceError("ServiceUnavailableError", `Plugin code was not run: ${error.message}`, {
          cause: error,
        })
      }
    },

    /** Ends what is warm, and with it every worker that still lives. */
    [Symbol.asyncDispose]: () => launchers[Symbol.asyncDispose](),
  }
}

function limitsOf(limits: WorkerLimits, memoryBytes: number | null): WorkerLimits {
  if (memoryBytes === null || memoryBytes >= limits.memoryBytes) return limits
  return { ...limits, memoryBytes, memorySetBy: "actor_memory_gb of its compute_profile" }
}

export type WorkerStarter = ReturnType<typeof workerStarter>
