/**
 * What `test/deployments/gpus.test.ts` shows with imaginary devices, on a real one: workers in the sandbox reach the device that
 * they were leased and see no other, leases together are not above the device, what finds no room is refused with the arithmetic, and all
 * memory is back in the end.
 */
import { searchPath } from "../src/config.ts"
import type { GpuDevice } from "../src/scheduler/gpu-leases.ts"
import { nvidiaProbe } from "../src/scheduler/nvidia-probe.ts"
import { deployed, pluginRoute, settled } from "../test/deployments/support.ts"
import { eventually, startTestAppliance } from "../test/support/appliance.ts"
import { waitForBatch } from "../test/support/batch.ts"
import { textPlugin, upload } from "../test/support/plugins.ts"

const MIB_HELD = 1024
const DECLARED_GB = 2
/** Idle workers of batches keep their device so long, and then it takes the driver a moment. */
const BACK_MS = 120_000
/** Contexts that others hold may breathe. */
const SPARE_MIB = 64

const probe = nvidiaProbe(searchPath())
const [device] = await probe()
if (device === undefined) {
  console.error("no GPU here: not proven")
  process.exit(3)
}
const read = async (): Promise<GpuDevice> => {
  const found = (await probe()).find(({ uuid }) => uuid === device.uuid)
  if (found === undefined) throw new Error(`${device.uuid} is gone`)
  return found
}

let failures = 0
function check(what: string, holds: boolean, seen: unknown): void {
  console.log(`${holds ? "yes" : "NO "}  ${what}: ${typeof seen === "string" ? seen : JSON.stringify(seen)}`)
  if (!holds) failures += 1
}

/** The driver's own interface: no library that a machine might lack. It holds memory for as long as the worker lives. */
const CUDA = `import ctypes, os
HELD = []

def held():
    if not HELD:
        cuda = ctypes.CDLL("libcuda.so.1")
        def must(code, what):
            if code != 0:
                raise RuntimeError(f"{what} answered {code}")
        must(cuda.cuInit(0), "cuInit")
        count, device, context, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
        must(cuda.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
        must(cuda.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
        uuid = (ctypes.c_ubyte * 16)()
        must(cuda.cuDeviceGetUuid(ctypes.byref(uuid), device), "cuDeviceGetUuid")
        must(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device), "cuCtxCreate")
        must(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(${MIB_HELD} << 20)), "cuMemAlloc")
        must(cuda.cuMemsetD8_v2(memory, 1, ctypes.c_size_t(${MIB_HELD} << 20)), "cuMemsetD8")
        text = bytes(uuid).hex()
        name = "GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        HELD.append({"devices": count.value, "uuid": name, "visible": os.environ.get("CUDA_VISIBLE_DEVICES")})
    return HELD[0]
`

// The scan forbids ctypes, which the plugins of this proof need; the sandbox is the same.
await using appliance = await startTestAppliance({
  environment: { PATH: searchPath(), MIXPEEK_SCAN: "0", MIXPEEK_WORKERS: "1" },
})

async function publish(name: string, gigabytes: number): Promise<string> {
  const call = `from ..cuda import held
batch["seen"] = str(held())
batch["${name}_embedding"] = [[0.0] * 4] * len(batch)
return batch`
  const profile = { resource_type: "gpu", gpu_memory_gb: gigabytes }
  const files = textPlugin({ name, call, manifestExtra: `compute_profile = ${JSON.stringify(profile)}` })
  const answer = await upload(
    appliance,
    {
      ...files,
      "pipeline.py": String(files["pipeline.py"]).replace("ResourceType.CPU", "ResourceType.GPU"),
      "cuda.py": CUDA,
      "realtime.py": `from .cuda import held
class RealtimeHandler:
    def predict(self, request):
        return held()
`,
    },
    { name },
  )
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body.plugin_id
}

async function batchOf(name: string) {
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const { bucket_id: bucketId } = bucket.body
  const objects = Array.from({ length: 50 }, (_, index) => ({
    blobs: [{ property: "text", type: "text", data: `text ${index}` }],
  }))
  await appliance.call("POST", `/v1/buckets/${bucketId}/objects/batch`, { body: { objects } })
  const { body: collection } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: name,
      source: { type: "bucket", bucket_ids: [bucketId] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  const { body } = await appliance.call("POST", `/v1/buckets/${bucketId}/batches/trigger`, {
    body: { collection_ids: [collection.collection_id] },
  })
  const batch = await waitForBatch(appliance, bucketId, body.batch_id)
  const path = `/v1/collections/${collection.collection_id}/documents/list`
  const documents = await appliance.call("POST", path, { body: { limit: 100 } })
  return { batch, seen: documents.body.results.map(({ seen }: { seen: string }) => seen) as string[] }
}

const before = await read()
console.log(`${before.uuid} (${before.name}): ${before.totalMib} MiB, ${before.usedMib} MiB used by others`)
const within = ({ devices, uuid, visible }: { devices: number; uuid: string; visible: string }) =>
  devices === 1 && uuid === visible && visible.startsWith("GPU-")

const deployment = await publish("deployed", DECLARED_GB)
const status = await deployed(appliance, deployment)
check("a deployment starts with its lease", status.status === "DEPLOYED", status.error ?? status.status)
const ask = () =>
  appliance.call("POST", `/inference/custom_plugin_${appliance.namespaceId}_${deployment}`, { body: { text: "t" } })
const answer = await ask()
check("its handler computes on the one device that it sees, named by UUID", within(answer.body), answer.body)
const serving = await read()
check("the driver counts its memory", serving.usedMib - before.usedMib >= MIB_HELD, `${serving.usedMib} MiB used`)

await publish("batched", DECLARED_GB)
const { batch, seen } = await batchOf("batched")
check("a batch with a GPU step is done beside it", batch.status === "COMPLETED" && seen.length === 50, batch.status)
check("its run says that it had a device", batch.isolation_facts?.gpu === "leased", batch.isolation_facts)
check(
  "its rows were computed there",
  seen.length > 0 && seen.every((one) => one.includes(`'visible': '${device.uuid}'`)),
  seen[0] ?? "nowhere",
)
const both = await read()
check("both hold memory at the same time", both.usedMib - before.usedMib >= 2 * MIB_HELD, `${both.usedMib} MiB used`)
check("the deployment answers as before", within((await ask()).body), "answered")

const most = Math.ceil(device.totalMib / 1024)
const large = await publish("large", most - DECLARED_GB + 0.5)
const refused = await deployed(appliance, large)
check("what does not fit beside them is refused", refused.status === "FAILED", String(refused.error))
const never = await publish("never", most + 1)
const impossible = await deployed(appliance, never)
const told = String(impossible.error)
check("what fits no device is told so", told.endsWith("No device of this machine is so large."), told)

const leased = appliance
  .log()
  .split("\n")
  .filter((line) => line.includes('"gpu_leased"'))
  .map((line) => JSON.parse(line) as { gpu: string; mib: number })
check(
  "the leases of both together are not above the device",
  leased.length >= 2 && leased.reduce((sum, { mib }) => sum + mib, 0) <= device.totalMib,
  leased.map(({ mib }) => mib),
)

await appliance.call("POST", `${pluginRoute(appliance, deployment)}/undeploy`)
await settled(appliance, deployment)
const returned = await eventually(async () => {
  const now = await read()
  return now.usedMib <= before.usedMib + SPARE_MIB ? now : null
}, BACK_MS).catch(() => read())
check("all memory is back", returned.usedMib <= before.usedMib + SPARE_MIB, `${returned.usedMib} MiB used`)

console.log(failures === 0 ? "proven" : `${failures} of these do not hold`)
process.exitCode = failures === 0 ? 0 : 1
