/** Who waits for room on a device, for how long, and who goes first when there is some. */
import { expect, test } from "bun:test"
import { demand, held, machine, refusal } from "./gpu-support.ts"

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
