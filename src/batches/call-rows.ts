/** How many rows the steps of a plugin are given at once, at most: what their worker's memory was found to suffice for. */
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { PartitionRun } from "./partition-context.ts"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  /** Of each worker. */
  memoryBytes: number
  log: Log
  now: () => Date
}

export function callRows({ metadata, memoryBytes, log, now }: Deps) {
  const codeOf = ({ namespace, run }: PartitionRun) => ({
    namespace_id: namespace.namespaceId,
    plugin_id: run.plugin_id,
    code_hash: run.code_hash,
  })

  return {
    /** One by one after a death; null: no bound but the class's or the plugin's own. */
    atMost(context: PartitionRun, partition: PartitionRow): number | null {
      if (partition.suspect === 1) return 1
      const learned = metadata.read.batchSizes.learned(codeOf(context), memoryBytes)
      if (learned === null || partition.batch_rows === null) return learned ?? partition.batch_rows
      return Math.min(learned, partition.batch_rows)
    },

    /** Later partitions and batches of the same code begin with that many rows a call. */
    learn(context: PartitionRun, rows: number): void {
      const code = codeOf(context)
      const known = metadata.read.batchSizes.learned(code, memoryBytes)
      if (known !== null && known <= rows) return
      metadata.transact((tx) => tx.write.batchSizes.learn(code, rows, memoryBytes, now().toISOString()))
      log.info({ event: "batch_size_learned", ...code, batch_rows: rows }, "memory suffices for calls of so many rows")
    },
  }
}

export type CallRows = ReturnType<typeof callRows>
