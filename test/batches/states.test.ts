import { afterAll, afterEach, beforeAll, expect, test } from "bun:test"
import {
  BATCH_STATES,
  type BatchState,
  isLive,
  isTerminal,
  NEXT,
  RETRIABLE,
  statesBefore,
} from "../../src/batches/states.ts"
import { ApplianceError } from "../../src/errors.ts"
import type { PartitionRow } from "../../src/metadata/partitions.ts"
import { leased, type OpenLedger, openLedger } from "./ledger-support.ts"

let opened: OpenLedger
beforeAll(() => {
  opened = openLedger()
})
afterAll(() => opened[Symbol.dispose]())
// What one test left open is not leased by the next.
afterEach(() => {
  for (const id of opened.metadata.read.batches.liveOf(opened.namespace.namespaceId)) opened.ledger.cancel(id)
})

/** Of a suspended batch, what was leased before: nothing is after. */
const inHand = new Map<string, PartitionRow>()

/** How a batch comes into each state. */
const INTO: Record<BatchState, () => string> = {
  DRAFT: () => draft(),
  QUEUED: () => {
    const id = draft()
    opened.batches.submit(opened.namespace, opened.row(id).bucket_id, id, {})
    return id
  },
  PENDING: () => {
    const id = INTO.QUEUED()
    opened.ledger.plan(id)
    return id
  },
  IN_PROGRESS: () => {
    const id = INTO.PENDING()
    opened.ledger.start(id)
    return id
  },
  SUSPENDED: () => {
    const id = INTO.IN_PROGRESS()
    inHand.set(id, leased(opened.ledger.lease()))
    opened.suspension.pause(id)
    return id
  },
  COMPLETED: () => ended(0),
  COMPLETED_WITH_ERRORS: () => ended(1),
  FAILED: () => ended(2),
  CANCELED: () => {
    const id = INTO.IN_PROGRESS()
    opened.ledger.cancel(id)
    return id
  },
}

/** Everything that moves a batch, and where from. Called on every state: the table decides. */
const MOVES: readonly { readonly what: string; readonly to: BatchState; readonly act: (id: string) => unknown }[] = [
  { what: "submit", to: "QUEUED", act: (id) => submit(id) },
  { what: "plan", to: "PENDING", act: (id) => opened.ledger.plan(id) },
  { what: "start", to: "IN_PROGRESS", act: (id) => opened.ledger.start(id) },
  { what: "pause", to: "SUSPENDED", act: (id) => opened.suspension.pause(id) },
  { what: "hold", to: "SUSPENDED", act: (id) => opened.suspension.hold(id, "why") },
  { what: "cancel", to: "CANCELED", act: (id) => opened.ledger.cancel(id) },
  { what: "retry", to: "IN_PROGRESS", act: (id) => retry(id) },
  { what: "fail its run", to: "FAILED", act: (id) => failRun(id) },
  { what: "delete its collection", to: "CANCELED", act: (id) => cancelRun(id) },
]

const started = new Set<BatchState>(["IN_PROGRESS", "SUSPENDED"])

test.each(BATCH_STATES.flatMap((from) => MOVES.map((move) => [move.what, from, move] as const)))(
  "%s of a batch that is %s does what the table says",
  (what, from, { to, act }) => {
    const id = INTO[from]()
    expect(opened.row(id).status).toBe(from)
    act(id)
    const { status, finished_at, lifecycle_reason, suspended_from } = opened.row(id)
    if (status !== from) expect(NEXT[from]).toContain(status)
    // These come from one place only; all others from wherever the table lets them.
    const only: Partial<Record<string, readonly BatchState[]>> = {
      submit: ["DRAFT"],
      plan: ["QUEUED"],
      start: ["PENDING"],
      retry: RETRIABLE,
    }
    const may = only[what]?.includes(from) ?? NEXT[from].includes(to)
    // A run is there to fail once the batch is submitted, and is open once it has started.
    const has = what === "fail its run" ? started.has(from) : what !== "delete its collection" || from !== "DRAFT"
    expect(status).toBe(may && has ? to : from)
    expect(finished_at !== null).toBe(isTerminal(status))
    expect(lifecycle_reason !== null).toBe(status === "SUSPENDED")
    expect(suspended_from !== null).toBe(status === "SUSPENDED")
    if (from !== "DRAFT" || status === "QUEUED") expect(opened.taskStatus(id)).toBe(status)
    const [rows = 0, done = 0, failed = 0, skipped = 0] = opened.counts(id)
    if (isTerminal(status)) expect(rows).toBe(done + failed + skipped)
  },
)

test.each(["QUEUED", "PENDING", "IN_PROGRESS"] as const)("a batch paused when it was %s is that again", (from) => {
  const id = INTO[from]()
  opened.suspension.pause(id)
  expect(opened.suspension.resume(id)).toBe(true)
  expect(opened.row(id)).toMatchObject({ status: from, suspended_from: null, lifecycle_reason: null })
  expect(opened.taskStatus(id)).toBe(from)
  expect(opened.suspension.resume(id)).toBe(false)
})

test("only a retry follows an end, every other state can end, and all are reached from a draft", () => {
  for (const state of BATCH_STATES) {
    expect(NEXT[state]).not.toContain(state)
    if (isTerminal(state)) expect(NEXT[state]).toEqual(RETRIABLE.includes(state) ? ["IN_PROGRESS"] : [])
    else expect(NEXT[state].length).toBeGreaterThan(0)
    expect(isLive(state)).toBe(state !== "DRAFT" && !isTerminal(state))
    for (const next of NEXT[state]) expect(statesBefore(next)).toContain(state)
  }
  const reached = new Set<BatchState>(["DRAFT"])
  for (const state of reached) for (const next of NEXT[state]) reached.add(next)
  expect([...reached].sort()).toEqual([...BATCH_STATES].sort())
})

test("a commit that comes while its batch is suspended counts, and the last one ends the batch", () => {
  const id = INTO.IN_PROGRESS()
  const [first, second] = [leased(opened.ledger.lease()), leased(opened.ledger.lease())]
  expect([first.batch_id, second.batch_id]).toEqual([id, id])
  opened.suspension.pause(id)
  expect(opened.commit(first)).toBe(true)
  expect(opened.row(id).status).toBe("SUSPENDED")
  expect(opened.commit(second)).toBe(true)
  expect(opened.row(id)).toMatchObject({ status: "COMPLETED", lifecycle_reason: null, suspended_from: null })
  expect(opened.counts(id)).toEqual([4, 4, 0, 0])
})

test("a fault of an attempt whose batch was canceled and is being retried is none of the retry's", () => {
  const id = INTO.IN_PROGRESS()
  const late = leased(opened.ledger.lease())
  opened.ledger.cancel(id)
  retry(id)
  const again = leased(opened.ledger.lease())
  const fault = { error_type: "runtime", message: "no", traceback: null, stage: null } as const
  expect(opened.ledger.failRun(late, fault)).toBe(false)
  expect(opened.ledger.release(late)).toBe(false)
  expect(opened.row(id).status).toBe("IN_PROGRESS")
  expect(opened.ledger.failRun(again, fault)).toBe(true)
  expect(opened.row(id).status).toBe("FAILED")
})

const draft = () => opened.draft(opened.source(), 4)

test("the task of a tier that is under way is suspended and resumed with the batch, one that has not begun stays", () => {
  const id = INTO.IN_PROGRESS()
  const [first] = opened.metadata.read.batches.runs(id)
  const task = opened.metadata.read.tasks.get(opened.namespace.internalId, null, String(opened.row(id).task_id))
  if (first === undefined || task === undefined) throw new Error("no run")
  const others = opened.metadata.read.collections.list(opened.namespace.namespaceId).slice(0, 2)
  opened.metadata.transact((tx) => {
    for (const [index, { collection_id }] of others.entries()) {
      const task_id = `${id}_tier_${index + 1}`
      tx.write.tasks.insert({ ...task, task_id, status: index === 0 ? "IN_PROGRESS" : "QUEUED" })
      const started_at = index === 0 ? first.started_at : null
      tx.write.batches.insertRun({ ...first, collection_id, tier: index + 1, task_id, started_at })
    }
  })
  const statuses = () =>
    [1, 2].map((tier) => opened.metadata.read.tasks.get(task.internal_id, null, `${id}_tier_${tier}`)?.status)
  opened.suspension.pause(id)
  expect(statuses()).toEqual(["SUSPENDED", "QUEUED"])
  opened.suspension.resume(id)
  expect(statuses()).toEqual(["IN_PROGRESS", "QUEUED"])
})

function submit(id: string) {
  return opened.batches.submit(opened.namespace, opened.row(id).bucket_id, id, {})
}

/** Of two partitions, so many fail in every row. */
function ended(failed: number): string {
  const id = INTO.IN_PROGRESS()
  for (let count = 0; count < 2; count++) {
    const partition = leased(opened.ledger.lease())
    expect(partition.batch_id).toBe(id)
    opened.commit(partition, count < failed ? 2 : 0)
  }
  return id
}

function retry(id: string): void {
  try {
    opened.batches.retry(opened.namespace, opened.row(id).bucket_id, id, {})
  } catch (error) {
    if (!(error instanceof ApplianceError)) throw error
  }
}

function failRun(id: string): void {
  const partition = inHand.get(id) ?? opened.ledger.lease()
  if (partition === null) return
  opened.ledger.failRun(partition, { error_type: "runtime", message: "no", traceback: null, stage: null })
}

function cancelRun(id: string): void {
  for (const run of opened.metadata.read.batches.runs(id)) opened.ledger.cancelRun(id, run.collection_id)
}
