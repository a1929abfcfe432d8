/**
 * What a worker is told to lock itself into, and the look at the process from outside that shows it has. Grants come from
 * what the appliance knows, never from anything in a plugin's archive.
 */
import { readFileSync, realpathSync } from "node:fs"
import type { Network } from "../egress.ts"
import type { IsolationLevel } from "../isolation-levels.ts"
import type { IsolationLimits } from "./isolation.ts"
import type { ToWorker } from "./protocol.ts"
import type { WorkerLimits } from "./watchdog.ts"

export interface Confinement extends IsolationLimits {
  readonly level: IsolationLevel
  /** Besides the plugin, its packages and our own tree: files and folders it may read. They exist. */
  readonly readable: readonly string[]
  /** Besides its scratch directory: folders it may write to. */
  readonly writable: readonly string[]
  /** Device files it may use besides those of every worker. */
  readonly devices: readonly string[]
  /** At level full these are empty for it, but for what it may read or write inside. */
  readonly hidden: readonly string[]
  readonly limits: WorkerLimits
  readonly network: Network
}

export type LockDownPolicy = Extract<ToWorker, { type: "lock_down" }>["policy"]

/** The worker refused to go on: the level that was measured on this machine cannot be reached now. */
export class LockDownRefused extends Error {
  override readonly name = "LockDownRefused"
}

/** The exit code of a worker that could not lock itself down; python/plugin_worker/worker.py. */
export const LOCK_DOWN_EXIT_CODE = 71

/** @throws the filesystem's error when a path is not there */
export function lockDownPolicy(
  confinement: Confinement,
  own: { readonly read: readonly string[]; readonly write: readonly string[] },
): LockDownPolicy {
  const { level, readable, writable, devices, hidden, limits, network, landlockAbiAtMost, namespaces } = confinement
  if (level === "none") return { level }
  return {
    level,
    read: real([...own.read, ...readable]),
    write: real([...own.write, ...writable]),
    devices: real(devices),
    hide: real(hidden),
    memory_bytes: limits.memoryBytes,
    open_files: limits.openFiles,
    landlock_abi_at_most: landlockAbiAtMost,
    namespaces,
    network: network.mode,
    egress: network.mode === "proxy" ? [...network.allow] : [],
  }
}

/**
 * What /proc says against it, in words; empty when the process is locked down as `level` demands. The kernel's words count:
 * the worker's own were said by the program that is to be confined.
 */
export function lockDownFlaws(pid: number, level: IsolationLevel): string[] {
  if (level === "none") return []
  const status = readStatus(pid)
  const expected: Record<string, string> = {
    NoNewPrivs: "1",
    Seccomp: "2",
    CapInh: NO_CAPABILITIES,
    CapPrm: NO_CAPABILITIES,
    CapEff: NO_CAPABILITIES,
    CapAmb: NO_CAPABILITIES,
  }
  const flaws = Object.entries(expected).flatMap(([name, value]) => {
    const seen = status.get(name) ?? "absent"
    return seen === value ? [] : [`${name} is ${seen}, not ${value}`]
  })
  const uid = String(process.getuid?.())
  const uids = status.get("Uid") ?? "absent"
  if (uids.split(/\s+/).some((seen) => seen !== uid)) flaws.push(`Uid is ${uids}, not ${uid}`)
  return flaws
}

const NO_CAPABILITIES = "0".repeat(16)

function readStatus(pid: number): Map<string, string> {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, "latin1").split("\n")
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]))
  } catch {
    // It ended meanwhile: every value is then absent, which is said.
    return new Map()
  }
}

function real(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => realpathSync(path)))]
}
