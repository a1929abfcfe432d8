/**
 * The states of a batch and what may follow each. Every move of a row is decided by this table, in the WHERE of its statement:
 * `ledger.ts` moves, `drive.ts` goes on with what a kill left in QUEUED, PENDING and IN_PROGRESS.
 */
export const BATCH_STATES = [
  "DRAFT",
  "QUEUED",
  "PENDING",
  "IN_PROGRESS",
  "SUSPENDED",
  "COMPLETED",
  "COMPLETED_WITH_ERRORS",
  "FAILED",
  "CANCELED",
] as const
export type BatchState = (typeof BATCH_STATES)[number]

/**
 * A batch that is suspended goes back to where it was. It may end too: what was being committed when it was suspended counts, and
 * a collection that is deleted ends its share.
 */
export const NEXT: Readonly<Record<BatchState, readonly BatchState[]>> = {
  DRAFT: ["QUEUED", "CANCELED"],
  QUEUED: ["PENDING", "SUSPENDED", "CANCELED"],
  PENDING: ["IN_PROGRESS", "SUSPENDED", "CANCELED"],
  IN_PROGRESS: ["SUSPENDED", "CANCELED", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"],
  SUSPENDED: ["QUEUED", "PENDING", "IN_PROGRESS", "CANCELED", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"],
  COMPLETED: [],
  // A retry opens the rows that failed or were not tried.
  COMPLETED_WITH_ERRORS: ["IN_PROGRESS"],
  FAILED: ["IN_PROGRESS"],
  CANCELED: ["IN_PROGRESS"],
}

const TERMINAL: readonly string[] = ["COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"] satisfies BatchState[]

/** From where a retry goes on: the ends that may be followed. */
export const RETRIABLE: readonly BatchState[] = ["COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"]

/** The states that `to` may follow. */
export function statesBefore(to: BatchState): readonly BatchState[] {
  return BATCH_STATES.filter((state) => NEXT[state].includes(to))
}

/** It has ended: nothing of it runs by itself. */
export function isTerminal(state: string): boolean {
  return TERMINAL.includes(state)
}

/** What it skipped it has not tried for the most part: it did not come to it. */
export function isCutShort(state: string): boolean {
  return state === "FAILED" || state === "CANCELED"
}

/** Submitted and not at an end: it may not be deleted, and what it needs may not go unnoticed. */
export function isLive(state: string): boolean {
  return state !== "DRAFT" && !isTerminal(state)
}
