import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { addTexts, bucketOf, startTrigger, trigger } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { CHUNKER, chunks, inBucket, jobs, MEASURE, of, perWord, type Site, site } from "./chains-support.ts"

let s: Site
beforeAll(async () => {
  s = site(await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "4", MIXPEEK_WORKERS: "2" } }))
  for (const version of ["1.0.0", "1.1.0"]) await published(s.appliance, { name: "chunker", version, call: CHUNKER })
  await published(s.appliance, { name: "measure", call: MEASURE })
  // Each call takes a while, so that a run is under way for some seconds.
  await published(s.appliance, {
    name: "dawdles",
    call: `time.sleep(0.4)\n${MEASURE.replaceAll("measure", "dawdles")}`,
  })
})
afterAll(() => s.appliance[Symbol.asyncDispose]())

const move = (collection: string, version: string) =>
  s.appliance.call("PATCH", `/v1/collections/${collection}`, { body: { feature_extractor: { version } } })
const drop = (collection: string) => s.appliance.call("DELETE", `/v1/collections/${collection}/features?version=1.0.0`)
const made = async (collection: string) => (await s.documents(collection)).map((document) => document.chunk).sort()
const count = async (collection: string) =>
  (await s.appliance.call("GET", `/v1/collections/${collection}`)).body.document_count

test("what was made of a dropped version's documents is gone with it, tier by tier, and nothing else is", async () => {
  const { bucket } = await bucketOf(s.appliance, ["one two", "three"])
  const first = await s.over(inBucket(bucket), chunks)
  const other = await s.over(inBucket(bucket), chunks)
  const second = await s.over({ type: "collection", collection_ids: [first, other] }, perWord("measure"))
  const third = await s.over(of(second), perWord("measure"))
  await s.run(bucket)
  await move(first, "1.1.0")
  await trigger(s.appliance, bucket, first, { reembed: true })
  const three = ["one", "three", "two"]
  const twice = [...three, ...three].sort()
  const thrice = [...twice, ...three].sort()
  expect([await made(second), await made(third)]).toEqual([thrice, thrice])
  // What is new in this version alone stays.
  await addTexts(s.appliance, bucket, ["four"])
  await trigger(s.appliance, bucket, first)
  const dropped = await drop(first)
  expect([dropped.status, dropped.body.documents_removed]).toEqual([200, 3])
  const left = [...twice, "four"].sort()
  expect([await made(second), await made(third)]).toEqual([left, left])
  expect([await count(first), await count(second), await count(third)]).toEqual([4, 7, 7])
  for (const collection of [second, third])
    for (const { document_id: id } of await s.documents(collection)) {
      const { status, body } = await s.appliance.call("GET", `/v1/collections/${collection}/documents/${id}/lineage`)
      expect([status, body.document_id ?? id]).toEqual([200, id])
    }
  // Nobody has to be told twice, and who processes all again finds the same.
  expect((await drop(first)).status).toBe(404)
  await trigger(s.appliance, bucket, second, { reembed: true })
  expect([await made(second), await made(third)]).toEqual([left, left])
})

test("a version that is dropped while a batch reads its documents leaves nothing of them below", async () => {
  const texts = Array.from({ length: 4 }, (_, index) => `a${index} b${index} c${index}`)
  const words = texts.flatMap((text) => text.split(" ")).sort()
  const { bucket } = await bucketOf(s.appliance, texts)
  const first = await s.over(inBucket(bucket), chunks)
  await s.run(bucket)
  await move(first, "1.1.0")
  await trigger(s.appliance, bucket, first, { reembed: true })
  const second = await s.over(of(first), perWord("dawdles"))
  await trigger(s.appliance, bucket, second)
  expect(await made(second)).toEqual([...words, ...words].sort())
  // All of it anew, over what both versions made: its commits supersede what the drop takes away.
  const started = await startTrigger(s.appliance, second, { reembed: true })
  const path = `/v1/buckets/${bucket}/batches/${started}`
  await eventually(async () => (await s.appliance.call("GET", path)).body.rows_done > 0)
  expect((await drop(first)).status).toBe(200)
  expect(await made(second)).toEqual(words)
  const ended = await waitForBatch(s.appliance, bucket, started)
  const [[rows, done, failed, skipped]] = jobs(ended)
  expect([ended.status, rows, failed]).toEqual(["COMPLETED", 24, 0])
  expect(done + skipped).toBe(24)
  expect(skipped).toBeGreaterThan(0)
  expect(await made(second)).toEqual(words)
  expect(await count(second)).toBe(12)
})
