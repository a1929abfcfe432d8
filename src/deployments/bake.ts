/**
 * The time after a name went over to another version. A version that passes its probe may still fail with what callers really send:
 * when it dies again and again, or fails clearly more often than the one before did, the name goes back.
 */
import type { Log } from "../log.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import type { RunningRevision } from "./revision.ts"

/** Deaths and failed starts in the window that are a crash loop. */
const CRASH_LOOP = 3
/** Before so many requests a share says nothing. */
const ENOUGH_REQUESTS = 20
/** Failing is a share this much over twice that of the version before. */
const TOLERANCE = 0.1
const LOOK_EVERY_MS = 500

interface Deps {
  metadata: Pick<Metadata, "transact">
  answering: (namespaceId: string, pluginId: string) => RunningRevision | undefined
  /** 0: nothing goes back by itself. */
  windowMs: number
  now: () => Date
  log: Log
}

export interface Flip {
  readonly namespaceId: string
  readonly name: string
  /** What the name answers with now, and did before. */
  readonly pluginId: string
  readonly previousPluginId: string
  /** Milliseconds that the window has been open already: the appliance may have started since. */
  readonly age?: number
}

export function bakeWindow({ metadata, answering, windowMs, now, log }: Deps) {
  const timers = new Set<ReturnType<typeof setInterval>>()

  const goBack = (flip: Flip, revision: RunningRevision, why: string): void => {
    const { namespaceId, name, pluginId, previousPluginId } = flip
    const error = `Rolled back to ${previousPluginId} within ${windowMs / 1000} s: ${why}`
    const done = metadata.transact((tx) => {
      const alias = tx.read.deployments.alias(namespaceId, name)
      if (alias?.plugin_id !== pluginId || alias.previous_plugin_id !== previousPluginId) return false
      const at = now().toISOString()
      tx.write.deployments.putAlias({
        ...alias,
        plugin_id: previousPluginId,
        previous_plugin_id: null,
        updated_at: at,
      })
      tellDeployment(tx, flip, revision.id, error, at)
      return true
    })
    if (done) log.warn({ event: "rolled_back", namespace_id: namespaceId, plugin_id: pluginId, error }, "rolled back")
  }

  return {
    /** Looks after the flip until its window is over, somebody moves the name on, or one of the two no longer answers. */
    watch(flip: Flip): void {
      const green = answering(flip.namespaceId, flip.pluginId)
      const blue = answering(flip.namespaceId, flip.previousPluginId)
      const left = windowMs - (flip.age ?? 0)
      if (green === undefined || blue === undefined || left <= 0) return
      const before = {
        requests: green.measured.requests,
        faults: green.measured.faults,
        restarts: green.measured.restarts,
      }
      const ends = performance.now() + left
      const timer = setInterval(() => {
        const still =
          answering(flip.namespaceId, flip.pluginId) === green &&
          answering(flip.namespaceId, flip.previousPluginId) !== undefined &&
          performance.now() < ends
        const why = still ? whyFailing(green, before, blue) : null
        if (still && why === null) return
        clearInterval(timer)
        timers.delete(timer)
        if (why !== null) goBack(flip, green, why)
      }, LOOK_EVERY_MS)
      timer.unref()
      timers.add(timer)
    },
    [Symbol.dispose]() {
      for (const timer of timers) clearInterval(timer)
      timers.clear()
    },
  }
}

function tellDeployment(tx: Transaction, flip: Flip, revisionId: string, error: string, at: string): void {
  const deployment = tx.read.deployments.get(flip.namespaceId, flip.pluginId)
  const revision = tx.read.deployments.revision(revisionId)
  // A rollout that has begun since has its own status.
  if (deployment?.live_revision_id === revisionId && deployment.status === "DEPLOYED") {
    tx.write.deployments.put({ ...deployment, status: "FAILED", error, updated_at: at })
  }
  if (revision !== undefined) tx.write.deployments.updateRevision({ ...revision, error })
}

interface Counts {
  readonly requests: number
  readonly faults: number
  readonly restarts: number
}

/** Since `before`; null while nothing says that it fails. */
function whyFailing({ measured }: RunningRevision, before: Counts, blue: RunningRevision): string | null {
  const restarts = measured.restarts - before.restarts
  if (restarts >= CRASH_LOOP) return `its workers died or did not start ${restarts} times.`
  const requests = measured.requests - before.requests
  const faults = measured.faults - before.faults
  const usual = blue.measured.faults / Math.max(1, blue.measured.requests)
  if (requests < ENOUGH_REQUESTS || faults / requests <= 2 * usual + TOLERANCE) return null
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  return `${faults} of ${requests} requests failed (${percent(faults / requests)}, before it ${percent(usual)}).`
}
