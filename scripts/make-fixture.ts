/**
 * Makes `test/recovery/fixtures/<version>.tar.gz`: a small data directory of this build, as a later build must be able to
 * open it. Run once per landing: `bun scripts/make-fixture.ts NAME`. What another build makes for itself (unpacked
 * runtime, Python environment, locks) is left out.
 */
import { statSync } from "node:fs"
import { join, resolve } from "node:path"
import { startTestAppliance } from "../test/support/appliance.ts"
import { waitForBatch } from "../test/support/batch.ts"
import { published } from "../test/support/plugins.ts"

/** The limit of the issue that asked for fixtures. */
const MAX_BYTES = 200_000

const name = process.argv[2]
if (name === undefined || !/^[a-z0-9.-]+$/.test(name)) {
  console.error("usage: bun scripts/make-fixture.ts NAME")
  process.exit(2)
}
const target = resolve(import.meta.dir, "../test/recovery/fixtures", `${name}.tar.gz`)

await using appliance = await startTestAppliance()
await published(appliance, { name: "kept_text" })
const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
  body: {
    bucket_name: "kept",
    bucket_schema: { properties: { text: { type: "text" }, image: { type: "image" } } },
  },
})
const objects = Array.from({ length: 20 }, (_, index) => ({
  blobs: [
    { property: "text", type: "text", data: `kept text ${index}` },
    ...(index === 0 ? [{ property: "image", type: "image", data: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" }] : []),
  ],
  number: index,
}))
await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/objects/batch`, { body: { objects } })
const { body: collection } = await appliance.call("POST", "/v1/collections", {
  body: {
    collection_name: "kept",
    source: { type: "bucket", bucket_ids: [bucket.bucket_id] },
    feature_extractor: { feature_extractor_name: "kept_text", version: "1.0.0", field_passthrough: ["number"] },
  },
})
for (let run = 0; run < 2; run++) {
  const { body: batch } = await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/batches/trigger`, {
    body: { collection_ids: [collection.collection_id] },
  })
  await waitForBatch(appliance, bucket.bucket_id, batch.batch_id)
}
await appliance.stop()
const { exitCode, stderr } = Bun.spawnSync(
  [
    "tar",
    "-czf",
    target,
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--exclude=./runtime",
    "--exclude=./environments",
    "--exclude=./lock",
    "--exclude=./holder.json",
    "--exclude=./spool",
    "--exclude=./scratch",
    "--exclude=./.bun",
    ".",
  ],
  { cwd: appliance.dataDir },
)
if (exitCode !== 0) throw new Error(stderr.toString())
const bytes = statSync(target).size
if (bytes > MAX_BYTES)
  throw new Error(`${join("test/recovery/fixtures", name)} has ${bytes} bytes, more than ${MAX_BYTES}`)
console.log(`${target}: ${bytes} bytes`)
