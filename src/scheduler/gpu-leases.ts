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
  /** Who is told that it is this one's: its namespace. Others hear of its memory alone. */
  readonly owner: string
  /** For messages: whose worker it is. */
  readonly holder: string
  /** What was measured under a key is what the next worker of that key gets. */
  readonly key: string
  /** `gpu_memory_gb` of the manifest; null: a device of its own until it was measured. */
  readonly declaredMib: number | null
  /** Served before batches, and waits, where a batch comes again. */
  readonly realtime: boolean
}

export interface GpuLease {
  readonly uuid: string
  /** The process whose use is measured. `exceeded` is called once when it is far over what was declared. */
  started(pid: number, exceeded: (what: string) => void): void
  /** It has done what it is for, its model is loaded: what it uses tells what others of its key need. */
  worked(): void
  /** The worker is gone. May be called again. */
  release(): void
}

/** No room for a batch now, which comes again and keeps nobody waiting meanwhile. */
export class GpuBusy extends Error {
  override readonly name = "GpuBusy"
}

/** There is no room, or never will be; the message has the arithmetic. */
export class GpuRefused extends Error {
  override readonly name = "GpuRefused"
}

export const MIB_PER_GIB = 1024
/** Over the measured peak: caches of an allocator and fragments differ from run to run. */
const MARGIN = 1.1
/** Beyond what was declared: contexts and kernels of CUDA itself, of which authors do not know. */
const SPARE_MIB = 512
const SAMPLE_MS = 5_000
const POLL_MS = 250
/** For another deployment that is just ending. */
const WAIT_MS = 20_000
/** For batches, whose workers end with their partition. */
const WAIT_FOR_BATCHES_MS = 300_000
/** A batch holds one of the slots of all while it waits; the memory of a worker that has just ended is back in that time. */
const BATCH_WAIT_MS = 1_000
/** What a batch was refused is kept from other batches so long: it comes again. */
const RESERVED_MS = 10_000
/** A driver that hangs is not asked at each turn, and not waited for. */
const PROBE_MS = 20_000
const FAILED_PAUSE = 20
/** Of what was learned; forgetting costs a careful start. */
const MAX_PEAKS = 10_000

interface Deps {
  probe: GpuProbe
  /** Somebody waits: what holds a device and does nothing may end. */
  reclaim: () => void
  /** Milliseconds on a clock that never goes back. */
  now: () => number
  /** On a machine without GPUs a lease is refused; else it is null, and the worker computes on the CPU. */
  refuseWithout?: boolean
  log: Log
  pollMs?: number
  sampleMs?: number
}

interface Held {
  readonly demand: GpuDemand
  readonly uuid: string
  readonly grantedMib: number
  readonly usedAtGrantMib: number
  pid: number | null
  exceeded: ((what: string) => void) | null
  worked: boolean
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

export function gpuLeases({
  probe,
  reclaim,
  now,
  refuseWithout = false,
  log,
  pollMs = POLL_MS,
  sampleMs = SAMPLE_MS,
}: Deps) {
  const held = new Set<Held>()
  const waiting = new Set<Waiting>()
  const peaks = new Map<string, number>()
  /** One batch at a time, so that they do not keep each other out. */
  let reserved: { key: string; uuid: string; until: number } | null = null
  let failingSince: number | null = null
  let looking: Promise<void> | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const claimMib = (one: Held): number => Math.max(one.grantedMib, one.peakMib)

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

  /** Null: a device of its own. With less than it wants it has one of its own too, down to the least. */
  const needOf = ({ key, declaredMib }: GpuDemand): { wantedMib: number; leastMib: number } | null => {
    const peak = peaks.get(key)
    if (peak !== undefined) return { wantedMib: withMargin(peak), leastMib: peak }
    return declaredMib === null ? null : { wantedMib: declaredMib, leastMib: declaredMib }
  }

  /** The device with the fewest workers, of these the fullest: whole devices stay free for those that need one. */
  const place = (demand: GpuDemand, devices: readonly GpuDevice[], without: readonly number[] = []) => {
    const need = needOf(demand)
    const { wantedMib, leastMib } = need ?? { wantedMib: Number.POSITIVE_INFINITY, leastMib: 1 }
    const [best] = devices
      .map((device) => account(device, without))
      .filter(({ own, freeMib }) => freeMib >= wantedMib || (own.length === 0 && freeMib >= leastMib))
      .sort((a, b) => a.own.length - b.own.length || (need === null ? b.freeMib - a.freeMib : a.freeMib - b.freeMib))
    return best === undefined ? null : { device: best.device, mib: Math.min(wantedMib, best.freeMib) }
  }

  const grant = (demand: GpuDemand, device: GpuDevice, mib: number): GpuLease => {
    const one: Held = {
      demand,
      uuid: device.uuid,
      grantedMib: mib,
      usedAtGrantMib: device.usedMib,
      pid: null,
      exceeded: null,
      worked: false,
      currentMib: null,
      peakMib: 0,
    }
    held.add(one)
    if (reserved?.key === demand.key) reserved = null
    log.info({ event: "gpu_leased", holder: demand.holder, gpu: device.uuid, mib }, "a GPU was leased")
    return {
      uuid: device.uuid,
      started(pid, exceeded) {
        one.pid = pid
        one.exceeded = exceeded
      },
      worked() {
        one.worked = true
      },
      release() {
        if (!held.delete(one)) return
        learn(one)
        if (waiting.size > 0) look()
      },
    }
  }

  const learn = ({ demand: { key }, worked, peakMib }: Held) => {
    if (!worked || peakMib === 0) return
    if (peaks.size >= MAX_PEAKS) peaks.clear()
    peaks.set(key, Math.max(peaks.get(key) ?? 0, peakMib))
  }

  const bound = (one: Held) => {
    const { declaredMib } = one.demand
    if (declaredMib === null || one.exceeded === null) return
    const most = Math.max(withMargin(declaredMib), one.grantedMib) + SPARE_MIB
    if (one.peakMib <= most) return
    const exceeded = one.exceeded
    one.exceeded = null
    exceeded(
      `it used ${mebibytes(one.peakMib)} of GPU memory, more than the ${mebibytes(declaredMib)} of gpu_memory_gb`,
    )
  }

  const measure = (devices: readonly GpuDevice[]) => {
    const byUuid = new Map(devices.map((device) => [device.uuid, device]))
    for (const one of held) {
      const current = one.pid === null ? undefined : byUuid.get(one.uuid)?.processes.get(one.pid)
      one.currentMib = current ?? null
      one.peakMib = Math.max(one.peakMib, current ?? 0)
      learn(one)
      bound(one)
    }
  }

  const serve = (devices: readonly GpuDevice[]) => {
    const inTurn = [...waiting].sort((a, b) => Number(b.demand.realtime) - Number(a.demand.realtime))
    if (reserved !== null && now() >= reserved.until) reserved = null
    // What somebody waits for is not taken piece by piece by who comes later.
    const awaited = new Set<string>()
    for (const ask of inTurn) {
      const leave = () => waiting.delete(ask)
      if (devices.length === 0) {
        leave()
        if (refuseWithout) ask.reject(new GpuRefused(arithmetic(ask.demand, devices, true)))
        else ask.resolve(null)
        continue
      }
      const { realtime, key } = ask.demand
      const kept = realtime || reserved === null || reserved.key === key ? null : reserved.uuid
      const open = devices.filter(({ uuid }) => !awaited.has(uuid) && uuid !== kept)
      const found = place(ask.demand, open)
      if (found !== null) {
        leave()
        ask.resolve(grant(ask.demand, found.device, found.mib))
        continue
      }
      const [able] = devices
        .filter(({ uuid, totalMib }) => totalMib >= (needOf(ask.demand)?.leastMib ?? 0) && !awaited.has(uuid))
        .sort((a, b) => account(b).freeMib - account(a).freeMib)
      const never = devices.every(({ totalMib }) => totalMib < (needOf(ask.demand)?.leastMib ?? 0))
      const waited = now() - ask.since
      if (never || (realtime && waited >= patienceMs(ask.demand, devices))) {
        leave()
        ask.reject(new GpuRefused(arithmetic(ask.demand, devices, never)))
        continue
      }
      if (!realtime && waited >= BATCH_WAIT_MS) {
        leave()
        if (able !== undefined) reserved ??= { key, uuid: able.uuid, until: now() + RESERVED_MS }
        ask.reject(new GpuBusy(arithmetic(ask.demand, devices, false)))
        continue
      }
      if (!ask.told) {
        ask.told = true
        log.warn({ event: "gpu_awaited", holder: ask.demand.holder }, arithmetic(ask.demand, devices, false))
      }
      if (realtime && able !== undefined) awaited.add(able.uuid)
    }
  }

  const patienceMs = (demand: GpuDemand, devices: readonly GpuDevice[]): number => {
    const batches = [...held].flatMap(({ demand: { realtime }, pid }) => (realtime || pid === null ? [] : [pid]))
    return place(demand, devices, batches) === null ? WAIT_MS : WAIT_FOR_BATCHES_MS
  }

  const unreadable = (error: unknown) => {
    if (failingSince === null) log.warn({ event: "gpu_probe_failed", err: error }, "the GPUs could not be looked at")
    failingSince ??= now()
    const message = `The GPUs could not be looked at: ${error instanceof Error ? error.message : error}`
    for (const ask of waiting) {
      const { realtime } = ask.demand
      if (now() - Math.max(ask.since, failingSince) < (realtime ? WAIT_MS : BATCH_WAIT_MS)) continue
      waiting.delete(ask)
      ask.reject(realtime ? new GpuRefused(message) : new GpuBusy(message))
    }
  }

  /** One look at a time; whoever asks meanwhile is seen by the next, at once. */
  const look = (): void => {
    if (looking !== null) return
    clearTimeout(timer)
    const seen = new Set(waiting)
    looking = withinTime(probe())
      .then((devices) => {
        failingSince = null
        measure(devices)
        serve(devices)
      })
      .catch(unreadable)
      .finally(() => {
        looking = null
        if ([...waiting].some((ask) => !seen.has(ask))) return look()
        if (waiting.size > 0) reclaim()
        if (waiting.size > 0 || held.size > 0) {
          const pause = waiting.size === 0 ? sampleMs : failingSince === null ? pollMs : pollMs * FAILED_PAUSE
          timer = setTimeout(look, pause)
          if (waiting.size === 0) timer.unref()
        }
      })
  }

  const arithmetic = (demand: GpuDemand, devices: readonly GpuDevice[], never: boolean): string => {
    const need = needOf(demand)
    const source = peaks.has(demand.key) ? "measured, with a margin" : "gpu_memory_gb of its compute_profile"
    const wants =
      need === null
        ? "a GPU of its own (it declares no gpu_memory_gb and was not measured yet)"
        : `${mebibytes(need.wantedMib)} of GPU memory (${source})`
    const sums = devices
      .map((device) => account(device))
      .map(({ device, own, leasedMib, othersMib, freeMib }) => {
        const named = own.filter((one) => one.demand.owner === demand.owner)
        const holders = named.map((one) => `${one.demand.holder} ${mebibytes(claimMib(one))}`).join(", ")
        const leased = `${mebibytes(leasedMib)} leased${holders === "" ? "" : ` (${holders})`}`
        return `${device.uuid} (${device.name}): ${mebibytes(device.totalMib)} - ${leased} - ${mebibytes(othersMib)} used by others = ${mebibytes(freeMib)} free`
      })
    if (devices.length === 0) {
      return `${demand.holder} needs ${wants}. This machine has no GPU, and MIXPEEK_GPU_FALLBACK=refuse lets nothing compute on the CPU instead.`
    }
    const end = never
      ? "No device of this machine is so large."
      : "End a deployment that holds one, declare less, or wait until a worker ends."
    return `${demand.holder} needs ${wants}. ${sums.join("; ")}. ${end}`
  }

  return {
    /**
     * Null on a machine without GPUs, unless that is refused: the worker then computes on the CPU.
     * @throws GpuRefused; GpuBusy for a batch, after a moment; or the signal's reason
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
      const devices = await withinTime(probe())
      return devices.length === 0 || place(demand, devices, without) !== null
    },
    /** Whether this machine has a device; one that cannot be looked at now is there. */
    async present(): Promise<boolean> {
      return (await withinTime(probe()).catch(() => null))?.length !== 0
    },

    /** Somebody else has waited: who has a GPU under this key shall not go on with it. */
    wantedByOthers(key: string): boolean {
      if (reserved !== null && now() < reserved.until && reserved.key !== key) return true
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

async function withinTime<T>(asked: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`The driver did not answer within ${PROBE_MS} ms.`)), PROBE_MS)
  try {
    return await Promise.race([asked, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function withMargin(mib: number): number {
  return Math.ceil(mib * MARGIN)
}

function mebibytes(mib: number): string {
  return `${Math.round(mib).toLocaleString("en-US")} MiB`
}
