/**
 * Hostile plugins against the wall alone (the scan is off) and against the scan, while an honest plugin's batch runs beside
 * each. `MIXPEEK_HOSTILE=all` (scripts/hostile-plugins) takes the slow ones too.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { REACHED } from "../support/isolation.ts"
import { textPlugin, upload } from "../support/plugins.ts"
import { HOSTILE_PLUGINS, type HostilePlugin } from "./hostile-plugins.ts"

const all = process.env.MIXPEEK_HOSTILE === "all"
const tried = HOSTILE_PLUGINS.filter(({ slow }) => all || slow !== true)
/** Layers that the caller leaves out, as on an older machine. */
const LAYERS = Object.fromEntries(
  ["MIXPEEK_LANDLOCK_ABI", "MIXPEEK_NAMESPACES"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
)
const LIMITS = {
  MIXPEEK_WORKER_MEMORY_MB: "1024",
  MIXPEEK_WORKER_THREADS: "60",
  MIXPEEK_WORKER_SCRATCH_MB: "200",
  MIXPEEK_WORKER_SCRATCH_FILES: "2000",
  MIXPEEK_PARTITION_DEADLINE_SECONDS: "10",
  MIXPEEK_PARTITION_WALL_SECONDS: "20",
  MIXPEEK_WORKER_CPU_SECONDS: "5",
  MIXPEEK_WORKER_LOG_MB: "8",
}

function source({ attempt }: HostilePlugin): string {
  const lines = attempt.split("\n").map((line) => `    ${line}`)
  return [
    "import json",
    "def attempt(place):",
    ...lines,
    "for text in batch['text']:",
    "    if attempt(json.loads(text)) == 'handed back':",
    "        return batch",
    "batch['label'] = 'through'",
    "batch['hostile_embedding'] = [[0.0] * 4] * len(batch)",
    "return batch",
  ].join("\n")
}

function named(plugin: HostilePlugin): string {
  return `hostile_${HOSTILE_PLUGINS.indexOf(plugin)}`
}

describe("the scan", () => {
  let appliance: TestAppliance
  beforeAll(async () => {
    appliance = await startTestAppliance()
  })
  afterAll(() => appliance[Symbol.asyncDispose]())

  test.each(tried.filter(({ scanned }) => scanned).map((plugin) => [plugin.name, plugin] as const))(
    "refuses a plugin that %s",
    async (_name, plugin) => {
      const answer = await upload(appliance, textPlugin({ name: named(plugin), call: source(plugin) }), {
        name: named(plugin),
      })
      expect(answer.status).toBe(400)
      expect(answer.text).toContain("Forbidden")
    },
  )
})

describe.skipIf(REACHED !== "full" && REACHED !== "standard")("the wall alone", () => {
  const outside = mkdtempSync(join(tmpdir(), "mixpeek-outside-"))
  const secret = join(outside, "secret")
  let appliance: TestAppliance
  let honest: string

  beforeAll(async () => {
    writeFileSync(secret, "a secret")
    appliance = await startTestAppliance({ environment: { MIXPEEK_SCAN: "0", ...LIMITS, ...LAYERS } })
    honest = await ready(appliance, "honest", textPlugin({ name: "honest" }), Array(100).fill("honest text"))
  })
  afterAll(async () => {
    await appliance[Symbol.asyncDispose]()
    rmSync(outside, { recursive: true, force: true })
  })

  test.each(tried.map((plugin) => [plugin.name, plugin] as const))(
    "holds against a plugin that %s",
    async (_name, plugin) => {
      const place = {
        feature: `${named(plugin)}_embedding`,
        outside,
        secret,
        data: appliance.dataDir,
        server: appliance.pid,
        socket: join(outside, "socket"),
      }
      const hostile = await ready(appliance, named(plugin), textPlugin({ name: named(plugin), call: source(plugin) }), [
        JSON.stringify(place),
      ])
      const [attacked, worked] = await Promise.all([run(appliance, hostile), run(appliance, honest)])
      expect(worked).toMatchObject({ status: "COMPLETED", rows_done: 100, rows_failed: 0 })
      expect(attacked.rows_done).toBe(0)
      expect(JSON.stringify(attacked)).toMatch(plugin.says)
      expect(readFileSync(secret, "utf8")).toBe("a secret")
      expect((await appliance.call("GET", "/v1/health/liveness", { key: null })).status).toBe(200)
    },
  )
})

/** Publishes a plugin, makes a bucket of texts and a collection over it; answers ids as `run` needs them. */
async function ready(
  appliance: TestAppliance,
  name: string,
  files: ReturnType<typeof textPlugin>,
  texts: readonly string[],
): Promise<string> {
  const answer = await upload(appliance, files, { name })
  if (answer.status !== 200) throw new Error(answer.text)
  const { body: bucket } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const objects = texts.map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
  const stored = await appliance.call("POST", `/v1/buckets/${bucket.bucket_id}/objects/batch`, { body: { objects } })
  if (stored.status >= 300) throw new Error(stored.text)
  const { body: collection } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: name,
      source: { type: "bucket", bucket_ids: [bucket.bucket_id] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  return `${bucket.bucket_id}/${collection.collection_id}`
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says and asserts on it
async function run(appliance: TestAppliance, ids: string): Promise<any> {
  const [bucketId = "", collectionId = ""] = ids.split("/")
  const { body: batch } = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
    body: { collection_ids: [collectionId] },
  })
  await waitForBatch(appliance, bucketId, batch.batch_id)
  const { body } = await appliance.call("GET", `/v1/buckets/${bucketId}/batches/${batch.batch_id}`)
  const errors = await appliance.call("GET", `/v1/buckets/${bucketId}/batches/${batch.batch_id}/failed-documents`)
  return { ...body, row_errors: errors.body }
}
