/** What a resource class and a `compute_profile` give a batch: calls at once, partitions at once, memory, threads, a GPU or none. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { availableParallelism } from "node:os"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { REACHED } from "../support/isolation.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"
import { batchOnce, trigger } from "./support.ts"

interface Declared {
  readonly call: string
  readonly resource?: "CPU" | "GPU" | "API"
  readonly profile?: string
  readonly async?: boolean
}

function plugin(name: string, { call, resource = "CPU", profile, async = false }: Declared): PluginFiles {
  const files = textPlugin({
    name,
    call: `batch["${name}_embedding"] = [[0.0] * 4] * len(batch)\n${call}\nreturn batch`,
    ...(profile === undefined ? {} : { manifestExtra: `compute_profile = ${profile}` }),
  })
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [
      path,
      text
        .replaceAll("ResourceType.CPU", `ResourceType.${resource}`)
        .replaceAll("    def __call__", async ? "    async def __call__" : "    def __call__")
        .replace(
          "import os\n",
          "import os\nimport asyncio\nfrom itertools import count\nARRIVED = []\nNUMBERS = count()\n",
        ),
    ]),
  )
}

/** A batch over these texts by the plugin, under way; `ended` waits for it: its labels are in the order of the texts. */
async function begin(appliance: TestAppliance, name: string, declared: Declared, texts: readonly string[]) {
  const published = await upload(appliance, plugin(name, declared), { name })
  if (published.status !== 200) throw new Error(published.text)
  const { bucket } = await bucketOf(appliance, texts)
  const collection = await collectionOf(appliance, bucket, name)
  const path = await trigger(appliance, bucket, collection)
  const ended = async () => {
    const batch = await waitForBatch(appliance, bucket, path.split("/").at(-1) ?? "")
    const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { limit: 1000 },
    })
    const errors = await appliance.call("GET", `${path}/failed-documents`)
    return {
      batch,
      labels: body.results.map(({ label }: { label: string }) => label) as string[],
      errors: errors.body.failed_documents as { error: string; error_type: string }[],
    }
  }
  return { path, ended }
}

const run = async (...of: Parameters<typeof begin>) => (await begin(...of)).ended()

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `text ${index}`)

let appliance: TestAppliance
/** Refuses what needs a GPU, has one worker, and scans nothing. */
let strict: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "16", MIXPEEK_WORKERS: "2" } })
  strict = await startTestAppliance({
    environment: { MIXPEEK_GPU_FALLBACK: "refuse", MIXPEEK_WORKERS: "1", MIXPEEK_SCAN: "0" },
  })
})
afterAll(async () => {
  await appliance[Symbol.asyncDispose]()
  await strict[Symbol.asyncDispose]()
})

/** Eight calls meet, and then the next eight: one after another they would wait for the deadline and be alone. */
const meeting = (pause: string) => `number = next(NUMBERS)
ARRIVED.append(number)
needed = (number // 8 + 1) * 8
deadline = time.monotonic() + 20
while len(ARRIVED) < needed and time.monotonic() < deadline:
    ${pause}
batch["label"] = "together" if len(ARRIVED) >= needed else "alone"`

test.each([
  { kind: "threads", async: false, pause: "time.sleep(0.001)" },
  { kind: "loop", async: true, pause: "await asyncio.sleep(0.001)" },
])("eight calls of an API step are under way at once: $kind", async ({ kind, async, pause }) => {
  const profile = '{"resource_type": "api", "batch_size": 1, "max_concurrency": 8}'
  const declared = { call: meeting(pause), resource: "API", profile, async } as const
  const { batch, labels } = await run(appliance, `meet_${kind}`, declared, numbered(16))
  expect(batch).toMatchObject({ status: "COMPLETED" })
  expect(labels).toEqual(Array(16).fill("together"))
})

test("a service that does not answer holds up nobody who computes, from the plugin's first partition on", async () => {
  const waiting = await begin(strict, "unanswered", { call: "time.sleep(600)", resource: "API" }, numbered(4))
  const { batch } = await run(strict, "computes", { call: "pass" }, numbered(4))
  expect(batch).toMatchObject({ status: "COMPLETED", rows_done: 4 })
  expect((await strict.call("GET", waiting.path)).body.status).toBe("IN_PROGRESS")
  await strict.call("POST", `${waiting.path}/cancel`)
})

test("the calls that a plugin allows its run are shared by its workers, and so are partitions by a plugin of another class", async () => {
  // By a clock that all processes have: intervals in which a call ran.
  const call = (pause: string) => `began = time.monotonic()
time.sleep(${pause})
batch["label"] = f"{os.getpid()} {began} {time.monotonic()}"`
  const most = async (name: string, declared: Declared) => {
    const { labels } = await run(appliance, name, declared, numbered(64))
    const spans = [...new Set(labels)].map((label) => label.split(" ").map(Number))
    const counts = spans.map(
      ([, began = 0]) => spans.filter(([, from = 0, to = 0]) => from <= began && began < to).length,
    )
    return { most: Math.max(...counts), workers: new Set(spans.map(([pid]) => pid)).size }
  }
  const api = { call: call("0.02"), resource: "API" } as const
  expect(
    (await most("shared", { ...api, profile: '{"batch_size": 1, "max_concurrency": 4}' })).most,
  ).toBeLessThanOrEqual(4)
  const alone = { call: call("0.05"), profile: '{"batch_size": 8, "max_concurrency": 1}' }
  expect(await most("one_by_one", alone)).toMatchObject({ most: 1 })
}, 180_000)

test.skipIf(REACHED !== "full" && REACHED !== "standard")(
  "a service that is asked too often is asked again when it says so, and no row is lost or asked twice",
  async () => {
    const answered: string[] = []
    let refused = 0
    await using service = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        if (refused < 3) {
          refused += 1
          return new Response("slow down", { status: 429, headers: { "Retry-After": "1" } })
        }
        answered.push(await request.text())
        return new Response("fine")
      },
    })
    const here = `127.0.0.1:${service.port}`
    await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
    const call = `import urllib.request
batch["label"] = [urllib.request.urlopen("http://${here}/", data=text.encode()).read().decode() for text in batch["text"]]`
    const declared = { call, resource: "API", profile: '{"batch_size": 1}' } as const
    const { batch, labels } = await run(appliance, "asks", declared, numbered(16))
    expect(batch).toMatchObject({ status: "COMPLETED" })
    expect(labels).toEqual(Array(16).fill("fine"))
    expect(answered.sort()).toEqual(numbered(16).sort())
    expect(refused).toBe(3)
  },
)

const THROUGH_PROXY = (here: string) => `from base64 import b64encode
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["http_proxy"])
own = b64encode(f"worker:{proxy.password}".encode()).decode()
reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
writer.write(f"GET http://${here}/ HTTP/1.1\\r\\nHost: ${here}\\r\\nProxy-Authorization: Basic {own}\\r\\n\\r\\n".encode())
batch["label"] = (await reader.read()).decode()[-3:]
writer.close()`

describe.skipIf(REACHED !== "full" && REACHED !== "standard")(
  "so many calls reach the service at the same time",
  () => {
    test.each([
      { how: "threads", calls: 64, async: false },
      { how: "loop", calls: 200, async: true },
    ])("$calls by $how", async ({ how, calls, async }) => {
      let inside = 0
      const all = Promise.withResolvers<void>()
      await using service = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        async fetch() {
          inside += 1
          if (inside === calls) all.resolve()
          await all.promise
          return new Response("met")
        },
      })
      const here = `127.0.0.1:${service.port}`
      await strict.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
      const call = async
        ? THROUGH_PROXY(here)
        : `import urllib.request
batch["label"] = urllib.request.urlopen("http://${here}/", timeout=20).read().decode()`
      const profile = '{"batch_size": 1, "max_concurrency": 256, "actor_memory_gb": 1}'
      const declared = { call, resource: "API", profile, async } as const
      const { batch, labels } = await run(strict, `meets_${how}`, declared, numbered(calls))
      expect(batch).toMatchObject({ status: "COMPLETED" })
      expect(labels).toEqual(Array(calls).fill("met"))
    })
  },
)

test.skipIf(REACHED !== "full" && REACHED !== "standard")(
  "a batch whose service stays away is held with its rows, and goes on when it is back",
  async () => {
    let back = false
    await using service = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => (back ? new Response("fine") : new Response("away", { status: 503 })),
    })
    const here = `127.0.0.1:${service.port}`
    await strict.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
    // Ten minutes and 32 failures are no test's: here it is given up at once.
    const call = `import urllib.request
from plugin_worker import call_pace
call_pace.OUTAGE_FAILURES, call_pace.OUTAGE_SECONDS = 1, 0.0
batch["label"] = urllib.request.urlopen("http://${here}/").read().decode()`
    const { path, ended } = await begin(strict, "waits", { call, resource: "API" }, numbered(20))
    const held = await batchOnce(strict, path, (batch) => batch.status === "SUSPENDED")
    expect(held.lifecycle_reason).toMatch(/^held: step MyProcessor: HTTP Error 503: Service Unavailable\nTried once/)
    expect(held).toMatchObject({ rows_done: 0, rows_failed: 0 })
    back = true
    await strict.call("POST", `${path}/resume`)
    const { batch, labels } = await ended()
    expect(batch).toMatchObject({ status: "COMPLETED", rows_done: 20, rows_failed: 0 })
    expect(labels).toEqual(Array(20).fill("fine"))
  },
)

test("a plugin with a GPU step computes on the CPU of a machine without one, and its run says so", async () => {
  const call = 'batch["label"] = os.environ.get("CUDA_VISIBLE_DEVICES")'
  const { batch, labels } = await run(appliance, "wants_gpu", { call, resource: "GPU" }, ["a"])
  expect(batch).toMatchObject({ status: "COMPLETED", isolation_facts: { gpu: "absent" } })
  expect(labels).toEqual([""])
  const plain = await run(appliance, "wants_none", { call }, ["a"])
  expect(plain.batch).toMatchObject({ status: "COMPLETED", isolation_facts: { gpu: "none" } })
})

test("or is refused there, where the setting says so", async () => {
  const profile = '{"resource_type": "gpu", "gpu_memory_gb": 4}'
  const { batch } = await run(strict, "needs_gpu", { call: "pass", resource: "GPU", profile }, ["a"])
  expect(batch.status).toBe("FAILED")
  expect(JSON.stringify(batch)).toContain("needs 4,096 MiB of GPU memory")
  expect(JSON.stringify(batch)).toContain("This machine has no GPU")
})

test.each([
  ["resource_type", '"tpu"', "one of cpu, gpu, api, not 'tpu'"],
  ["batch_size", "0", "a whole number of at least 1, not 0"],
  ["max_concurrency", "1000", "a whole number from 1 to 256, not 1000"],
  ["actor_memory_gb", "0.1", "a number of GiB, at least 0.25, not 0.1"],
  ["gpu_memory_gb", "True", "a number of GiB above 0, not True"],
])("a compute_profile with %s of %s is refused when it is published", async (key, value, expected) => {
  const files = plugin("profiled", { call: "pass", profile: `{"${key}": ${value}}` })
  const answer = await upload(appliance, files, { name: "profiled" })
  expect(answer.status).toBe(400)
  expect(answer.text).toContain(`compute_profile.${key} must be ${expected}`)
})

test("actor_memory_gb bounds a worker below the server's own limit, and is shown with the plugin", async () => {
  const call = `if "large" in list(batch["text"]):
    held = b"x" * (700 << 20)
batch["label"] = "small"`
  const profile = '{"actor_memory_gb": 0.5, "batch_size": 7}'
  const { batch, errors } = await run(appliance, "bounded", { call, profile }, ["large"])
  expect(batch.status).toBe("FAILED")
  expect(errors[0]).toMatchObject({ error_type: "resource" })
  expect(errors[0]?.error).toMatch(/512 MiB.*actor_memory_gb/s)
  const shown = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/plugins/bounded_1_0_0`)
  expect(shown.text).toContain('"compute_profile":{"actor_memory_gb":0.5,"batch_size":7}')
})

test("workers of batches share the cores among their libraries' threads", async () => {
  const call = `import pyarrow
names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
seen = {os.environ.get(name) for name in names} | {str(pyarrow.cpu_count())}
import numpy
square = numpy.ones((1500, 1500))
whole, own = time.process_time(), time.thread_time()
square @ square
whole, own = time.process_time() - whole, time.thread_time() - own
batch["label"] = ",".join(sorted(seen)) + (", numpy too" if whole > 1.3 * own else "")`
  const threads = (workers: number) => {
    const share = Math.max(1, Math.floor(availableParallelism() / workers))
    return share === 1 ? "1" : `${share}, numpy too`
  }
  expect((await run(appliance, "threads", { call }, ["a"])).labels).toEqual([threads(2)])
  expect((await run(strict, "threads", { call }, ["a"])).labels).toEqual([threads(1)])
})
