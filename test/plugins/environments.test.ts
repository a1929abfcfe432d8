import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { mkdir, rm, utimes } from "node:fs/promises"
import { join } from "node:path"
import { deployed, pluginRoute } from "../deployments/support.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"
import { type Wheel, writeWheel } from "../workers/environments/wheel.ts"

let appliance: TestAppliance
let store = ""
const wheels = new Map<string, Wheel>()

beforeAll(async () => {
  appliance = await startTestAppliance({ ownEnvironments: true })
  store = join(appliance.dataDir, "wheels")
  await mkdir(store, { recursive: true })
  const put = async (options: Parameters<typeof writeWheel>[1]) =>
    wheels.set(`${options.name}-${options.version}`, await writeWheel(store, options))
  for (const version of ["1.0", "2.0"]) {
    await put({ name: "sample_words", version, source: `def label(text):\n    return "words ${version}: " + text\n` })
  }
  await put({ name: "sample_leaf", version: "1.5" })
  await put({ name: "sample_tree", version: "1.0", requires: ["sample-leaf>=1,<2", "numpy"] })
}, 180_000)

afterAll(async () => await appliance[Symbol.asyncDispose]())

const HANDLER = `from sample_words import label

class RealtimeHandler:
    def predict(self, request):
        return {"label": label(request["text"])}
`

function needing(
  name: string,
  requirements: readonly string[],
  { call = "", files = {} }: NeedingOptions = {},
): PluginFiles {
  return {
    ...textPlugin({
      name,
      manifestExtra: `dependencies = ${JSON.stringify(requirements)}`,
      ...(call === "" ? {} : { call }),
    }),
    ...files,
  }
}

interface NeedingOptions {
  readonly call?: string
  readonly files?: PluginFiles
}

const LABELS = (name: string) => `from sample_words import label
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
batch["label"] = [label(t) for t in batch["text"]]
return batch`

const environmentsOnDisk = () =>
  readdirSync(join(appliance.dataDir, "environments"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)

async function environmentOf(id: string) {
  const { body } = await appliance.call("GET", pluginRoute(appliance, id))
  return body.plugin.environment
}

async function labelsOf(extractor: string, texts: readonly string[]): Promise<string[]> {
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `b ${crypto.randomUUID()}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const objects = texts.map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
  await appliance.call("POST", `/v1/buckets/${bucket.body.bucket_id}/objects/batch`, { body: { objects } })
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `c ${crypto.randomUUID()}`,
      source: { type: "bucket", bucket_ids: [bucket.body.bucket_id] },
      feature_extractor: { feature_extractor_name: extractor, version: "1.0.0" },
    },
  })
  if (collection.status !== 200) throw new Error(collection.text)
  const batch = await appliance.call("POST", `/v1/buckets/${bucket.body.bucket_id}/batches/trigger`, { body: {} })
  if (batch.status !== 200) throw new Error(batch.text)
  const done = await waitForBatch(appliance, bucket.body.bucket_id, batch.body.batch_id)
  expect(done.status).toBe("COMPLETED")
  const list = await appliance.call("POST", `/v1/collections/${collection.body.collection_id}/documents/list`, {
    body: { limit: 100 },
  })
  return list.body.results.map((document: { label: string }) => document.label).sort()
}

test("two plugins with other versions of one package run side by side, in batches and as deployments", async () => {
  for (const [name, version] of [
    ["words_one", "1.0"],
    ["words_two", "2.0"],
  ] as const) {
    const files = needing(name, [`sample-words==${version}`], { call: LABELS(name), files: { "realtime.py": HANDLER } })
    const answer = await upload(appliance, files, { name })
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 })
    expect(answer.body.notes).toEqual([])
  }
  const [one, two] = [await environmentOf("words_one_1_0_0"), await environmentOf("words_two_1_0_0")]
  expect(one).toMatchObject({
    requirements: ["sample-words==1.0"],
    requires_python: null,
    packages: [{ name: "sample-words", version: "1.0", file: wheels.get("sample_words-1.0")?.file }],
  })
  expect(one.hash).not.toBe(two.hash)
  expect(one.base).toBe(two.base)

  expect(await Promise.all([labelsOf("words_one", ["a", "b"]), labelsOf("words_two", ["a", "b"])])).toEqual([
    ["words 1.0: a", "words 1.0: b"],
    ["words 2.0: a", "words 2.0: b"],
  ])
  await Promise.all([deployed(appliance, "words_one_1_0_0"), deployed(appliance, "words_two_1_0_0")])
  const say = async (name: string) => {
    const answer = await appliance.call("POST", `/v1/inference/custom/${name}`, {
      namespace: appliance.namespaceId,
      body: { inputs: { text: "hi" } },
    })
    return answer.body.label ?? answer.text
  }
  expect(await Promise.all([say("words_one"), say("words_two")])).toEqual(["words 1.0: hi", "words 2.0: hi"])
  const revisions = await appliance.call("GET", `${pluginRoute(appliance, "words_one_1_0_0")}/revisions`)
  expect(JSON.stringify(revisions.body)).toContain(one.hash)
})

test("a wheel that is missing is named, with its range, its tag and the Python, and nothing is stored", async () => {
  const before = environmentsOnDisk()
  await rm(join(store, wheels.get("sample_leaf-1.5")?.file ?? ""))
  await writeWheel(store, { name: "sample_leaf", version: "3.0" })
  const answer = await upload(appliance, needing("tree", ["sample-tree", "sample-nowhere>=2"]), { name: "tree" })
  expect(answer.status).toBe(400)
  expect(answer.body.detail).toBe("2 wheels that the plugin needs are not in the wheel store")
  const missing = Object.fromEntries(
    answer.body.error.details.missing_wheels.map((wheel: { name: string }) => [wheel.name, wheel]),
  )
  expect(missing["sample-leaf"]).toMatchObject({
    version: "<2,>=1",
    tag: expect.stringMatching(/^cp3\d+, /),
    interpreter: expect.stringMatching(/^Python 3\.\d+\.\d+ \(\//),
    required_by: ["sample-tree 1.0"],
    found: ["sample_leaf-3.0-py3-none-any.whl is outside of the range"],
  })
  expect(missing["sample-nowhere"]).toMatchObject({ version: ">=2", required_by: ["manifest.py, dependencies[1]"] })
  expect(answer.body.validation_errors).toHaveLength(2)
  expect((await appliance.call("GET", pluginRoute(appliance, "tree_1_0_0"))).status).toBe(404)
  expect(environmentsOnDisk()).toEqual(before)

  wheels.set("sample_leaf-1.5", await writeWheel(store, { name: "sample_leaf", version: "1.5" }))
  expect((await upload(appliance, needing("tree", ["sample-tree"]), { name: "tree" })).status).toBe(200)
  expect((await environmentOf("tree_1_0_0")).packages.map(({ name }: { name: string }) => name)).toEqual([
    "sample-leaf",
    "sample-tree",
  ])
})

test.each([
  ["a URL", "x @ https://example.com/x-1.0-py3-none-any.whl", "names a place"],
  ["a path", "./x-1.0-py3-none-any.whl", "names a place"],
  ["an option", "--index-url https://example.com", "is an option"],
  ["nonsense", "not a requirement!", "is no requirement"],
])("a requirement that is %s is refused with its line", async (_, line, why) => {
  const files = { ...needing("lines", []), "requirements.txt": `# what it needs\nsample-words\n${line}\n` }
  const answer = await upload(appliance, files, { name: "lines" })
  expect(answer.status).toBe(400)
  expect(answer.body.validation_errors).toEqual([expect.stringContaining("requirements.txt:3: ")])
  expect(answer.text).toContain(why)
})

test("requirements that contradict one another are told in pip's words", async () => {
  const answer = await upload(appliance, needing("both", ["sample-words<2", "sample-words>=2"]), { name: "both" })
  expect(answer.status).toBe(400)
  expect(answer.body.detail).toContain("contradict")
  expect(answer.text).toContain("sample-words<2")
})

test("a manifest may import what requirements.txt names", async () => {
  const files = needing("early", [])
  const manifest = `import sample_words\n${files["manifest.py"]}`
  const answer = await upload(
    appliance,
    { ...files, "manifest.py": manifest, "requirements.txt": "sample-words==2.0\n" },
    { name: "early" },
  )
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 })
})

test("requires_python that no Python here satisfies is refused, and both are named", async () => {
  const files = textPlugin({ name: "future", manifestExtra: 'requires_python = ">=3.99"' })
  const answer = await upload(appliance, files, { name: "future" })
  expect(answer.status).toBe(400)
  expect(answer.text).toMatch(/requires_python is '>=3\.99', and this machine has Python 3\.\d+\.\d+ \(/)
})

test("fifty plugins with three locks have three environments, and the fiftieth is confirmed in under a second", async () => {
  const before = new Set(environmentsOnDisk())
  const locks = [
    ["sample-leaf==1.5", "sample-words==1.0"],
    ["sample-tree", "sample-words"],
    ["sample-leaf<2", "sample-words==2.0"],
  ]
  let seconds = 0
  for (let index = 0; index < 50; index++) {
    const name = `many_${index}`
    const files = needing(name, locks[index % 3] ?? [])
    const started = performance.now()
    const answer = await upload(appliance, files, { name })
    seconds = (performance.now() - started) / 1000
    expect(answer.status).toBe(200)
  }
  expect(environmentsOnDisk().filter((name) => !before.has(name))).toHaveLength(3)
  expect(seconds).toBeLessThan(1)
}, 600_000)

test("an environment that is gone is built again from its lock when a worker needs it", async () => {
  const { hash } = await environmentOf("words_one_1_0_0")
  const directory = join(appliance.dataDir, "environments", hash)
  await appliance.stop()
  Bun.spawnSync(["chmod", "-R", "u+w", directory])
  await rm(directory, { recursive: true })
  await appliance.start()
  expect(await labelsOf("words_one", ["c"])).toEqual(["words 1.0: c"])
  expect(existsSync(directory)).toBe(true)
})

test("an environment that no plugin names stays for its grace, and then goes", async () => {
  const { hash } = await environmentOf("tree_1_0_0")
  const kept = (await environmentOf("words_two_1_0_0")).hash
  const record = (name: string) => join(appliance.dataDir, "environments", name, "environment.json")
  await appliance.call("DELETE", pluginRoute(appliance, "tree_1_0_0"))
  await appliance.stop()
  await appliance.start()
  expect(existsSync(record(hash))).toBe(true)
  await appliance.stop()
  const eightDaysAgo = new Date(Date.now() - 8 * 86_400_000)
  for (const name of [hash, kept]) await utimes(record(name), eightDaysAgo, eightDaysAgo)
  await appliance.start()
  await eventually(async () => (existsSync(record(hash)) ? null : true), 20_000)
  expect(existsSync(record(kept))).toBe(true)
})
