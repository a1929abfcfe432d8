import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { addTexts, bucketOf, rewrite, startTrigger, trigger } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { type Batch, CHUNKER, chunks, inBucket, jobs, MEASURE, of, perWord, type Site, site } from "./chains-support.ts"

/** Of words with `slow` it takes so long. */
const pausing = (seconds: number) => `if any("slow" in t for t in batch["text"].tolist()):
    time.sleep(${seconds})
${MEASURE}`
const pausingChunker = `if any("slow" in t for t in batch["text"].tolist()):
    time.sleep(600)
${CHUNKER.replaceAll("chunker", "snail")}`

let s: Site
beforeAll(async () => {
  s = site(await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "7", MIXPEEK_WORKERS: "3" } }))
  await published(s.appliance, { name: "chunker", call: CHUNKER })
  await published(s.appliance, { name: "measure", call: pausing(600) })
  await published(s.appliance, { name: "measure", version: "1.1.0", call: pausing(600) })
})
afterAll(() => s.appliance[Symbol.asyncDispose]())

/** Words of the bucket's texts in `first`, and what is made of them in `second`, which no batch has run yet. */
async function words(texts: readonly string[], extractor = perWord("measure")) {
  const { bucket, ids } = await bucketOf(s.appliance, texts)
  const first = await s.over(inBucket(bucket), chunks)
  const second = await s.over(of(first), extractor)
  await enable(second, false)
  await trigger(s.appliance, bucket, first)
  await enable(second, true)
  return { bucket, ids, first, second }
}
const enable = (collection: string, enabled: boolean) =>
  s.appliance.call("PATCH", `/v1/collections/${collection}`, { body: { enabled } })
const move = (collection: string, version: string) =>
  s.appliance.call("PATCH", `/v1/collections/${collection}`, { body: { feature_extractor: { version } } })
const cancel = (bucket: string, batch: string) =>
  s.appliance.call("POST", `/v1/buckets/${bucket}/batches/${batch}/cancel`, {})
const made = async (collection: string, body: object = {}) =>
  (await s.documents(collection, { ...body })).map((document) => document.chunk).sort()

/** How the batch ended and how many documents it made rows of. */
async function done(bucket: string, collection: string, body: object = {}) {
  const batch = await trigger(s.appliance, bucket, collection, body)
  return [batch.status, batch.tier_tasks[0].extractor_jobs[0].rows_done]
}
const NOTHING = ["COMPLETED", 0]

describe("a trigger of a collection over a collection", () => {
  test("twice processes only documents that are new or changed in between, and nothing the third time", async () => {
    const { bucket, ids, first, second } = await words(["one two", "three", "four five six"])
    expect(await done(bucket, second)).toEqual(["COMPLETED", 6])
    await enable(second, false)
    await addTexts(s.appliance, bucket, ["seven"])
    await rewrite(s.appliance, bucket, ids[0], "one other")
    await trigger(s.appliance, bucket, first)
    await enable(second, true)
    const answer = await s.appliance.call("POST", `/v1/collections/${second}/trigger`, {})
    expect(answer.body.document_count).toBe(3)
    const batch = await waitForBatch(s.appliance, bucket, answer.body.batch_id)
    expect(jobs(batch)).toEqual([[3, 3, 0, 0]])
    expect(await made(second)).toEqual(["five", "four", "one", "other", "seven", "six", "three"])
    expect(await done(bucket, second)).toEqual(NOTHING)
  })

  test("finds nothing after a batch that ran it below its source, and answers one that has ended", async () => {
    const { bucket } = await bucketOf(s.appliance, ["one two", "three"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), perWord("measure"))
    const third = await s.over(of(second), perWord("measure"))
    await trigger(s.appliance, bucket, first)
    const { status, body } = await s.appliance.call("POST", `/v1/collections/${second}/trigger`)
    expect(status).toBe(202)
    expect(body).toMatchObject({
      document_count: 0,
      total_tiers: 2,
      message: expect.stringContaining("nothing is new or changed"),
    })
    const batch = (await s.appliance.call("GET", `/v1/buckets/${bucket}/batches/${body.batch_id}`)).body
    expect([batch.status, jobs(batch)]).toEqual([
      "COMPLETED",
      [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
    ])
    expect((await s.appliance.call("GET", `/v1/tasks/${body.task_id}`)).body.status).toBe("COMPLETED")
    expect(await done(bucket, third)).toEqual(NOTHING)
    await addTexts(s.appliance, bucket, ["four"])
    await s.run(bucket, { object_ids: (await objects(bucket)).slice(-1) })
    for (const collection of [second, third]) expect(await done(bucket, collection)).toEqual(NOTHING)
    expect(await made(third)).toEqual(["four", "one", "three", "two"])
  })

  test("does everything with reembed, and exactly the objects that are named, which proves nothing of the rest", async () => {
    const { bucket, ids, second } = await words(["one two", "three"])
    expect(await done(bucket, second, { object_ids: [ids[0]] })).toEqual(["COMPLETED", 2])
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    expect(await done(bucket, second, { object_ids: [ids[1]] })).toEqual(["COMPLETED", 1])
    // More than a condition of a filter may have values.
    const gone = Array.from({ length: 25_000 }, (_, index) => `obj_gone_${index}`)
    expect(await done(bucket, second, { object_ids: [...gone, ids[1]] })).toEqual(["COMPLETED", 1])
    expect(await done(bucket, second, { reembed: true })).toEqual(["COMPLETED", 3])
    expect(await done(bucket, second)).toEqual(NOTHING)
  })

  test("with a filter does what fits and is new, and leaves the rest to the next", async () => {
    const { bucket, second } = await words(["one two", "three"])
    const source_filters = { field: "chunk", operator: "starts_with", value: "t" }
    expect(await done(bucket, second, { source_filters })).toEqual(["COMPLETED", 2])
    expect(await done(bucket, second, { source_filters })).toEqual(NOTHING)
    const other = { field: "chunk", operator: "eq", value: "one" }
    expect(await done(bucket, second, { source_filters: other })).toEqual(["COMPLETED", 1])
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    expect(await done(bucket, second, { source_filters: { field: "chunk", value: "two" } })).toEqual(NOTHING)
  })

  test("takes each of several sources for itself", async () => {
    const { bucket, first, second: other } = await words(["one two"])
    expect(await done(bucket, other)).toEqual(["COMPLETED", 2])
    const both = await s.over({ type: "collection", collection_ids: [first, other] }, perWord("measure"))
    expect(await done(bucket, both, { include_collections: [other] })).toEqual(["COMPLETED", 2])
    const batch = await trigger(s.appliance, bucket, both)
    expect(jobs(batch)).toEqual([[2, 2, 0, 0]])
    expect(await done(bucket, both)).toEqual(NOTHING)
    expect(await made(both)).toEqual(["one", "one", "two", "two"])
  })
})

describe("another version of its plugin", () => {
  test("has processed nothing, and the old one again nothing once its documents were dropped", async () => {
    const { bucket, second } = await words(["one two", "three"])
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    await move(second, "1.1.0")
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    expect(await done(bucket, second)).toEqual(NOTHING)
    await move(second, "1.0.0")
    expect(await done(bucket, second)).toEqual(NOTHING)
    await move(second, "1.1.0")
    await s.appliance.call("DELETE", `/v1/collections/${second}/features?version=1.0.0`)
    await move(second, "1.0.0")
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    expect(await made(second, { version: "all" })).toHaveLength(6)
  })

  test("leaves nothing of the old one that was made of a chunk which is gone", async () => {
    const { bucket, ids, first, second } = await words(["one two three", "four"])
    const third = await s.over(of(second), perWord("measure"))
    expect(await done(bucket, second)).toEqual(["COMPLETED", 4])
    await move(second, "1.1.0")
    await rewrite(s.appliance, bucket, ids[0], "other")
    await trigger(s.appliance, bucket, first)
    // The chunk that was not processed anew is as the old version made it.
    expect(await made(second)).toEqual(["four", "other"])
    expect(await made(second, { version: "1.0.0" })).toEqual(["four", "one"])
    expect(await made(third)).toEqual(["four", "one", "other"])
  })

  test("with other code under the same number has processed nothing, and what it replaced has not either", async () => {
    const codes = [MEASURE, `${MEASURE} # other`]
    await published(s.appliance, { name: "replaced", call: MEASURE })
    const { bucket, second } = await words(["one two", "three"], perWord("replaced"))
    expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
    for (const call of codes.toReversed()) {
      await s.appliance.call("DELETE", `/v1/namespaces/${s.appliance.namespaceId}/plugins/replaced_1_0_0`)
      await published(s.appliance, { name: "replaced", call })
      expect(await done(bucket, second)).toEqual(["COMPLETED", 3])
      expect(await done(bucket, second)).toEqual(NOTHING)
    }
  })
})

describe("a run over documents that does not end well", () => {
  test("failed or canceled, is done again by the next trigger; rows that failed alone are not", async () => {
    const { bucket } = await bucketOf(s.appliance, ["unmeasurable"])
    const first = await s.over(inBucket(bucket), chunks)
    const second = await s.over(of(first), perWord("measure"))
    const below = await trigger(s.appliance, bucket, first)
    expect(below.tier_tasks.map((tier: Batch) => tier.status)).toEqual(["COMPLETED", "FAILED"])
    await addTexts(s.appliance, bucket, ["slow"])
    const canceled = await startTrigger(s.appliance, first)
    await inSecondTier(bucket, canceled)
    await cancel(bucket, canceled)
    const third = await startTrigger(s.appliance, second)
    await cancel(bucket, third)
    const [, slow] = await objects(bucket)
    await rewrite(s.appliance, bucket, slow, "quick words")
    await enable(second, false)
    await trigger(s.appliance, bucket, first)
    await enable(second, true)
    const last = await trigger(s.appliance, bucket, second)
    expect([last.status, jobs(last)]).toEqual(["COMPLETED_WITH_ERRORS", [[3, 2, 1, 0]]])
    expect(await done(bucket, second)).toEqual(NOTHING)
    expect(await made(second)).toEqual(["quick", "words"])
  })

  test("under way is left what it has in hand, and what its batch still writes for it, until it is canceled", async () => {
    const { bucket, second, first } = await words(["slow", "one"])
    const held = await startTrigger(s.appliance, second)
    expect(await done(bucket, second)).toEqual(NOTHING)
    // A filter asks for itself, as over a bucket.
    expect(await done(bucket, second, { source_filters: { field: "chunk", value: "one" } })).toEqual(["COMPLETED", 1])
    await addTexts(s.appliance, bucket, ["slow two"])
    const chained = await startTrigger(s.appliance, first)
    await inSecondTier(bucket, chained)
    expect(await done(bucket, second)).toEqual(NOTHING)
    await cancel(bucket, held)
    await cancel(bucket, chained)
    const all = await s.appliance.call("POST", `/v1/collections/${second}/trigger`, {})
    expect(all.body.document_count).toBe(4)
    await cancel(bucket, all.body.batch_id)
  })

  test("above it, leaves to its batch what that has written so far and is to run over when it is done", async () => {
    await published(s.appliance, { name: "snail", call: pausingChunker })
    const { bucket } = await bucketOf(s.appliance, [
      "one",
      "two",
      "three",
      "four",
      "five",
      "six",
      "seven",
      "slow eight",
    ])
    const first = await s.over(inBucket(bucket), { ...chunks, feature_extractor_name: "snail" })
    const second = await s.over(of(first), perWord("measure"))
    const batch = await startTrigger(s.appliance, first)
    await eventually(async () => (await s.documents(first)).length > 0)
    expect(await done(bucket, second)).toEqual(NOTHING)
    await cancel(bucket, batch)
    expect(await done(bucket, second)).toEqual(["COMPLETED", 7])
  })

  test("or was deleted from the ledger, leaves what others have done: it is not done once more", async () => {
    const { bucket, second } = await words(["one", "two"])
    const batch = await trigger(s.appliance, bucket, second)
    await s.appliance.call("DELETE", `/v1/buckets/${bucket}/batches/${batch.batch_id}`)
    expect(await done(bucket, second)).toEqual(NOTHING)
  })
})

test("what a retry above makes is done in its batch, once more at most where the code is another by then", async () => {
  const { bucket } = await bucketOf(s.appliance, ["one", "unchunkable word"])
  await published(s.appliance, { name: "cutter", call: CHUNKER.replaceAll("chunker", "cutter") })
  const fixed = CHUNKER.replaceAll("chunker", "cutter").replace(/^if .*:\n {4}raise .*\n/m, "")
  await published(s.appliance, { name: "cutter", version: "1.1.0", call: fixed })
  const first = await s.over(inBucket(bucket), { ...chunks, feature_extractor_name: "cutter" })
  const second = await s.over(of(first), perWord("measure"))
  const third = await s.over(of(first), perWord("measure"))
  const before = await s.run(bucket)
  await move(first, "1.1.0")
  await move(third, "1.1.0")
  await s.appliance.call("POST", `/v1/buckets/${bucket}/batches/${before.batch_id}/retry`, {
    body: { retry_mode: "all" },
  })
  await waitForBatch(s.appliance, bucket, before.batch_id)
  for (const collection of [second, third]) {
    expect(await made(collection)).toEqual(["one", "unchunkable", "word"])
  }
  expect(await done(bucket, second)).toEqual(NOTHING)
  expect(await done(bucket, third)).toEqual(["COMPLETED", 3])
  expect(await made(third, { version: "1.1.0" })).toEqual(["one", "unchunkable", "word"])
  // The old code has not seen what the retry made.
  await move(third, "1.0.0")
  expect(await done(bucket, third)).toEqual(["COMPLETED", 2])
})

test("a kill in the middle leaves out nothing: the next trigger waits for what goes on, and has nothing to do after it", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "7" } })
  const own = site(appliance)
  await published(appliance, { name: "chunker", call: CHUNKER })
  await published(appliance, {
    name: "measure",
    call: MEASURE.replace("return batch", "time.sleep(0.2)\nreturn batch"),
  })
  const texts = Array.from({ length: 30 }, (_, index) => `alpha${index} beta${index}`)
  const { bucket } = await bucketOf(appliance, texts)
  const first = await own.over(inBucket(bucket), chunks)
  await own.run(bucket)
  const second = await own.over(of(first), perWord("measure"))
  const started = await startTrigger(appliance, second)
  const path = `/v1/buckets/${bucket}/batches/${started}`
  await eventually(async () => {
    const job = (await appliance.call("GET", path)).body.tier_tasks[0].extractor_jobs[0]
    return job.rows_done > 0 && job.rows_done < job.rows_in ? job : null
  }, 180_000)
  await appliance.kill()
  await appliance.start()
  const beside = await trigger(appliance, bucket, second)
  expect(jobs(beside)).toEqual([[0, 0, 0, 0]])
  expect(jobs(await waitForBatch(appliance, bucket, started))).toEqual([[60, 60, 0, 0]])
  await appliance.kill()
  await appliance.start()
  expect(jobs(await trigger(appliance, bucket, second))).toEqual([[0, 0, 0, 0]])
  expect((await own.documents(second)).map((document) => document.chunk).sort()).toEqual(
    texts.flatMap((text) => text.split(" ")).sort(),
  )
})

async function objects(bucket: string): Promise<string[]> {
  const { body } = await s.appliance.call("POST", `/v1/buckets/${bucket}/objects/list`, {})
  return body.results.map((object: { object_id: string }) => object.object_id)
}

function inSecondTier(bucket: string, batch: string) {
  return eventually(async () => {
    const { body } = await s.appliance.call("GET", `/v1/buckets/${bucket}/batches/${batch}`)
    return body.tier_tasks[1].status === "IN_PROGRESS"
  }, 180_000)
}
