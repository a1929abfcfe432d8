/**
 * Which worker has how much memory of which GPU. A lease is what the plugin declares, and what its code was seen to use once that
 * is known; what the driver still counts as used by nobody of ours is not given away, so that the memory of a worker that ended is
 * lent again only when it is really back. The probe is handed in: everything but the driver is tested without one.
 */
import type { Log } from "../log.ts"

export interface GpuDevice {
  /** As CUDA_VISIBLE_DEVICES takes it, such as GPU-8f1c…. */
  readonly uuid: string
  readonly name: string
  readonly totalMib: number
  /** By everybody, this appliance's workers among them. */
  readonly usedMib: number
  /** MiB by process id, of the processes that the driver names. In a container these may be none of ours. */
  readonly processes: ReadonlyMap<number, number>
}

/** Every device of this machine; empty without any. @throws Error when the driver cannot be asked */
export type GpuProbe = () => Promise<readonly GpuDevice[]>

export interface GpuDemand {
  /** For messages: whose worker it is. */
  readonly holder: string
  /** What was measured under a key is what the next worker of that key gets. */
  readonly key: string
  /** `gpu_memory_gb` of the manifest; null: a device of its own until it was measured. */
  readonly declaredMib: number | null
  /** Served before batches, and told when there is no room, where a batch waits. */
  readonly realtime: boolean
}

export interface GpuLease {
  readonly uuid: string
  /** The process whose use is measured. */
  started(pid: number): void
  /** The worker is gone. May be called again. */
  release(): void
}

/** There is no room, or never will be; the message has the arithmetic. */
export class GpuRefused extends Error {
  override readonly name = "GpuRefused"
}

export const MIB_PER_GIB = 1024
/** Over the measured peak: caches of an allocator and fragments differ from run to run. */
const MARGIN = 1.1
/** A peak counts once its worker has lived so long or ended: before that it may still be loading. In milliseconds. */
const SETTLED_MS = 60_000
const SAMPLE_MS = 5_000
const POLL_MS = 250
/** For another deployment that is just ending. */
const WAIT_MS = 20_000
/** For batches, whose workers end with their partition. */
const WAIT_FOR_BATCHES_MS = 300_000
/** Of what was learned; forgetting costs a careful start. */
const MAX_PEAKS = 10_000

interface Deps {
  probe: GpuProbe
  /** Somebody waits: what holds a device and does nothing may end. */
  reclaim: () => void
  /** Milliseconds on a clock that never goes back. */
  now: () => number
  log: Log
  pollMs?: number
  sampleMs?: number
}

interface Held {
  readonly demand: GpuDemand
  readonly uuid: string
  readonly grantedMib: number
  readonly usedAtGrantMib: number
  readonly since: number
  pid: number | null
  /** By the last look; null while the driver does not name its process. */
  currentMib: number | null
  peakMib: number
}

interface Waiting {
  readonly demand: GpuDemand
  readonly since: number
  readonly resolve: (lease: GpuLease | null) => void
  readonly reject: (error: unknown) => void
  told: boolean
}

export function gpuLeases({ probe, reclaim, now, log, pollMs = POLL_MS, sampleMs = SAMPLE_MS }: Deps) {
  const held = new Set<Held>()
  const waiting = new Set<Waiting>()
  const peaks = new Map<string, number>()
  let looking: Promise<void> | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const claimMib = (one: Held): number => {
    const settled = one.peakMib > 0 && now() - one.since >= SETTLED_MS
    return settled ? withMargin(one.peakMib) : Math.max(one.grantedMib, one.peakMib)
  }

  /** `without`: processes that are to end, whose memory is then back. */
  const account = (device: GpuDevice, without: readonly number[] = []) => {
    const here = [...held].filter(({ uuid }) => uuid === device.uuid)
    const own = here.filter(({ pid }) => pid === null || !without.includes(pid))
    const back = here.reduce((sum, one) => sum + (own.includes(one) ? 0 : (one.currentMib ?? claimMib(one))), 0)
    const usedMib = Math.max(0, device.usedMib - back)
    const leasedMib = own.reduce((sum, one) => sum + claimMib(one), 0)
    const named = own.reduce((sum, one) => sum + (one.currentMib ?? 0), 0)
    const unnamed = own.filter(({ currentMib }) => currentMib === null)
    // Of those that the driver does not name: at most what the use has grown by since they came.
    const grown = usedMib - named - Math.min(...unnamed.map(({ usedAtGrantMib }) => usedAtGrantMib))
    const unnamedMib = Math.min(
      unnamed.reduce((sum, one) => sum + claimMib(one), 0),
      Math.max(0, unnamed.length === 0 ? 0 : grown),
    )
    const othersMib = Math.max(0, usedMib - named - unnamedMib)
    return { device, own, leasedMib, othersMib, freeMib: Math.max(0, device.totalMib - leasedMib - othersMib) }
  }

  /** Null: a device of its own. */
  const neededMib = ({ key, declaredMib }: GpuDemand): number | null => {
    const peak = peaks.get(key)
    return peak === undefined ? declaredMib : withMargin(peak)
  }

  /** The device with the fewest workers, of these the fullest: whole devices stay free for those that need one. */
  const place = (demand: GpuDemand, devices: readonly GpuDevice[], without: readonly number[] = []) => {
    const needed = neededMib(demand)
    const [best] = devices
      .map((device) => account(device, without))
      .filter(({ own, freeMib }) => (needed === null ? own.length === 0 && freeMib > 0 : freeMib >= needed))
      .sort((a, b) => a.own.length - b.own.length || (needed === null ? b.freeMib - a.freeMib : a.freeMib - b.freeMib))
    return best === undefined ? null : { device: best.device, mib: needed ?? best.freeMib }
  }

  const grant = (demand: GpuDemand, device: GpuDevice, mib: number): GpuLease => {
    const one: Held = {
      demand,
      uuid: device.uuid,
      grantedMib: mib,
      usedAtGrantMib: device.usedMib,
      since: now(),
      pid: null,
      currentMib: null,
      peakMib: 0,
    }
    held.add(one)
    log.info({ event: "gpu_leased", holder: demand.holder, gpu: device.uuid, mib }, "a GPU was leased")
    return {
      uuid: device.uuid,
      started(pid) {
        one.pid = pid
      },
      release() {
        if (!held.delete(one)) return
        if (one.peakMib > 0) learn(demand.key, one.peakMib)
        if (waiting.size > 0) look()
      },
    }
  }

  const learn = (key: string, peakMib: number) => {
    if (peaks.size >= MAX_PEAKS) peaks.clear()
    peaks.set(key, Math.max(peaks.get(key) ?? 0, peakMib))
  }

  const measure = (devices: readonly GpuDevice[]) => {
    const byUuid = new Map(devices.map((device) => [device.uuid, device]))
    for (const one of held) {
      const current = one.pid === null ? undefined : byUuid.get(one.uuid)?.processes.get(one.pid)
      one.currentMib = current ?? null
      one.peakMib = Math.max(one.peakMib, current ?? 0)
      if (one.peakMib > 0 && now() - one.since >= SETTLED_MS) learn(one.demand.key, one.peakMib)
    }
  }

  const serve = (devices: readonly GpuDevice[]) => {
    const inTurn = [...waiting].sort((a, b) => Number(b.demand.realtime) - Number(a.demand.realtime))
    // What somebody waits for is not taken piece by piece by who comes later.
    const awaited = new Set<string>()
    for (const ask of inTurn) {
      const leave = () => waiting.delete(ask)
      if (devices.length === 0) {
        leave()
        ask.resolve(null)
        continue
      }
      const open = devices.filter(({ uuid }) => !awaited.has(uuid))
      const found = place(ask.demand, open)
      if (found !== null) {
        leave()
        ask.resolve(grant(ask.demand, found.device, found.mib))
        continue
      }
      const able = devices.filter(({ totalMib }) => totalMib >= (neededMib(ask.demand) ?? 0))
      const never = able.length === 0
      if (never || (ask.demand.realtime && now() - ask.since >= patienceMs(ask.demand, devices))) {
        leave()
        ask.reject(new GpuRefused(arithmetic(ask.demand, devices, never)))
        continue
      }
      if (!ask.told) {
        ask.told = true
        log.warn({ event: "gpu_awaited", holder: ask.demand.holder }, arithmetic(ask.demand, devices, false))
      }
      for (const { uuid } of able) awaited.add(uuid)
    }
  }

  const patienceMs = (demand: GpuDemand, devices: readonly GpuDevice[]): number => {
    const batches = [...held].flatMap(({ demand: { realtime }, pid }) => (realtime || pid === null ? [] : [pid]))
    return place(demand, devices, batches) === null ? WAIT_MS : WAIT_FOR_BATCHES_MS
  }

  const unreadable = (error: unknown) => {
    log.warn({ event: "gpu_probe_failed", err: error }, "the GPUs could not be looked at")
    for (const ask of waiting) {
      if (now() - ask.since < WAIT_MS) continue
      waiting.delete(ask)
      ask.reject(new GpuRefused(`The GPUs could not be looked at: ${error instanceof Error ? error.message : error}`))
    }
  }

  /** One look at a time; whoever asks meanwhile is seen by the next, at once. */
  const look = (): void => {
    if (looking !== null) return
    clearTimeout(timer)
    const seen = new Set(waiting)
    looking = probe()
      .then((devices) => {
        measure(devices)
        serve(devices)
      })
      .catch(unreadable)
      .finally(() => {
        looking = null
        if ([...waiting].some((ask) => !seen.has(ask))) return look()
        if (waiting.size > 0) reclaim()
        if (waiting.size > 0 || held.size > 0) {
          timer = setTimeout(look, waiting.size > 0 ? pollMs : sampleMs)
          if (waiting.size === 0) timer.unref()
        }
      })
  }

  const arithmetic = (demand: GpuDemand, devices: readonly GpuDevice[], never: boolean): string => {
    const needed = neededMib(demand)
    const source = peaks.has(demand.key) ? "measured, with a margin" : "gpu_memory_gb of its compute_profile"
    const wants =
      needed === null
        ? "a GPU of its own (it declares no gpu_memory_gb and was not measured yet)"
        : `${mebibytes(needed)} of GPU memory (${source})`
    const sums = devices
      .map((device) => account(device))
      .map(({ device, own, leasedMib, othersMib, freeMib }) => {
        const holders = own.map((one) => `${one.demand.holder} ${mebibytes(claimMib(one))}`).join(", ")
        const leased = `${mebibytes(leasedMib)} leased${holders === "" ? "" : ` (${holders})`}`
        return `${device.uuid} (${device.name}): ${mebibytes(device.totalMib)} - ${leased} - ${mebibytes(othersMib)} used by others = ${mebibytes(freeMib)} free`
      })
    const end = never
      ? "No device of this machine is so large."
      : "End a deployment that holds one, declare less, or wait until a worker ends."
    return `${demand.holder} needs ${wants}. ${sums.join("; ")}. ${end}`
  }

  return {
    /**
     * Null on a machine without GPUs: the worker then computes on the CPU.
     * @throws GpuRefused, or the signal's reason
     */
    lease(demand: GpuDemand, signal?: AbortSignal): Promise<GpuLease | null> {
      signal?.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<GpuLease | null>()
      const ask: Waiting = { demand, since: now(), resolve, reject, told: false }
      waiting.add(ask)
      const abort = () => {
        if (waiting.delete(ask)) reject(signal?.reason)
      }
      signal?.addEventListener("abort", abort, { once: true })
      void promise.catch(() => undefined).finally(() => signal?.removeEventListener("abort", abort))
      look()
      return promise
    },

    /** True when a lease would be granted now, or once these processes have ended; and on a machine without GPUs. */
    async fits(demand: GpuDemand, without: readonly number[] = []): Promise<boolean> {
      const devices = await probe()
      return devices.length === 0 || place(demand, devices, without) !== null
    },

    /** A deployment waits: batches that have a GPU shall not go on with it. */
    get realtimeWaits(): boolean {
      return [...waiting].some(({ demand }) => demand.realtime)
    },

    [Symbol.dispose]() {
      clearTimeout(timer)
      for (const ask of waiting) ask.reject(new Error("the appliance stops"))
      waiting.clear()
    },
  }
}

export type GpuLeases = ReturnType<typeof gpuLeases>

function withMargin(mib: number): number {
  return Math.ceil(mib * MARGIN)
}

function mebibytes(mib: number): string {
  return `${Math.round(mib).toLocaleString("en-US")} MiB`
}
