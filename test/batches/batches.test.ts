import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { documentIds, TERMINAL, waitForBatch } from "../support/batch.ts"
import { collectionOf } from "../support/collections.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"
import { batchOnce, trigger, words } from "./support.ts"

let appliance: TestAppliance
let count = 0

beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

async function bucketWith(texts: readonly string[], fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `bucket_${++count}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts
      .slice(at, at + 100)
      .map((data) => ({ blobs: [{ property: "text", type: "text", data }], ...fields }))
    const loaded = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, { body: { objects } })
    expect(loaded.body.succeeded_count).toBe(objects.length)
  }
  return body.bucket_id
}

const collectionOver = (bucket: string, name: string, extractor: Record<string, unknown> = {}) =>
  collectionOf(appliance, bucket, name, extractor)

async function runBatch(bucket: string, collection: string) {
  return batchOnce(appliance, await trigger(appliance, bucket, collection), ({ status }) => TERMINAL.includes(status))
}

function counts(batch: { rows_in: number; rows_done: number; rows_failed: number; rows_skipped: number }) {
  expect(batch.rows_in).toBe(batch.rows_done + batch.rows_failed + batch.rows_skipped)
  return [batch.rows_in, batch.rows_done, batch.rows_failed, batch.rows_skipped]
}

describe("a batch that goes well", () => {
  test("gives one document per object, with features at the root and vectors on request", async () => {
    await published(appliance, { name: "plain_text" })
    const bucket = await bucketWith(["short", "a text that is longer than ten characters"])
    const collection = await collectionOver(bucket, "plain_text", { parameters: { threshold: 0.5 } })
    const batch = await runBatch(bucket, collection)
    expect(batch.status).toBe("COMPLETED")
    expect(counts(batch)).toEqual([2, 2, 0, 0])
    const listed = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { return_vectors: true },
    })
    const labels = listed.body.results.map((document: { label: string }) => document.label)
    expect(labels.sort()).toEqual(["long", "short"])
    for (const document of listed.body.results) {
      expect(document.plain_text_embedding).toHaveLength(4)
      expect(document.document_id).toMatch(/^doc_[0-9a-f]{24}$/)
      expect(document.root_object_id).toMatch(/^obj_/)
      expect(document._internal.lineage.root_bucket_id).toBe(bucket)
      const one = await appliance.call("GET", `/v1/collections/${collection}/documents/${document.document_id}`)
      expect(one.body.label).toBe(document.label)
      expect(one.body.plain_text_embedding).toBeUndefined()
    }
    const filtered = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { filters: { field: "label", operator: "eq", value: "long" }, include_total: true },
    })
    expect(filtered.body.pagination.total).toBe(1)
  })

  test("a draft takes objects, is submitted once, and its task ends with it", async () => {
    const bucket = await bucketWith(words(3))
    await collectionOver(bucket, "plain_text")
    const objects = await appliance.call("POST", `/v1/buckets/${bucket}/objects/list`, {})
    const ids = objects.body.results.map((object: { object_id: string }) => object.object_id)
    const draft = await appliance.call("POST", `/v1/buckets/${bucket}/batches`, {
      body: { object_ids: ids.slice(0, 1) },
    })
    expect(draft.body).toMatchObject({ status: "DRAFT", object_count: 1 })
    const empty = await appliance.call("POST", `/v1/buckets/${bucket}/batches`, { body: {} })
    const refused = await appliance.call("POST", `/v1/buckets/${bucket}/batches/${empty.body.batch_id}/submit`)
    expect(refused.status).toBe(400)
    expect(refused.body.error.message).toContain("POST …/batches/trigger")
    const path = `/v1/buckets/${bucket}/batches/${draft.body.batch_id}`
    const added = await appliance.call("POST", `${path}/objects`, { body: { object_ids: ids } })
    expect(added.body.object_count).toBe(3)
    const first = await appliance.call("POST", `${path}/submit`)
    const second = await appliance.call("POST", `${path}/submit`)
    expect(second.body.task_id).toBe(first.body.task_id)
    expect((await waitForBatch(appliance, bucket, draft.body.batch_id)).status).toBe("COMPLETED")
    const task = await appliance.call("GET", `/v1/tasks/${first.body.task_id}`)
    expect(task.body).toMatchObject({ status: "COMPLETED", task_type: "api_buckets_batches_process" })
    const late = await appliance.call("POST", `${path}/objects`, { body: { object_ids: ids } })
    expect(late.status).toBe(400)
  })

  test("reads batch['data'] as well as the schema's column, and passes named fields through", async () => {
    await published(appliance, {
      name: "both_columns",
      call: `same = [d == t for d, t in zip(batch["data"].tolist(), batch["text"].tolist())]
batch["both_columns_embedding"] = [[1.0] * 4] * len(batch)
batch["same"] = same
return batch`,
    })
    const bucket = await bucketWith(words(3), { metadata: { tag: "x" }, title: "T" })
    const collection = await collectionOver(bucket, "both_columns", {
      field_passthrough: ["title", { source_path: "metadata.tag", target_path: "tag" }],
    })
    expect((await runBatch(bucket, collection)).status).toBe("COMPLETED")
    const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`)
    for (const document of body.results) expect(document).toMatchObject({ same: true, title: "T", tag: "x" })
  })

  test("run again, replaces its documents instead of adding to them", async () => {
    const bucket = await bucketWith(words(30))
    const collection = await collectionOver(bucket, "plain_text")
    await runBatch(bucket, collection)
    const before = await documentIds(appliance, collection)
    await runBatch(bucket, collection)
    const after = await documentIds(appliance, collection)
    expect(after.sort()).toEqual(before.sort())
    const { body } = await appliance.call("GET", `/v1/collections/${collection}`)
    expect(body.document_count).toBe(30)
  })

  test("a plugin that emits several rows per object gives each a stable id", async () => {
    await published(appliance, {
      name: "chunker",
      call: `batch = batch.loc[batch.index.repeat(3)].reset_index(drop=True)
batch["chunk"] = [i % 3 for i in range(len(batch))]
batch["chunker_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(5))
    const collection = await collectionOver(bucket, "chunker")
    expect(counts(await runBatch(bucket, collection))).toEqual([5, 5, 0, 0])
    const ids = await documentIds(appliance, collection)
    expect(new Set(ids).size).toBe(15)
    await runBatch(bucket, collection)
    expect((await documentIds(appliance, collection)).sort()).toEqual(ids.sort())
  })
})

describe("a batch over rows that fail", () => {
  test("an exception costs the row alone, and its traceback begins in the author's file", async () => {
    await published(appliance, {
      name: "fails_on_seven",
      call: `for text in batch["text"].tolist():
    if text.endswith(" 7"):
        raise ValueError("seven is not liked")
batch["fails_on_seven_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(200))
    const collection = await collectionOver(bucket, "fails_on_seven")
    const batch = await runBatch(bucket, collection)
    expect(batch.status).toBe("COMPLETED_WITH_ERRORS")
    expect(counts(batch)).toEqual([200, 199, 1, 0])
    const failed = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents`)
    expect(failed.body.total).toBe(1)
    expect(failed.body.failed_documents[0]).toMatchObject({ exception: "ValueError", error: "seven is not liked" })
    expect(failed.body.failed_documents[0].traceback).toContain("processors/core.py")
  })

  test("a row that kills its worker costs the row alone", async () => {
    await published(appliance, {
      name: "dies_on_seven",
      call: `for text in batch["text"].tolist():
    if text.endswith(" 7"):
        signal.raise_signal(signal.SIGKILL)
batch["dies_on_seven_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(20))
    const collection = await collectionOver(bucket, "dies_on_seven")
    const batch = await runBatch(bucket, collection)
    expect(batch.status).toBe("COMPLETED_WITH_ERRORS")
    expect(counts(batch)).toEqual([20, 19, 1, 0])
    expect(new Set(await documentIds(appliance, collection)).size).toBe(19)
  }, 600_000)

  test("a module that is not installed fails the batch as a dependency, without a storm of retries", async () => {
    await published(appliance, { name: "needs_torchx", call: "import torchx_not_there\nreturn batch" })
    const bucket = await bucketWith(words(100))
    const batch = await runBatch(bucket, await collectionOver(bucket, "needs_torchx"))
    expect(batch.status).toBe("FAILED")
    expect(batch.tier_tasks[0].errors[0]).toMatchObject({
      error_type: "dependency",
      message: expect.stringMatching(/^ModuleNotFoundError: .*torchx_not_there/),
    })
    expect(counts(batch)).toEqual([100, 0, 0, 100])
  })

  test("a vector of the wrong length is that row's error and names both lengths", async () => {
    await published(appliance, {
      name: "wrong_length",
      call: `batch["wrong_length_embedding"] = [[1.0] * (3 if t.endswith(" 1") else 4) for t in batch["text"].tolist()]
return batch`,
    })
    const bucket = await bucketWith(words(3))
    const batch = await runBatch(bucket, await collectionOver(bucket, "wrong_length"))
    expect(counts(batch)).toEqual([3, 2, 1, 0])
    const failed = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents`)
    expect(failed.body.failed_documents[0].error).toMatch(/4.*3|3.*4/)
  })

  test("vectors of the wrong length in every row are told as that, not as a fault of the worker", async () => {
    await published(appliance, {
      name: "all_wrong",
      call: `batch["all_wrong_embedding"] = [[1.0] * 3] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(20))
    const batch = await runBatch(bucket, await collectionOver(bucket, "all_wrong"))
    expect(counts(batch)).toEqual([20, 0, 20, 0])
    expect(batch.error_summary).toEqual({ InvalidEmbedding: 20 })
  })

  test("a row whose output is refused costs the row alone", async () => {
    await published(appliance, {
      name: "floods_on_seven",
      call: `floods = batch["text"].str.endswith(" 7")
batch = batch.loc[batch.index.repeat([20000 if flood else 1 for flood in floods])].reset_index(drop=True)
batch["floods_on_seven_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(10))
    const collection = await collectionOver(bucket, "floods_on_seven")
    const batch = await runBatch(bucket, collection)
    expect(counts(batch)).toEqual([10, 9, 1, 0])
    expect(batch.error_summary).toEqual({ OutputRefused: 1 })
    expect(await documentIds(appliance, collection)).toHaveLength(9)
  })

  test("a value that is nested too deep costs the row alone", async () => {
    await published(appliance, {
      name: "deep_values",
      call: `def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value
batch["deep"] = [nested(int(text.split(" ")[-1]) + 60) for text in batch["text"]]
batch["deep_values_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(8))
    const batch = await runBatch(bucket, await collectionOver(bucket, "deep_values"))
    expect(counts(batch)).toEqual([8, 4, 4, 0])
    expect(batch.error_summary).toEqual({ InvalidField: 4 })
  })

  test("a plugin that was deleted fails later batches with a dependency error", async () => {
    await published(appliance, { name: "soon_gone" })
    const bucket = await bucketWith(words(2))
    const collection = await collectionOver(bucket, "soon_gone")
    const removed = await appliance.call("DELETE", "/v1/namespaces/default/plugins/soon_gone_1_0_0")
    expect(removed.status).toBe(200)
    const batch = await runBatch(bucket, collection)
    expect(batch.status).toBe("FAILED")
    expect(batch.tier_tasks[0].errors[0].error_type).toBe("dependency")
  })

  test("objects that are deleted before their turn are skipped and counted", async () => {
    const bucket = await bucketWith(words(3))
    const collection = await collectionOver(bucket, "plain_text")
    const objects = await appliance.call("POST", `/v1/buckets/${bucket}/objects/list`, {})
    const ids = objects.body.results.map((object: { object_id: string }) => object.object_id)
    const draft = await appliance.call("POST", `/v1/buckets/${bucket}/batches`, { body: { object_ids: ids } })
    expect((await appliance.call("DELETE", `/v1/buckets/${bucket}/objects/${ids[1]}`)).status).toBe(204)
    await appliance.call("POST", `/v1/buckets/${bucket}/batches/${draft.body.batch_id}/submit`, {
      body: { collection_ids: [collection] },
    })
    expect(counts(await waitForBatch(appliance, bucket, draft.body.batch_id))).toEqual([3, 2, 0, 1])
  })
})

test("nothing is left of a batch where its partitions were exchanged", async () => {
  const bucket = await bucketWith(words(3))
  await runBatch(bucket, await collectionOver(bucket, "plain_text"))
  await eventually(async () => readdirSync(join(appliance.dataDir, "spool")).every((name) => name === "duckdb"))
})

describe("ending a batch early", () => {
  test("cancel ends the workers, counts the rest as skipped and stays canceled", async () => {
    await published(appliance, { name: "never_done", call: "time.sleep(600)\nreturn batch" })
    const bucket = await bucketWith(words(50))
    const collection = await collectionOver(bucket, "never_done")
    const started = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
      body: { collection_ids: [collection] },
    })
    const path = `/v1/buckets/${bucket}/batches/${started.body.batch_id}`
    await eventually(async () => (await appliance.call("GET", path)).body.status === "IN_PROGRESS")
    const canceled = await appliance.call("POST", `${path}/cancel`)
    expect(canceled.body.status).toBe("CANCELED")
    const batch = (await appliance.call("GET", path)).body
    expect(batch.status).toBe("CANCELED")
    expect(counts(batch)).toEqual([50, 0, 0, 50])
    // Its slots are free again: another batch gets through.
    const next = await bucketWith(words(2))
    expect((await runBatch(next, await collectionOver(next, "plain_text"))).status).toBe("COMPLETED")
  })

  test("deleting a collection ends its share of a batch, not that of the others", async () => {
    await published(appliance, {
      name: "takes_time",
      call: `time.sleep(0.2)
batch["takes_time_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    const bucket = await bucketWith(words(1000))
    const [kept, deleted] = [await collectionOver(bucket, "takes_time"), await collectionOver(bucket, "never_done")]
    const started = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: {} })
    const path = `/v1/buckets/${bucket}/batches/${started.body.batch_id}`
    await eventually(async () => (await appliance.call("GET", path)).body.status === "IN_PROGRESS")
    expect((await appliance.call("DELETE", `/v1/collections/${deleted}`)).status).toBe(200)
    const batch = await waitForBatch(appliance, bucket, started.body.batch_id)
    expect(counts(batch)).toEqual([2000, 1000, 0, 1000])
    expect(await documentIds(appliance, kept)).toHaveLength(1000)
  })

  test("killing the task cancels the batch and is idempotent", async () => {
    const bucket = await bucketWith(words(5))
    const collection = await collectionOver(bucket, "never_done")
    const started = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
      body: { collection_ids: [collection] },
    })
    for (let time = 0; time < 2; time++) {
      expect((await appliance.call("DELETE", `/v1/tasks/${started.body.task_id}`)).status).toBe(200)
    }
    expect((await waitForBatch(appliance, bucket, started.body.batch_id)).status).toBe("CANCELED")
  })
})

test("the code that ran is the code that was scanned: another archive of the same version is refused", async () => {
  const again = await upload(appliance, textPlugin({ name: "plain_text" }), { name: "plain_text" })
  expect(again.status).toBe(409)
})

test("a batch of which every row failed says so and why", async () => {
  await published(appliance, { name: "always_fails", call: 'raise RuntimeError("no luck")' })
  const bucket = await bucketWith(words(3))
  const batch = await runBatch(bucket, await collectionOver(bucket, "always_fails"))
  const error = "All 3 rows failed; the first: RuntimeError: no luck"
  expect(batch).toMatchObject({ status: "FAILED", error })
  const [tier] = batch.tier_tasks
  const details = { error_type: "runtime", message: error, traceback: expect.stringContaining("no luck") }
  expect(tier).toMatchObject({ status: "FAILED", errors: [details], extractor_jobs: [{ error, errors: [details] }] })
})
