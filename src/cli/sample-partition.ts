/**
 * Rows through the steps, with what a batch makes of a row that ends its worker: the row is found, and the others run without
 * it. Unlike there rows are not halved: they go one by one from the first death on, and the call that a worker died in is then
 * the row's own.
 */
import { mkdtemp, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { z } from "zod"
import { type CallMark, openCallMark } from "../batches/call-mark.ts"
import { deathFault, failureFault, ranOutOfMemory } from "../batches/partition-faults.ts"
import type { ReplyTo, WorkerFailure } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import { WorkerDied } from "../workers/worker-died.ts"
import type { LocalPython } from "./local-python.ts"

/** Each costs a worker, or a deadline; then what is left of the rows is not tried. */
const MOST_DEATHS = 3

export const RowError = z.object({
  row: z.int(),
  exception: z.string(),
  message: z.string(),
  traceback: z.string().nullish(),
})
export type RowError = z.infer<typeof RowError>

export interface SamplePartition {
  readonly rows: readonly Record<string, unknown>[]
  readonly assetRoots: Record<string, string>
  readonly features: readonly { feature_name: string; embedding_dim: number }[]
}

/** What each attempt is for: the rows that are left, and how many a call has at most. */
interface Attempt {
  readonly rows: readonly Record<string, unknown>[]
  readonly batchRows: number | null
}

type Done = Extract<ReplyTo<"run_partition">, { type: "partition_done" }>
/** As a batch has them: with the exception and the traceback. */
type Fault = Omit<RowError, "row">

export type SampleOutcome =
  | { readonly kind: "failed"; readonly error: WorkerFailure }
  | {
      readonly kind: "ran"
      /** Null when no rows were left for an attempt that ended well. */
      readonly reply: Done | null
      readonly output: string
      /** By row. */
      readonly errors: readonly RowError[]
      readonly untried: number
      /** What ended the worker when it had several rows at once, and did not with one; else null. */
      readonly together: Fault | null
    }

/**
 * `workers` gives one that has built its steps, another for each attempt.
 * @throws WorkerDied when nothing tells in which row's call
 */
export async function runPartition(
  workers: () => Promise<Worker>,
  python: LocalPython,
  partition: SamplePartition,
): Promise<SampleOutcome> {
  const faults: RowError[] = []
  let together: Fault | null = null
  let attempt: Attempt = { rows: partition.rows, batchRows: null }
  for (;;) {
    const output = await mkdtemp(join(python.scratch, "output-"))
    await using mark = await openCallMark(output)
    const end = await tried(workers, python, partition, attempt, output)
    if (end.kind === "failed") return end
    if (end.kind === "done") {
      const errors = [...faults, ...(await rowErrors(join(output, "errors.jsonl")))].sort((a, b) => a.row - b.row)
      return {
        kind: "ran",
        reply: end.reply,
        output,
        errors,
        untried: 0,
        together: faults.length > 0 ? null : together,
      }
    }
    const row = rowAlone(attempt, await mark.read())
    if (row !== null) {
      faults.push({ ...end.fault, row })
      const rows = attempt.rows.filter(({ __row }) => __row !== row)
      if (rows.length === 0 || faults.length === MOST_DEATHS)
        return { kind: "ran", reply: null, output, errors: faults, untried: rows.length, together: null }
      attempt = { rows, batchRows: 1 }
    } else if (attempt.batchRows === null) {
      together = end.fault
      attempt = { ...attempt, batchRows: 1 }
    } else {
      return end.unattributed()
    }
  }
}

/** Whose call it was, where it was one row's. What is said of it is plugin code's word, and holds for rows that there are. */
function rowAlone({ rows }: Attempt, call: CallMark | null): number | null {
  const row = rows.length === 1 ? rows[0]?.__row : call?.rows === 1 ? call.first : null
  return typeof row === "number" && rows.some(({ __row }) => __row === row) ? row : null
}

type End =
  | { readonly kind: "done"; readonly reply: Done }
  | { readonly kind: "failed"; readonly error: WorkerFailure }
  /** Of rows: a death, or too little memory. */
  | { readonly kind: "ended"; readonly fault: Fault; readonly unattributed: () => SampleOutcome }

async function tried(
  workers: () => Promise<Worker>,
  python: LocalPython,
  { assetRoots, features }: SamplePartition,
  { rows, batchRows }: Attempt,
  output: string,
): Promise<End> {
  const input = `${output}.jsonl`
  await writeFile(input, rows.map((row) => `${JSON.stringify(row)}\n`).join(""))
  await using worker = await workers()
  try {
    const reply = await worker.request(
      {
        type: "run_partition",
        partition: "sample",
        attempt: 1,
        input,
        output,
        features: [...features],
        concurrency: null,
        call_seconds: null,
        asset_roots: assetRoots,
        batch_rows: batchRows,
      },
      { ...python.partitionLimits, signal: python.signal },
    )
    if (reply.type !== "failed") return { kind: "done", reply }
    const failed = { kind: "failed", error: reply.error } as const
    return ranOutOfMemory(reply.error)
      ? { kind: "ended", fault: failureFault(reply.error), unattributed: () => failed }
      : failed
  } catch (error) {
    python.signal.throwIfAborted()
    if (!(error instanceof WorkerDied)) throw error
    const unattributed = () => {
      throw error
    }
    return { kind: "ended", fault: deathFault(error), unattributed }
  }
}

async function rowErrors(path: string): Promise<RowError[]> {
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line !== "")
  return lines.map((line) => RowError.parse(JSON.parse(line)))
}
