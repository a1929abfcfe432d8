import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"
import { mixpeek, PROCESSES_MS, preparedData, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

const NAME = "reads_files"
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

/** Opens each row's file, and does not like the threshold when it is 0.25. */
function plugin(raises: string): PluginFiles {
  const files = textPlugin({
    name: NAME,
    call: `from shared.plugins.assets import open_asset
for url in batch["file"].tolist():
    with open_asset(url) as path:
        size = os.path.getsize(path)
        if ${raises}:
            raise ValueError(f"{size} bytes at {self.config.threshold}")
batch["${NAME}_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
  })
  return {
    ...files,
    "pipeline.py": (files["pipeline.py"] ?? "").replace("RowCondition.IS_TEXT", "RowCondition.ALWAYS"),
  }
}

let appliance: TestAppliance
let batchId = ""

beforeAll(async () => {
  appliance = await startTestAppliance()
  const published = await upload(appliance, plugin("self.config.threshold == 0.25"), { name: NAME })
  expect(published.text).toContain("plugin_id")
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: {
      bucket_name: "files",
      bucket_schema: { properties: { file: { type: "image" }, note: { type: "text" } } },
    },
  })
  const bucketId: string = bucket.body.bucket_id
  await appliance.call("POST", `/v1/buckets/${bucketId}/objects`, {
    body: {
      blobs: [
        { property: "note", type: "text", data: "a text beside the file" },
        { property: "file", type: "image", data: { base64: PIXEL, mime_type: "image/png" } },
      ],
    },
  })
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: "files",
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: NAME, version: "1.0.0", parameters: { threshold: 0.25 } },
    },
  })
  expect(collection.status).toBe(200)
  const batch = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, { body: {} })
  batchId = batch.body.batch_id
  expect((await waitForBatch(appliance, bucketId, batchId)).rows_failed).toBe(1)
}, PROCESSES_MS)
afterAll(() => appliance[Symbol.asyncDispose]())

async function replay(files: PluginFiles, ...more: string[]) {
  await using directory = await temporaryDirectory()
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory.path, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }
  const server = ["--base-url", appliance.url, "--api-key", appliance.adminKey, "--namespace", appliance.namespaceId]
  const here = ["--path", directory.path, "--data", await preparedData()]
  return await mixpeek(["plugin", "replay", "--batch", batchId, "--row", "0", ...here, ...server, ...more])
}

test("a row that failed fails here too, with its file and parameters, and the traceback begins in the author's", async () => {
  const { code, stdout } = await replay(plugin("self.config.threshold == 0.25"))
  expect(stdout).toContain("    row 0: ValueError: ")
  expect(stdout).toContain("failed in version 1.0.0: ValueError")
  expect(stdout).toMatch(/processors\/core\.py, line \d+, in __call__/)
  expect(stdout).toContain("bytes at 0.25")
  expect(stdout).toContain("it fails here")
  expect(stdout).not.toContain("the code that failed was")
  expect(code).toBe(1)
})

test("a fix passes, by exit code 0, and it is told that the code is another", async () => {
  const { code, stdout, stderr } = await replay(plugin("size == 0"), "--json")
  expect(stderr).toBe("")
  expect(code).toBe(0)
  const said = JSON.parse(stdout)
  expect(said).toMatchObject({ passed: true, same_code: false, server: { row: 0, exception: "ValueError" } })
  expect(said.local.summary).toContain("1 row")
})

test("a row that has not failed is said to be none", async () => {
  const { code, stderr } = await replay(plugin("size == 0"), "--row", "7")
  expect(code).toBe(1)
  expect(stderr).toContain("Row 7")
  expect(stderr).toContain("has not failed, or a retry has run it again since")
})

test("a batch that is not there is told with the namespace in which it was looked for", async () => {
  const { code, stderr } = await replay(plugin("size == 0"), "--batch", "btch_elsewhere")
  expect(code).toBe(1)
  expect(stderr).toContain("batch 'btch_elsewhere' was not found.")
  expect(stderr).toContain(`in namespace '${appliance.namespaceId}'; --namespace names another`)
})

test("what is no row number is said to be none: an empty one is not row 0", async () => {
  for (const row of ["", "-1", "1.5", "0x0"]) {
    const { code, stderr } = await replay(plugin("size == 0"), "--row", row)
    expect([code, stderr]).toEqual([2, expect.stringContaining(`--row '${row}' is no row number`)])
  }
})
