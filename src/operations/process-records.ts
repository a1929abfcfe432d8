/** Which processes are ours, on disk: a killed appliance leaves none, and if one stays all the same the next start ends it. */
import type { Log } from "../log.ts"
import type { Metadata } from "../metadata/open.ts"
import { endLeftovers, type ProcessRecord, recordProcess } from "../workers/terminate.ts"

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
  log: Log
}

export function processRecords({ metadata, now, log }: Deps) {
  const started = ({ pid, startTime }: ProcessRecord, kind: string) =>
    metadata.transact((tx) =>
      tx.write.processes.insert({ pid, start_time: startTime, kind, created_at: now().toISOString() }),
    )
  const ended = ({ pid, startTime }: ProcessRecord) =>
    metadata.transact((tx) => tx.write.processes.remove(pid, startTime))
  /** Documents are read on a full disk too: a record that cannot be written only hides a leftover. */
  const quietly = (step: () => void) => {
    try {
      step()
    } catch (error) {
      log.warn({ event: "process_not_recorded", err: error }, "a process could not be recorded")
    }
  }
  return {
    started,
    ended,

    /** For a child of ours that was just spawned; answers what to do at its end. */
    spawned: (kind: string) => (pid: number) => {
      const record = recordProcess(pid)
      if (record === null) return () => {}
      quietly(() => started(record, kind))
      return () => quietly(() => ended(record))
    },

    /** Ends what an earlier run left. */
    async recover(): Promise<void> {
      const records = metadata.read.processes.all().map(({ pid, start_time }) => ({ pid, startTime: start_time }))
      const leftovers = await endLeftovers(records)
      metadata.transact((tx) => {
        for (const { pid, startTime } of records) tx.write.processes.remove(pid, startTime)
      })
      if (leftovers.length > 0)
        log.warn({ event: "leftovers_ended", pids: leftovers.map(({ pid }) => pid) }, "ended workers of an earlier run")
    },
  }
}
