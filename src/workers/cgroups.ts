/**
 * A control group for each worker, where the appliance's own (version 2) is delegated to it: systemd's `Delegate=yes`, or a
 * container with a writable /sys/fs/cgroup. The kernel then bounds all memory of a worker, shared and in files too; elsewhere
 * RLIMIT_DATA and the watchdog do. See Documentation/admin-guide/cgroup-v2.rst of the kernel for the files.
 */
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { WorkerLimits } from "./watchdog.ts"

const MOUNT = "/sys/fs/cgroup"
const CONTROLLERS = ["memory", "pids"]
/** The group that the appliance itself moves to: a group with processes of its own can bound none below it. */
const OWN = "appliance"
/** Threads of a worker's egress proxy count with it. */
const PROXY_TASKS = 80

export interface WorkerGroup {
  /** Every thread and every fork that the process has or gets. @throws the filesystem's error */
  add(pid: number): void
  /** True when the kernel ended a process for the group's memory. */
  ranOutOfMemory(): boolean
  /** Once the worker is reaped. */
  remove(): void
}

export interface Cgroups {
  /** @throws the filesystem's error */
  create(name: string, limits: Pick<WorkerLimits, "memoryBytes" | "threads">): WorkerGroup
}

export interface CgroupPlace {
  /** Where the unified hierarchy is mounted. */
  readonly mount: string
  /** Lines of /proc/self/cgroup. */
  readonly membership: string
  readonly pid: number
}

/** Null where groups cannot be made; nothing has changed then. Called once: it moves the appliance to a group of its own. */
export function delegatedCgroups(place: CgroupPlace | null = ownPlace()): Cgroups | null {
  const path = place === null ? undefined : /^0::(\/.*)$/m.exec(place.membership)?.[1]
  if (place === null || path === undefined) return null
  const base = join(place.mount, path)
  const own = join(base, OWN)
  try {
    const controllers = readFileSync(join(base, "cgroup.controllers"), "utf8").split(/\s+/)
    if (!CONTROLLERS.every((name) => controllers.includes(name))) return null
    for (const file of ["cgroup.procs", "cgroup.subtree_control"]) accessSync(join(base, file), constants.W_OK)
    mkdirSync(own, { recursive: true })
    writeFileSync(join(own, "cgroup.procs"), String(place.pid))
  } catch {
    return null
  }
  try {
    writeFileSync(join(base, "cgroup.subtree_control"), CONTROLLERS.map((name) => `+${name}`).join(" "))
  } catch {
    // Somebody else's processes are in the group: it is not ours to divide.
    leave(base, own, place.pid)
    return null
  }
  return {
    create(name, { memoryBytes, threads }) {
      const group = join(base, name)
      mkdirSync(group)
      writeFileSync(join(group, "memory.max"), String(memoryBytes))
      // A kernel without swap accounting has no such file, and one without the other kills one process of a group.
      for (const [file, value] of [
        ["memory.swap.max", "0"],
        ["memory.oom.group", "1"],
      ] as const) {
        try {
          writeFileSync(join(group, file), value)
        } catch {}
      }
      writeFileSync(join(group, "pids.max"), String(threads + PROXY_TASKS))
      return {
        add: (pid) => writeFileSync(join(group, "cgroup.procs"), String(pid)),
        ranOutOfMemory: () => Number(/^oom_kill (\d+)$/m.exec(read(join(group, "memory.events")))?.[1] ?? 0) > 0,
        remove: () => remove(group),
      }
    },
  }
}

function ownPlace(): CgroupPlace | null {
  if (process.platform !== "linux") return null
  const membership = read("/proc/self/cgroup")
  return membership === "" ? null : { mount: MOUNT, membership, pid: process.pid }
}

function leave(base: string, own: string, pid: number): void {
  try {
    writeFileSync(join(base, "cgroup.procs"), String(pid))
    rmdirSync(own)
  } catch {
    // It works as well where it is.
  }
}

/** Its files go with a group; one whose last process is just ending stays and costs next to nothing. */
function remove(group: string): void {
  try {
    rmdirSync(group)
  } catch {
    return
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
