import type { RequestOptions } from "./worker-process.ts"

export type PartitionLimits = Pick<RequestOptions, "silenceMs" | "deadlineMs" | "setBy">

/** How long a worker may take for a partition, in a batch and in `plugin test` alike. */
export function partitionLimits(silenceMs: number, deadlineMs: number): PartitionLimits {
  const setBy = { silence: "MIXPEEK_PARTITION_DEADLINE_SECONDS", deadline: "MIXPEEK_PARTITION_WALL_SECONDS" }
  // A plugin that reports rows is slow, not stuck: the limit is for silence.
  return { silenceMs, deadlineMs, setBy }
}
