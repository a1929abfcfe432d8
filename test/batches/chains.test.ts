import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published, textPlugin, upload } from "../support/plugins.ts"
import {
  type Batch,
  CHUNKER,
  chunks,
  counts,
  inBucket,
  jobs,
  MEASURE,
  of,
  perChunk,
  publishBoth,
  type Site,
  site,
} from "./chains-support.ts"

describe("a chain of collections", () => {
  let s: Site
  beforeAll(async () => {
    s = site(await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "7" } }))
    await publishBoth(s.appliance)
  })
  afterAll(() => s.appliance[Symbol.asyncDispose]())

  test("runs tier by tier in one batch, each over what the one above wrote, down to the object's lineage", async () => {
    const bucket = await s.bucket(["one two three", "four five"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), { ...perChunk, field_passthrough: ["place", "chunk"] })
    const third = await s.over(of(second), {
      feature_extractor_name: "measure",
      input_mappings: { text: "chunk" },
      include_all_source_fields: true,
    })
    const created = await s.appliance.call("GET", `/v1/collections/${third}`)
    expect(created.body.source).toEqual({
      type: "collection",
      collection_id: second,
      collection_ids: [second],
      inherited_bucket_ids: [bucket],
    })
    expect(created.body.source_lineage.map((entry: Batch) => entry.source_config.type)).toEqual([
      "bucket",
      "collection",
    ])
    expect(created.body.input_schema.properties).toMatchObject({ place: expect.any(Object) })

    const batch = await s.run(bucket)
    expect(batch).toMatchObject({
      status: "COMPLETED",
      type: "BUCKET",
      total_tiers: 3,
      current_tier: 2,
      dag_tiers: [[first], [second], [third]],
      progress: { processed: 12, total: 12 },
    })
    expect(jobs(batch)).toEqual([
      [2, 2, 0, 0],
      [5, 5, 0, 0],
      [5, 5, 0, 0],
    ])
    expect(counts(batch)).toEqual([12, 12, 0, 0])
    const [top, middle, end] = batch.tier_tasks
    expect(top).toMatchObject({ source_type: "bucket", source_collection_ids: null, parent_task_id: null })
    expect(middle).toMatchObject({
      source_type: "collection",
      source_collection_ids: [first],
      parent_task_id: top.task_id,
      documents_written: 5,
    })
    const task = await s.appliance.call("GET", `/v1/tasks/${end.task_id}`)
    expect(task.body).toMatchObject({ status: "COMPLETED", additional_data: { tier_num: 2, batch_id: batch.batch_id } })

    const made = await s.documents(third)
    expect(made.map((document) => [document.chunk, document.letters, document.same]).sort()).toEqual([
      ["five", 4, true],
      ["four", 4, true],
      ["one", 3, true],
      ["three", 5, true],
      ["two", 3, true],
    ])
    const above = new Map((await s.documents(second)).map((document) => [document.document_id, document]))
    const [sample] = made
    const parent = above.get(sample.source_document_id)
    expect(sample).toMatchObject({
      chunk: parent.chunk,
      root_object_id: parent.root_object_id,
      root_bucket_id: bucket,
      source_type: "collection",
      source_collection_id: second,
      source_object_id: null,
    })
    const chain = [
      expect.objectContaining({ collection_id: first, document_id: parent.source_document_id }),
      expect.objectContaining({ collection_id: second, document_id: parent.document_id }),
    ]
    const path = `${bucket}/${sample.root_object_id}/${first}/${parent.source_document_id}/${second}/${parent.document_id}`
    expect(sample._internal.lineage).toMatchObject({ chain, path, root_object_id: sample.root_object_id })
    for (const field of ["root_object_id", "_internal.lineage.root_object_id", "source_document_id"]) {
      const value = field === "source_document_id" ? parent.document_id : sample.root_object_id
      const passing = made.filter((document) => [document.root_object_id, document.source_document_id].includes(value))
      const found = await s.documents(third, { filters: { field, operator: "eq", value } })
      expect([field, found.length]).toEqual([field, passing.length])
    }
    expect(await s.documents(third, { filters: { source_type: "bucket" } })).toEqual([])

    const lineage = await s.appliance.call("GET", `/v1/collections/${second}/documents/${parent.document_id}/lineage`)
    expect(lineage.body).toMatchObject({
      root_object_id: sample.root_object_id,
      source_document_id: parent.source_document_id,
      depth: 2,
      lineage: {
        root_object_id: sample.root_object_id,
        lineage_chain: [{ document_id: parent.source_document_id }, { document_id: parent.document_id }],
      },
      child_count: 1,
      children: [{ document_id: sample.document_id, collection_id: third }],
    })
    const everything = await s.appliance.call("GET", `/v1/objects/${sample.root_object_id}/documents`)
    const words = made.filter((document) => document.root_object_id === sample.root_object_id).length
    expect(everything.body).toMatchObject({ bucket_id: bucket, total_count: 3 * words })
    const named = await s.appliance.call(
      "GET",
      `/v1/objects/${sample.root_object_id}/documents?collection_ids=${third}&limit=1`,
    )
    expect(named.body).toMatchObject({ total_count: words, results: [{ collection_id: third }] })
  })

  test("replaces what it made of an object's chunks when the object has fewer, and nothing of other objects", async () => {
    const bucket = await s.bucket(["one two three four five six seven eight nine", "left alone"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), { ...perChunk, field_passthrough: ["chunk"] })
    await s.run(bucket)
    const before = await s.documents(second)
    expect(before).toHaveLength(11)
    const objects = await s.appliance.call("POST", `/v1/buckets/${bucket}/objects/list`, {})
    const [changed] = objects.body.results.filter((object: Batch) => object.text.startsWith("one"))
    const patched = await s.appliance.call("PATCH", `/v1/buckets/${bucket}/objects/${changed.object_id}`, {
      body: { text: "one other" },
    })
    expect(patched.status).toBe(200)
    const batch = await s.run(bucket, { object_ids: [changed.object_id] })
    expect(jobs(batch)).toEqual([
      [1, 1, 0, 0],
      [2, 2, 0, 0],
    ])
    const after = await s.documents(second)
    expect(after.map((document) => document.chunk).sort()).toEqual(["alone", "left", "one", "other"])
    // The first chunk is the same document as before.
    expect(before.map((document) => document.document_id)).toContain(
      after.find((document) => document.chunk === "one").document_id,
    )
  })

  test("is recomputed by a trigger over what lives above it; one over a filter leaves the rest alone", async () => {
    const bucket = await s.bucket(["one two", "three four five"])
    const first = await s.over(inBucket(bucket), chunks)
    await s.run(bucket)
    // Once more: the first batch's documents are dead now, and keep their places.
    await s.run(bucket)
    const second = await s.over(
      { ...of(first), source_filters: { filters: { field: "chunk", operator: "ne", value: "five" } } },
      { ...perChunk, field_passthrough: ["chunk"] },
    )
    const third = await s.over(of(second), { ...perChunk, field_passthrough: ["chunk"] })
    const trigger = async (body: Record<string, unknown>) => {
      const {
        status,
        body: answer,
        text,
      } = await s.appliance.call("POST", `/v1/collections/${second}/trigger`, { body })
      if (status !== 202) throw new Error(text)
      return { answer, batch: await waitForBatch(s.appliance, bucket, answer.batch_id) }
    }
    const { answer, batch } = await trigger({})
    expect(answer).toMatchObject({ source_collection_ids: [first], document_count: 5, total_tiers: 2 })
    expect(batch).toMatchObject({ status: "COMPLETED", type: "COLLECTION", bucket_id: bucket })
    expect(batch.tier_tasks[0]).toMatchObject({ source_type: "collection", source_collection_ids: [first] })
    expect(jobs(batch)).toEqual([
      [5, 4, 0, 1],
      [4, 4, 0, 0],
    ])
    const words = async (collection: string) => (await s.documents(collection)).map((document) => document.chunk).sort()
    expect(await words(second)).toEqual(["four", "one", "three", "two"])
    expect(await words(third)).toEqual(["four", "one", "three", "two"])
    const before = new Map((await s.documents(second)).map((document) => [document.chunk, document.created_at]))
    const partial = await trigger({
      reembed: true,
      source_filters: { field: "chunk", operator: "in", value: ["one", "five"] },
    })
    expect(jobs(partial.batch)[0]).toEqual([5, 1, 0, 4])
    const after = await s.documents(second)
    expect(await words(second)).toEqual(["four", "one", "three", "two"])
    const renewed = after.filter((document) => before.get(document.chunk) !== document.created_at)
    expect(renewed.map((document) => document.chunk)).toEqual(["one"])
    const object = after[0].root_object_id
    const byObject = await trigger({ object_ids: [object], include_collections: [first] })
    expect(byObject.answer.object_count).toBe(1)
    expect(jobs(byObject.batch)[0][1]).toBe(after.filter((document) => document.root_object_id === object).length)
    const foreign = await s.appliance.call("POST", `/v1/collections/${second}/trigger`, {
      body: { include_collections: [third] },
    })
    expect(foreign.status).toBe(400)
  })

  test("gives a vector to the input that names it, and files of the root object as they are", async () => {
    const files = textPlugin({
      name: "reader",
      call: `from shared.plugins import open_asset
def size(url):
    with open_asset(url) as path:
        return os.path.getsize(path)
batch["reader_embedding"] = [[1.0] * 4] * len(batch)
batch["seen"] = [list(v) if v is not None else None for v in batch["text"].tolist()]
batch["url"] = batch["source_url"]
batch["size"] = [size(u) for u in batch["source_url"].tolist()]
batch["mime"] = batch["mime_type"]
return batch`,
    })
    const pipeline = (files["pipeline.py"] ?? "").replace("RowCondition.IS_TEXT", "RowCondition.ALWAYS")
    const reader = await upload(s.appliance, { ...files, "pipeline.py": pipeline }, { name: "reader" })
    if (reader.status !== 200) throw new Error(reader.text)
    const created = await s.appliance.call("POST", "/v1/buckets", {
      body: {
        bucket_name: `bucket_${crypto.randomUUID()}`,
        bucket_schema: { properties: { text: { type: "text" }, file: { type: "image" } } },
      },
    })
    const bucket = created.body.bucket_id
    const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    const loaded = await s.appliance.call("POST", `/v1/buckets/${bucket}/objects`, {
      body: {
        blobs: [
          { property: "text", type: "text", data: "one two" },
          { property: "file", type: "image", data: { base64: png } },
        ],
      },
    })
    if (loaded.status !== 200) throw new Error(loaded.text)
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), {
      feature_extractor_name: "reader",
      input_mappings: { text: "chunker_embedding" },
    })
    const batch = await s.run(bucket)
    if (batch.status !== "COMPLETED") throw new Error(JSON.stringify(batch))
    const made = await s.documents(second)
    expect(made.map((document) => document.seen)).toEqual([
      [3, 3, 3, 3],
      [3, 3, 3, 3],
    ])
    for (const document of made) {
      expect(document.url).toMatch(/^s3:\/\//)
      expect([document.mime, document.size]).toEqual(["image/png", 70])
      expect(document.source_blobs).toHaveLength(1)
    }
  })
})

test("a chunk's documents have the same ids whatever the partitions, also after a kill in the second tier", async () => {
  const environment: Record<string, string> = { MIXPEEK_PARTITION_ROWS: "7" }
  await using appliance = await startTestAppliance({ environment })
  const s = site(appliance)
  await published(appliance, { name: "chunker", call: CHUNKER })
  await published(appliance, {
    name: "measure",
    call: MEASURE.replace("return batch", "time.sleep(0.1)\nreturn batch"),
  })
  const texts = Array.from({ length: 30 }, (_, index) => `alpha${index} beta${index} gamma${index}`)
  const bucket = await s.bucket(texts)
  const first = await s.over(inBucket(bucket), chunks)
  const second = await s.over(of(first), { ...perChunk, include_all_source_fields: true })
  const started = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: {} })
  const path = `/v1/buckets/${bucket}/batches/${started.body.batch_id}`
  await eventually(async () => {
    const { body } = await appliance.call("GET", path)
    const job = body.tier_tasks[1].extractor_jobs[0]
    return job.rows_done > 0 && job.rows_done < job.rows_in ? job : null
  }, 180_000)
  await appliance.kill()
  await appliance.start()
  const whole = (batch: Batch) => {
    expect(batch.status).toBe("COMPLETED")
    expect(jobs(batch)).toEqual([
      [30, 30, 0, 0],
      [90, 90, 0, 0],
    ])
    expect(batch.documents_written).toBe(180)
  }
  const identity = async () => {
    const parents = new Map((await s.documents(first)).map((document) => [document.document_id, document]))
    return (await s.documents(second))
      .map((document) => {
        const { chunk, _internal: own } = parents.get(document.source_document_id)
        expect([document.chunk, document.place]).toEqual([chunk, own.processing.output_index])
        return `${document.chunk} ${document.document_id}`
      })
      .sort()
  }
  whole(await waitForBatch(appliance, bucket, started.body.batch_id))
  const small = await identity()
  expect(new Set(small).size).toBe(90)
  await appliance.stop()
  environment.MIXPEEK_PARTITION_ROWS = "1000"
  await appliance.start()
  whole(await s.run(bucket))
  expect(await identity()).toEqual(small)
})
