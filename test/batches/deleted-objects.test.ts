/** What a batch makes of objects that are deleted while it runs. Documents that they had before stay: nobody says that they go. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { documentIds, waitForBatch } from "../support/batch.ts"
import {
  bucketOf,
  collectionOf,
  publishEcho,
  rewrite,
  rowsAreRead,
  said,
  startTrigger,
  trigger,
} from "../support/collections.ts"
import { counts } from "./support.ts"

const SLOW_SECONDS = 3
let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: "2" } })
  await publishEcho(appliance, "echo", "1.0.0", SLOW_SECONDS)
})
afterAll(() => appliance[Symbol.asyncDispose]())

const deleted = async (bucket: string, object: string | undefined) => {
  const { status } = await appliance.call("DELETE", `/v1/buckets/${bucket}/objects/${object}`)
  expect(status).toBe(204)
}

test("an object that is deleted after it was read does not come back: its row is skipped", async () => {
  const { bucket, ids } = await bucketOf(appliance, ["slow a", "b", "c", "d"])
  const collection = await collectionOf(appliance, bucket, "echo")
  const batch = await startTrigger(appliance, collection)
  await rowsAreRead(appliance)
  await deleted(bucket, ids[1])
  await deleted(bucket, ids[3])
  const ended = await waitForBatch(appliance, bucket, batch)
  expect([ended.status, ...counts(ended)]).toEqual(["COMPLETED", 4, 2, 0, 2])
  expect(ended.documents_written).toBe(2)
  expect(await said(appliance, collection)).toEqual(["c", "slow a"])
})

test("with all of them deleted nothing is made, and with one that failed it stays failed", async () => {
  const { bucket, ids } = await bucketOf(appliance, ["slow poison", "b"])
  const collection = await collectionOf(appliance, bucket, "echo")
  const batch = await startTrigger(appliance, collection)
  await rowsAreRead(appliance)
  for (const id of ids) await deleted(bucket, id)
  const ended = await waitForBatch(appliance, bucket, batch)
  expect(counts(ended)).toEqual([2, 0, 1, 1])
  expect(await said(appliance, collection)).toEqual([])
})

test("what an earlier batch made of it stays as it was", async () => {
  const { bucket, ids } = await bucketOf(appliance, ["a", "b"])
  const collection = await collectionOf(appliance, bucket, "echo")
  await trigger(appliance, bucket, collection)
  await rewrite(appliance, bucket, ids[0], "slow a")
  await rewrite(appliance, bucket, ids[1], "B")
  const batch = await startTrigger(appliance, collection)
  await rowsAreRead(appliance)
  await deleted(bucket, ids[1])
  expect(counts(await waitForBatch(appliance, bucket, batch))).toEqual([2, 1, 0, 1])
  expect(await said(appliance, collection)).toEqual(["b", "slow a"])
})

test("what reads its documents in the same batch does not see it", async () => {
  const { bucket, ids } = await bucketOf(appliance, ["slow a", "b"])
  const collection = await collectionOf(appliance, bucket, "echo")
  const { body: below } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `below ${crypto.randomUUID()}`,
      source: { type: "collection", collection_id: collection },
      feature_extractor: { feature_extractor_name: "echo", version: "1.0.0", input_mappings: { text: "said" } },
    },
  })
  const batch = await startTrigger(appliance, collection)
  await rowsAreRead(appliance)
  await deleted(bucket, ids[1])
  await waitForBatch(appliance, bucket, batch)
  expect(await said(appliance, collection)).toEqual(["slow a"])
  expect(await documentIds(appliance, below.collection_id)).toHaveLength(1)
})
