/** Who gets which device, and how much of it counts as taken. */
import { expect, test } from "bun:test"
import { createLog } from "../../src/log.ts"
import { GpuRefused, gpuLeases } from "../../src/scheduler/gpu-leases.ts"
import { demand, GIB, held, machine, refusal } from "./gpu-support.ts"

test("a machine without GPUs leases nothing: the worker computes on the CPU", async () => {
  using own = machine()
  expect(await own.leases.lease(demand("a", 8))).toBeNull()
  expect(await own.leases.fits(demand("a", 800))).toBe(true)
})

test("or refuses there what asks for one, batches too, where nothing is to compute on the CPU", async () => {
  using leases = gpuLeases({
    probe: async () => [],
    reclaim: () => undefined,
    now: () => 0,
    refuseWithout: true,
    log: createLog("silent"),
  })
  for (const realtime of [true, false]) {
    const asked = leases.lease({ ...demand("a", 8), realtime })
    expect(asked).rejects.toThrow(GpuRefused)
    expect(asked).rejects.toThrow(
      "a needs 8,192 MiB of GPU memory (gpu_memory_gb of its compute_profile). This machine has no GPU",
    )
    await asked.catch(() => undefined)
  }
})

test("workers share a device by what they declare", async () => {
  using own = machine(24)
  for (const holder of ["a", "b", "c"]) expect((await held(own.leases.lease(demand(holder, 8)))).uuid).toBe("GPU-0")
  expect(await own.leases.fits(demand("d", 1))).toBe(false)
})

test("they go to the device with the fewest, and of these to the one that they fill best", async () => {
  using own = machine(80, 24, 40)
  const places = []
  for (const gib of [20, 20, 20, 20, 30])
    places.push((await held(own.leases.lease(demand(`n${places.length}`, gib)))).uuid)
  expect(places).toEqual(["GPU-1", "GPU-2", "GPU-0", "GPU-2", "GPU-0"])
})

test("one that declares nothing has a device of its own until it was measured", async () => {
  using own = machine(24, 40)
  const first = await held(own.leases.lease(demand("a", null)))
  expect(first.uuid).toBe("GPU-1")
  expect((await held(own.leases.lease(demand("b", null)))).uuid).toBe("GPU-0")
  expect(await own.leases.fits(demand("c", 1))).toBe(false)
  first.started(100, () => undefined)
  own.uses(1, 100, 10)
  first.worked()
  await own.looks()
  own.uses(1, 100, 0)
  first.release()
  // 10 GiB and the margin of a tenth: three times 11 GiB on the larger device.
  for (let count = 0; count < 3; count++) expect((await held(own.leases.lease(demand("a", null)))).uuid).toBe("GPU-1")
  expect(await own.leases.fits(demand("a", null))).toBe(false)
})

test("what a worker that has worked was seen to use replaces what was declared, for the next of its key", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20)))
  first.started(100, () => undefined)
  own.uses(0, 100, 5)
  await own.looks()
  // It may load more with its first call: what it holds by now says nothing, and what it was lent stays its own.
  expect(await own.leases.fits(demand("a", 20))).toBe(false)
  first.worked()
  await own.looks()
  expect(await own.leases.fits(demand("b", 5))).toBe(false)
  own.uses(0, 100, 0)
  first.release()
  // Five GiB and the margin of a tenth.
  for (let count = 0; count < 4; count++) await held(own.leases.lease(demand("a", 20)))
  expect(await own.leases.fits(demand("a", 20))).toBe(false)
})

test("one that died before it worked tells nothing of what it needs", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20)))
  first.started(100, () => undefined)
  own.uses(0, 100, 1)
  await own.looks()
  own.uses(0, 100, 0)
  first.release()
  await held(own.leases.lease(demand("b", 8)))
  expect(await own.leases.fits(demand("a", 20))).toBe(false)
})

test("one that fills a device to the last tenth has it again, and alone", async () => {
  using own = machine(80, 80)
  const first = await held(own.leases.lease(demand("a", null)))
  first.started(100, () => undefined)
  own.uses(0, 100, 76)
  first.worked()
  await own.looks()
  own.uses(0, 100, 0)
  first.release()
  expect((await held(own.leases.lease(demand("a", null)))).uuid).toBe("GPU-0")
  expect((await held(own.leases.lease(demand("b", 1)))).uuid).toBe("GPU-1")
  expect(await own.leases.fits(demand("a", null))).toBe(false)
})

test("one that uses far more than it declared is told so, once", async () => {
  using own = machine(24)
  const said: string[] = []
  const lease = await held(own.leases.lease(demand("a", 4)))
  lease.started(100, (what) => said.push(what))
  own.uses(0, 100, 4.8)
  await own.looks()
  expect(said).toEqual([])
  own.uses(0, 100, 6)
  await own.looks()
  await own.looks()
  expect(said).toEqual(["it used 6,144 MiB of GPU memory, more than the 4,096 MiB of gpu_memory_gb"])
})

test("one that uses more than its lease is counted with what it uses", async () => {
  using own = machine(24)
  const lease = await held(own.leases.lease(demand("a", 2)))
  lease.started(100, () => undefined)
  own.uses(0, 100, 12)
  await own.looks()
  expect(await own.leases.fits(demand("b", 13))).toBe(false)
  expect(await own.leases.fits(demand("b", 12))).toBe(true)
})

test("what other programs use is not leased", async () => {
  using own = machine(24)
  own.uses(0, 7, 20)
  expect(await own.leases.fits(demand("a", 4))).toBe(true)
  expect(await own.leases.fits(demand("a", 5))).toBe(false)
  // Its process is not named by the driver and may use none yet: what was used before it came is not its.
  await held(own.leases.lease(demand("a", 2)))
  expect(await own.leases.fits(demand("b", 2))).toBe(true)
  expect(await own.leases.fits(demand("b", 3))).toBe(false)
})

test("use of a process that the driver does not name is its lease's, not others'", async () => {
  using own = machine(24)
  await held(own.leases.lease(demand("a", 10)))
  const [device] = own.devices
  if (device !== undefined) device.usedMib = 9 * GIB
  expect(await own.leases.fits(demand("b", 14))).toBe(true)
})

test("what no device could ever hold is refused at once, with the arithmetic", async () => {
  using own = machine(24, 40)
  expect(await refusal(own.leases.lease(demand("plugin_1", 48)))).toBe(
    "plugin_1 needs 49,152 MiB of GPU memory (gpu_memory_gb of its compute_profile). " +
      "GPU-0 (Imaginary 1): 24,576 MiB - 0 MiB leased - 0 MiB used by others = 24,576 MiB free; " +
      "GPU-1 (Imaginary 1): 40,960 MiB - 0 MiB leased - 0 MiB used by others = 40,960 MiB free. " +
      "No device of this machine is so large.",
  )
  expect(await refusal(own.leases.lease(demand("plugin_1", 48, false)))).toContain("so large")
})

test("many at once are never given more than there is", async () => {
  using own = machine(24, 24, 40)
  const asks = Array.from({ length: 40 }, (_, n) => own.leases.lease(demand(`p${n}`, 1 + (n % 7))))
  const at = new Map<string, number>()
  let done = 0
  await Promise.all(
    asks.map(async (ask, n) => {
      const lease = await held(ask)
      const gib = 1 + (n % 7)
      at.set(lease.uuid, (at.get(lease.uuid) ?? 0) + gib)
      for (const device of own.devices) expect((at.get(device.uuid) ?? 0) * GIB).toBeLessThanOrEqual(device.totalMib)
      await own.looks()
      at.set(lease.uuid, (at.get(lease.uuid) ?? 0) - gib)
      done += 1
      lease.release()
      lease.release()
    }),
  )
  expect(done).toBe(40)
})

test("room counts that comes when certain workers end", async () => {
  using own = machine(24)
  const lease = await held(own.leases.lease(demand("a", 20)))
  lease.started(100, () => undefined)
  own.uses(0, 100, 15)
  await own.looks()
  expect(await own.leases.fits(demand("b", 20))).toBe(false)
  expect(await own.leases.fits(demand("b", 20), [100])).toBe(true)
  own.uses(0, 7, 5)
  await own.looks()
  expect(await own.leases.fits(demand("b", 20), [100])).toBe(false)
})
