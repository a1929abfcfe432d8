import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gpuNodes } from "../../src/workers/gpu-nodes.ts"

test("a worker with a GPU gets the files of its own device and those of all, as far as they are there", () => {
  const root = mkdtempSync(join(tmpdir(), "mixpeek-nodes-"))
  const [proc, dev] = [join(root, "proc"), join(root, "dev")]
  for (const [minor, uuid] of [
    ["0", "GPU-aaaa"],
    ["3", "GPU-bbbb"],
  ]) {
    const bus = join(proc, "driver/nvidia/gpus", `0000:6${minor}:00.0`)
    mkdirSync(bus, { recursive: true })
    writeFileSync(join(bus, "information"), `Model: \t\t Imaginary\nGPU UUID: \t ${uuid}\nDevice Minor: \t ${minor}\n`)
  }
  mkdirSync(dev)
  for (const name of ["nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "sda"]) writeFileSync(join(dev, name), "")
  const names = (uuid: string) => gpuNodes(uuid, { proc, dev }).map((path) => path.slice(dev.length + 1))
  expect(names("GPU-bbbb")).toEqual(["nvidiactl", "nvidia-uvm", "nvidia3"])
  expect(names("GPU-cccc")).toEqual(["nvidiactl", "nvidia-uvm"])
  expect(gpuNodes("GPU-aaaa", { proc: join(root, "none"), dev: join(root, "none") })).toEqual([])
  rmSync(root, { recursive: true })
})
