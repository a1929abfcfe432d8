import { expect, test } from "bun:test"
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nvidiaProbe } from "../../src/scheduler/nvidia-probe.ts"

/** What the driver's program would be: `script` is its body. */
function driver(script: string) {
  const directory = mkdtempSync(join(tmpdir(), "mixpeek-driver-"))
  const program = join(directory, "nvidia-smi")
  writeFileSync(program, `#!/bin/sh\n${script}\n`)
  chmodSync(program, 0o755)
  return nvidiaProbe(directory)
}

test("devices and the memory of their processes are read as the driver prints them", async () => {
  const probe = driver(`case "$1" in
  --query-gpu=*) printf 'GPU-a, 81559, 1024, NVIDIA H100 80GB HBM3\\nGPU-b, 24576, 0, One, with a comma\\nGPU-c, [N/A], [N/A], Shared\\n' ;;
  *) printf 'GPU-a, 4242, 1000\\nGPU-a, 77, [N/A]\\nGPU-z, 5, 10\\n' ;;
esac`)
  expect(await probe()).toEqual([
    {
      uuid: "GPU-a",
      name: "NVIDIA H100 80GB HBM3",
      totalMib: 81_559,
      usedMib: 1024,
      processes: new Map([[4242, 1000]]),
    },
    { uuid: "GPU-b", name: "One, with a comma", totalMib: 24_576, usedMib: 0, processes: new Map() },
  ])
})

test("without the program, a device or a loaded driver there are no GPUs; what fails otherwise is said", async () => {
  expect(await nvidiaProbe("/nowhere")()).toEqual([])
  expect(await driver("echo 'No devices were found'; exit 6")()).toEqual([])
  expect(await driver("exit 9")()).toEqual([])
  await expect(driver("echo 'the GPU is lost' >&2; exit 15")()).rejects.toThrow(/exit code 15: the GPU is lost/)
})
