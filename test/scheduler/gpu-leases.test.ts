/** Imaginary devices: the probe is a function, so that everything but the driver is tested. */
import { expect, test } from "bun:test"
import { createLog } from "../../src/log.ts"
import {
  GpuBusy,
  type GpuDemand,
  type GpuDevice,
  type GpuLease,
  GpuRefused,
  gpuLeases,
} from "../../src/scheduler/gpu-leases.ts"

const GIB = 1024

interface Imaginary {
  uuid: string
  name: string
  totalMib: number
  usedMib: number
  processes: Map<number, number>
}

function machine(...sizes: number[]) {
  const devices = sizes.map((gib, index): Imaginary => {
    return { uuid: `GPU-${index}`, name: "Imaginary 1", totalMib: gib * GIB, usedMib: 0, processes: new Map() }
  })
  const clock = { now: 0 }
  const state = { broken: false, reclaimed: 0, looks: 0 }
  /** Whoever waits for the next look after this moment. */
  let looked = Promise.withResolvers<void>()
  const leases = gpuLeases({
    async probe(): Promise<readonly GpuDevice[]> {
      state.looks += 1
      looked.resolve()
      looked = Promise.withResolvers()
      if (state.broken) throw new Error("the driver hangs")
      return devices
    },
    reclaim() {
      state.reclaimed += 1
    },
    now: () => clock.now,
    log: createLog("silent"),
    pollMs: 1,
    sampleMs: 1,
  })
  return {
    leases,
    devices,
    clock,
    state,
    /** One whole look from now on: the one under way may have begun before. */
    async looks() {
      for (let count = 0; count < 2; count++) await looked.promise
      await Promise.resolve()
    },
    /** A process of a lease, or of somebody else, uses so much from now on. */
    uses(index: number, pid: number, gib: number) {
      const device = devices[index]
      if (device === undefined) throw new Error("no such device")
      device.usedMib += gib * GIB - (device.processes.get(pid) ?? 0)
      if (gib === 0) device.processes.delete(pid)
      else device.processes.set(pid, gib * GIB)
    },
    [Symbol.dispose]: () => leases[Symbol.dispose](),
  }
}

const demand = (holder: string, gib: number | null, realtime = true): GpuDemand => {
  return { owner: "ns_1", holder, key: holder, declaredMib: gib === null ? null : gib * GIB, realtime }
}
const held = async (lease: Promise<GpuLease | null>): Promise<GpuLease> => {
  const granted = await lease
  if (granted === null) throw new Error("nothing was leased")
  return granted
}
const refusal = (lease: Promise<GpuLease | null>) =>
  lease.then(
    () => "granted",
    (error: Error) => (error instanceof GpuRefused || error instanceof GpuBusy ? error.message : `${error}`),
  )

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

test("memory of a worker that ended is lent again when the driver has it back, not before", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20)))
  first.started(100, () => undefined)
  own.uses(0, 100, 18)
  await own.looks()
  first.release()
  let granted = false
  const next = held(own.leases.lease(demand("b", 20))).then((lease) => {
    granted = true
    return lease
  })
  await own.looks()
  expect(granted).toBe(false)
  own.uses(0, 100, 0)
  expect((await next).uuid).toBe("GPU-0")
})

test("realtime goes before batches, and nobody takes piece by piece what it waits for", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20, false)))
  const order: string[] = []
  const wait = (holder: string, gib: number, realtime: boolean) =>
    held(own.leases.lease(demand(holder, gib, realtime))).then((lease) => {
      order.push(holder)
      return lease
    })
  const small = wait("small batch", 1, false)
  await small
  const batch = wait("batch", 20, false)
  const realtime = wait("realtime", 20, true)
  const later = wait("later", 1, true)
  await own.looks()
  expect(order).toEqual(["small batch"])
  expect(own.state.reclaimed).toBeGreaterThan(0)
  first.release()
  await realtime
  const granted = await later
  expect(order).toEqual(["small batch", "realtime", "later"])
  granted.release()
  ;(await realtime).release()
  await batch
})

test("a batch without room comes again, and finds what it was refused kept from other batches", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20, false)))
  const refused = refusal(own.leases.lease(demand("b", 20, false)))
  await own.looks()
  own.clock.now = 1_000
  expect(await refused).toContain("leased (a 20,480 MiB)")
  expect(own.leases.wantedByOthers("a")).toBe(true)
  expect(own.leases.wantedByOthers("b")).toBe(false)
  first.release()
  const again = refusal(own.leases.lease(demand("a", 20, false)))
  await own.looks()
  own.clock.now = 2_000
  expect(await again).toContain("0 MiB leased")
  await held(own.leases.lease(demand("b", 20, false)))
  expect(own.leases.wantedByOthers("a")).toBe(false)
})

test("what is kept for a batch that does not come again is lent after 10 s", async () => {
  using own = machine(24)
  const first = await held(own.leases.lease(demand("a", 20, false)))
  const refused = refusal(own.leases.lease(demand("b", 20, false)))
  own.clock.now = 1_000
  await refused
  first.release()
  own.clock.now = 11_000
  await held(own.leases.lease(demand("a", 20, false)))
})

test("who waits for one device does not hold up whoever finds room on another", async () => {
  using own = machine(80, 24)
  const large = await held(own.leases.lease(demand("a", 70)))
  const waits = held(own.leases.lease(demand("b", 60)))
  expect((await held(own.leases.lease(demand("c", 2)))).uuid).toBe("GPU-1")
  large.release()
  expect((await waits).uuid).toBe("GPU-0")
})

test("a deployment waits longer for batches, whose workers end with their partition", async () => {
  using own = machine(24)
  const batch = await held(own.leases.lease(demand("batch", 20, false)))
  batch.started(100, () => undefined)
  let outcome = "waits"
  const ask = refusal(own.leases.lease(demand("a", 20))).then((how) => {
    outcome = how
  })
  expect(own.leases.wantedByOthers("batch")).toBe(true)
  own.clock.now = 200_000
  await own.looks()
  expect(outcome).toBe("waits")
  own.clock.now = 300_000
  await ask
  expect(outcome).toContain("leased (batch 20,480 MiB)")
  expect(own.leases.wantedByOthers("batch")).toBe(false)
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

test("a deployment that finds no room for 20 s is told who of its namespace holds it, and of others how much", async () => {
  using own = machine(24)
  own.uses(0, 7, 4)
  await held(own.leases.lease(demand("plugin_1", 10)))
  await held(own.leases.lease({ ...demand("secret", 6), owner: "ns_2" }))
  const waits = refusal(own.leases.lease(demand("plugin_2", 8)))
  await own.looks()
  own.clock.now = 20_000
  expect(await waits).toBe(
    "plugin_2 needs 8,192 MiB of GPU memory (gpu_memory_gb of its compute_profile). GPU-0 (Imaginary 1): " +
      "24,576 MiB - 16,384 MiB leased (plugin_1 10,240 MiB) - 4,096 MiB used by others = 4,096 MiB free. " +
      "End a deployment that holds one, declare less, or wait until a worker ends.",
  )
})

test("who gives up waiting leaves the line", async () => {
  using own = machine(24)
  const lease = await held(own.leases.lease(demand("a", 20)))
  const giving = new AbortController()
  const first = refusal(own.leases.lease(demand("b", 24), giving.signal))
  const second = own.leases.lease(demand("c", 4))
  await own.looks()
  giving.abort(new Error("gave up"))
  expect(await first).toBe("Error: gave up")
  expect((await held(second)).uuid).toBe("GPU-0")
  lease.release()
})

test("a driver that cannot be asked for 20 s is said; until then it is asked again, and a batch comes again", async () => {
  using own = machine(24)
  own.state.broken = true
  const first = refusal(own.leases.lease(demand("a", 1)))
  await own.looks()
  own.state.broken = false
  expect(await first).toBe("granted")
  const before = own.leases.lease(demand("large", 24, false)).catch((error: Error) => error.name)
  own.clock.now = 1_000
  expect(await before).toBe("GpuBusy")
  own.state.broken = true
  const [second, batch] = [own.leases.lease(demand("b", 1)), own.leases.lease(demand("c", 1, false))]
  const refused = refusal(second)
  const busy = batch.catch((error: Error) => error.name)
  await own.looks()
  own.clock.now = 2_000
  expect(await busy).toBe("GpuBusy")
  own.clock.now = 21_000
  expect(await refused).toContain("the driver hangs")
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
