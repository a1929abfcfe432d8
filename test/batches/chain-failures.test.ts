import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"
import {
  type Batch,
  CHUNKER,
  chunks,
  inBucket,
  jobs,
  MEASURE,
  of,
  perChunk,
  publishBoth,
  type Site,
  site,
} from "./chains-support.ts"

describe("a chain of collections in which something is wrong", () => {
  let s: Site
  beforeAll(async () => {
    s = site(await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "7" } }))
    await publishBoth(s.appliance)
  })
  afterAll(() => s.appliance[Symbol.asyncDispose]())

  test("goes on with what there is when rows fail above, and stops visibly when the run above fails", async () => {
    const bucket = await s.bucket(["one two", "un unmeasurable", "unchunkable"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), perChunk)
    const batch = await s.run(bucket)
    expect(batch.status).toBe("COMPLETED_WITH_ERRORS")
    expect(jobs(batch)).toEqual([
      [3, 2, 1, 0],
      [4, 3, 1, 0],
    ])
    const failed = await s.appliance.call(
      "GET",
      `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents?tier_num=1`,
    )
    const [culprit] = await s.documents(first, { filters: { chunk: "unmeasurable" } })
    expect(failed.body.failed_documents).toEqual([
      expect.objectContaining({
        collection_id: second,
        object_id: culprit.root_object_id,
        source_document_id: culprit.document_id,
      }),
    ])
    const hopeless = await s.bucket(["unchunkable"])
    const top = await s.over(inBucket(hopeless), chunks)
    const below = await s.over(of(top), perChunk)
    const lowest = await s.over(of(below), perChunk)
    const stopped = await s.run(hopeless)
    expect(stopped).toMatchObject({ status: "FAILED", error: expect.stringContaining("cannot be chunked") })
    expect(stopped.tier_tasks.map((tier: Batch) => [tier.status, tier.errors[0]?.error_type])).toEqual([
      ["FAILED", "runtime"],
      ["FAILED", "dependency"],
      ["FAILED", "dependency"],
    ])
    expect(stopped.tier_tasks[2].errors[0].message).toContain(below)
    expect(await s.documents(lowest)).toEqual([])
  })

  test("takes what a retry above makes, after what it has, and retries its own rows beside", async () => {
    const bucket = await s.bucket(["one two", "unchunkable row", "un unmeasurable"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), { ...perChunk, field_passthrough: ["chunk"] })
    const third = await s.over(of(second), { ...perChunk, field_passthrough: ["chunk"] })
    const before = await s.run(bucket)
    expect(jobs(before)).toEqual([
      [3, 2, 1, 0],
      [4, 3, 1, 0],
      [3, 3, 0, 0],
    ])
    const fixed = (call: string) => call.replace(/^if .*:\n {4}raise .*\n/m, "")
    await published(s.appliance, { name: "chunker", version: "1.1.0", call: fixed(CHUNKER) })
    await published(s.appliance, { name: "measure", version: "1.1.0", call: fixed(MEASURE) })
    for (const collection of [first, second, third]) {
      const moved = await s.appliance.call("PATCH", `/v1/collections/${collection}`, {
        body: { feature_extractor: { version: "1.1.0" } },
      })
      if (moved.status !== 200) throw new Error(moved.text)
    }
    const retried = await s.appliance.call("POST", `/v1/buckets/${bucket}/batches/${before.batch_id}/retry`, {
      body: { retry_mode: "all" },
    })
    expect(retried.body).toMatchObject({ retried_rows: 2, status: "IN_PROGRESS" })
    const batch = await waitForBatch(s.appliance, bucket, before.batch_id)
    expect(batch.status).toBe("COMPLETED")
    expect(jobs(batch)).toEqual([
      [3, 3, 0, 0],
      [6, 6, 0, 0],
      [6, 6, 0, 0],
    ])
    const words = (await s.documents(third)).map((document) => document.chunk).sort()
    expect(words).toEqual(["one", "row", "two", "un", "unchunkable", "unmeasurable"])
    const tasks = await Promise.all(
      batch.tier_tasks.map((tier: Batch) => s.appliance.call("GET", `/v1/tasks/${tier.task_id}`)),
    )
    expect(tasks.map((task) => task.body.status)).toEqual(["COMPLETED", "COMPLETED", "COMPLETED"])
  })

  test("takes all that is above once its own plugin is there, though only a row above is retried", async () => {
    const gone = { name: "returns", call: MEASURE.replaceAll("measure", "returns") }
    await published(s.appliance, gone)
    const bucket = await s.bucket(["one two", "unchunkable"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), { feature_extractor_name: "returns", input_mappings: { text: "chunk" } })
    await s.appliance.call("DELETE", `/v1/namespaces/${s.appliance.namespaceId}/plugins/returns_1_0_0`)
    const before = await s.run(bucket)
    expect(jobs(before)).toEqual([
      [2, 1, 1, 0],
      [2, 0, 0, 2],
    ])
    await published(s.appliance, gone)
    const retried = await s.appliance.call("POST", `/v1/buckets/${bucket}/batches/${before.batch_id}/retry`, {
      body: { retry_mode: "all", tier_nums: [0] },
    })
    expect(retried.body).toMatchObject({
      retried_rows: 1,
      skipped: [{ collection_id: second, reason: "tier", rows: 2 }],
    })
    const batch = await waitForBatch(s.appliance, bucket, before.batch_id)
    expect(batch.status).toBe("COMPLETED_WITH_ERRORS")
    expect(jobs(batch)).toEqual([
      [2, 1, 1, 0],
      [2, 2, 0, 0],
    ])
    expect(await s.documents(second)).toHaveLength(2)
  })

  test("is refused over nothing, over itself, too deep, and without what it reads", async () => {
    const bucket = await s.bucket(["one"])
    const create = (name: string, source: Record<string, unknown>) =>
      s.appliance.call("POST", "/v1/collections", {
        body: { collection_name: name, source, feature_extractor: { ...perChunk, version: "1.0.0" } },
      })
    expect((await create("unknown_source", of("col_unknown"))).status).toBe(404)
    const itself = await create("itself_source", of("itself_source"))
    expect(itself.status).toBe(422)
    expect(itself.body.error.message).toContain("would read itself")
    let last = await s.over(inBucket(bucket), chunks)
    const [top] = [last]
    for (let tier = 1; tier < 16; tier++) last = await s.over(of(last), perChunk)
    const deeper = await create("one_too_deep", of(last))
    expect(deeper.status).toBe(422)
    expect(deeper.body.error.message).toContain("16")
    const cycle = await s.appliance.call("PATCH", `/v1/collections/${top}`, { body: { source: of(last) } })
    expect(cycle.status).toBe(422)
    const alone = await s.appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
      body: { collection_ids: [last] },
    })
    expect(alone.status).toBe(400)
    expect(alone.body.error.message).toContain("/trigger")
  })

  test("whose source was deleted fails in the batch and says why", async () => {
    const bucket = await s.bucket(["one"])
    await s.over(inBucket(bucket), chunks)
    const gone = await s.over(inBucket(bucket), chunks)
    const stranded = await s.over(of(gone), perChunk)
    expect((await s.appliance.call("DELETE", `/v1/collections/${gone}`)).status).toBe(200)
    const batch = await s.run(bucket)
    expect(batch.status).toBe("COMPLETED_WITH_ERRORS")
    expect(batch.tier_tasks[1]).toMatchObject({
      status: "FAILED",
      collection_ids: [stranded],
      errors: [{ error_type: "dependency" }],
    })
    const trigger = await s.appliance.call("POST", `/v1/collections/${stranded}/trigger`, { body: {} })
    expect(trigger.status).toBe(400)
    expect(trigger.body.error.message).toContain("deleted")
  })
})
