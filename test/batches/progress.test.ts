import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { batchProgress } from "../../src/batches/progress.ts"
import type { PartitionRow } from "../../src/metadata/partitions.ts"
import type { Progress } from "../../src/workers/protocol.ts"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"
import { leased, openLedger } from "./ledger-support.ts"
import { batchOnce, trigger, words } from "./support.ts"

const partition = (id: number, batch = "b") =>
  ({ partition_id: id, batch_id: batch, collection_id: "c", attempt: 1 }) as PartitionRow
const rows = (count: number): Progress => ({ type: "progress", partition: "1", attempt: 1, rows: count })
const said = (message: string | null, done: number | null, total: number | null): Progress => ({
  type: "actor_progress",
  partition: "1",
  attempt: 1,
  message,
  done,
  total,
})
const step = (index: number, name: string, count: number, failed: number, seconds: number): Progress => ({
  type: "step_progress",
  partition: "1",
  attempt: 1,
  index,
  step: name,
  rows: count,
  rows_failed: failed,
  seconds,
})

describe("rows per second", () => {
  test("are those of the last half minute, not of the whole time, and none once nothing is heard", () => {
    let at = 0
    const progress = batchProgress(() => at)
    progress.begin(partition(1), 1_000_000)
    // A slow beginning of 100 s, then 100 rows a second.
    for (at = 1000; at <= 100_000; at += 1000) progress.hear(1, rows(at / 1000))
    for (let second = 1; second <= 60; second++) {
      at = 100_000 + second * 1000
      progress.hear(1, rows(100 + second * 100))
    }
    expect(progress.rowsPerSecond("b")).toBeCloseTo(100, 0)
    at += 15_000
    expect(progress.rowsPerSecond("b")).toBeCloseTo(50, -1)
    at += 60_000
    expect(progress.rowsPerSecond("b")).toBe(0)
    // After an hour's rest they are those of the work since.
    at += 3_600_000
    progress.hear(1, rows(6100 + 300))
    expect(progress.rowsPerSecond("b")).toBeCloseTo(10, 0)
  })

  test("go on over the end of a partition, and a partition that is given back never makes them negative", () => {
    let at = 0
    const progress = batchProgress(() => at)
    progress.begin(partition(1), 1000)
    progress.begin(partition(2), 1000)
    at = 5000
    progress.hear(1, rows(900))
    progress.hear(2, rows(100))
    expect(progress.rowsInProgress("b", "c")).toBe(1000)
    progress.committed(1, "b", 1000)
    at = 10_000
    expect(progress.rowsPerSecond("b")).toBeCloseTo(110, 0)
    progress.end(partition(2))
    expect(progress.rowsInProgress("b", "c")).toBe(0)
    expect(progress.rowsPerSecond("b")).toBeCloseTo(100, 0)
    expect(progress.rowsPerSecond("another")).toBe(0)
    // A worker that claims more rows than it was given has no more.
    progress.begin(partition(3), 10)
    progress.hear(3, rows(1e12))
    expect(progress.rowsInProgress("b", "c")).toBe(10)
  })
})

test("what processors say is the last message, and their counts over all partitions", () => {
  const progress = batchProgress(() => 0)
  expect(progress.told("b")).toEqual({ message: null, counts: null })
  progress.begin(partition(1), 10)
  progress.begin(partition(2), 10)
  progress.hear(1, said("loading", null, null))
  expect(progress.told("b")).toEqual({ message: "loading", counts: null })
  progress.hear(1, said("half", 5, 10))
  progress.hear(2, said(null, 1, 10))
  expect(progress.told("b")).toEqual({ message: "half", counts: { done: 6, total: 20 } })
  progress.committed(1, "b", 10)
  expect(progress.told("b")).toEqual({ message: "half", counts: { done: 6, total: 20 } })
  // What an abandoned attempt counted does not count.
  progress.end(partition(2))
  expect(progress.told("b").counts).toEqual({ done: 5, total: 10 })
})

test("counts and steps of a partition's later step groups are added to those of the earlier ones", () => {
  const progress = batchProgress(() => 0)
  progress.begin(partition(1), 10)
  progress.hear(1, said("cutting", 10, 10))
  progress.hear(1, step(0, "Cut", 10, 0, 1))
  progress.begin(partition(1), 10)
  progress.hear(1, said("asking", 3, 10))
  progress.hear(1, said("asking", 4, 10))
  progress.hear(1, step(1, "Ask", 4, 0, 1))
  expect(progress.told("b")).toEqual({ message: "asking", counts: { done: 14, total: 20 } })
  expect(progress.stepsInProgress("b").map((each) => each.step)).toEqual(["Cut", "Ask"])
})

test("the late end of an attempt that was canceled takes nothing from the next one, nor does its worker's late word", () => {
  const progress = batchProgress(() => 0)
  const before = partition(1)
  progress.begin(before, 10)
  progress.hear(1, step(0, "Load", 3, 0, 1))
  const again = { ...before, attempt: 2 }
  progress.begin(again, 10)
  progress.hear(1, { ...step(1, "Embed", 10, 0, 1), attempt: 2 })
  progress.hear(1, step(2, "Late", 10, 0, 1))
  progress.end(before)
  expect([...progress.stepsOf(1).values()].map((each) => each.step)).toEqual(["Embed"])
  progress.end(again)
  expect(progress.stepsOf(1).size).toBe(0)
})

test("steps add up over the partitions that are committed, and what is under way is shown on top", () => {
  using opened = openLedger()
  const id = opened.start(opened.source(), 30, 10)
  const steps = () =>
    opened.batches.get(opened.namespace, null, id).progress.steps.map((each) => Object.values(each).slice(1))
  const [first, second, third] = [1, 2, 3].map(() => leased(opened.ledger.lease()))
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few partitions")
  for (const each of [first, second, third]) {
    opened.progress.begin(each, 10)
    opened.progress.hear(each.partition_id, step(0, "Load", 10, 0, 0.5))
    opened.progress.hear(each.partition_id, step(1, "Embed", 9, 1, 2))
  }
  opened.commit(first, 1)
  opened.ledger.release(second)
  opened.progress.end(second)
  expect(steps()).toEqual([
    ["Load", 20, 0, 1],
    ["Embed", 18, 2, 4],
  ])
  opened.progress.end(third)
  expect(steps()).toEqual([
    ["Load", 10, 0, 0.5],
    ["Embed", 9, 1, 2],
  ])
})

describe("over HTTP", () => {
  let appliance: TestAppliance
  beforeAll(async () => {
    appliance = await startTestAppliance()
  })
  afterAll(() => appliance[Symbol.asyncDispose]())

  test("a batch under way tells its rate, when it will be done, its steps and what its processor says", async () => {
    const files = textPlugin({
      name: "tells",
      call: `time.sleep(0.05)
self.progress_actor.update.remote(len(batch), message=f"at {batch['text'].iloc[0]}")
batch["tells_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const core = "processors/core.py"
    const actor = {
      [core]: String(files[core]).replace(
        "self.config = config",
        "self.config = config\n        self.progress_actor = progress_actor",
      ),
    }
    expect((await upload(appliance, { ...files, ...actor }, { name: "tells" })).status).toBe(200)
    const { bucket } = await bucketOf(appliance, words(2500))
    const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "tells"))
    const { progress } = await batchOnce(
      appliance,
      path,
      (batch) => batch.progress.processed > 700 && batch.status === "IN_PROGRESS",
    )
    expect(progress.rows_per_second).toBeGreaterThan(0)
    expect(progress.eta_seconds).toBeGreaterThan(0)
    expect(progress.eta_seconds).toBeLessThan(120)
    expect(progress.message).toMatch(/^at text number \d+$/)
    expect(progress.reported.done).toBeGreaterThan(0)
    expect(progress.steps.map((each: { step: string }) => each.step)).toEqual(["prepare", "MyProcessor"])

    const ended = await batchOnce(appliance, path, (batch) => batch.status === "COMPLETED")
    expect(ended.progress).toMatchObject({ processed: 2500, percent: 100, rows_per_second: 0, eta_seconds: null })
    expect(ended.progress.reported).toEqual({ done: 2500, total: null })
    expect(ended.progress.steps[1]).toMatchObject({ step: "MyProcessor", rows: 2500, rows_failed: 0 })
    expect(ended.progress.steps[1].seconds).toBeGreaterThan(1)
  })

  test("the logs of a batch are what its own workers printed, and bounded", async () => {
    await published(appliance, {
      name: "prints",
      call: `for text in batch["text"]:
    print("saw", text)
print("complains", file=sys.stderr)
batch["prints_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const { bucket } = await bucketOf(appliance, ["one", "two"])
    const collection = await collectionOf(appliance, bucket, "prints")
    const path = await trigger(appliance, bucket, collection)
    await batchOnce(appliance, path, (batch) => batch.status === "COMPLETED")
    const lines = async (of: string, query = "") => (await appliance.call("GET", `${of}/logs${query}`)).body.logs
    const printed = (await lines(path)).filter((line: { stream: string }) => line.stream === "stdout")
    expect(printed.map((line: { message: string }) => line.message)).toEqual(["saw one", "saw two"])
    expect(printed[0]).toMatchObject({ collection_id: collection, plugin_id: "prints_1_0_0", time: expect.any(String) })
    expect(await lines(path, "?limit=1")).toHaveLength(1)
    expect(await lines(path, "?tier_num=1")).toEqual([])
    expect(await lines(path, "?collection_id=col_other")).toEqual([])

    // The same warm worker, lent to another batch: its lines are that one's.
    const objects = Array.from({ length: 2 }, (_, index) => ({
      blobs: [{ property: "text", type: "text", data: `later ${index}` }],
    }))
    const loaded = await appliance.call("POST", `/v1/buckets/${bucket}/objects/batch`, { body: { objects } })
    const ids = loaded.body.succeeded.map((each: { object_id: string }) => each.object_id)
    const other = await trigger(appliance, bucket, collection, { object_ids: ids })
    await batchOnce(appliance, other, (batch) => batch.status === "COMPLETED")
    expect((await lines(other)).map((line: { message: string }) => line.message)).toContain("saw later 1")
    expect((await lines(path)).some((line: { message: string }) => line.message.includes("later"))).toBe(false)
  })
})
