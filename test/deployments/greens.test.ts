/** A new revision that is no good: what serves never notices. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { upload } from "../support/plugins.ts"
import { descendants, runs } from "../support/processes.ts"
import { deployed, pluginRoute, published, realtimePlugin, SEED_HANDLER } from "./support.ts"

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance()
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const ask = (path: string, body: unknown) => appliance.call("POST", path, { body })

test("a green that hangs at its start leaves blue answering, and ends when it is called off", async () => {
  const blue = await published(appliance, "hanging", SEED_HANDLER, "1.0.0")
  await deployed(appliance, blue)
  const hangs = "import time\nclass RealtimeHandler:\n    def __init__(self):\n        time.sleep(600)\n"
  const green = await published(appliance, "hanging", hangs, "2.0.0")
  const before = descendants(appliance.pid).filter(runs)
  await appliance.call("POST", `${pluginRoute(appliance, green)}/deploy`)
  await eventually(async () => (descendants(appliance.pid).filter(runs).length > before.length ? true : null))
  expect((await ask("/v1/inference/custom/hanging", { text: "four" })).body.embedding).toEqual([4, 0.5])
  await appliance.call("POST", `${pluginRoute(appliance, green)}/undeploy`)
  const left = () => descendants(appliance.pid).filter((pid) => runs(pid) && !before.includes(pid))
  await eventually(async () => (left().length === 0 ? true : null), 20_000)
  expect((await ask("/v1/inference/custom/hanging", { text: "four" })).status).toBe(200)
}, 180_000)

test("deployments that hang at their start do not keep others queued for 30 s", async () => {
  const hangs = "import time\nclass RealtimeHandler:\n    def __init__(self):\n        time.sleep(600)\n"
  const hanging = await Promise.all(["first", "second"].map((which) => published(appliance, `hangs_${which}`, hangs)))
  for (const id of hanging) await appliance.call("POST", `${pluginRoute(appliance, id)}/deploy`)
  const id = await published(appliance, "behind", SEED_HANDLER)
  const queued = performance.now()
  expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
  expect(performance.now() - queued).toBeLessThan(30_000)
  for (const other of hanging) await appliance.call("POST", `${pluginRoute(appliance, other)}/undeploy`)
}, 180_000)

test.each([
  [
    "crashes at its start",
    "    def __init__(self):\n        import os; os.abort()\n    def predict(self, request):\n        return {}\n",
    "SIGABRT",
  ],
  [
    "raises at its start",
    "    def __init__(self):\n        raise RuntimeError('no')\n    def predict(self, request):\n        return {}\n",
    "RuntimeError",
  ],
  ["answers garbage", "    def predict(self, request):\n        return 'garbage'\n", "must answer a dict"],
  [
    "dies of its first request",
    "    def predict(self, request):\n        import os; os._exit(3)\n",
    "exited with code 3",
  ],
  ["eats memory", "    def predict(self, request):\n        return {'kept': len(bytearray(8 << 30))}\n", "MemoryError"],
])(
  "a green that %s fails its rollout, and blue answers on",
  async (what, body, says) => {
    const name = `greens_${what.replaceAll(/[^a-z]/g, "_")}`.slice(0, 40)
    const blue = await published(
      appliance,
      name,
      'class RealtimeHandler:\n    def predict(self, request):\n        return {"blue": True}\n',
    )
    await deployed(appliance, blue)
    const handler = `EXAMPLE = 1\nclass RealtimeHandler:\n${body}`
    const files = realtimePlugin(name, handler, { version: "2.0.0" })
    const manifest = `${files["manifest.py"]}\nexample_input = {"text": "an example"}\n`
    const answer = await upload(appliance, { ...files, "manifest.py": manifest }, { name, version: "2.0.0" })
    const status = await deployed(appliance, answer.body.plugin_id)
    expect(status).toMatchObject({ status: "FAILED", deployed: false })
    expect(status.error).toContain(says)
    expect((await ask(`/v1/inference/custom/${name}`, { text: "x" })).body).toEqual({ blue: true })
  },
  60_000,
)
