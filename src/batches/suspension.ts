/** A batch that is paused or held: nothing of it is leased, its rows stay as they are, and it goes on where it was. */
import type { Log } from "../log.ts"
import type { Metadata, Transaction } from "../metadata/open.ts"
import { statesBefore } from "./states.ts"

/** A reason is shown with every batch of a list; the whole text is the row error's. */
const REASON_LENGTH = 2_000

interface Deps {
  metadata: Pick<Metadata, "transact">
  now: () => Date
  log: Log
}

export function suspension({ metadata, now, log }: Deps) {
  const suspend = (batchId: string, reason: string): boolean =>
    metadata.transact((tx) => {
      const at = now().toISOString()
      if (!tx.write.batches.suspend(batchId, statesBefore("SUSPENDED"), reason.slice(0, REASON_LENGTH), at))
        return false
      taskFollows(tx, batchId, at)
      log.info(
        { event: "batch_suspended", batch_id: batchId, reason: reason.slice(0, REASON_LENGTH) },
        "batch suspended",
      )
      return true
    })

  return {
    /** Somebody asked for it. False when it could not be: it is suspended, a draft, or has ended. */
    pause: (batchId: string): boolean => suspend(batchId, "paused"),

    /** It cannot go on as it is, and somebody has to look. False as for `pause`. */
    hold: (batchId: string, why: string): boolean => suspend(batchId, `held: ${why}`),

    /** Back to what it was suspended from; false when it is not suspended. */
    resume: (batchId: string): boolean =>
      metadata.transact((tx) => {
        const at = now().toISOString()
        if (!tx.write.batches.resume(batchId, at)) return false
        taskFollows(tx, batchId, at)
        log.info({ event: "batch_resumed", batch_id: batchId }, "batch resumed")
        return true
      }),
  }
}

export type Suspension = ReturnType<typeof suspension>

/** The task behind a batch has its status, and so have those of its tiers that are under way. */
function taskFollows(tx: Transaction, batchId: string, at: string): void {
  const batch = tx.read.batches.byId(batchId)
  if (batch === undefined) return
  const tiers = tx.read.batches
    .runs(batchId)
    .filter((run) => run.started_at !== null && run.finished_at === null)
    .map((run) => run.task_id)
  for (const taskId of new Set([batch.task_id, ...tiers])) {
    if (taskId !== null) tx.write.tasks.move(taskId, batch.status, batch.error, at)
  }
}
