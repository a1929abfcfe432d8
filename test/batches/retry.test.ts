import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { documentIds, waitForBatch } from "../support/batch.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"

let appliance: TestAppliance
let count = 0

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

/** Raises for texts that hold one of the words, as the exception of that name. */
const failing = (name: string, ...words: string[]) => `for text in batch["text"].tolist():
    for word in ${JSON.stringify(words)}:
        if word in text:
            raise {"memory": MemoryError}.get(word, ValueError)(word)
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
return batch`

async function setUp(name: string, texts: readonly string[], call: string) {
  await published(appliance, { name, call })
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `${name} ${++count}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucketId: string = bucket.body.bucket_id
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts.slice(at, at + 100).map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
    const loaded = await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
    expect(loaded.body.succeeded_count).toBe(objects.length)
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `${name}_${++count}`,
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  if (collection.status !== 200) throw new Error(collection.text)
  const collectionId: string = collection.body.collection_id
  const started = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
    body: { collection_ids: [collectionId] },
  })
  if (started.status !== 200) throw new Error(started.text)
  const path = `/v1/buckets/${bucketId}/batches/${started.body.batch_id}`
  return {
    bucketId,
    collectionId,
    batchId: started.body.batch_id as string,
    path,
    ended: () => waitForBatch(appliance, bucketId, started.body.batch_id),
    retry: (body?: object) => appliance.call("POST", `${path}/retry`, body === undefined ? {} : { body }),
    failed: async (query = "") => (await appliance.call("GET", `${path}/failed-documents${query}`)).body,
  }
}

function counts(batch: {
  rows_in: number
  rows_done: number
  rows_failed: number
  rows_skipped: number
}): [rows: number, done: number, failed: number, skipped: number] {
  expect(batch.rows_in).toBe(batch.rows_done + batch.rows_failed + batch.rows_skipped)
  return [batch.rows_in, batch.rows_done, batch.rows_failed, batch.rows_skipped]
}

/** Other code under the same version. */
async function replaced(name: string, call: string): Promise<void> {
  const plugin = `/v1/namespaces/${appliance.namespaceId}/plugins/${name}_1_0_0`
  const removed = await appliance.call("DELETE", plugin)
  if (removed.status >= 300) throw new Error(removed.text)
  const answer = await upload(appliance, textPlugin({ name, call }), { name })
  if (answer.status !== 200) throw new Error(answer.text)
}

function partitions(batchId: string) {
  using database = new Database(join(appliance.dataDir, "metadata.sqlite"), { readonly: true })
  return database.query("SELECT * FROM partitions WHERE batch_id = ? ORDER BY partition_id").all(batchId) as {
    retry: number
    state: string
    rows_in: number
    rows_done: number
    rows_failed: number
    rows_skipped: number
  }[]
}

const words = (rows: number, poison: (index: number) => string = () => "") =>
  Array.from({ length: rows }, (_, index) => `text number ${index} ${poison(index)}`)

describe("a retry", () => {
  test("after a fix under the same version runs only the failed rows, in the new code, in few partitions", async () => {
    const name = "fixed_in_place"
    const poisoned = (index: number) => (index % 97 === 5 ? "bad" : "")
    const batch = await setUp(name, words(1500, poisoned), failing(name, "bad"))
    const first = await batch.ended()
    expect(counts(first)).toEqual([1500, 1484, 16, 0])
    const before = first.tier_tasks[0].extractor_jobs[0].code_hash
    const kept = await documentIds(appliance, batch.collectionId)
    await replaced(name, failing(name, "nothing"))

    const answer = await batch.retry()
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      batch_id: batch.batchId,
      task_id: first.task_id,
      status: "IN_PROGRESS",
      retried_rows: 16,
      skipped_rows: 0,
      runs: [{ code_changed: true, failed_rows: 16, unprocessed_rows: 0 }],
    })
    const second = await batch.ended()
    expect(second.status).toBe("COMPLETED")
    expect(counts(second)).toEqual([1500, 1500, 0, 0])
    expect(second).toMatchObject({ documents_written: 1500, retry_count: 1, error_summary: null })
    expect(second.tier_tasks[0].extractor_jobs[0].code_hash).not.toBe(before)
    expect((await batch.failed()).total).toBe(0)
    expect((await appliance.call("GET", `/v1/tasks/${first.task_id}`)).body.status).toBe("COMPLETED")
    const ids = await documentIds(appliance, batch.collectionId)
    expect(new Set(ids).size).toBe(1500)
    // What had succeeded was not run again: its documents are those of before.
    expect(kept.every((id) => ids.includes(id))).toBe(true)
    const made = partitions(batch.batchId)
    expect(made.filter((partition) => partition.retry === 1).map((partition) => partition.rows_in)).toEqual([16])
    for (const { state, rows_in, rows_done, rows_failed, rows_skipped } of made) {
      if (state === "done") expect(rows_done + rows_failed + rows_skipped).toBe(rows_in)
    }
  })

  test("runs in the version that the collection was moved to, and what fails again fails with its new error", async () => {
    const name = "moved_on"
    const batch = await setUp(name, ["good", "bad one", "worse one"], failing(name, "bad", "worse"))
    expect(counts(await batch.ended())).toEqual([3, 1, 2, 0])
    await published(appliance, {
      name,
      version: "1.1.0",
      call: failing(name, "worse").replace("(word)", "('still ' + word)"),
    })
    const moved = await appliance.call("PATCH", `/v1/collections/${batch.collectionId}`, {
      body: { feature_extractor: { feature_extractor_name: name, version: "1.1.0" } },
    })
    expect(moved.status).toBe(200)
    expect((await batch.retry()).body.runs[0]).toMatchObject({ plugin_version: "1.1.0", failed_rows: 2 })
    const ended = await batch.ended()
    expect(counts(ended)).toEqual([3, 2, 1, 0])
    expect(ended.tier_tasks[0].extractor_jobs[0]).toMatchObject({
      plugin_version: "1.1.0",
      status: "COMPLETED_WITH_ERRORS",
    })
    const { failed_documents: errors } = await batch.failed()
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ error: "still worse", plugin_version: "1.1.0", retry_count: 1 })
  })

  test("takes what may pass by itself alone when asked to, and leaves rows that were retried often enough", async () => {
    const name = "half_transient"
    const batch = await setUp(name, ["good", "bad", "memory"], failing(name, "bad", "memory"))
    expect(counts(await batch.ended())).toEqual([3, 1, 2, 0])
    const passing = await batch.retry({ retry_mode: "transient_only", max_retry_count: 1 })
    expect(passing.body).toMatchObject({
      retried_rows: 1,
      skipped_rows: 1,
      skipped: [{ reason: "not_transient", rows: 1 }],
    })
    expect(counts(await batch.ended())).toEqual([3, 1, 2, 0])
    const again = await batch.retry({ retry_mode: "transient_only", max_retry_count: 1 })
    expect(again.body).toMatchObject({
      retried_rows: 0,
      status: "COMPLETED_WITH_ERRORS",
      skipped: [
        { reason: "retry_limit", rows: 1 },
        { reason: "not_transient", rows: 1 },
      ],
    })
    expect((await batch.retry({ max_retry_count: 11 })).status).toBe(422)
  })

  test("of a run that failed as a whole runs what was never tried, once the reason is gone", async () => {
    const name = "was_broken"
    const batch = await setUp(name, words(30), "import torchx_not_there\nreturn batch")
    expect(counts(await batch.ended())).toEqual([30, 0, 0, 30])
    await replaced(name, failing(name, "number 7 "))
    expect((await batch.retry()).body).toMatchObject({ retried_rows: 30, runs: [{ unprocessed_rows: 30 }] })
    const ended = await batch.ended()
    expect(counts(ended)).toEqual([30, 29, 1, 0])
    expect(ended.error).toBeNull()
  })

  test("that fails as a whole leaves the rows failed with the errors that they had", async () => {
    const name = "breaks_later"
    const batch = await setUp(name, ["good", "bad"], failing(name, "bad"))
    expect(counts(await batch.ended())).toEqual([2, 1, 1, 0])
    await replaced(name, "import torchx_not_there\nreturn batch")
    await batch.retry()
    const ended = await batch.ended()
    expect(ended.status).toBe("FAILED")
    expect(counts(ended)).toEqual([2, 1, 1, 0])
    expect((await batch.failed()).failed_documents[0]).toMatchObject({ exception: "ValueError", retry_count: 0 })
    await replaced(name, failing(name, "nothing"))
    expect((await batch.retry()).body.retried_rows).toBe(1)
    expect(counts(await batch.ended())).toEqual([2, 2, 0, 0])
  })

  test("asked for twice at once happens once, and one without failed rows changes nothing", async () => {
    const name = "asked_twice"
    const batch = await setUp(name, ["good", "bad"], failing(name, "bad"))
    await batch.ended()
    await replaced(name, `time.sleep(1)\n${failing(name, "nothing")}`)
    const answers = await Promise.all([batch.retry(), batch.retry()])
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400])
    expect(answers.find((answer) => answer.status === 400)?.body.error.message).toContain("IN_PROGRESS")
    const running = (await appliance.call("GET", batch.path)).body
    expect(running.rows_failed + running.rows_done).toBeLessThanOrEqual(2)
    expect(counts(await batch.ended())).toEqual([2, 2, 0, 0])
    const nothing = await batch.retry()
    expect(nothing.status).toBe(200)
    expect(nothing.body).toMatchObject({ status: "COMPLETED", retried_rows: 0, skipped: [], retry_count: 1 })
  })

  test("that is canceled gives its rows back as failed, for another retry; a draft is refused", async () => {
    const name = "canceled_retry"
    const batch = await setUp(name, ["good", "bad"], failing(name, "bad"))
    await batch.ended()
    await replaced(name, "time.sleep(60)\nreturn batch")
    await batch.retry()
    expect((await batch.failed()).total).toBe(0)
    await appliance.call("POST", `${batch.path}/cancel`)
    const ended = await batch.ended()
    expect(ended.status).toBe("CANCELED")
    expect(counts(ended)).toEqual([2, 1, 1, 0])
    expect((await batch.failed()).failed_documents[0]).toMatchObject({ error: "bad", retry_count: 0 })
    await replaced(name, failing(name, "nothing"))
    expect((await batch.retry()).body).toMatchObject({ retried_rows: 1, retry_count: 2 })
    const again = await batch.ended()
    expect(again.status).toBe("COMPLETED")
    expect(counts(again)).toEqual([2, 2, 0, 0])
    const draft = await appliance.call("POST", `/v1/buckets/${batch.bucketId}/batches`, { body: {} })
    const refused = await appliance.call("POST", `/v1/buckets/${batch.bucketId}/batches/${draft.body.batch_id}/retry`)
    expect(refused.status).toBe(400)
    expect(refused.body.error.message).toContain("submit it first")
  })

  test("of a canceled batch runs what failed and what was never tried, and nothing twice", async () => {
    const name = "canceled_early"
    // The second partition waits for the cancel.
    const call = `if "wait" in "".join(batch["text"].tolist()):\n    time.sleep(60)\n${failing(name, "number 7 ")}`
    const batch = await setUp(name, [...words(500), ...words(100).map((text) => `wait ${text}`)], call)
    await eventually(async () => (await appliance.call("GET", batch.path)).body.rows_done > 400)
    await appliance.call("POST", `${batch.path}/cancel`)
    const canceled = await batch.ended()
    expect(canceled.status).toBe("CANCELED")
    const [rows, done, failed, skipped] = counts(canceled)
    expect([rows, done + failed + skipped]).toEqual([600, 600])
    expect(skipped).toBeGreaterThan(0)
    expect(canceled.progress).toMatchObject({ total: 600, processed: done + failed })
    expect(canceled.progress.percent).toBeLessThan(100)
    const before = await documentIds(appliance, batch.collectionId)
    await replaced(name, failing(name, "nothing"))
    expect((await batch.retry()).body).toMatchObject({ retried_rows: failed + skipped })
    const ended = await batch.ended()
    expect(ended.status).toBe("COMPLETED")
    expect(counts(ended)).toEqual([600, 600, 0, 0])
    const after = await documentIds(appliance, batch.collectionId)
    expect(new Set(after).size).toBe(600)
    expect(after.length).toBe(600)
    expect(before.every((id) => after.includes(id))).toBe(true)
  })

  test("of a batch that was canceled before it started is refused", async () => {
    const name = "canceled_draft"
    const batch = await setUp(name, ["good"], failing(name, "bad"))
    await batch.ended()
    const draft = await appliance.call("POST", `/v1/buckets/${batch.bucketId}/batches`, { body: {} })
    const path = `/v1/buckets/${batch.bucketId}/batches/${draft.body.batch_id}`
    expect((await appliance.call("POST", `${path}/cancel`)).status).toBe(200)
    const refused = await appliance.call("POST", `${path}/retry`)
    expect(refused.status).toBe(400)
    expect(refused.body.error.message).toContain("before it started")
  })

  test("says what it leaves because there is no code to run it in", async () => {
    const name = "plugin_gone"
    const batch = await setUp(name, ["good", "bad"], failing(name, "bad"))
    await batch.ended()
    await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/${name}_1_0_0`)
    expect((await batch.retry()).body).toMatchObject({
      retried_rows: 0,
      skipped: [{ reason: "plugin_missing", rows: 1 }],
    })
    expect(await eventually(async () => (await batch.failed()).total)).toBe(1)
  })
})
