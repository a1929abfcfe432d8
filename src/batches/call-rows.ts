/** How many rows the steps of a plugin are given at once, at most: what their worker's memory was found to suffice for. */
import type { LearnedRows } from "../metadata/batch-sizes.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { PartitionRun } from "./partition-context.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  /** Of each worker. */
  memoryBytes: number
}

export function callRows({ metadata, memoryBytes }: Deps) {
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

    /** What later partitions and batches of the same code are to know of one that went well with `rows` a call; null: nothing new. */
    lesson(context: PartitionRun, rows: number | null): LearnedRows | null {
      const code = codeOf(context)
      const known = metadata.read.batchSizes.learned(code, memoryBytes)
      if (rows === null || (known !== null && known <= rows)) return null
      return { ...code, batch_rows: rows, memory_bytes: memoryBytes }
    },
  }
}

export type CallRows = ReturnType<typeof callRows>
