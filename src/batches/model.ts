import type { BatchEvent, BatchModel } from "../contract/batches.ts"
import { TASK_STATUSES, type TaskStatus } from "../contract/tasks.ts"
import { parseExactly } from "../exact-json.ts"
import { IsolationFacts } from "../isolation-facts.ts"
import type { BatchRow, BatchStepRow, RunRow } from "../metadata/batches.ts"
import type { RunSource } from "../metadata/run-sources.ts"
import { jointStatus } from "./chain.ts"
import { readPolicy } from "./failure-policy.ts"
import type { BatchProgress } from "./progress.ts"
import type { RunError } from "./run-error.ts"
import { isCutShort } from "./states.ts"

/** `object_ids` is answered up to this many (api.md §5). */
export const MAX_ANSWERED_IDS = 1000

export function taskStatus(value: string): TaskStatus {
  return TASK_STATUSES.find((status) => status === value) ?? "UNKNOWN"
}

export interface BatchFacts {
  readonly batch: BatchRow
  readonly runs: readonly RunRow[]
  readonly objectIds: readonly string[]
  readonly errorSummary: readonly { readonly exception: string; readonly count: number }[]
  /** What they did in the partitions that are committed. */
  readonly steps: readonly BatchStepRow[]
  readonly live: LiveProgress
}

/** What workers report and no commit counts yet. */
export type LiveProgress = Pick<BatchProgress, "rowsInProgress" | "stepsInProgress" | "rowsPerSecond" | "told">

export function batchModel({ batch, runs, objectIds, errorSummary, steps, live }: BatchFacts): BatchModel {
  const total = (key: "rows_in" | "rows_done" | "rows_failed" | "rows_skipped" | "documents_written") =>
    runs.reduce((sum, run) => sum + run[key], 0)
  const tiers = [...Map.groupBy(runs, (run) => run.tier).values()]
  return {
    batch_id: batch.batch_id,
    bucket_id: batch.bucket_id,
    namespace_id: batch.namespace_id,
    batch_name: batch.batch_name,
    status: taskStatus(batch.status),
    lifecycle_reason: batch.lifecycle_reason,
    failure_policy: readPolicy(batch.failure_policy),
    priority: batch.priority,
    max_concurrency: batch.max_concurrency,
    object_ids: batch.object_count <= MAX_ANSWERED_IDS ? [...objectIds] : [],
    object_count: batch.object_count,
    collection_ids: batch.collection_ids === null ? null : JSON.parse(batch.collection_ids),
    error: batch.error,
    error_summary:
      errorSummary.length === 0
        ? null
        : Object.fromEntries(errorSummary.map(({ exception, count }) => [exception, count])),
    type: batch.type,
    task_id: batch.task_id,
    metadata: parseExactly(batch.metadata),
    tier_tasks: tiers.map((own, index) => tier(batch, own, tiers[index - 1]?.[0]?.task_id ?? null)),
    current_tier: currentTier(runs),
    total_tiers: Math.max(1, tiers.length),
    dag_tiers: runs.length === 0 ? null : tiers.map((own) => own.map((run) => run.collection_id)),
    max_node_death_resubmits: 0,
    max_deploy_resubmits: 0,
    retry_count: batch.retry,
    documents_written: total("documents_written"),
    progress: progressModel({ batch, runs, steps, live }),
    failed_object_count: total("rows_failed"),
    isolation: runs.find((run) => run.isolation !== null)?.isolation ?? null,
    isolation_facts: isolationFacts(runs.find((run) => run.isolation !== null)),
    rows_in: total("rows_in"),
    rows_done: total("rows_done"),
    rows_failed: total("rows_failed"),
    rows_skipped: total("rows_skipped"),
    created_at: batch.created_at,
    updated_at: batch.updated_at,
    submitted_at: batch.submitted_at,
    completed_at: batch.finished_at,
  }
}

/** The changing part of the model, for who follows a batch. */
export function batchEvent(facts: Pick<BatchFacts, "batch" | "runs" | "steps" | "live">): BatchEvent {
  const { batch, runs } = facts
  const total = (key: "rows_in" | "rows_done" | "rows_failed" | "rows_skipped" | "documents_written") =>
    runs.reduce((sum, run) => sum + run[key], 0)
  return {
    batch_id: batch.batch_id,
    status: taskStatus(batch.status),
    lifecycle_reason: batch.lifecycle_reason,
    error: batch.error,
    progress: progressModel(facts),
    documents_written: total("documents_written"),
    rows_in: total("rows_in"),
    rows_done: total("rows_done"),
    rows_failed: total("rows_failed"),
    rows_skipped: total("rows_skipped"),
  }
}

function progressModel({
  batch,
  runs,
  steps,
  live,
}: Pick<BatchFacts, "batch" | "runs" | "steps" | "live">): BatchModel["progress"] {
  const { batch_id: id, finished_at: finished } = batch
  const sum = (count: (run: RunRow) => number) => runs.reduce((all, run) => all + count(run), 0)
  // What reads documents of this batch has no number before it begins.
  const total = sum((run) => (run.source === null && run.started_at === null ? batch.object_count : run.rows_in))
  const unknown = runs.some((run) => run.source !== null && run.started_at === null)
  const settled = sum((run) => run.rows_done + run.rows_failed + (isCutShort(run.status) ? 0 : run.rows_skipped))
  const working = sum((run) => (run.finished_at === null ? live.rowsInProgress(id, run.collection_id) : 0))
  const processed = Math.min(settled + working, total)
  const rate = batch.status === "IN_PROGRESS" ? live.rowsPerSecond(id) : 0
  const { message, counts } = live.told(id)
  return {
    processed,
    total,
    percent: total === 0 ? (finished === null ? 0 : 100) : Math.round((processed / total) * 10_000) / 100,
    errors: sum((run) => run.rows_failed),
    rows_per_second: rate,
    eta_seconds: rate === 0 || unknown ? null : Math.ceil((total - processed) / rate),
    message,
    reported: counts,
    steps: stepModels(steps, finished === null ? live.stepsInProgress(id) : []),
  }
}

/** Each step once, what is committed and what is under way together. */
function stepModels(committed: readonly BatchStepRow[], underWay: readonly BatchStepRow[]) {
  const steps = new Map<string, BatchStepRow>()
  for (const row of [...committed, ...underWay]) {
    const key = `${row.collection_id}/${String(row.step_index).padStart(2, "0")}`
    const known = steps.get(key)
    const add = (what: "rows" | "rows_failed" | "seconds") => (known?.[what] ?? 0) + row[what]
    steps.set(key, { ...row, rows: add("rows"), rows_failed: add("rows_failed"), seconds: add("seconds") })
  }
  return [...steps]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, { collection_id, step, rows, rows_failed, seconds }]) => ({
      collection_id,
      step,
      rows,
      rows_failed,
      seconds: Math.round(seconds * 1000) / 1000,
    }))
}

/** The lowest tier that has not ended; the last one once all have. */
function currentTier(runs: readonly RunRow[]): number | null {
  const open = runs.filter((run) => run.finished_at === null).map((run) => run.tier)
  if (open.length > 0) return Math.min(...open)
  return runs.length === 0 ? null : Math.max(...runs.map((run) => run.tier))
}

/** `runs` are of one tier. */
function tier(batch: BatchRow, runs: readonly RunRow[], parentTaskId: string | null): BatchModel["tier_tasks"][number] {
  const errors = runs.flatMap(runErrors)
  const num = runs[0]?.tier ?? 0
  const sources = new Set(runs.flatMap((run) => (run.source === null ? [] : sourceOf(run).collection_ids)))
  const started = num === 0 ? batch.submitted_at : earliest(runs.map((run) => run.started_at))
  const ended = runs.every((run) => run.finished_at !== null)
    ? (runs
        .map((run) => run.finished_at ?? "")
        .sort()
        .at(-1) ?? null)
    : null
  return {
    tier_num: num,
    task_id: runs[0]?.task_id ?? batch.task_id,
    status: taskStatus(tierStatus(batch, runs, num)),
    collection_ids: runs.map((run) => run.collection_id),
    source_type: runs.every((run) => run.source === null) ? "bucket" : "collection",
    source_collection_ids: sources.size === 0 ? null : [...sources],
    parent_task_id: parentTaskId,
    extractor_jobs: runs.map((run) => ({
      extractor_type: run.plugin_id,
      collection_ids: [run.collection_id],
      status: taskStatus(run.status),
      started_at: run.started_at,
      completed_at: run.finished_at,
      duration_ms: duration(run.started_at, run.finished_at),
      documents_written: run.documents_written,
      errors: runErrors(run),
      error: runErrors(run)[0]?.message ?? null,
      rows_in: run.rows_in,
      rows_done: run.rows_done,
      rows_failed: run.rows_failed,
      rows_skipped: run.rows_skipped,
      plugin_version: run.plugin_version,
      code_hash: run.code_hash,
      environment: run.environment,
      isolation: run.isolation,
      isolation_facts: isolationFacts(run),
    })),
    started_at: started,
    completed_at: ended,
    duration_ms: duration(started, ended),
    documents_written: runs.reduce((sum, run) => sum + run.documents_written, 0),
    errors,
  }
}

function tierStatus(batch: BatchRow, runs: readonly RunRow[], num: number): string {
  if (runs.every((run) => run.finished_at !== null)) return jointStatus(runs)
  // A tier that waits for the one above it does, whatever the batch is at.
  return num === 0 || runs.some((run) => run.started_at !== null) ? batch.status : "PENDING"
}

function sourceOf(run: RunRow): RunSource {
  return parseExactly(run.source ?? "{}")
}

function earliest(times: readonly (string | null)[]): string | null {
  return times.filter((time) => time !== null).sort()[0] ?? null
}

function isolationFacts(run: RunRow | undefined): IsolationFacts | null {
  return run?.isolation_facts == null ? null : IsolationFacts.parse(JSON.parse(run.isolation_facts))
}

function runErrors(run: RunRow) {
  if (run.error === null) return []
  const error: RunError = JSON.parse(run.error)
  const affected = run.rows_in - run.rows_done
  return [{ ...error, component: run.plugin_id, affected_count: Math.max(affected, 0), affected_document_ids: [] }]
}

function duration(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : new Date(to).getTime() - new Date(from).getTime()
}
