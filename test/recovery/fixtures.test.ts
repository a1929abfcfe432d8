import { expect, test } from "bun:test"
import { chmodSync, mkdtempSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { removeDataDirectory, startTestAppliance } from "../support/appliance.ts"
import { documentIds, waitForBatch } from "../support/batch.ts"

const FIXTURES = join(import.meta.dir, "fixtures")

for (const fixture of readdirSync(FIXTURES).filter((name) => name.endsWith(".tar.gz"))) {
  test(`the data directory of ${fixture} opens with all that was in it, and goes on working`, async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-fixture-"))
    try {
      const unpacked = Bun.spawnSync(["tar", "-xzf", join(FIXTURES, fixture), "-C", dataDir])
      expect(unpacked.exitCode).toBe(0)
      chmodSync(dataDir, 0o700)
      await using appliance = await startTestAppliance({ dataDir })
      const buckets = await appliance.call("POST", "/v1/buckets/list", {})
      const bucket = buckets.body.results[0].bucket_id
      expect(buckets.body.results[0]).toMatchObject({ bucket_name: "kept", object_count: 20 })
      const collection = await appliance.call("GET", "/v1/collections/kept")
      expect(collection.body.document_count).toBe(20)
      const before = await documentIds(appliance, "kept")
      expect(new Set(before).size).toBe(20)
      const listed = await appliance.call("POST", "/v1/collections/kept/documents/list", {
        body: { return_vectors: true },
      })
      for (const document of listed.body.results) {
        expect(document.kept_text_embedding).toHaveLength(4)
        expect(document.number).toBeNumber()
      }
      const batch = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, { body: {} })
      expect((await waitForBatch(appliance, bucket, batch.body.batch_id)).status).toBe("COMPLETED")
      expect((await documentIds(appliance, "kept")).sort()).toEqual(before.sort())
    } finally {
      removeDataDirectory(dataDir)
    }
  })
}
