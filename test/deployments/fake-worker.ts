/** A worker without a process: what its replica tells it is kept, what it answers is the test's. */
import { RunningRevision } from "../../src/deployments/revision.ts"
import { ANSWER_FRAME } from "../../src/frames.ts"
import { createLog } from "../../src/log.ts"
import type { Worker } from "../../src/workers/worker.ts"
import type { WorkerExit } from "../../src/workers/worker-died.ts"

export interface FakeWorker {
  /** Ids of the calls that it was given. */
  readonly calls: number[]
  /** Of these, those that it was told to give up. */
  readonly canceled: number[]
  /** Why it was ended, if it was. */
  failed: string | null
  alive: boolean
  frame(id: number, kind: number, payload: Uint8Array): void
  answer(id: number): void
}

export const JSON_BODY = new TextEncoder().encode("{}")

/** A revision whose workers are these, in the order in which they were started. */
export function fakeRevision(id = "rev_1", memoryBytes = 0, overlaps = false) {
  const workers: FakeWorker[] = []
  const revision = new RunningRevision({
    id,
    inputSchema: null,
    minReplicas: 0,
    maxReplicas: 1,
    idleMs: 0,
    maxBatch: 1,
    computes: true,
    fits: async () => true,
    onFailure: () => undefined,
    log: createLog("silent"),
    async start(replica) {
      const exited = Promise.withResolvers<WorkerExit>()
      const end = (reason: WorkerExit["reason"], message: string) => {
        fake.alive = false
        exited.resolve({ reason, message, code: null, signal: null, outOfMemory: false, lastOutput: "" })
        return exited.promise
      }
      const fake: FakeWorker = {
        calls: [],
        canceled: [],
        failed: null,
        alive: true,
        frame: (call, kind, payload) => replica.onCallFrame(call, kind, payload),
        answer: (call) => replica.onCallFrame(call, ANSWER_FRAME, JSON_BODY),
      }
      workers.push(fake)
      const worker: Partial<Worker> = {
        get alive() {
          return fake.alive
        },
        exited: exited.promise,
        request: (async () => ({
          type: "realtime_constructed",
          form: "",
          batches: false,
          overlaps,
        })) as unknown as Worker["request"],
        call() {
          fake.calls.push(fake.calls.length + 1)
          return fake.calls.length
        },
        cancel: (call) => void fake.canceled.push(call),
        begin: () => undefined,
        memoryBytes: () => memoryBytes,
        fail(reason, message) {
          fake.failed = message
          void end(reason, message)
        },
        end: () => end("ended", "The worker was ended on request."),
      }
      return worker as Worker
    },
  })
  return { revision, workers }
}
