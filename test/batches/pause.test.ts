import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { documentIds, rowsOfDonePartitions, waitForBatch } from "../support/batch.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { batchOnce, counts, trigger, words } from "./support.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await published(appliance, {
    name: "takes_time",
    call: `time.sleep(0.05)
batch["takes_time_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
  })
  await published(appliance, { name: "never_done", call: "time.sleep(600)\nreturn batch" })
})
afterAll(() => appliance[Symbol.asyncDispose]())

const task = async (id: string) => (await appliance.call("GET", `/v1/tasks/${id}`)).body.status
const idle = () => readdirSync(join(appliance.dataDir, "spool")).every((name) => name === "duckdb")

test("a batch that is paused stops within a second, keeps what is committed, and goes on to the same documents", async () => {
  const { bucket } = await bucketOf(appliance, words(3000))
  const collection = await collectionOf(appliance, bucket, "takes_time")
  const path = await trigger(appliance, bucket, collection)
  await batchOnce(appliance, path, (batch) => batch.rows_done >= 500 && batch.status === "IN_PROGRESS")
  const asked = performance.now()
  const paused = await appliance.call("POST", `${path}/pause`)
  expect(paused.body).toMatchObject({ status: "SUSPENDED", lifecycle_reason: "paused" })
  expect(await task(paused.body.task_id)).toBe("SUSPENDED")
  await eventually(async () => idle(), 10_000)
  expect(performance.now() - asked).toBeLessThan(2000)
  const resting = (await appliance.call("GET", path)).body
  expect(resting.rows_done).toBeLessThan(3000)
  expect(resting.rows_done).toBe(rowsOfDonePartitions(appliance, resting.batch_id))
  expect((await appliance.call("POST", `${path}/pause`)).body).toMatchObject({ status: "SUSPENDED" })
  // Its slots are others' meanwhile.
  const { bucket: other } = await bucketOf(appliance, words(10))
  const between = await trigger(appliance, other, await collectionOf(appliance, other, "takes_time"))
  await batchOnce(appliance, between, (batch) => batch.status === "COMPLETED")
  expect((await appliance.call("GET", path)).body).toMatchObject({ rows_done: resting.rows_done, status: "SUSPENDED" })

  const resumed = await appliance.call("POST", `${path}/resume`)
  expect(resumed.body).toMatchObject({ status: "IN_PROGRESS", lifecycle_reason: null })
  expect((await appliance.call("POST", `${path}/resume`)).status).toBe(200)
  const ended = await batchOnce(appliance, path, (batch) => batch.status === "COMPLETED")
  expect(counts(ended)).toEqual([3000, 3000, 0, 0])
  expect(new Set(await documentIds(appliance, collection)).size).toBe(3000)
  for (const what of ["pause", "resume"]) {
    const refused = await appliance.call("POST", `${path}/${what}`)
    expect([refused.status, refused.body.error.message]).toEqual([400, expect.stringContaining("is COMPLETED")])
  }
})

test("a worker in the middle of a long call ends for a pause, and again for a cancel of the suspended batch", async () => {
  const { bucket } = await bucketOf(appliance, words(20))
  const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "never_done"))
  const running = await batchOnce(appliance, path, (batch) => batch.isolation !== null)
  await appliance.call("POST", `${path}/pause`)
  await eventually(async () => idle(), 5000)
  expect((await appliance.call("DELETE", path)).body.error.message).toContain("SUSPENDED")
  const retried = await appliance.call("POST", `${path}/retry`, {})
  expect([retried.status, retried.body.error.message]).toEqual([
    400,
    expect.stringContaining("resume it, or cancel it"),
  ])
  expect((await appliance.call("POST", `${path}/cancel`)).body.status).toBe("CANCELED")
  const batch = (await appliance.call("GET", path)).body
  expect(batch).toMatchObject({ status: "CANCELED", lifecycle_reason: null })
  expect(counts(batch)).toEqual([20, 0, 0, 20])
  expect(await task(running.task_id)).toBe("CANCELED")
  expect((await appliance.call("DELETE", path)).status).toBe(200)
})

test("a draft cannot be paused, and a batch paused right after its submit runs when it is resumed", async () => {
  const { bucket } = await bucketOf(appliance, words(30))
  const collection = await collectionOf(appliance, bucket, "takes_time")
  const draft = await appliance.call("POST", `/v1/buckets/${bucket}/batches`, {
    body: { filters: { field: "text", operator: "exists", value: true }, collection_ids: [collection] },
  })
  const path = `/v1/buckets/${bucket}/batches/${draft.body.batch_id}`
  expect((await appliance.call("POST", `${path}/pause`)).body.error.message).toContain("not submitted")
  await appliance.call("POST", `${path}/submit`)
  const paused = await appliance.call("POST", `${path}/pause`)
  expect(paused.body.status).toBe("SUSPENDED")
  await appliance.call("POST", `${path}/resume`)
  const ended = await waitForBatch(appliance, bucket, draft.body.batch_id)
  expect(ended).toMatchObject({ status: "COMPLETED", rows_in: 30, rows_done: 30 })
})

test("a suspended batch ends when its collection is deleted, or its bucket", async () => {
  for (const deleted of ["collection", "bucket"]) {
    const { bucket } = await bucketOf(appliance, words(5))
    const collection = await collectionOf(appliance, bucket, "never_done")
    const path = await trigger(appliance, bucket, collection)
    const { body } = await appliance.call("POST", `${path}/pause`)
    const address = deleted === "bucket" ? `/v1/buckets/${bucket}` : `/v1/collections/${collection}`
    expect((await appliance.call("DELETE", address)).status).toBeLessThan(300)
    await eventually(async () => (await task(body.task_id)) === "CANCELED", 10_000)
  }
})
