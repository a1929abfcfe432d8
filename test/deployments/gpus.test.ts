/** Leases of GPUs through the real appliance. The driver's program is ours, so that the devices are imaginary; the workers are real. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { textPlugin, upload } from "../support/plugins.ts"
import { deployed, pluginRoute, realtimePlugin, settled } from "./support.ts"

const directory = mkdtempSync(join(tmpdir(), "mixpeek-gpus-"))
const [SMALL, LARGE] = ["GPU-11111111-aaaa", "GPU-22222222-bbbb"]
let appliance: TestAppliance

/** What the driver says from now on: MiB used by others, by device. */
function driverSays(small = 0, large = 0) {
  writeFileSync(
    join(directory, "devices"),
    `${SMALL}, 8192, ${small}, Imaginary S\n${LARGE}, 24576, ${large}, Imaginary, L\nGPU-3, [N/A], [N/A], Untold\n`,
  )
  writeFileSync(join(directory, "processes"), "")
}

beforeAll(async () => {
  const program = join(directory, "nvidia-smi")
  writeFileSync(
    program,
    `#!/bin/sh
case "$1" in
  --query-gpu=uuid,memory.total,memory.used,name) cat '${directory}/devices' ;;
  --query-compute-apps=gpu_uuid,pid,used_memory) cat '${directory}/processes' ;;
  *) echo "what is $1?" >&2; exit 2 ;;
esac
`,
  )
  chmodSync(program, 0o755)
  driverSays()
  appliance = await startTestAppliance({ environment: { PATH: `${directory}:${process.env.PATH}` } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

const HANDLER = `import os
class RealtimeHandler:
    def predict(self, request):
        return {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "niceness": os.getpriority(os.PRIO_PROCESS, 0)}
`

async function publishedWith(name: string, profile: Record<string, unknown>) {
  const files = realtimePlugin(name, HANDLER)
  const manifest = `${files["manifest.py"]}\ncompute_profile = ${JSON.stringify(profile)}\n`
  const answer = await upload(appliance, { ...files, "manifest.py": manifest }, { name, version: "1.0.0" })
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body.plugin_id as string
}

/** What its handler sees; realtime never yields the processors. */
const gpuOf = async (id: string) => {
  const { body } = await appliance.call("POST", `/inference/custom_plugin_${appliance.namespaceId}_${id}`, {
    body: { text: "t" },
  })
  expect(body.niceness).toBe(0)
  return body.gpu
}
const undeploy = async (id: string) => {
  await appliance.call("POST", `${pluginRoute(appliance, id)}/undeploy`)
  await settled(appliance, id)
}

test("a worker sees the device that it was leased and no other; one of another class sees none", async () => {
  const small = await publishedWith("small", { resource_type: "gpu", gpu_memory_gb: 8 })
  const large = await publishedWith("large", { resource_type: "gpu", gpu_memory_gb: 20.5 })
  const plain = await publishedWith("plain", {})
  for (const id of [small, large, plain]) expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
  expect(await Promise.all([small, large, plain].map(gpuOf))).toEqual([SMALL, LARGE, ""])

  // Beside itself there is no room for either: the new revision takes the old one's place.
  expect(await deployed(appliance, large)).toMatchObject({ status: "DEPLOYED", deployed: true })
  expect(await gpuOf(large)).toBe(LARGE)

  const third = await publishedWith("third", { resource_type: "gpu", gpu_memory_gb: 6 })
  const refused = await deployed(appliance, third)
  expect(refused.status).toBe("FAILED")
  expect(refused.error).toBe(
    `${third} needs 6,144 MiB of GPU memory (gpu_memory_gb of its compute_profile). ` +
      `${SMALL} (Imaginary S): 8,192 MiB - 8,192 MiB leased (${small} 8,192 MiB) - 0 MiB used by others = 0 MiB free; ` +
      `${LARGE} (Imaginary, L): 24,576 MiB - 20,992 MiB leased (${large} 20,992 MiB) - 0 MiB used by others = 3,584 MiB free. ` +
      "End a deployment that holds one, declare less, or wait until a worker ends.",
  )
  expect(await gpuOf(large)).toBe(LARGE)
  await undeploy(small)
  expect(await deployed(appliance, third)).toMatchObject({ status: "DEPLOYED" })
  expect(await gpuOf(third)).toBe(SMALL)

  const never = await publishedWith("never", { resource_type: "gpu", gpu_memory_gb: 80 })
  expect((await deployed(appliance, never)).error).toEndWith("No device of this machine is so large.")
  for (const id of [large, third, plain]) await undeploy(id)
}, 600_000)

/** A plugin whose steps are of that class, a collection over 16 texts (one partition) with it, and a batch under way. */
async function batchOf(name: string, resource: "CPU" | "GPU") {
  const files = textPlugin({
    name,
    call: `batch["gpu"] = os.environ.get("CUDA_VISIBLE_DEVICES")
batch["niceness"] = os.getpriority(os.PRIO_PROCESS, 0)
return batch`,
  })
  const pipeline = String(files["pipeline.py"]).replace("ResourceType.CPU", `ResourceType.${resource}`)
  const published = await upload(appliance, { ...files, "pipeline.py": pipeline }, { name })
  expect(published.status).toBe(200)
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: name,
      source: { type: "bucket", bucket_ids: [bucket.body.bucket_id] },
      feature_extractor: {
        feature_extractor_name: name,
        version: "1.0.0",
        input_mappings: { text: "text" },
        parameters: {},
      },
    },
  })
  expect(collection.status).toBe(200)
  const objects = Array.from({ length: 16 }, (_, n) => ({ blobs: [{ property: "text", type: "text", data: `t${n}` }] }))
  await appliance.call("POST", `/v1/buckets/${bucket.body.bucket_id}/objects/batch`, { body: { objects } })
  const batch = await appliance.call("POST", `/v1/buckets/${bucket.body.bucket_id}/batches/trigger`, {
    body: { collection_ids: [collection.body.collection_id] },
  })
  return {
    done: () => waitForBatch(appliance, bucket.body.bucket_id, batch.body.batch_id),
    async documents() {
      const route = `/v1/collections/${collection.body.collection_id}/documents/list`
      return (await appliance.call("POST", route, { body: { limit: 100 } })).body.results
    },
  }
}

test("steps that name the GPU get one in a batch, give way to a deployment, and leave the processors to others", async () => {
  const batch = await batchOf("stepping", "GPU")
  expect(await batch.done()).toMatchObject({ status: "COMPLETED" })
  const documents = await batch.documents()
  expect(documents).toHaveLength(16)
  // It declares no memory: the largest device is its own.
  for (const document of documents) expect(document).toMatchObject({ gpu: LARGE, niceness: 10 })

  // Its worker rests with the device, for the next batch; a deployment that needs it goes before.
  const large = await publishedWith("wanting", { resource_type: "gpu", gpu_memory_gb: 24 })
  expect(await deployed(appliance, large)).toMatchObject({ status: "DEPLOYED" })
  expect(await gpuOf(large)).toBe(LARGE)
  await undeploy(large)
}, 600_000)

test("a batch without room on a GPU gives its slot to others, and is done when there is some", async () => {
  const holding = [
    await publishedWith("holds_small", { resource_type: "gpu", gpu_memory_gb: 8 }),
    await publishedWith("holds_large", { resource_type: "gpu", gpu_memory_gb: 24 }),
  ]
  for (const id of holding) expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
  const waiting = await Promise.all(["first", "second", "third"].map((which) => batchOf(`waits_${which}`, "GPU")))
  const other = await batchOf("computes", "CPU")
  expect(await other.done()).toMatchObject({ status: "COMPLETED" })
  expect((await other.documents())[0]).toMatchObject({ gpu: "" })
  for (const batch of waiting) expect(await batch.documents()).toEqual([])
  for (const id of holding) await undeploy(id)
  for (const batch of waiting) {
    expect(await batch.done()).toMatchObject({ status: "COMPLETED", rows_done: 16 })
    for (const { gpu } of await batch.documents()) expect([SMALL, LARGE]).toContain(gpu)
  }
}, 600_000)

test("memory that others use is not leased, and is when they end", async () => {
  driverSays(8000, 24000)
  const waits = await publishedWith("waits", { resource_type: "gpu", gpu_memory_gb: 2 })
  await appliance.call("POST", `${pluginRoute(appliance, waits)}/deploy`)
  await eventually(async () => appliance.log().includes('"event":"gpu_awaited"') || null)
  driverSays(0, 0)
  expect(await settled(appliance, waits)).toMatchObject({ status: "DEPLOYED" })
  await undeploy(waits)
}, 180_000)
