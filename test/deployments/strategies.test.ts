/** Deploying otherwise than side by side: one instead of the other while callers wait, and in the shadow of what serves. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { descendants, runs } from "../support/processes.ts"
import { deployed, pluginRoute, published, settled } from "./support.ts"

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance()
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const ask = (path: string, body: unknown) => appliance.call("POST", path, { body })
const prefix = (id: string) => `/inference/custom_plugin_${appliance.namespaceId}_${id}`
const deploy = (id: string, strategy: string) =>
  appliance.call("POST", `${pluginRoute(appliance, id)}/deploy?strategy=${strategy}`)
const status = async (id: string) => (await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)).body

/** Its constructor takes half a second, so that a hold of the queue can be seen. */
const handler = (body: string) => `import time
class RealtimeHandler:
    def __init__(self):
        time.sleep(0.5)
        self.born = time.time()
    def predict(self, request):
        ${body}
`

test("replace: never two at a time, and whoever asks meanwhile waits and is answered by the new one", async () => {
  const id = await published(appliance, "replaced", handler('return {"born": self.born}'))
  await deployed(appliance, id)
  const before = (await ask(prefix(id), { text: "x" })).body.born
  const workers = () => descendants(appliance.pid).filter(runs).length
  const usual = workers()
  expect((await deploy(id, "replace")).body).toMatchObject({ status: "queued" })
  const answers: Promise<{ status: number; body: { born: number } }>[] = []
  let most = 0
  const end = settled(appliance, id).then((found) => ({ found }))
  for (let over = false; !over; ) {
    answers.push(ask(prefix(id), { text: "x" }))
    most = Math.max(most, workers())
    over = await Promise.race([end.then(() => true), Bun.sleep(20).then(() => false)])
  }
  expect((await end).found).toMatchObject({ status: "DEPLOYED", error: null })
  const seen = await Promise.all(answers)
  expect(seen.filter((answer) => answer.status !== 200)).toEqual([])
  expect(seen.at(-1)?.body.born).toBeGreaterThan(before)
  expect(most).toBeLessThanOrEqual(usual)
}, 180_000)

test("replace: a new revision that does not come up gives the queue back to the old one", async () => {
  const { id, from } = await deployedBefore(5)
  await Bun.sleep(Math.max(0, from * 1000 - Date.now()))
  await deploy(id, "replace")
  await eventually(async () => ((await status(id)).status === "IN_PROGRESS" ? true : null))
  const waiting = ask(prefix(id), { text: "x" })
  expect(await settled(appliance, id)).toMatchObject({
    status: "FAILED",
    deployed: true,
    error: expect.stringContaining("no weights for now"),
  })
  expect(await waiting).toMatchObject({ status: 200, body: { ok: true } })
}, 180_000)

/** Constructors fail in three seconds from `from` on: the new one's does, and then the old one's until they are over. A slow machine gets more time before. */
async function deployedBefore(seconds: number): Promise<{ id: string; from: number }> {
  const from = Date.now() / 1000 + seconds
  const id = await published(
    appliance,
    `replaced_badly_${seconds}`,
    `import time
class RealtimeHandler:
    def __init__(self):
        time.sleep(0.3)
        if ${from} < time.time() < ${from + 3}:
            raise RuntimeError("no weights for now")
    def predict(self, request):
        return {"ok": True}
`,
  )
  const { status: reached } = await deployed(appliance, id)
  return reached === "DEPLOYED" && Date.now() < from * 1000 ? { id, from } : deployedBefore(seconds * 2)
}

test("shadow: copies of live requests go to the new version, its differences are told, and nobody gets its answers", async () => {
  const one = await published(
    appliance,
    "shaded",
    handler('return {"label": "cat", "embedding": [1.0, 0.0], "version": 1, "old": True}'),
    "1.0.0",
  )
  const two = await published(
    appliance,
    "shaded",
    handler(
      'label = "dog" if request["text"] == "t3" else "cat"\n        if request["text"] == "t4":\n            raise ValueError("not t4")\n        return {"label": label, "embedding": [1.0, 1.0], "version": 1, "new": True}',
    ),
    "2.0.0",
  )
  const early = await deploy(two, "shadow")
  expect(early).toMatchObject({ status: 400, body: { error: { type: "BadRequestError" } } })
  await deployed(appliance, one)
  await deploy(two, "shadow")
  await eventually(async () => ((await status(two)).shadow === null ? null : true))
  for (let n = 0; n < 10; n++) {
    const { body } = await ask("/v1/inference/custom/shaded", { inputs: { text: `t${n}` } })
    expect(body).toEqual({ label: "cat", embedding: [1, 0], version: 1, old: true })
  }
  const {
    shadow,
    status: state,
    deployed: serves,
  } = await eventually(async () => {
    const found = await status(two)
    return found.shadow.compared + found.shadow.failed === 10 ? found : null
  })
  expect({ state, serves }).toEqual({ state: "IN_PROGRESS", serves: false })
  expect(shadow).toMatchObject({ requests: 10, compared: 9, failed: 1, skipped: 0, last_failure: "ValueError: not t4" })
  const field = (name: string) => shadow.fields.find((one: { name: string }) => one.name === name)
  expect(field("label")).toMatchObject({ compared: 9, changed: 1, examples: [{ before: '"cat"', after: '"dog"' }] })
  expect(field("embedding").cosine_distance.mean).toBeCloseTo(1 - Math.SQRT1_2, 6)
  expect(field("version")).toMatchObject({ changed: 0 })
  expect(field("old")).toMatchObject({ only_before: 9 })
  expect(field("new")).toMatchObject({ only_after: 9 })
  expect(shadow.before.latency_ms.p50).toBeGreaterThan(0)
  expect(shadow.after.memory_bytes).toBeGreaterThan(0)

  await appliance.kill()
  await appliance.start()
  await eventually(async () => ((await status(two)).shadow === null ? null : true))
  expect(await deployed(appliance, two)).toMatchObject({ status: "DEPLOYED", shadow: null })
  expect((await ask("/v1/inference/custom/shaded", { inputs: { text: "t0" } })).body.new).toBe(true)
}, 180_000)
