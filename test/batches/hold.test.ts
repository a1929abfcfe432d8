import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { batchOnce, counts, trigger, words } from "./support.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance()
  await published(appliance, {
    name: "always_dies",
    call: `signal.raise_signal(signal.SIGKILL)
return batch`,
  })
})
afterAll(() => appliance[Symbol.asyncDispose]())

test("a plugin that keeps dying holds its batch with the reason; resume tries again, cancel ends it", async () => {
  const { bucket } = await bucketOf(appliance, words(24))
  const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "always_dies"))
  const held = await batchOnce(appliance, path, (batch) => batch.status === "SUSPENDED", 90_000)
  expect(held.lifecycle_reason).toMatch(/^held: 10 rows of 'always_dies_1_0_0' failed alone.*SIGKILL/)
  expect(held).toMatchObject({ error: null, rows_in: 24, rows_done: 0, rows_failed: 10, rows_skipped: 0 })
  expect((await appliance.call("GET", `/v1/tasks/${held.task_id}`)).body.status).toBe("SUSPENDED")

  // The breaker counts anew: the next row that fails does not hold the batch again.
  expect((await appliance.call("POST", `${path}/resume`)).body.status).toBe("IN_PROGRESS")
  expect((await batchOnce(appliance, path, (batch) => batch.rows_failed >= 12)).status).toBe("IN_PROGRESS")

  await appliance.call("POST", `${path}/cancel`)
  const ended = (await appliance.call("GET", path)).body
  expect(ended).toMatchObject({ status: "CANCELED", lifecycle_reason: null })
  expect(ended.rows_failed + ended.rows_skipped).toBe(24)
  await eventually(async () => (await appliance.call("GET", `/v1/tasks/${held.task_id}`)).body.status === "CANCELED")
}, 600_000)

test("what could never go on fails the batch instead of holding it", async () => {
  await published(appliance, { name: "needs_torchx", call: "import torchx_not_there\nreturn batch" })
  const { bucket } = await bucketOf(appliance, words(20))
  const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "needs_torchx"))
  const ended = await batchOnce(appliance, path, (batch) => batch.status === "FAILED")
  expect(counts(ended)).toEqual([20, 0, 0, 20])
})
