/** What may befall an appliance while a batch runs: SIGKILL of each of its processes, a full disk, a disk that fails. */
import { readFileSync } from "node:fs"
import { eventually, type TestAppliance } from "../support/appliance.ts"
import { descendants, runs } from "../support/processes.ts"
import type { Random } from "../support/random.ts"
import type { SmallDisk } from "../support/small-disk.ts"

/**
 * `eio` is a kill of the appliance too: it starts again over a disk on which landings fail, until the next of its kills.
 * `full` kills it as well now and then, while the disk is full.
 */
export type Strike = "appliance" | "eio" | "launcher" | "worker" | "documents" | "full"

export const KILLS: readonly Strike[] = ["appliance", "eio", "launcher", "worker", "documents"]

const FAILING_DISK = { MIXPEEK_FAULT_INJECTION: "land:EIO:0.1", MIXPEEK_ALLOW_FAULT_INJECTION: "1" }
const LONGEST_FULL_MS = 3000

interface Deps {
  readonly appliance: TestAppliance
  readonly random: Random
  /** Null where none can be made: `full` then does nothing. */
  readonly disk: SmallDisk | null
  /** The appliance is dead and its files lie still. */
  readonly whileDead: () => void
  /** The batch is over: there will be no worker any more. */
  readonly over: () => Promise<boolean>
}

/** False when there was nothing left to strike at. */
export async function strike(kind: Strike, { appliance, random, disk, whileDead, over }: Deps): Promise<boolean> {
  const restart = async (environment: Record<string, string>) => {
    await appliance.kill()
    disk?.free()
    whileDead()
    await appliance.start(environment)
    return true
  }
  switch (kind) {
    case "appliance":
      return restart({})
    case "eio":
      return restart(FAILING_DISK)
    case "full": {
      disk?.fill()
      await Bun.sleep(random.below(LONGEST_FULL_MS))
      if (random.below(4) === 0) return restart({})
      disk?.free()
      return true
    }
    default: {
      const found = await eventually(async () => {
        const pids = processesOf(appliance.pid, kind)
        return pids.length > 0 ? { pids } : (await over()) ? { pids } : null
      }, 60_000)
      const pid = found.pids[random.below(found.pids.length)]
      if (pid === undefined) return false
      try {
        process.kill(pid, "SIGKILL")
        return true
      } catch {
        // It ended by itself between the look and the kill.
        return strike(kind, { appliance, random, disk, whileDead, over })
      }
    }
  }
}

function processesOf(appliance: number, kind: "launcher" | "worker" | "documents"): number[] {
  const all = descendants(appliance).filter(runs)
  if (kind === "documents") return all.filter((pid) => commandLineOf(pid).includes("documents-process"))
  const forking = all.filter((pid) => commandLineOf(pid).includes("plugin_worker/launcher.py"))
  // A worker is a fork of its launcher, by whose command line it goes on; one that outlives its launcher is the appliance's child.
  const isLauncher = (pid: number) => parentOf(pid) === appliance && !isLockedDown(pid)
  return forking.filter((pid) => isLauncher(pid) === (kind === "launcher"))
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
  } catch {
    return 0
  }
}

/** False of what has ended. */
function isLockedDown(pid: number): boolean {
  try {
    return /^Seccomp:\s*2$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}
