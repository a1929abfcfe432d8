import { runProgram } from "../workers/run-program.ts"
import type { GpuDevice, GpuProbe } from "./gpu-leases.ts"

/** A driver that hangs is no reason to wait for ever; a cold one takes some seconds. */
const TIMEOUT_MS = 15_000
/** "No devices were found", and "the driver is not loaded" (nvidia-smi(1), RETURN VALUE). */
const NO_DEVICES = [6, 9]
const DEVICES = ["uuid", "memory.total", "memory.used", "name"]
const PROCESSES = ["gpu_uuid", "pid", "used_memory"]

/**
 * Asks `nvidia-smi`, which comes with the driver, wherever it is on `pathVariable`; without it there are no GPUs. Fields and units
 * (MiB) as `nvidia-smi --help-query-gpu` says. A device whose memory the driver does not tell is left out; MIG instances are not
 * told apart.
 */
export function nvidiaProbe(pathVariable: string): GpuProbe {
  return async () => {
    const program = Bun.which("nvidia-smi", { PATH: pathVariable })
    if (program === null) return []
    const ask = async (query: string): Promise<string[][]> => {
      const { code, stdout, lastOutput, stopped } = await runProgram({
        argv: [program, query, "--format=csv,noheader,nounits"],
        environment: { PATH: "/usr/bin:/bin", LANG: "C" },
        timeoutMs: TIMEOUT_MS,
      })
      if (code !== null && NO_DEVICES.includes(code)) return []
      if (code !== 0) throw new Error(`${program} ${query}: ${stopped ?? `exit code ${code}`}: ${lastOutput.trim()}`)
      return stdout.map((line) => line.split(",").map((field) => field.trim()))
    }
    const [devices, processes] = await Promise.all([
      ask(`--query-gpu=${DEVICES.join(",")}`),
      ask(`--query-compute-apps=${PROCESSES.join(",")}`),
    ])
    const used = processes.map(([uuid, pid, mib]) => ({ uuid, pid: Number(pid), mib: Number(mib) }))
    return devices.flatMap(([uuid = "", total, memory, ...name]): GpuDevice[] => {
      const [totalMib, usedMib] = [Number(total), Number(memory)]
      if (uuid === "" || !(totalMib > 0) || !(usedMib >= 0)) return []
      const own = used.filter((one) => one.uuid === uuid && one.pid > 0 && one.mib >= 0)
      return [
        { uuid, name: name.join(", "), totalMib, usedMib, processes: new Map(own.map(({ pid, mib }) => [pid, mib])) },
      ]
    })
  }
}
