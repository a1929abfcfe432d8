/** Launchers by what is warm in them, started when the first worker is asked for and ended when nobody has asked for long. */
import { realpathSync } from "node:fs"
import type { Log } from "../log.ts"
import type { Interpreter } from "./interpreters.ts"
import { type Launcher, startLauncher } from "./launcher.ts"
import type { ProcessRecord } from "./process-identity.ts"
import { recordProcess } from "./process-identity.ts"

/** A warm Python with the base packages takes some 100 MB. */
const IDLE_MS = 600_000
const IDLE_LOOK_MS = 60_000
/** One that did not start is not tried again at once: workers start without it, slower. */
const RETRY_MS = 60_000

interface Deps {
  pythonTree: string
  started: (record: ProcessRecord) => void
  ended: (record: ProcessRecord) => void
  log: Log
}

interface Entry {
  readonly launcher: Promise<Launcher | null>
  usedAt: number
}

export function warmLaunchers({ pythonTree, started, ended, log }: Deps) {
  const entries = new Map<string, Entry>()
  let closed = false

  const start = async (options: WarmOptions): Promise<Launcher | null> => {
    try {
      const launcher = await startLauncher({
        interpreterPath: options.interpreter.path,
        pythonTree: realpathSync(pythonTree),
        sitePackages: options.sitePackages.map((path) => realpathSync(path)),
        environment: options.environment,
        log,
      })
      const record = recordProcess(launcher.pid)
      if (record !== null) started(record)
      void launcher.exited.then(() => {
        if (record !== null) ended(record)
      })
      return launcher
    } catch (error) {
      log.warn({ event: "launcher_failed", err: error }, "workers are started one by one: their launcher did not start")
      return null
    }
  }

  const look = setInterval(async () => {
    for (const [key, entry] of entries) {
      const launcher = await entry.launcher
      if (launcher === null || launcher.children > 0 || performance.now() - entry.usedAt < IDLE_MS) continue
      entries.delete(key)
      await launcher.end()
    }
  }, IDLE_LOOK_MS)
  look.unref()

  return {
    /** Null where there is none: a worker is then started as a program. Never rejects. */
    async get(options: WarmOptions): Promise<Launcher | null> {
      if (process.platform !== "linux" || closed) return null
      const key = JSON.stringify([options.interpreter.path, options.sitePackages, options.environment])
      const known = entries.get(key)
      const launcher = await known?.launcher
      const usable = launcher?.alive === true
      const lately = known !== undefined && launcher === null && performance.now() - known.usedAt < RETRY_MS
      if (known !== undefined && (usable || lately)) {
        if (usable) known.usedAt = performance.now()
        return launcher ?? null
      }
      // Somebody else may have begun one while we looked at the old one.
      const newer = entries.get(key)
      if (newer !== undefined && newer !== known) return newer.launcher
      const entry = { launcher: start(options), usedAt: performance.now() }
      entries.set(key, entry)
      return entry.launcher
    },

    async [Symbol.asyncDispose]() {
      closed = true
      clearInterval(look)
      await Promise.all([...entries.values()].map(async ({ launcher }) => (await launcher)?.end()))
    },
  }
}

export interface WarmOptions {
  readonly interpreter: Interpreter
  readonly sitePackages: readonly string[]
  /** Of the launcher itself: numbers of threads, and nothing of any worker. */
  readonly environment: Record<string, string>
}

export type WarmLaunchers = ReturnType<typeof warmLaunchers>
