/** Each round: a fresh collection over the same objects, SIGKILL at a random point, restart, wait, count. */
import { randomInt } from "node:crypto"
import { startTestAppliance } from "../test/support/appliance.ts"
import { documentIds, loadTexts, publishSample, waitForBatch } from "../test/support/batch.ts"

const kills = Number(process.argv[2] ?? 20)
const rows = Number(process.argv[3] ?? 20_000)
// Small partitions: more commit points to be killed at.
await using appliance = await startTestAppliance({
  environment: { MIXPEEK_PARTITION_ROWS: "1000" },
  arguments: ["--log-level", "error"],
})
await publishSample(appliance, "text")
const bucket = await loadTexts(appliance, rows)

// An undisturbed batch says how long one takes; the kills spread over that.
const undisturbed = await oneBatch(null)
console.log(`undisturbed: ${undisturbed.toFixed(0)} ms for ${rows} rows`)
for (let round = 1; round <= kills; round++) {
  const after = randomInt(Math.max(1, Math.round(undisturbed)))
  await oneBatch(after)
  console.log(`kill ${round} after ${after} ms: ${rows} documents of ${rows} objects, ids unique`)
}
console.log(`${kills} kills, nothing lost, nothing doubled`)

async function oneBatch(killAfterMs: number | null): Promise<number> {
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `kill ${crypto.randomUUID()}`,
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "text_features", version: "1.0.0" },
    },
  })
  const started = performance.now()
  const batch = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
    body: { collection_ids: [collection.body.collection_id] },
  })
  if (killAfterMs !== null) {
    await Bun.sleep(killAfterMs)
    await appliance.kill()
    await appliance.start()
  }
  const ended = await waitForBatch(appliance, bucket, batch.body.batch_id)
  const elapsed = performance.now() - started
  const ids = await documentIds(appliance, collection.body.collection_id)
  const problems = [
    ...(ended.status === "COMPLETED" ? [] : [`the batch is ${ended.status}`]),
    ...(ended.rows_done === rows ? [] : [`${ended.rows_done} rows done`]),
    ...(ids.length === rows ? [] : [`${ids.length} documents`]),
    ...(new Set(ids).size === ids.length ? [] : [`${ids.length - new Set(ids).size} ids twice`]),
  ]
  if (problems.length > 0) throw new Error(`after a kill at ${killAfterMs} ms: ${problems.join(", ")}`)
  await appliance.call("DELETE", `/v1/collections/${collection.body.collection_id}`)
  return elapsed
}
