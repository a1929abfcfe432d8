/**
 * Batches over rows of which some are poison, struck at random until the strikes are used up; each batch must end with
 * every row accounted for. Every second batch runs again over a collection that has its documents.
 */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { TERMINAL } from "../support/batch.ts"
import { seededRandom } from "../support/random.ts"
import { smallDisk } from "../support/small-disk.ts"
import { collectionOf, loadPoisonedRows, type PoisonedRows, problemsOf, publishPoisonable } from "./poisoned-rows.ts"
import { KILLS, type Strike, strike } from "./strikes.ts"

const POLL_MS = 50
const BATCH_DEADLINE_MS = 600_000

export interface KillingRun {
  readonly seed: number
  readonly rows: number
  readonly poison: { readonly raises: number; readonly dies: number }
  /** What the plugin takes for a row: a batch must be long enough to be struck. */
  readonly pauseMs: number
  readonly partitionRows: number
  /** How often each; the order is drawn. */
  readonly strikes: Readonly<Record<Strike, number>>
  /** Longest time between two strikes. */
  readonly gapMs: number
  /** Of the filesystem in memory under the data directory. */
  readonly diskMebibytes: number
  readonly say: (line: string) => void
}

export interface KillingSummary {
  readonly batches: number
  readonly polls: number
  /** Strikes that hit something, by kind. */
  readonly struck: ReadonlyMap<Strike, number>
  readonly kills: number
}

/** @throws Error for the first batch that lost, doubled or blamed a row, with the seed that drew it */
export async function killingRun(run: KillingRun): Promise<KillingSummary> {
  const { seed, say } = run
  const random = seededRandom(seed)
  using disk = smallDisk(run.diskMebibytes)
  if (disk === null) say("no filesystem of its own could be mounted here: the disk is never full")
  await using appliance = await startTestAppliance({
    environment: { MIXPEEK_PARTITION_ROWS: String(run.partitionRows), MIXPEEK_WORKERS: "2" },
    arguments: ["--log-level", "error"],
    ...(disk === null ? {} : { dataDir: disk.directory }),
  })
  await publishPoisonable(appliance, run.pauseMs)
  const rows = await loadPoisonedRows(appliance, run.rows, run.poison, random)
  const pending = random.shuffled(
    Object.entries(run.strikes).flatMap(([kind, count]) => Array.from({ length: count }, () => kind as Strike)),
  )
  const struck = new Map<Strike, number>()
  let polls = 0
  let batches = 0
  let collection = ""
  while (pending.length > 0) {
    if (batches++ % 2 === 0) collection = await collectionOf(appliance, rows)
    const started = performance.now()
    const batchId = await triggered(appliance, rows, collection)
    const watch = watchBatch(appliance, rows, batchId)
    let hits = 0
    for (let kind = pending[0]; kind !== undefined; kind = pending[0]) {
      await Bun.sleep(random.below(run.gapMs))
      if (watch.ended) break
      const hit = await strike(kind, {
        appliance,
        random,
        disk,
        whileDead: () => watch.problems.push(...ledgerProblems(appliance, rows, batchId)),
        over: async () => watch.ended,
      })
      if (!hit) break
      pending.shift()
      hits++
      struck.set(kind, (struck.get(kind) ?? 0) + 1)
    }
    const ended = await watch.end()
    polls += watch.polls
    const problems = [...watch.problems, ...(await problemsOf(appliance, rows, collection, ended))]
    if (problems.length > 0) {
      const told = problems.slice(0, 20).join("\n  ")
      throw new Error(
        `seed ${seed}, batch ${batches}, ${problems.length} problems:\n  ${told}\n${appliance.log().slice(-4000)}`,
      )
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    say(`batch ${batches}: ${hits} strikes in ${seconds} s, every row accounted for`)
  }
  const kills = KILLS.reduce((sum, kind) => sum + (struck.get(kind) ?? 0), 0)
  return { batches, polls, struck, kills }
}

async function triggered(appliance: TestAppliance, { bucket }: PoisonedRows, collection: string): Promise<string> {
  const { body, status, text } = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
    body: { collection_ids: [collection] },
  })
  if (status !== 200) throw new Error(text)
  return body.batch_id
}

/** Asks for the batch all the way, and looks whether its account holds at each answer. */
function watchBatch(appliance: TestAppliance, rows: PoisonedRows, batchId: string) {
  const problems: string[] = []
  let settledBefore = 0
  let polls = 0
  let last: Awaited<ReturnType<TestAppliance["call"]>>["body"] = null
  const deadline = performance.now() + BATCH_DEADLINE_MS
  const ended = () => last !== null && TERMINAL.includes(last.status)
  const watching = (async () => {
    while (!ended()) {
      await Bun.sleep(POLL_MS)
      if (performance.now() > deadline) {
        throw new Error(`batch ${batchId} did not end: ${JSON.stringify(last)}\n${appliance.log().slice(-4000)}`)
      }
      // It may be dead at the moment.
      const answer = await appliance.call("GET", `/v1/buckets/${rows.bucket}/batches/${batchId}`).catch(() => null)
      if (answer === null) continue
      polls++
      if (answer.status !== 200) {
        problems.push(`the batch was answered with ${answer.status} ${answer.text}`)
        continue
      }
      last = answer.body
      const settled = last.rows_done + last.rows_failed + last.rows_skipped
      const due = ["QUEUED", "PENDING"].includes(last.status) ? 0 : rows.kinds.length
      const account = `${last.status}: ${last.rows_done} done, ${last.rows_failed} failed, ${last.rows_skipped} skipped of ${last.rows_in}`
      if (last.rows_in !== due || settled > due || (ended() && settled !== due)) problems.push(account)
      if (settled < settledBefore) problems.push(`${account}, after ${settledBefore} were settled`)
      settledBefore = settled
    }
  })()
  // Looked at when the strikes are over; until then it must not end the program.
  watching.catch(() => {})
  return {
    problems,
    get polls() {
      return polls
    },
    get ended() {
      return ended()
    },
    /** The batch as it ended. */
    async end() {
      await watching
      return last
    },
  }
}

/** What the files of a dead appliance say: rows that are settled and rows that are open are all there are. */
function ledgerProblems(appliance: TestAppliance, rows: PoisonedRows, batchId: string): string[] {
  using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
  const run = database
    .query<{ rows_in: number; settled: number; failed: number }, [string]>(
      `SELECT rows_in, rows_done + rows_failed + rows_skipped AS settled, rows_failed AS failed FROM batch_runs WHERE batch_id = ?`,
    )
    .get(batchId)
  const partitions = database
    .query<{ settled: number; open: number }, [string]>(
      `SELECT coalesce(sum(rows_done + rows_failed + rows_skipped) FILTER (WHERE state = 'done'), 0) AS settled,
         coalesce(sum(end_ordinal - first_ordinal) FILTER (WHERE state NOT IN ('done', 'split')), 0) AS open
       FROM partitions WHERE batch_id = ?`,
    )
    .get(batchId)
  const errors = database
    .query<{ count: number }, [string]>("SELECT count(*) AS count FROM row_errors WHERE batch_id = ?")
    .get(batchId)
  if (run === null || partitions === null || errors === null) return ["the batch is not in the ledger"]
  const due = run.rows_in === 0 ? 0 : rows.kinds.length
  const holds =
    partitions.settled === run.settled && run.settled + partitions.open === due && errors.count === run.failed
  return holds ? [] : [`killed, the ledger had ${JSON.stringify({ run, partitions, errors })}`]
}
