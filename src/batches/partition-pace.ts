/**
 * How many rows a partition gets when it is leased: as many as its plugin was seen to take a worker about so many seconds for. A
 * partition is what a pause and another namespace wait for, what is told as one step of progress, and what is done again after a
 * death. In memory: after a restart it is measured anew, and no document depends on it.
 */
import { codeFingerprint } from "../collections/fingerprint.ts"
import { parseExactly } from "../exact-json.ts"
import type { RunRow } from "../metadata/batches.ts"
import type { PartitionRow } from "../metadata/partitions.ts"

/** Before anything is measured: at 2 s a row half a minute, and of cheap rows the second partition has all that it may. */
const PROBE_ROWS = 16
/** A partition has at most so many times the rows of the largest one that was measured: the first rows may be unlike the others. */
const GROWTH = 32
/** The last ones of a run are smaller, so that all workers end together: this part of the time aimed at, or more. */
const LEAST_PART = 1 / 10
/** Of the rows that are open, each worker's share comes in so many partitions at least. */
const SHARES_PER_WORKER = 2
/** Each is a file of documents, which every query opens: a run of very many slow rows has larger ones. */
const PARTITIONS_OF_OPEN_ROWS = 1_000
/** Of what was measured; forgetting costs a probe. */
const MAX_KNOWN = 10_000

type Run = Pick<
  RunRow,
  | "collection_id"
  | "plugin_id"
  | "code_hash"
  | "feature_extractor"
  | "rows_in"
  | "rows_done"
  | "rows_failed"
  | "rows_skipped"
>

interface Deps {
  /** That work at once. */
  workers: number
  /** Aimed at, of one worker over one partition. */
  seconds: number
}

export function partitionPace({ workers, seconds: target }: Deps) {
  const known = new Map<string, { readonly rows: number; readonly secondsPerRow: number }>()
  // The rows of one collection are alike, those of another with the same plugin need not be.
  const keyOf = (run: Run) =>
    `${run.collection_id}/${codeFingerprint(run.plugin_id, run.code_hash, parseExactly(run.feature_extractor))}`

  return {
    /**
     * A worker took so long for it. The last one counts, since rows of one kind come in stretches; what is left of a partition
     * that ended its worker is run otherwise, and says nothing of the others.
     */
    measured(run: Run, { rows_in: rows, deaths }: Pick<PartitionRow, "rows_in" | "deaths">, seconds: number): void {
      if (deaths > 0) return
      const key = keyOf(run)
      const before = known.get(key)?.rows ?? 0
      known.delete(key)
      known.set(key, { rows: Math.max(rows, before), secondsPerRow: seconds / rows })
      for (const oldest of known.keys()) {
        if (known.size <= MAX_KNOWN) break
        known.delete(oldest)
      }
    },

    /** Rows for the run's next partition. `atOnce`: that its plugin works on together; they are not taken apart. */
    rowsFor(run: Run, atOnce: number): number {
      const pace = known.get(keyOf(run))
      const whole = (rows: number) => Math.max(1, Math.floor(rows / atOnce)) * atOnce
      if (pace === undefined) return whole(PROBE_ROWS)
      const within = (seconds: number) => seconds / pace.secondsPerRow
      const open = run.rows_in - run.rows_done - run.rows_failed - run.rows_skipped
      const share = Math.ceil(open / (workers * SHARES_PER_WORKER))
      const byTime = Math.floor(Math.min(within(target), Math.max(within(target * LEAST_PART), share)))
      return whole(Math.max(Math.ceil(open / PARTITIONS_OF_OPEN_ROWS), Math.min(pace.rows * GROWTH, byTime)))
    },
  }
}

export type PartitionPace = ReturnType<typeof partitionPace>
