/** Steps of several resource classes: each class in a worker of its own, with what it is given and no more, and the result as in one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stepGroups } from "../../src/batches/step-groups.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { REACHED } from "../support/isolation.ts"
import { batchWith, type Step, steppedPlugin } from "./step-group-plugins.ts"
import { words } from "./support.ts"

const CONFINED = REACHED === "full" || REACHED === "standard"

describe("consecutive steps of one class are a group", () => {
  const groups = (classes: string, hasGpu = true) =>
    stepGroups(classes.split(" ").filter((one) => one !== "") as Parameters<typeof stepGroups>[0], hasGpu)
      .map(({ first, end, resources }) => `${resources} ${first}-${end}`)
      .join(", ")

  test.each([
    ["", "cpu 0-0"],
    ["cpu", "cpu 0-1"],
    ["none cpu none", "cpu 0-3"],
    ["api api", "api 0-2"],
    ["cpu api api cpu", "cpu 0-1, api 1-3, cpu 3-4"],
    ["cpu gpu gpu none api gpu", "cpu 0-1, gpu 1-3, cpu 3-4, api 4-5, gpu 5-6"],
  ])("'%s' is %s", (classes, expected) => {
    expect(groups(classes)).toBe(expected)
  })

  test.each([
    ["cpu gpu cpu", "gpu 0-3"],
    ["cpu cpu api gpu none", "cpu 0-2, api 2-3, gpu 3-5"],
    ["api gpu", "api 0-1, gpu 1-2"],
  ])("'%s' is %s where there is no GPU", (classes, expected) => {
    expect(groups(classes, false)).toBe(expected)
  })
})

let appliance: TestAppliance
/** A machine with one imaginary device. */
let withGpu: TestAppliance
beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "mixpeek-step-groups-"))
  const program = join(directory, "nvidia-smi")
  writeFileSync(
    program,
    '#!/bin/sh\ncase "$1" in *query-gpu*) echo "GPU-11111111-aaaa, 8192, 0, Imaginary" ;; *) : ;; esac\n',
  )
  chmodSync(program, 0o755)
  const environment = {
    MIXPEEK_PARTITION_ROWS: "16",
    MIXPEEK_WORKERS: "2",
    MIXPEEK_SCAN: "0",
    MIXPEEK_WORKER_OUTPUT_MB: "64",
  }
  appliance = await startTestAppliance({ environment })
  withGpu = await startTestAppliance({ environment: { ...environment, PATH: `${directory}:${process.env.PATH}` } })
})
afterAll(async () => {
  await appliance[Symbol.asyncDispose]()
  await withGpu[Symbol.asyncDispose]()
})

const HANDS_ON = `batch["odd"] = [[None, (1, "a"), {2}, b"x", float("nan"), 2**70, "t"][len(text) % 7] for text in batch["text"]]
batch["vector"] = [np.full(4, len(text), dtype=np.float32) for text in batch["text"]]
batch["count"] = np.arange(len(batch), dtype=np.int8)
batch["when"] = pd.to_datetime(["2024-01-01T00:00:00+02:00"] * len(batch))`

const SEES = `vectors = [f"{vector.dtype} {vector.tolist()}" for vector in batch["vector"]]
batch["seen"] = [f"{kind} {odd!r} {count} {when}" for kind, odd, count, when in zip(vectors, batch["odd"], batch["count"], batch["when"])]
batch["seen"] = batch["seen"] + " ".join(f"{name}:{kind}" for name, kind in batch.dtypes.items() if name != "seen")`

/** By the text that they were made of. */
const byText = (documents: Record<string, unknown>[]) =>
  Object.fromEntries(documents.map((document) => [document.was, { seen: document.seen, after: document.after }]))

test("a document is the same whether its steps are one group or several", async () => {
  const results: unknown[] = []
  for (const [name, middle] of [
    ["alike", "CPU"],
    ["calling", "API"],
    ["on_device", "GPU"],
  ] as const) {
    const steps: Step[] = [
      { resource: "CPU", call: `${HANDS_ON}\nbatch["was"] = batch["text"]\nbatch["pids"] = str(os.getpid())` },
      { resource: middle, call: `${SEES}\nbatch["pids"] = batch["pids"] + f" {os.getpid()}"` },
      {
        resource: "CPU",
        call: `batch["after"] = [f"{odd!r} {vector.flags.writeable}" for odd, vector in zip(batch["odd"], batch["vector"])]
batch["${name}_embedding"] = batch["vector"]
batch["pids"] = batch["pids"] + f" {os.getpid()}"
batch = batch.drop(columns=["odd", "vector", "when", "count"])`,
      },
    ]
    const where = middle === "GPU" ? withGpu : appliance
    const batch = await batchWith(where, name, steppedPlugin(name, steps), words(40))
    expect(await batch.done()).toMatchObject({ status: "COMPLETED", rows_done: 40, rows_failed: 0 })
    const documents = await batch.documents()
    results.push(byText(documents))
    for (const { pids } of documents) {
      const [first, second, third] = String(pids).split(" ")
      if (middle === "CPU") expect([second, third]).toEqual([first, first])
      else expect(second).not.toBe(first)
    }
    // Groups of one class have the same workers: two partitions at once at most.
    expect(new Set(documents.flatMap(({ pids }) => String(pids).split(" "))).size).toBeLessThanOrEqual(4)
  }
  expect(Object.keys(results[0] as object)).toHaveLength(40)
  expect(results[1]).toEqual(results[0])
  expect(results[2]).toEqual(results[0])
}, 600_000)

test("progress is told of each step, and the run says what its workers had", async () => {
  const steps: Step[] = [
    { resource: "CPU", call: "pass" },
    { resource: "API", call: "pass", condition: "IS_IMAGE" },
    { resource: "GPU", call: 'batch["label"] = batch["text"]', condition: "IS_TEXT" },
  ]
  const batch = await batchWith(appliance, "told", steppedPlugin("told", steps), words(20))
  const ended = await batch.done()
  expect(ended).toMatchObject({ status: "COMPLETED", isolation_facts: { gpu: "absent" } })
  expect(
    ended.progress.steps.map(({ step, rows, rows_failed }: Record<string, unknown>) => [step, rows, rows_failed]),
  ).toEqual([
    ["Step0", 20, 0],
    ["Step1", 0, 0],
    ["Step2", 20, 0],
  ])
  // Rows that the middle group's step does not take pass through it.
  expect((await batch.documents()).map(({ label }) => label).sort()).toEqual(words(20).sort())
})

test("rows that fail, die or cannot be handed on are named with their step, and the others are done", async () => {
  const steps: Step[] = [
    {
      resource: "CPU",
      call: `if "bad first" in set(batch["text"]): raise ValueError("not this one")
batch["made"] = [(lambda: 1) if text == "no pickle" else 1 for text in batch["text"]]`,
    },
    {
      resource: "API",
      call: `if "bad second" in set(batch["text"]): raise KeyError("nor this")
if "dies" in set(batch["text"]): os._exit(3)`,
    },
    {
      resource: "CPU",
      call: 'if "bad third" in set(batch["text"]): raise OSError("or that")\nbatch["label"] = "fine"',
    },
  ]
  const bad = ["bad first", "no pickle", "bad second", "dies", "bad third"]
  const texts = [...words(8), ...bad, ...words(20)]
  const batch = await batchWith(appliance, "failing", steppedPlugin("failing", steps), texts)
  expect(await batch.done()).toMatchObject({ status: "COMPLETED_WITH_ERRORS", rows_done: 28, rows_failed: 5 })
  const failed = (await batch.failed()).map(({ stage, error }) => `${stage}: ${error}`).sort()
  expect(failed).toEqual([
    expect.stringContaining("run_partition: "),
    expect.stringContaining("step Step0: Column 'made' cannot be handed to the next step group: "),
    expect.stringContaining("step Step0: not this one"),
    expect.stringContaining("step Step1: 'nor this'"),
    expect.stringContaining("step Step2: or that"),
  ])
  expect((await batch.documents()).map(({ label }) => label)).toEqual(Array(28).fill("fine"))
}, 180_000)

test.skipIf(!CONFINED)("only the worker of API steps reaches the network", async () => {
  const asked: string[] = []
  await using service = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      asked.push(await request.text())
      return new Response("answered")
    },
  })
  const here = `127.0.0.1:${service.port}`
  await appliance.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
  const call = (who: string) => `import urllib.request
try:
    said = urllib.request.urlopen("http://${here}/", data=b"${who}", timeout=5).read().decode()
except Exception as error:
    said = "refused"
batch["${who}"] = said + (" with a proxy" if "http_proxy" in os.environ else "")`
  const steps: Step[] = [
    { resource: "CPU", call: call("first") },
    { resource: "API", call: call("second") },
    { resource: "CPU", call: call("third") },
  ]
  const batch = await batchWith(appliance, "reaching", steppedPlugin("reaching", steps), ["a"])
  expect(await batch.done()).toMatchObject({ status: "COMPLETED" })
  const [document] = await batch.documents()
  expect(document).toMatchObject({ first: "refused", second: expect.stringMatching(/^answered/), third: "refused" })
  expect(asked).toEqual(["second"])
})

test("a GPU is not held while CPU steps before and behind it run", async () => {
  const device = 'batch["gpu"] = os.environ.get("CUDA_VISIBLE_DEVICES")'
  const steps: Step[] = [
    { resource: "CPU", call: 'batch["before"] = os.environ.get("CUDA_VISIBLE_DEVICES")' },
    { resource: "GPU", call: device },
    { resource: "CPU", call: 'print("behind it", flush=True)\nwhile True: time.sleep(1)' },
  ]
  const first = await batchWith(withGpu, "staying", steppedPlugin("staying", steps), ["a"])
  await eventually(async () => (await withGpu.call("GET", `${first.path}/logs`)).text.includes("behind it"))
  // It declares no memory: the only device is to be its own.
  const other = await batchWith(withGpu, "other", steppedPlugin("other", [{ resource: "GPU", call: device }]), ["a"])
  expect(await other.done()).toMatchObject({ status: "COMPLETED" })
  expect((await other.documents())[0]).toMatchObject({ gpu: "GPU-11111111-aaaa" })
  expect((await withGpu.call("GET", first.path)).body).toMatchObject({ status: "IN_PROGRESS" })
  expect((await withGpu.call("POST", `${first.path}/cancel`)).status).toBe(200)
  expect(await first.done()).toMatchObject({ status: "CANCELED" })
}, 180_000)

test.each([
  { how: "that comes back soon", pause: 0.02, rows: 160 },
  { how: "that is at work for long", pause: 0.7, rows: 64 },
])(
  "partitions take turns at the worker with the GPU $how, and keep what was done before",
  async ({ pause, rows }) => {
    const name = `turns_${rows}`
    const steps: Step[] = [
      {
        resource: "CPU",
        call: 'S["calls"] = S.get("calls", 0) + len(batch)\nbatch["calls"] = S["calls"]\nbatch["cpu"] = os.getpid()',
      },
      {
        resource: "GPU",
        call: `time.sleep(${pause})\nbatch["gpu"] = os.getpid()\nbatch["device"] = os.environ["CUDA_VISIBLE_DEVICES"]`,
      },
    ]
    const batch = await batchWith(withGpu, name, steppedPlugin(name, steps), words(rows))
    expect(await batch.done()).toMatchObject({ status: "COMPLETED", rows_done: rows })
    const documents = await batch.documents()
    expect(new Set(documents.map(({ device }) => device))).toEqual(new Set(["GPU-11111111-aaaa"]))
    // It was not ended for the others of its own that waited.
    expect(new Set(documents.map(({ gpu }) => gpu)).size).toBe(1)
    // No row came to its CPU step twice, though there is one device for two workers.
    const calls = new Map<unknown, number>()
    for (const { cpu, calls: count } of documents) calls.set(cpu, Math.max(calls.get(cpu) ?? 0, Number(count)))
    expect([...calls.values()].reduce((sum, count) => sum + count, 0)).toBe(rows)
  },
  60_000,
)

test.skipIf(!CONFINED)(
  "kill -9 between two groups loses nothing",
  async () => {
    await using killed = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "8" } })
    let calls = 0
    const called = Promise.withResolvers<void>()
    const again = Promise.withResolvers<void>()
    await using service = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch() {
        calls += 1
        if (calls === 3) called.resolve()
        if (calls >= 3) await again.promise
        return new Response("fine")
      },
    })
    const here = `127.0.0.1:${service.port}`
    await killed.call("PATCH", "/v1/namespaces/default", { body: { egress_allowlist: [here] } })
    const steps: Step[] = [
      { resource: "CPU", call: 'batch["made"] = [(text,) for text in batch["text"]]' },
      { resource: "API", call: `import urllib.request\nurllib.request.urlopen("http://${here}/").read()` },
      { resource: "CPU", call: 'batch["made"] = [made[0] for made in batch["made"]]' },
    ]
    const files = steppedPlugin("surviving", steps, "", '{"batch_size": 8, "max_concurrency": 1}')
    const batch = await batchWith(killed, "surviving", files, words(40))
    await called.promise
    await killed.kill()
    again.resolve()
    await killed.start()
    expect(await batch.done()).toMatchObject({ status: "COMPLETED", rows_in: 40, rows_done: 40, rows_failed: 0 })
    expect((await batch.documents()).map(({ made }) => made).sort()).toEqual(words(40).sort())
  },
  60_000,
)

/** What a group may leave in place of its rows, done by plugin code behind our back. */
test.each<[string, string, RegExp]>([
  ["a directory", "os.remove(path)\n    os.mkdir(path)", /'rows.arrow' is not a regular file/],
  [
    "a row error of another partition",
    `open(os.path.join(os.path.dirname(path), "errors.jsonl"), "w").write('{"row": 70000, "exception": "E", "message": "m", "error_type": "runtime"}')`,
    /70000/,
  ],
  ["half of it", "os.truncate(path, os.path.getsize(path) // 2)", /step group before handed on cannot be read/],
  ["nothing", "os.remove(path)", /no plain file 'rows.arrow'/],
  ["too much", "os.truncate(path, 5 << 30)", /'rows.arrow' has 5368709120 bytes; at most/],
])(
  "%s in place of a group's rows is refused, and the rows stand alone",
  async (what, deed, message) => {
    const head = `from plugin_worker import step_group
close = step_group.HandedOn.__exit__
def damaged(self, *why):
    close(self, *why)
    path = self.path
    if not S.pop("bad", False): return
    ${deed}
def opened(self, directory, stage, plugin, make=step_group.HandedOn.__init__):
    make(self, directory, stage, plugin)
    self.path = os.path.join(directory, "rows.arrow")
step_group.HandedOn.__init__ = opened
step_group.HandedOn.__exit__ = damaged
`
    const name = `hostile_${what.replaceAll(" ", "_")}`
    const steps: Step[] = [
      {
        resource: "CPU",
        call: 'if "bad" in set(batch["text"]): S["bad"] = True',
      },
      { resource: "API", call: 'batch["label"] = "fine"' },
    ]
    const batch = await batchWith(appliance, name, steppedPlugin(name, steps, head), ["a", "b", "bad", "c"])
    expect(await batch.done()).toMatchObject({ status: "COMPLETED_WITH_ERRORS", rows_done: 3, rows_failed: 1 })
    const [failed, ...more] = await batch.failed()
    expect(more).toEqual([])
    expect(failed?.error).toMatch(message)
  },
  60_000,
)

test.skipIf(!CONFINED)(
  "a plugin whose steps are other ones where there is a network stays in one worker",
  async () => {
    const tell = 'batch["pids"] = batch["pids"] + f" {os.getpid()}" if "pids" in batch else f"{os.getpid()}"'
    const files = steppedPlugin("changing", [
      { resource: "CPU", call: tell },
      { resource: "API", call: tell },
    ])
    const pipeline = files["pipeline.py"]?.replace(
      "    return steps\n",
      '    return [steps[1], steps[0]] if "http_proxy" in os.environ else steps\n',
    )
    const batch = await batchWith(appliance, "changing", { ...files, "pipeline.py": pipeline ?? "" }, words(64))
    expect(await batch.done()).toMatchObject({ status: "COMPLETED", rows_done: 64 })
    for (const { pids } of await batch.documents()) expect(new Set(String(pids).split(" ")).size).toBe(1)
  },
  60_000,
)
