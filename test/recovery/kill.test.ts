import { expect, test } from "bun:test"
import { chmodSync, mkdtempSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { processStartTime } from "../../src/workers/process-identity.ts"
import { commandLine, eventually, startTestAppliance } from "../support/appliance.ts"
import { documentIds, loadTexts, publishSample, rowsOfDonePartitions, waitForBatch } from "../support/batch.ts"
import { addTexts, bucketOf, collectionOf, publishEcho, said, startTrigger, trigger } from "../support/collections.ts"
import { published } from "../support/plugins.ts"

test("kill -9 in the middle of a batch, then a start, finishes it with no document lost or doubled", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await publishSample(appliance, "text")
  const bucket = await loadTexts(appliance, 4000)
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "killed",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "text_features", version: "1.0.0" },
    },
  })
  const batch = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
    body: { collection_ids: [collection.body.collection_id] },
  })
  const path = `/v1/buckets/${bucket}/batches/${batch.body.batch_id}`
  // Twice: once with some partitions committed and others under way, once right after the restart.
  await eventually(async () => (await appliance.call("GET", path)).body.rows_done >= 500)
  await appliance.kill()
  await appliance.start()
  await appliance.kill()
  await appliance.start()
  const ended = await waitForBatch(appliance, bucket, batch.body.batch_id)
  expect(ended).toMatchObject({ status: "COMPLETED", rows_in: 4000, rows_done: 4000, rows_failed: 0, rows_skipped: 0 })
  const ids = await documentIds(appliance, collection.body.collection_id)
  expect(ids).toHaveLength(4000)
  expect(new Set(ids).size).toBe(4000)
}, 180_000)

test("kill -9 between a commit and the end of an incremental batch leaves nothing out and counts it once it ended", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "1" } })
  await publishEcho(appliance, "echo", "1.0.0", 2)
  const { bucket } = await bucketOf(appliance, ["a", "b"])
  const collection = await collectionOf(appliance, bucket, "echo")
  expect((await trigger(appliance, bucket, collection)).rows_done).toBe(2)
  await addTexts(appliance, bucket, ["c", "slow d"])
  const batch = await startTrigger(appliance, collection)
  const path = `/v1/buckets/${bucket}/batches/${batch}`
  await eventually(async () => (await appliance.call("GET", path)).body.rows_done === 1)
  await appliance.kill()
  await appliance.start()
  await addTexts(appliance, bucket, ["e"])
  // What the batch has in hand is left to it, and is not done again once it has ended.
  expect((await trigger(appliance, bucket, collection)).object_count).toBe(1)
  expect(await waitForBatch(appliance, bucket, batch)).toMatchObject({ status: "COMPLETED", rows_done: 2 })
  expect((await trigger(appliance, bucket, collection)).object_count).toBe(0)
  expect(await said(appliance, collection)).toEqual(["a", "b", "c", "e", "slow d"])
}, 180_000)

test("a documents process that hangs does not outlive a killed server and its next start", async () => {
  await using appliance = await startTestAppliance()
  const stopped = Number(
    Bun.spawnSync(["pgrep", "-P", String(appliance.pid), "-f", "documents-process"]).stdout.toString(),
  )
  process.kill(stopped, "SIGSTOP")
  await appliance.kill()
  await appliance.start()
  // Whoever adopted it may still have to reap it.
  await eventually(async () => processStartTime(stopped) === null, 5000)
}, 180_000)

test("SIGTERM ends the server cleanly within its grace and gives the batch back whole", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await publishSample(appliance, "text")
  const bucket = await loadTexts(appliance, 2000)
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "stopped",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "text_features", version: "1.0.0" },
    },
  })
  const batch = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: {} })
  const started = performance.now()
  expect(await appliance.stop()).toBe(0)
  expect(performance.now() - started).toBeLessThan(15_000)
  await appliance.start()
  expect((await waitForBatch(appliance, bucket, batch.body.batch_id)).rows_done).toBe(2000)
  expect(new Set(await documentIds(appliance, collection.body.collection_id)).size).toBe(2000)
}, 180_000)

test("a second server on the same directory is refused by the name of the holder", async () => {
  await using appliance = await startTestAppliance()
  const second = startTestAppliance({ dataDir: appliance.dataDir })
  expect(second).rejects.toThrow(new RegExp(`in use by mixpeek server ${appliance.pid} at http`))
  await second.catch(() => {})
})

test("an address beyond this machine is refused while plugin code is not isolated", async () => {
  const environment = { MIXPEEK_LANDLOCK_ABI: "0", MIXPEEK_MINIMUM_ISOLATION: "none" }
  expect(startTestAppliance({ environment, arguments: ["--host", "0.0.0.0"] })).rejects.toThrow(/--allow-unsandboxed/)
  await using appliance = await startTestAppliance({
    environment,
    arguments: ["--host", "0.0.0.0", "--allow-unsandboxed"],
  })
  expect((await appliance.call("GET", "/v1/health/liveness")).status).toBe(200)
})

test("a directory that holds something else is not taken over, and an empty --data is refused", async () => {
  const foreign = mkdtempSync(join(tmpdir(), "mixpeek-foreign-"))
  writeFileSync(join(foreign, "thesis.txt"), "years of work")
  chmodSync(foreign, 0o755)
  expect(startTestAppliance({ dataDir: foreign })).rejects.toThrow(/holds 'thesis.txt'/)
  await startTestAppliance({ dataDir: foreign }).catch(() => {})
  expect(statSync(foreign).mode & 0o777).toBe(0o755)
  const empty = Bun.spawnSync([...commandLine(), "serve", "--data", ""], { stderr: "pipe" })
  expect(empty.exitCode).toBe(2)
  expect(empty.stderr.toString()).toContain("--data is empty")
})

test("a port that is taken is named, with the way out", async () => {
  await using appliance = await startTestAppliance()
  const port = new URL(appliance.url).port
  expect(startTestAppliance({ arguments: ["--port", port] })).rejects.toThrow(new RegExp(`Port ${port} .* is taken`))
})

test("a batch that was paused or held stays so through kill -9, its task too, and goes on when it is told to", async () => {
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "500" } })
  await publishSample(appliance, "text")
  await published(appliance, { name: "always_dies", call: "signal.raise_signal(signal.SIGKILL)\nreturn batch" })
  const bucket = await loadTexts(appliance, 2000)
  const collection = async (name: string, extractor: string) => {
    const made = await appliance.call("POST", "/v1/collections", {
      body: {
        collection_name: name,
        source: { type: "bucket", bucket_ids: [bucket] },
        feature_extractor: { feature_extractor_name: extractor, version: "1.0.0" },
      },
    })
    return made.body.collection_id
  }
  const [texts, dying] = [await collection("paused", "text_features"), await collection("held", "always_dies")]
  const start = async (body: object) => {
    const made = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body })
    return `/v1/buckets/${bucket}/batches/${made.body.batch_id}`
  }
  const get = async (path: string) => (await appliance.call("GET", path)).body
  const once = (path: string, status: string) =>
    eventually(async () => {
      const batch = await get(path)
      return batch.status === status ? batch : null
    }, 90_000)

  const paused = await start({ collection_ids: [texts] })
  await eventually(async () => (await get(paused)).rows_done >= 500)
  await appliance.call("POST", `${paused}/pause`)
  // Right after the answer: leases are still being given back.
  await appliance.kill()
  await appliance.start()
  const rested = await get(paused)
  expect(rested).toMatchObject({ status: "SUSPENDED", lifecycle_reason: "paused" })
  expect(rested.rows_done).toBe(rowsOfDonePartitions(appliance, rested.batch_id))
  expect((await appliance.call("GET", `/v1/tasks/${rested.task_id}`)).body.status).toBe("SUSPENDED")

  const held = await start({ collection_ids: [dying], limit: 20 })
  const { lifecycle_reason: reason } = await once(held, "SUSPENDED")
  await appliance.kill()
  await appliance.start()
  expect(await get(held)).toMatchObject({ status: "SUSPENDED", lifecycle_reason: reason, rows_failed: 10 })
  expect((await get(paused)).rows_done).toBe(rested.rows_done)

  // One that had not begun.
  const queued = await start({ collection_ids: [texts] })
  await appliance.call("POST", `${queued}/pause`)
  await appliance.kill()
  await appliance.start()
  expect((await get(queued)).status).toBe("SUSPENDED")
  for (const path of [paused, queued]) {
    await appliance.call("POST", `${path}/resume`)
    const ended = await once(path, "COMPLETED")
    expect(ended).toMatchObject({ rows_in: 2000, rows_done: 2000, rows_failed: 0, rows_skipped: 0 })
  }
  await appliance.call("POST", `${held}/cancel`)
  expect(await get(held)).toMatchObject({ status: "CANCELED", rows_in: 20, rows_failed: 10, rows_skipped: 10 })
  expect(new Set(await documentIds(appliance, texts)).size).toBe(2000)
}, 180_000)
