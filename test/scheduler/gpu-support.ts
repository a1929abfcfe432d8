/** Imaginary devices: the probe is a function, so that everything but the driver is tested. */
import { createLog } from "../../src/log.ts"
import {
  GpuBusy,
  type GpuDemand,
  type GpuDevice,
  type GpuLease,
  GpuRefused,
  gpuLeases,
} from "../../src/scheduler/gpu-leases.ts"

export const GIB = 1024

interface Imaginary {
  uuid: string
  name: string
  totalMib: number
  usedMib: number
  processes: Map<number, number>
}

export function machine(...sizes: number[]) {
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

export const demand = (holder: string, gib: number | null, realtime = true): GpuDemand => {
  return { owner: "ns_1", holder, key: holder, declaredMib: gib === null ? null : gib * GIB, realtime }
}
export const held = async (lease: Promise<GpuLease | null>): Promise<GpuLease> => {
  const granted = await lease
  if (granted === null) throw new Error("nothing was leased")
  return granted
}
export const refusal = (lease: Promise<GpuLease | null>) =>
  lease.then(
    () => "granted",
    (error: Error) => (error instanceof GpuRefused || error instanceof GpuBusy ? error.message : `${error}`),
  )
