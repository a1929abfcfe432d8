import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Every CUDA program opens these, whichever device it uses. */
const SHARED = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]

/**
 * Device files of NVIDIA's driver that a worker with this GPU opens: those of all GPUs, and its own, whose number the driver tells
 * under `/proc/driver/nvidia/gpus/<bus>/information`. Only those that are there; `proc` and `dev` stand for the file systems.
 */
export function gpuNodes(uuid: string, { proc = "/proc", dev = "/dev" } = {}): string[] {
  const minor = minorOf(uuid, join(proc, "driver/nvidia/gpus"))
  return [...SHARED, ...(minor === null ? [] : [`nvidia${minor}`])].map((name) => join(dev, name)).filter(existsSync)
}

function minorOf(uuid: string, directory: string): string | null {
  if (!existsSync(directory)) return null
  for (const bus of readdirSync(directory)) {
    const text = readFileSync(join(directory, bus, "information"), "utf8")
    const value = (name: string) => new RegExp(`^${name}:\\s*(\\S+)\\s*$`, "m").exec(text)?.[1]
    if (value("GPU UUID") === uuid) return value("Device Minor") ?? null
  }
  return null
}
