/**
 * What is known of batches under way and not in the ledger yet: rows in workers, what their steps did, what processors say, and how
 * fast it goes. In memory: after a restart it begins anew, and nothing depends on it.
 */
import type { BatchStep } from "../metadata/batches.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Progress } from "../workers/protocol.ts"

/** Rows per second are those of this stretch. */
const WINDOW_MS = 30_000
const SAMPLE_MS = 1_000
/** Batches of which something is remembered; who was heard of longest ago is forgotten first. */
const MAX_BATCHES = 1_000

interface UnderWay {
  readonly batchId: string
  readonly collectionId: string
  readonly attempt: number
  readonly rowsIn: number
  rows: number
  readonly steps: Map<number, BatchStep>
  /** What processors of earlier step groups have told. */
  readonly before: ToldProgress
  done: number | null
  total: number | null
}

interface Pace {
  /** Rows that came through workers since the appliance started, those under way apart. */
  rows: number
  readonly samples: { readonly at: number; readonly rows: number }[]
  message: string | null
  /** Of partitions that are committed. */
  done: number
  total: number
  told: boolean
}

export interface ToldProgress {
  readonly done: number | null
  readonly total: number | null
}

/** `now` in milliseconds, on a clock that never goes back. */
export function batchProgress(now: () => number) {
  const partitions = new Map<number, UnderWay>()
  const paces = new Map<string, Pace>()

  const paceOf = (batchId: string): Pace => {
    const known = paces.get(batchId)
    const pace = known ?? { rows: 0, samples: [], message: null, done: 0, total: 0, told: false }
    paces.delete(batchId)
    paces.set(batchId, pace)
    for (const oldest of paces.keys()) {
      if (paces.size <= MAX_BATCHES) break
      paces.delete(oldest)
    }
    return pace
  }

  const underWay = (batchId: string): UnderWay[] => [...partitions.values()].filter((each) => each.batchId === batchId)

  const rowsUnderWay = (batchId: string) => underWay(batchId).reduce((sum, each) => sum + each.rows, 0)

  const sample = (batchId: string): void => {
    const pace = paceOf(batchId)
    const at = now()
    const last = pace.samples.at(-1)
    if (last !== undefined && at - last.at < SAMPLE_MS) return
    pace.samples.push({ at, rows: pace.rows + rowsUnderWay(batchId) })
    // One from before the stretch stays, to measure from.
    while (pace.samples.length > 2 && at - (pace.samples[1]?.at ?? at) > WINDOW_MS) pace.samples.shift()
  }

  return {
    /** A worker has the partition's rows; that of a later step group adds to what earlier ones have told. */
    begin(partition: PartitionRow, rowsIn: number): void {
      const { partition_id: id, batch_id: batchId, collection_id: collectionId, attempt } = partition
      const known = partitions.get(id)
      const { steps, done, total } = known?.attempt === attempt ? known : { steps: new Map(), done: null, total: null }
      partitions.set(id, {
        batchId,
        collectionId,
        attempt,
        rowsIn,
        rows: 0,
        steps,
        before: { done, total },
        done,
        total,
      })
      sample(batchId)
    },

    /** A worker's word, which may be anything within the protocol. */
    hear(partitionId: number, event: Progress): void {
      const partition = partitions.get(partitionId)
      if (partition?.attempt !== event.attempt) return
      switch (event.type) {
        case "progress":
          partition.rows = Math.min(event.rows, partition.rowsIn)
          break
        case "step_progress": {
          const { index, step, rows, rows_failed, seconds } = event
          partition.steps.set(index, { step, rows, rows_failed, seconds })
          break
        }
        case "actor_progress": {
          const pace = paceOf(partition.batchId)
          pace.told = true
          pace.message = event.message ?? pace.message
          partition.done = sumOf(partition.before.done, event.done)
          partition.total = sumOf(partition.before.total, event.total)
          break
        }
        default:
          event satisfies never
      }
      sample(partition.batchId)
    },

    /** What the steps did in a partition, for its commit. */
    stepsOf: (partitionId: number): ReadonlyMap<number, BatchStep> => partitions.get(partitionId)?.steps ?? new Map(),

    /** The ledger has counted it: so many of its rows are done or failed. */
    committed(partitionId: number, batchId: string, rows: number): void {
      const partition = partitions.get(partitionId)
      const pace = paceOf(batchId)
      partitions.delete(partitionId)
      pace.rows += rows
      pace.done += partition?.done ?? 0
      pace.total += partition?.total ?? 0
      sample(batchId)
    },

    /** Nothing more is heard of that attempt: it was committed, or comes again; after a cancel and a retry it may have come already. */
    end({ partition_id: id, attempt }: Pick<PartitionRow, "partition_id" | "attempt">): void {
      if (partitions.get(id)?.attempt === attempt) partitions.delete(id)
    },

    /** Rows in workers, of a batch or of one collection's share. */
    rowsInProgress: (batchId: string, collectionId: string): number =>
      underWay(batchId).reduce((sum, each) => sum + (each.collectionId === collectionId ? each.rows : 0), 0),

    /** Steps under way, by collection and index. */
    stepsInProgress: (batchId: string) =>
      underWay(batchId).flatMap((each) =>
        [...each.steps].map(([index, step]) => ({ ...step, collection_id: each.collectionId, step_index: index })),
      ),

    /** Of the last half minute; 0 when nothing is heard of. */
    rowsPerSecond(batchId: string): number {
      const first = paces.get(batchId)?.samples[0]
      const pace = paces.get(batchId)
      if (first === undefined || pace === undefined) return 0
      const at = now()
      // What was heard before the stretch counts as of its begin, when nothing has been since.
      const base = pace.samples.findLast((each) => at - each.at >= WINDOW_MS) ?? first
      const seconds = Math.min(at - base.at, WINDOW_MS) / 1000
      const rows = pace.rows + rowsUnderWay(batchId) - base.rows
      return seconds <= 0 ? 0 : Math.max(0, Math.round((rows / seconds) * 100) / 100)
    },

    /** What processors said last, and their counts over all partitions; null when they said nothing. */
    told(batchId: string): { readonly message: string | null; readonly counts: ToldProgress | null } {
      const pace = paces.get(batchId)
      if (pace === undefined || !pace.told) return { message: null, counts: null }
      const open = underWay(batchId)
      const sum = (key: "done" | "total") => {
        const values = open.flatMap((each) => (each[key] === null ? [] : [each[key]]))
        return values.length === 0 && pace[key] === 0 ? null : values.reduce((all, each) => all + each, pace[key])
      }
      const counts = { done: sum("done"), total: sum("total") }
      return { message: pace.message, counts: counts.done === null && counts.total === null ? null : counts }
    },
  }
}

export type BatchProgress = ReturnType<typeof batchProgress>

function sumOf(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : one + other
}
