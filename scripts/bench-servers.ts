/** Servers under test, each with all of its processes: how they start and end, what they take. */
import { openSync, readdirSync, readFileSync } from "node:fs"
import { descendants, processorMs, pssBytes } from "../test/support/processes.ts"

export interface Running {
  readonly pid: number
  readonly url: string
  readonly headers: Record<string, string>
  /** Processes that are its own and not its children. */
  readonly alsoMatching?: RegExp
  stop(): Promise<void>
}

/** Its output goes to the end of `log`. */
export function launch(
  log: string,
  command: string[],
  cwd: string,
  variables: Record<string, string>,
): Omit<Running, "url" | "headers"> {
  const output = openSync(log, "a")
  const child = Bun.spawn(["setsid", "--wait", ...command], {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "/", ...variables },
    stdin: "ignore",
    stdout: output,
    stderr: output,
  })
  return {
    pid: child.pid,
    async stop() {
      const own = [...tree(child)].reverse()
      for (const pid of own) send(pid, "SIGTERM")
      await Promise.race([child.exited, Bun.sleep(10_000)])
      for (const pid of own) send(pid, "SIGKILL")
      await Bun.sleep(500)
    },
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

function tree({ pid, alsoMatching }: Pick<Running, "pid" | "alsoMatching">): Set<number> {
  const own = [pid, ...descendants(pid)]
  if (alsoMatching === undefined) return new Set(own)
  const others = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && matches(Number(entry), alsoMatching))
  return new Set([...own, ...others.map(Number)])
}

function matches(pid: number, pattern: RegExp): boolean {
  try {
    return pattern.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
  } catch {
    return false
  }
}

/** Of the whole process tree. */
export function cpuMs(running: Running): number {
  return [...tree(running)].reduce((sum, pid) => sum + processorMs(pid), 0)
}

export function memory(running: Running): { pssMb: number; processes: number } {
  const pids = [...tree(running)]
  return { pssMb: pids.reduce((sum, pid) => sum + pssBytes(pid), 0) / 1024 ** 2, processes: pids.length }
}
