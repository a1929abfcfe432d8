/** What is told of a plugin that answers nothing, by its id and by its name. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { published as publishedForBatches } from "../support/plugins.ts"
import { pluginRoute, published, settled } from "./support.ts"

/** Its worker takes as long as two seconds to be there. */
const SLOW_START = `import time
class RealtimeHandler:
    def __init__(self):
        time.sleep(2)

    def predict(self, request):
        return {"said": request["text"]}
`

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance()
})
afterAll(() => appliance[Symbol.asyncDispose]())

const byName = (name: string) =>
  appliance.call("POST", `/v1/inference/custom/${name}`, { body: { inputs: { text: "a" } } })
const byId = (inference_name: string) =>
  appliance.call("POST", "/v1/inference", { body: { inference_name, inputs: { text: "a" } } })

test("a plugin that was never deployed is told to be so by its name too, with the call that deploys it", async () => {
  const id = await published(appliance, "never_deployed", SLOW_START)
  for (const answer of [await byName("never_deployed"), await byId(id)]) {
    expect([answer.status, answer.body.error.details.plugin_id]).toEqual([400, id])
    expect(answer.body.error.message).toContain(`POST ${pluginRoute(appliance, id)}/deploy`)
  }
  expect((await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)).body.message).toContain("/deploy")
  expect((await byName("unheard_of")).status).toBe(404)
})

test("a plugin without a handler is told to work in collections only", async () => {
  await publishedForBatches(appliance, { name: "no_handler" })
  expect((await byId("no_handler_1_0_0")).body.error.message).toContain("realtime.py")
})

test("a name whose first deployment is under way says to ask again, as its id does", async () => {
  const id = await published(appliance, "first_rollout", SLOW_START)
  await appliance.call("POST", `${pluginRoute(appliance, id)}/deploy`)
  for (const answer of [await byName("first_rollout"), await byId(id)]) {
    expect([answer.status, answer.body.error.type]).toEqual([503, "InferenceServiceUnavailableError"])
    expect(answer.headers.get("Retry-After")).not.toBeNull()
  }
  await settled(appliance, id)
  expect((await byName("first_rollout")).status).toBe(200)
})
