import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { documentIds } from "../support/batch.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { leased, openLedger } from "./ledger-support.ts"
import { batchOnce, counts, trigger, words } from "./support.ts"

describe("in the ledger", () => {
  test.each([
    ["finish" as const, 10, "FAILED"],
    [{ stop_after: 10 }, 10, "FAILED"],
    [{ stop_after: 3 }, 3, "COMPLETED_WITH_ERRORS"],
    [{ stop_after: 3 }, 4, "stopped"],
    [{ stop_after: 0 }, 0, "COMPLETED"],
    [{ stop_after: 0 }, 1, "stopped"],
    [{ stop_after: "30%" }, 3, "COMPLETED_WITH_ERRORS"],
    [{ stop_after: "29.99%" }, 3, "stopped"],
    [{ stop_after: "100%" }, 10, "FAILED"],
    [{ stop_after: "0%" }, 1, "stopped"],
  ])("%j with %i of 10 rows failed: %s", (failure_policy, failed, expected) => {
    using opened = openLedger()
    const id = opened.start(opened.source(), 10, 5, { failure_policy })
    let left = failed
    for (let partition = opened.ledger.lease(); partition !== null; partition = opened.ledger.lease()) {
      opened.commit(partition, Math.min(left, 5))
      left -= Math.min(left, 5)
    }
    const { status, error } = opened.row(id)
    const [rows, done = 0, lost = 0, skipped = 0] = opened.counts(id)
    expect(rows).toBe(done + lost + skipped)
    expect(status as string).toBe(expected === "stopped" ? "FAILED" : expected)
    expect(opened.taskStatus(id)).toBe(status)
    expect(opened.stopped).toEqual(expected === "stopped" ? [id] : [])
    if (expected === "stopped") expect(error).toContain("failure_policy says stop_after")
  })

  test("the rest of all its runs is skipped, what is done stays, and a late commit is refused", () => {
    using opened = openLedger()
    const id = opened.start(opened.source(2), 10, 5, { failure_policy: { stop_after: 1 } })
    const [good, bad, late] = [1, 2, 3].map(() => leased(opened.ledger.lease()))
    if (good === undefined || bad === undefined || late === undefined) throw new Error("too few partitions")
    opened.commit(good)
    opened.commit(bad, 2)
    expect(opened.row(id)).toMatchObject({ status: "FAILED", error: expect.stringContaining("2 of 20 rows failed") })
    expect(opened.counts(id)).toEqual([20, 8, 2, 10])
    expect(opened.commit(late)).toBe(false)
    expect(opened.counts(id)).toEqual([20, 8, 2, 10])
    expect(opened.ledger.lease()).toBeNull()
  })
})

describe("over HTTP", () => {
  let appliance: TestAppliance
  beforeAll(async () => {
    appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
    await published(appliance, {
      name: "fails_early",
      call: `for text in batch["text"].tolist():
    if int(text.split(" ")[-1]) in (3, 4, 5):
        raise ValueError("not liked")
if int(batch["text"].iloc[-1].split(" ")[-1]) > 600:
    time.sleep(600)
batch["fails_early_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
  })
  afterAll(() => appliance[Symbol.asyncDispose]())

  test("a batch with too many failed rows stops, and its workers end", async () => {
    const { bucket } = await bucketOf(appliance, words(2000))
    const collection = await collectionOf(appliance, bucket, "fails_early")
    const path = await trigger(appliance, bucket, collection, { failure_policy: { stop_after: 2 } })
    const ended = await batchOnce(appliance, path, (batch) => batch.status === "FAILED")
    expect(ended.error).toContain("3 of 2000 rows failed, and failure_policy says stop_after 2")
    const [, done = 0, failed, skipped = 0] = counts(ended)
    expect([failed, done + skipped]).toEqual([3, 1997])
    expect(skipped).toBeGreaterThanOrEqual(1500)
    expect(await documentIds(appliance, collection)).toHaveLength(done)
    expect(ended.failure_policy).toEqual({ stop_after: 2 })
    await eventually(async () => readdirSync(join(appliance.dataDir, "spool")).every((name) => name === "duckdb"), 5000)
  })

  test("it is taken in each spelling wherever a batch begins, a submit goes over the draft, and anything else is 422", async () => {
    const { bucket } = await bucketOf(appliance, words(2))
    const collection = await collectionOf(appliance, bucket, "fails_early")
    const create = (failure_policy: unknown) =>
      appliance.call("POST", `/v1/buckets/${bucket}/batches`, { body: { limit: 1, failure_policy } })
    const taken: [unknown, unknown][] = [
      [undefined, "finish"],
      [null, "finish"],
      ["finish", "finish"],
      [{ stop_after: 0 }, { stop_after: 0 }],
      [{ stop_after: "5%" }, { stop_after: "5%" }],
      ["stop_after: 7", { stop_after: 7 }],
      ["stop_after: 2.5%", { stop_after: "2.5%" }],
    ]
    for (const [asked, answered] of taken) expect((await create(asked)).body.failure_policy).toEqual(answered)
    const refused = [-1, 1.5, "5", "5.123%", "101%", "%", {}, true]
    for (const limit of refused) expect([limit, (await create({ stop_after: limit })).status]).toEqual([limit, 422])
    for (const asked of ["never", 5, "stop_after: -1", "stop_after: 1.5", { stop_after: 1, more: 1 }]) {
      expect([asked, (await create(asked)).status]).toEqual([asked, 422])
    }
    const draft = await create({ stop_after: 1 })
    const path = `/v1/buckets/${bucket}/batches/${draft.body.batch_id}`
    await appliance.call("POST", `${path}/submit`, { body: { failure_policy: "stop_after: 2" } })
    expect((await appliance.call("GET", path)).body.failure_policy).toEqual({ stop_after: 2 })
    const triggered = await appliance.call("POST", `/v1/collections/${collection}/trigger`, {
      body: { failure_policy: { stop_after: "1%" }, priority: 3, max_concurrency: 2 },
    })
    const batch = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${triggered.body.batch_id}`)
    expect(batch.body).toMatchObject({ failure_policy: { stop_after: "1%" }, priority: 3, max_concurrency: 2 })
  })
})
