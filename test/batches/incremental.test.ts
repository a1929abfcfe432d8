import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Commit } from "../../src/batches/ledger.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import {
  addTexts,
  bucketOf,
  collectionOf,
  publishEcho,
  rewrite,
  rowsAreRead,
  said,
  startTrigger,
  trigger,
} from "../support/collections.ts"
import { leased, openLedger } from "./ledger-support.ts"

let appliance: TestAppliance

beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_WORKERS: "2" } })
  await publishEcho(appliance, "echo")
})
afterAll(() => appliance[Symbol.asyncDispose]())

const counted = (batch: { status: string; object_count: number; rows_done: number }) => [
  batch.status,
  batch.object_count,
  batch.rows_done,
]
const cancel = (bucket: string, batch: string) =>
  appliance.call("POST", `/v1/buckets/${bucket}/batches/${batch}/cancel`, {})
const held = (rows: number) => Array.from({ length: rows }, (_, index) => `text ${index}`)

/** A bucket with three processed texts. */
async function processed(texts = ["a", "b", "c"]) {
  const { bucket, ids } = await bucketOf(appliance, texts)
  const collection = await collectionOf(appliance, bucket, "echo")
  expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", texts.length, texts.length])
  return { bucket, ids, collection }
}

describe("a trigger", () => {
  test("twice processes only what is new and changed in between, and nothing the third time", async () => {
    const { bucket, ids, collection } = await processed()
    await addTexts(appliance, bucket, ["d", "e"])
    await rewrite(appliance, bucket, ids[1], "B")
    const second = await trigger(appliance, bucket, collection)
    expect(counted(second)).toEqual(["COMPLETED", 3, 3])
    expect(second.object_ids).toContain(ids[1])
    expect(await said(appliance, collection)).toEqual(["B", "a", "c", "d", "e"])
    expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 0, 0])
  })

  test.each(["replace", "force"])(
    "by dedup_strategy %s, as generated SDKs say it, does everything and doubles nothing",
    async (dedup_strategy) => {
      const { bucket, collection } = await processed()
      expect(counted(await trigger(appliance, bucket, collection, { dedup_strategy: "skip" }))).toEqual([
        "COMPLETED",
        0,
        0,
      ])
      expect(counted(await trigger(appliance, bucket, collection, { dedup_strategy }))).toEqual(["COMPLETED", 3, 3])
      expect(await said(appliance, collection)).toEqual(["a", "b", "c"])
      const answer = await appliance.call("POST", `/v1/collections/${collection}/trigger`, {
        body: { reembed: { only_missing: true } },
      })
      expect([answer.status, answer.body.error.message]).toEqual([
        422,
        expect.stringContaining("must be true or false"),
      ])
    },
  )

  test("with nothing to do answers 202 with a batch and a task that have ended", async () => {
    const { bucket, collection } = await processed()
    const { status, body } = await appliance.call("POST", `/v1/collections/${collection}/trigger`)
    expect(status).toBe(202)
    expect(body).toMatchObject({
      object_count: 0,
      message: expect.stringMatching(/nothing is new or changed.* retry .* reembed/),
    })
    const batch = (await appliance.call("GET", `/v1/buckets/${bucket}/batches/${body.batch_id}`)).body
    expect(counted(batch)).toEqual(["COMPLETED", 0, 0])
    expect((await appliance.call("GET", `/v1/tasks/${body.task_id}`)).body.status).toBe("COMPLETED")
  })

  test("does everything with reembed, and exactly the objects that are named", async () => {
    const { bucket, ids, collection } = await processed()
    expect(counted(await trigger(appliance, bucket, collection, { reembed: true }))).toEqual(["COMPLETED", 3, 3])
    const named = await trigger(appliance, bucket, collection, { object_ids: [ids[2]] })
    expect(counted(named)).toEqual(["COMPLETED", 1, 1])
    expect(await said(appliance, collection)).toEqual(["a", "b", "c"])
  })

  test("of named objects of which one is not there is refused, and says which", async () => {
    const { ids, collection } = await processed()
    const refused = await appliance.call("POST", `/v1/collections/${collection}/trigger`, {
      body: { object_ids: [ids[0], "obj_of_nobody", ids[1]] },
    })
    expect(refused.status).toBe(404)
    expect(refused.body.error.message).toContain("obj_of_nobody")
    expect(refused.body.error.details).toMatchObject({ resource: "object", missing: ["obj_of_nobody"] })
  })

  test("with a filter does what fits and is new, again when that changes, and leaves the rest to the next", async () => {
    const { bucket, ids, collection } = await processed()
    await addTexts(appliance, bucket, ["new one", "new two", "other"])
    const source_filters = { field: "text", operator: "starts_with", value: "new" }
    expect(counted(await trigger(appliance, bucket, collection, { source_filters }))).toEqual(["COMPLETED", 2, 2])
    expect(counted(await trigger(appliance, bucket, collection, { source_filters }))).toEqual(["COMPLETED", 0, 0])
    await rewrite(appliance, bucket, ids[0], "new three")
    expect(counted(await trigger(appliance, bucket, collection, { source_filters }))).toEqual(["COMPLETED", 1, 1])
    // What was filtered proves nothing about the rest.
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(4)
    expect(await said(appliance, collection)).toEqual(["b", "c", "new one", "new three", "new two", "other"])
  })

  test("with a filter beside named objects does those of them that fit, and proves nothing of the others", async () => {
    const { bucket, ids } = await bucketOf(appliance, ["new one", "other"])
    const collection = await collectionOf(appliance, bucket, "echo")
    const source_filters = { field: "text", operator: "starts_with", value: "new" }
    const named = await trigger(appliance, bucket, collection, { source_filters, object_ids: ids })
    expect(counted(named)).toEqual(["COMPLETED", 2, 1])
    expect(await said(appliance, collection)).toEqual(["new one"])
    const run = { object_ids: ids, filters: { field: "text", operator: "eq", value: "other" } }
    const full = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: run })
    expect(counted(await waitForBatch(appliance, bucket, full.body.batch_id))).toEqual(["COMPLETED", 2, 1])
    expect(await said(appliance, collection)).toEqual(["new one", "other"])
    expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 2, 2])
  })

  test("of no bucket is refused and not one of all, and of a bucket that is named twice one batch", async () => {
    const { bucket, collection } = await processed()
    const path = `/v1/collections/${collection}/trigger`
    const none = await appliance.call("POST", path, { body: { include_buckets: [], reembed: true } })
    expect([none.status, none.body.error.details.validation_errors[0].location]).toEqual([
      422,
      ["body", "include_buckets"],
    ])
    const { body } = await appliance.call("POST", path, { body: { include_buckets: [bucket, bucket], reembed: true } })
    expect(body).toMatchObject({ batch_ids: [body.batch_id], source_bucket_ids: [bucket] })
    await waitForBatch(appliance, bucket, body.batch_id)
  })

  test("goes on where a full run of the bucket ended, which stays one over everything", async () => {
    const { bucket } = await bucketOf(appliance, ["a", "b"])
    const collection = await collectionOf(appliance, bucket, "echo")
    for (const _ of [1, 2]) {
      const full = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: {} })
      expect(counted(await waitForBatch(appliance, bucket, full.body.batch_id))).toEqual(["COMPLETED", 2, 2])
    }
    await addTexts(appliance, bucket, ["c"])
    expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 1, 1])
  })

  test("leaves out what auto_process has done", async () => {
    const { bucket, collection } = await processed()
    const { body } = await appliance.call("POST", `/v1/buckets/${bucket}/objects?auto_process=true`, {
      body: { blobs: [{ property: "text", type: "text", data: "d" }] },
    })
    expect(body.auto_process_error).toBeUndefined()
    await eventually(async () => (await said(appliance, collection)).includes("d"))
    await eventually(async () => (await trigger(appliance, bucket, collection)).object_count === 0)
  })
})

describe("what counts as changed", () => {
  test("is content: an object that is written as it was, or a collection that is described anew, is not", async () => {
    const { bucket, ids, collection } = await processed()
    await rewrite(appliance, bucket, ids[0], "a")
    await appliance.call("PATCH", `/v1/buckets/${bucket}/objects/${ids[1]}`, { body: {} })
    await appliance.call("PATCH", `/v1/collections/${collection}`, {
      body: { description: "anew", metadata: { a: 1 }, enabled: true },
    })
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
    await appliance.call("PATCH", `/v1/buckets/${bucket}/objects/${ids[1]}`, { body: { metadata: { tag: "x" } } })
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(1)
  })

  test("is per collection, and other code under the same version counts as nothing done", async () => {
    await publishEcho(appliance, "replaced")
    const { bucket } = await bucketOf(appliance, ["a", "b"])
    const [one, other] = [
      await collectionOf(appliance, bucket, "replaced"),
      await collectionOf(appliance, bucket, "echo"),
    ]
    expect((await trigger(appliance, bucket, one)).object_count).toBe(2)
    expect((await trigger(appliance, bucket, other)).object_count).toBe(2)
    const replaced = async (slowSeconds: number) => {
      await appliance.call("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/replaced_1_0_0`)
      await publishEcho(appliance, "replaced", "1.0.0", slowSeconds)
    }
    await replaced(599)
    expect(counted(await trigger(appliance, bucket, one))).toEqual(["COMPLETED", 2, 2])
    expect((await trigger(appliance, bucket, other)).object_count).toBe(0)
    expect(await said(appliance, one)).toEqual(["a", "b"])
    // Nor may the code of before count on what it did: the other has replaced that.
    const source_filters = { field: "text", operator: "ne", value: "b" }
    for (const slow of [600, 599, 600]) {
      await replaced(slow)
      expect(counted(await trigger(appliance, bucket, one, { source_filters }))).toEqual(["COMPLETED", 1, 1])
    }
    expect(counted(await trigger(appliance, bucket, one))).toEqual(["COMPLETED", 2, 2])
  })

  test("an object that is deleted is not counted, and its number is not given again", async () => {
    const { bucket, collection } = await processed()
    const [last] = await addTexts(appliance, bucket, ["d"])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(1)
    await appliance.call("DELETE", `/v1/buckets/${bucket}/objects/${last}`)
    await addTexts(appliance, bucket, ["e"])
    expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 1, 1])
  })
})

describe("a run that does not end well", () => {
  test("failed or canceled, is done again by the next trigger; rows that failed alone are not", async () => {
    const { bucket, ids } = await bucketOf(appliance, ["poison 1", "poison 2"])
    const collection = await collectionOf(appliance, bucket, "echo")
    expect((await trigger(appliance, bucket, collection)).status).toBe("FAILED")
    await rewrite(appliance, bucket, ids[0], "slow")
    const canceled = await startTrigger(appliance, collection)
    await cancel(bucket, canceled)
    await rewrite(appliance, bucket, ids[0], "good")
    const third = await trigger(appliance, bucket, collection)
    expect([third.status, third.object_count, third.rows_failed]).toEqual(["COMPLETED_WITH_ERRORS", 2, 1])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
  })

  test("two at once: the second does what the first has not in hand, and all of it once the first is canceled", async () => {
    const { bucket, collection } = await processed()
    const [slow] = await addTexts(appliance, bucket, ["slow"])
    const first = await startTrigger(appliance, collection)
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
    await addTexts(appliance, bucket, ["d"])
    expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 1, 1])
    await cancel(bucket, first)
    await rewrite(appliance, bucket, slow, "quick")
    const last = await trigger(appliance, bucket, collection)
    expect(last.status).toBe("COMPLETED")
    expect(last.object_ids).toContain(slow)
    expect(await said(appliance, collection)).toEqual(["a", "b", "c", "d", "quick"])
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
  })
})

test("a second trigger that ends before the first counts from the moment the first has ended too", async () => {
  await publishEcho(appliance, "lingers", "1.0.0", 2)
  const { bucket } = await bucketOf(appliance, ["slow a"])
  const collection = await collectionOf(appliance, bucket, "lingers")
  const first = await startTrigger(appliance, collection)
  await addTexts(appliance, bucket, ["b"])
  expect(counted(await trigger(appliance, bucket, collection))).toEqual(["COMPLETED", 1, 1])
  expect(counted(await waitForBatch(appliance, bucket, first))).toEqual(["COMPLETED", 1, 1])
  expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
})

test("a run that a retry ended well counts only when every row of it was tried", () => {
  for (const retry_mode of ["transient_only", "all"] as const) {
    using s = openLedger()
    const bucket = s.source()
    const batch = s.start(bucket, 4, 2)
    const commit = (failed: boolean) => {
      const partition = leased(s.ledger.lease())
      const fault: Commit["faults"][number] = {
        ordinal: partition.first_ordinal,
        object_id: "obj_0",
        error_type: "network",
        exception: "TimeoutError",
        message: "no answer",
        traceback: null,
        stage: null,
        input: null,
      }
      const faults = failed ? [fault] : []
      const code = { plugin_version: "1.0.0", code_hash: "0".repeat(64) }
      const done = partition.rows_in - faults.length
      s.ledger.commit(partition, { code, part: null, superseded: [], faults, done, skipped: 0 })
    }
    commit(true)
    const [run] = s.metadata.read.batches.runs(batch)
    if (run === undefined || run.fingerprint === null) throw new Error("the run claims nothing")
    const stopped = { error_type: "validation", message: "no", traceback: null, stage: null } as const
    s.ledger.failRun(leased(s.ledger.lease()), stopped)
    s.batches.retry(s.namespace, bucket, batch, { retry_mode })
    const key = { collectionId: run.collection_id, bucketId: bucket, fingerprint: run.fingerprint }
    const ended = (): unknown[] => {
      while (s.row(batch).status === "IN_PROGRESS") commit(false)
      return [s.row(batch).status, s.counts(batch), s.metadata.read.processedChanges.get(key) !== undefined]
    }
    const whole = ["COMPLETED", [4, 4, 0, 0], true]
    if (retry_mode === "all") {
      expect(ended()).toEqual(whole)
      continue
    }
    expect(ended()).toEqual(["FAILED", [4, 2, 0, 2], false])
    expect(s.row(batch).error).toContain("2 of its 4 rows were never tried")
    // Nor may what another run proves go over into what it claimed.
    expect(s.metadata.read.processedChanges.done(key, 0)).toBe(0)
    expect(s.batches.retry(s.namespace, bucket, batch, {}).runs).toMatchObject([
      { failed_rows: 0, unprocessed_rows: 2 },
    ])
    expect(ended()).toEqual(whole)
  }
})

describe("an object that changes while a batch runs", () => {
  test("is processed by the next trigger", async () => {
    await publishEcho(appliance, "naps", "1.0.0", 1)
    const { bucket, ids } = await bucketOf(appliance, ["slow a", ...held(20)])
    const collection = await collectionOf(appliance, bucket, "naps")
    const batch = await startTrigger(appliance, collection)
    await rowsAreRead(appliance)
    await rewrite(appliance, bucket, ids[3], "changed")
    expect((await waitForBatch(appliance, bucket, batch)).rows_done).toBe(21)
    const next = await trigger(appliance, bucket, collection)
    expect(next.object_ids).toEqual([ids[3]])
    expect(await said(appliance, collection)).toContain("changed")
  })

  test("keeps its newest content when a batch that read it earlier commits later", async () => {
    await publishEcho(appliance, "dawdles", "1.0.0", 3)
    const { bucket, ids } = await bucketOf(appliance, ["slow old", "other"])
    const collection = await collectionOf(appliance, bucket, "dawdles")
    const slow = await startTrigger(appliance, collection)
    await rowsAreRead(appliance)
    await rewrite(appliance, bucket, ids[0], "newest")
    expect((await trigger(appliance, bucket, collection)).object_count).toBe(1)
    expect(await said(appliance, collection)).toEqual(["newest"])
    expect((await waitForBatch(appliance, bucket, slow)).rows_done).toBe(2)
    expect(appliance.log()).toContain("partition_read_anew")
    expect(await said(appliance, collection)).toEqual(["newest", "other"])
  })
})
