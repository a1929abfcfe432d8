/** After a name went over to another version: what fails goes back by itself, what works stays. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { deployed, pluginRoute, published } from "./support.ts"

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance()
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const GOOD = 'class RealtimeHandler:\n    def predict(self, request):\n        return {"version": 1}\n'
/** Answers its probe, and fails what callers really send. */
const failing = (how: string) => `import os
class RealtimeHandler:
    def predict(self, request):
        if request.get("text") == "real":
            ${how}
        return {"version": 2}
`
const ask = (name: string, text = "real") =>
  appliance.call("POST", `/v1/inference/custom/${name}`, { body: { inputs: { text } } })

/** Deploys a good version and then another, and answers the other's id. */
async function replaced(name: string, handler: string): Promise<string> {
  await deployed(appliance, await published(appliance, name, GOOD, "1.0.0"))
  const id = await published(appliance, name, handler, "2.0.0")
  expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
  expect((await ask(name, "probe")).body).toEqual({ version: 2 })
  return id
}

const version = async (name: string) => (await ask(name)).body.version ?? null

test("a version that fails what the one before answered gives the name back, and says why", async () => {
  const id = await replaced("raising", failing('raise ValueError("not this")'))
  await Promise.all(Array.from({ length: 30 }, () => ask("raising")))
  await eventually(async () => ((await version("raising")) === 1 ? true : null), 20_000)
  const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
  expect(body).toMatchObject({ status: "FAILED", deployed: true })
  expect(body.error).toContain("Rolled back to raising_1_0_0")
  expect(body.error).toMatch(/\d+ of \d+ requests failed/)
  const { body: history } = await appliance.call("GET", `${pluginRoute(appliance, id)}/revisions`)
  expect(history.revisions[0]).toMatchObject({ state: "LIVE", error: body.error })
}, 180_000)

test("a version whose workers die again and again gives the name back", async () => {
  const id = await replaced("dying", failing("os._exit(3)"))
  await eventually(async () => ((await version("dying")) === 1 ? true : null), 30_000)
  const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
  expect(body.error).toMatch(/workers died or did not start \d+ times/)
}, 180_000)

test("the window goes on after kill -9", async () => {
  await replaced("killed", failing('raise ValueError("not this")'))
  await appliance.kill()
  await appliance.start()
  expect((await ask("killed", "probe")).body).toEqual({ version: 2 })
  await Promise.all(Array.from({ length: 30 }, () => ask("killed")))
  await eventually(async () => ((await version("killed")) === 1 ? true : null), 20_000)
}, 180_000)

test("a version that fails no more than the one before keeps the name", async () => {
  const both = failing('raise ValueError("not this")')
  await deployed(appliance, await published(appliance, "as_before", both, "1.0.0"))
  await Promise.all(Array.from({ length: 30 }, () => ask("as_before")))
  const id = await published(appliance, "as_before", both, "2.0.0")
  await deployed(appliance, id)
  await Promise.all(Array.from({ length: 30 }, () => ask("as_before")))
  // Two looks of the window.
  await Bun.sleep(1_200)
  const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
  expect(body).toMatchObject({ status: "DEPLOYED", error: null })
}, 180_000)
