import { expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HostileOutput } from "../../src/batches/collect.ts"
import { partitionWork } from "../../src/batches/partition-work.ts"
import { WorkerDied, type WorkerExit } from "../../src/workers/worker-died.ts"

const EXIT: WorkerExit = {
  reason: "signal",
  code: null,
  signal: "SIGKILL",
  outOfMemory: false,
  message: "The worker was killed by SIGKILL.",
  lastOutput: "",
}

/** A partition of one row whose worker answers that it is done; `then`: what becomes of its results before they are taken. */
async function outcomeOf(alive: boolean, then: (output: string) => Promise<void>) {
  const dataDir = await mkdtemp(join(tmpdir(), "mixpeek-taken-"))
  try {
    const input = join(dataDir, "rows.jsonl")
    await writeFile(input, "{}\n")
    let poisoned = false
    const poison = () => {
      poisoned = true
    }
    const worker = {
      exchange: dataDir,
      alive,
      exited: Promise.resolve(EXIT),
      onProgress: () => () => undefined,
      async request({ output }: { output: string }) {
        await then(output)
        return { type: "partition_done", batch_rows: null }
      },
    }
    const lent = { worker, group: null, next: null, used: false, poison }
    const nothing = () => undefined
    const work = partitionWork({
      metadata: { read: { collections: { get: nothing } } },
      progress: { begin: nothing, hear: nothing },
      workers: { acquire: async () => ({ ...lent, [Symbol.dispose]: nothing }), firstResources: () => "cpu" },
      calls: { atMost: () => null },
      networkOf: () => ({ mode: "none" }),
      dataDir,
      slots: 1,
      silenceMs: 1_000,
      wallMs: 1_000,
      outputBytes: 1_000,
      onLine: nothing,
    } as unknown as Parameters<typeof partitionWork>[0])
    const context = {
      plugin: { manifest: { features: [], compute_profile: null } },
      run: { isolation: "full", source: "{}" },
      plan: {},
      batch: {},
      config: {},
      namespace: {},
    } as unknown as Parameters<typeof work>[0]
    const partition = { partition_id: 1, attempt: 1 } as Parameters<typeof work>[1]
    const rows = { rows: 1, input, chain: {} } as unknown as Parameters<typeof work>[2]
    const slot = async () => ({ [Symbol.dispose]: nothing })
    const outcome = await work(context, partition, rows, dataDir, false, new AbortController().signal, slot)
    return { outcome, poisoned }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

const gone = (output: string) => rm(output, { recursive: true })

test("results that go with a worker that ended after its answer are its death, and its rows are tried again", async () => {
  const { outcome, poisoned } = await outcomeOf(false, gone)
  expect(outcome).toMatchObject({ kind: "died", error: expect.any(WorkerDied), call: null })
  expect(poisoned).toBe(true)
})

test("nor are results taken that are there still: files of them may be gone", async () => {
  expect((await outcomeOf(false, async () => undefined)).outcome.kind).toBe("died")
})

test("of a worker that lives, results that are not there are refused as its output", async () => {
  const { outcome } = await outcomeOf(true, gone)
  expect(outcome).toMatchObject({ kind: "refused", error: expect.any(HostileOutput) })
})
