/** From deploy to an answer: the seed's sequence, the three ways in, what is refused, and what a redeploy and a kill leave. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { upload } from "../support/plugins.ts"
import { deployed, pluginRoute, published, realtimePlugin, SEED_HANDLER, settled } from "./support.ts"

let appliance: TestAppliance
beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_REQUEST_DEADLINE_SECONDS: "5" } })
})
afterAll(() => appliance[Symbol.asyncDispose]())

const ask = (path: string, body: unknown, key?: string | null) =>
  appliance.call("POST", path, { body, ...(key === undefined ? {} : { key }) })

test("the seed's sequence: deploy, status, the call at route_prefix, delete", async () => {
  const id = await published(appliance, "seed_one", SEED_HANDLER)
  const before = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
  expect(before.body).toMatchObject({ status: "NOT_DEPLOYED", deployed: false, realtime_enabled: true })
  expect((await ask(before.body.route_prefix, { text: "x" })).status).toBe(400)

  const { body } = await appliance.call("POST", `${pluginRoute(appliance, id)}/deploy`)
  expect(body).toMatchObject({
    status: "queued",
    message: "Plugin queued for deployment. Will start within 30 seconds.",
    route_prefix: `/inference/custom_plugin_${appliance.namespaceId}_${id}`,
    deployment_type: "realtime",
  })
  expect(body.estimated_completion_seconds).toBeGreaterThan(0)
  expect(await settled(appliance, id)).toMatchObject({ status: "DEPLOYED", deployed: true, error: null })
  for (const path of [body.route_prefix, `/v1${body.route_prefix}`]) {
    const answer = await ask(path, { text: "a longer text" })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ embedding: [13, 0.5], label: "long" })
  }
  const envelope = await ask("/v1/inference", { inference_name: id, inputs: { text: "four" } })
  expect(envelope.body).toMatchObject({
    data: { embedding: [4, 0.5], label: "short" },
    provider: "custom_plugin",
    model: id,
    cached: false,
  })
  expect(envelope.body.latency_ms).toBeGreaterThan(0)
  const byUri = await ask("/v1/inference", { feature_uri: "mixpeek://seed_one@1.0.0", inputs: { text: "abc" } })
  expect(byUri.body.data.embedding).toEqual([3, 0.5])
  const byName = await ask("/v1/inference/custom/seed_one", { inputs: { text: "ab" }, parameters: {} })
  expect(byName.body.embedding).toEqual([2, 0.5])
  const listed = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/plugins`)
  expect(listed.body.plugins.find((plugin: { plugin_id: string }) => plugin.plugin_id === id).deployed).toBe(true)

  const named = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/extractors/${id}`)
  expect(named.body.extractor?.deployed ?? named.body.deployed).toBe(true)

  const removed = await appliance.call("DELETE", pluginRoute(appliance, id))
  expect(removed.body).toMatchObject({ success: true, deployment_removed: true })
  expect((await ask(body.route_prefix, { text: "x" })).status).toBe(404)
})

describe("a deployed handler", () => {
  let id: string
  let path: string
  beforeAll(async () => {
    id = await published(
      appliance,
      "many_ways",
      `import os, time
class RealtimeHandler:
    def predict(self, request):
        text = request["text"]
        if text == "raise":
            raise ValueError("what the author said")
        if text == "die":
            os.abort()
        if text == "hang":
            time.sleep(60)
        if text == "slow":
            time.sleep(0.2)
        if text == "no dict":
            return [1]
        if text == "stream":
            return ({"n": n} for n in range(3))
        if text == "many":
            return ({"piece": n} for n in range(50_000))
        return {"text": text, "parameters": request.get("parameters"), "pid": os.getpid()}
`,
    )
    expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
    path = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  })

  test("gets parameters beside its inputs", async () => {
    const { body } = await ask(path, { inputs: { text: "x" }, parameters: { top: 3 } })
    expect(body).toMatchObject({ text: "x", parameters: { top: 3 } })
  })

  test("is not called with what its schema refuses", async () => {
    for (const request of [{ text: 5 }, { inputs: { text: null } }, {}]) {
      const answer = await ask(path, request)
      expect(answer.status).toBe(400)
      expect(answer.body.error.details.validation_errors[0].location).toEqual(["body", "text"])
    }
    expect((await ask("/v1/inference", { inputs: { text: "x" } })).status).toBe(400)
    expect((await ask("/v1/inference", { inference_name: "nobody_1_0_0", inputs: { text: "x" } })).status).toBe(404)
    expect((await ask("/v1/inference/custom/nobody", { text: "x" })).status).toBe(404)
  })

  test("that raises answers 500 with the author's own words and traceback, and serves on", async () => {
    const answer = await ask(path, { text: "raise" })
    expect(answer.status).toBe(500)
    expect(answer.body.error).toMatchObject({ type: "ProcessingError", message: "ValueError: what the author said" })
    expect(answer.body.error.details.traceback).toContain("realtime.py")
    expect((await ask(path, { text: "no dict" })).body.error.message).toContain("must answer a dict")
    expect((await ask(path, { text: "on" })).status).toBe(200)
  })

  test("that dies loses the request that it executed, with the reason, and comes back", async () => {
    // Quick calls are begun together; after this one they are taken for long ones.
    await ask(path, { text: "slow" })
    const [dying, ...others] = await Promise.all([
      ask(path, { text: "die" }),
      ...Array.from({ length: 5 }, (_, n) => ask(path, { text: `other ${n}` })),
    ])
    expect(dying?.status).toBe(502)
    expect(dying?.body.error.message).toContain("SIGABRT")
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  })

  test("that hangs is ended at the deadline with 504, and what waited behind it is answered", async () => {
    const hanging = ask(path, { text: "hang" })
    // Its own deadline must come well after that of the one that hangs.
    await Bun.sleep(1_500)
    const behind = await ask(path, { text: "behind" })
    expect((await hanging).status).toBe(504)
    expect(behind.status).toBe(200)
    expect((await ask(path, { text: "after" })).status).toBe(200)
  }, 180_000)

  test("streams what it yields as server-sent events", async () => {
    const answer = await ask(path, { text: "stream" })
    expect(answer.headers.get("Content-Type")).toContain("text/event-stream")
    expect(answer.text).toBe('data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\nevent: end\ndata: {}\n\n')
  })

  test("streams whole what it yields as fast as it can", async () => {
    const { text } = await ask(path, { text: "many" })
    expect(text.split('data: {"piece"').length - 1).toBe(50_000)
    expect(text).toEndWith("event: end\ndata: {}\n\n")
  })

  test("is another organization's secret", async () => {
    expect((await ask(path, { text: "x" }, appliance.otherKey)).status).toBe(404)
    expect((await ask(path, { text: "x" }, null)).status).toBe(401)
  })
})

test("a redeploy answers all the time, by the old revision and then by the new one", async () => {
  const id = await published(
    appliance,
    "rolled",
    `import os
class RealtimeHandler:
    def predict(self, request):
        return {"pid": os.getpid()}
`,
  )
  await deployed(appliance, id)
  const path = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  const first = (await ask(path, { text: "x" })).body.pid
  let stop = false
  const seen: number[] = []
  const failures: unknown[] = []
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!stop) {
        const answer = await ask(path, { text: "x" })
        if (answer.status === 200) seen.push(answer.body.pid)
        else failures.push(answer.text)
      }
    }),
  )
  await deployed(appliance, id)
  const after = (await ask(path, { text: "x" })).body.pid
  expect(after).not.toBe(first)
  await Bun.sleep(200)
  stop = true
  await load
  expect(failures).toEqual([])
  expect(new Set(seen)).toEqual(new Set([first, after]))
  const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/revisions`)
  expect(body.revisions.map(({ state }: { state: string }) => state)).toContain("LIVE")
}, 180_000)

test("a handler that cannot be constructed fails the rollout with the author's traceback", async () => {
  const id = await published(
    appliance,
    "broken",
    'class RealtimeHandler:\n    def __init__(self):\n        raise RuntimeError("no weights")\n    def predict(self, request):\n        return {}\n',
  )
  const status = await deployed(appliance, id)
  expect(status).toMatchObject({ status: "FAILED", deployed: false })
  expect(status.error).toContain("RuntimeError: no weights")
  expect(status.error).toContain("realtime.py")
}, 180_000)

test("what was live answers again after kill -9, and a rollout that was under way goes on", async () => {
  const live = await published(appliance, "kept_live", SEED_HANDLER)
  await deployed(appliance, live)
  const slow = await published(
    appliance,
    "kept_slow",
    "import time\nclass RealtimeHandler:\n    def __init__(self):\n        time.sleep(1)\n    def predict(self, request):\n        return {'ok': True}\n",
  )
  await appliance.call("POST", `${pluginRoute(appliance, slow)}/deploy`)
  await eventually(async () => {
    const { body } = await appliance.call("GET", `${pluginRoute(appliance, slow)}/status`)
    return body.status === "IN_PROGRESS" ? true : null
  }, 180_000)
  await appliance.kill()
  await appliance.start()
  const path = (id: string) => `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  expect((await ask(path(live), { text: "again" })).body.embedding).toEqual([5, 0.5])
  expect(await settled(appliance, slow)).toMatchObject({ status: "DEPLOYED" })
  expect((await ask(path(slow), { text: "x" })).body).toEqual({ ok: true })
}, 180_000)

test("a name answers with the version that was deployed last, and with the one before after a rollback", async () => {
  const handler = (n: number) =>
    `class RealtimeHandler:\n    def predict(self, request):\n        return {"version": ${n}}\n`
  const one = await published(appliance, "versions", handler(1), "1.0.0")
  const two = await published(appliance, "versions", handler(2), "2.0.0")
  await deployed(appliance, one)
  const version = async () => (await ask("/v1/inference/custom/versions", { text: "x" })).body.version
  expect(await version()).toBe(1)
  await deployed(appliance, two)
  expect(await version()).toBe(2)
  const back = await appliance.call("POST", `${pluginRoute(appliance, two)}/rollback`)
  expect(back.status).toBe(200)
  expect(await version()).toBe(1)
  await appliance.call("POST", `${pluginRoute(appliance, one)}/undeploy`)
  expect(await version()).toBe(2)
}, 180_000)

test("calls that have come are handed to predict_batch together", async () => {
  const id = await published(
    appliance,
    "batching",
    `import time
class RealtimeHandler:
    def predict_batch(self, requests):
        time.sleep(0.05)
        if any(request["text"] == "bad" for request in requests):
            raise ValueError("a bad one")
        return [{"text": request["text"], "together": len(requests)} for request in requests]
`,
  )
  expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
  const path = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(path, { text: `t${n}` })))
  expect(answers.map(({ body }) => body.text)).toEqual(Array.from({ length: 20 }, (_, n) => `t${n}`))
  expect(Math.max(...answers.map(({ body }) => body.together))).toBeGreaterThan(5)
  const mixed = await Promise.all(["a", "bad", "b"].map((text) => ask(path, { text })))
  expect(mixed.map(({ status }) => status)).toEqual([200, 500, 200])
}, 180_000)

test("as many workers as may are started when requests wait, and no more", async () => {
  const handler = `import os, time
class RealtimeHandler:
    def predict(self, request):
        time.sleep(0.2)
        return {"pid": os.getpid()}
`
  const files = realtimePlugin("scaling", handler)
  const manifest = `${files["manifest.py"]}\ncompute_profile = {"max_replicas": 3}\n`
  const answer = await upload(appliance, { ...files, "manifest.py": manifest }, { name: "scaling", version: "1.0.0" })
  const id = answer.body.plugin_id
  await deployed(appliance, id)
  const path = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(path, { text: `t${n}` })))
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  expect(new Set(answers.map(({ body }) => body.pid)).size).toBe(3)
  const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)
  expect(body.health).toMatchObject({ replicas: 3, restarts: 0, condition: "answering" })
  expect(body.health.queue_delay_ms.p99).toBeGreaterThan(100)
}, 180_000)

test("what a request printed and raised is found by its id", async () => {
  const id = await published(
    appliance,
    "printing",
    `import logging, sys
logger = logging.getLogger("printing")
logger.addHandler(logging.StreamHandler())
class RealtimeHandler:
    def __init__(self):
        print("constructed")
    def predict(self, request):
        print("asked for", request["text"])
        print("one\\ntwo")
        logger.warning("careful with %s", request["text"])
        if request["text"] == "bad":
            raise ValueError("no good")
        return {}
`,
  )
  await deployed(appliance, id)
  const path = `/inference/custom_plugin_${appliance.namespaceId}_${id}`
  const answers = await Promise.all(["a", "bad", "c"].map((text) => ask(path, { text })))
  const logs = async (query = "") =>
    (await appliance.call("GET", `${pluginRoute(appliance, id)}/logs${query}`)).body.logs
  for (const [index, text] of ["a", "bad", "c"].entries()) {
    const requestId = answers[index]?.headers.get("X-Request-Id")
    const wanted = text === "bad" ? 5 : 4
    const lines = await eventually(async () => {
      const found = await logs(`?request_id=${requestId}`)
      return found.length === wanted ? found : null
    })
    const of = (stream: string) =>
      lines.flatMap((line: { stream: string; message: string }) => (line.stream === stream ? [line.message] : []))
    expect(of("stdout")).toEqual([`asked for ${text}`, "one", "two"])
    expect(of("stderr")).toEqual([`careful with ${text}`])
    if (text === "bad") expect(of("error")[0]).toMatch(/^ValueError: no good\n[\s\S]*realtime\.py/)
    expect(lines[0].revision_id).toMatch(/^rev_/)
  }
  expect((await logs())[0]).toMatchObject({ message: "constructed", request_id: null, stream: "stdout" })
  expect(await logs("?limit=1")).toHaveLength(1)
}, 180_000)

test("a deployment whose workers do not come up is failing, and the appliance ready while another works", async () => {
  await using own = await startTestAppliance()
  // Constructors fail in these four seconds.
  const from = Date.now() / 1000 + 4
  const handler = `import os, time
class RealtimeHandler:
    def __init__(self):
        if ${from} < time.time() < ${from + 4}:
            raise RuntimeError("no weights for now")
    def predict(self, request):
        if request["text"] == "die":
            os._exit(3)
        return {}
`
  const works = await published(own, "works", SEED_HANDLER)
  const dying = await published(own, "dying", handler)
  await deployed(own, dying)
  const ready = () => own.call("GET", "/ready", { key: null })
  expect(await ready()).toMatchObject({ status: 200, body: { ready: true, deployments: { live: 1, failing: 0 } } })
  await Bun.sleep(Math.max(0, from * 1000 - Date.now()))
  const prefix = `/inference/custom_plugin_${own.namespaceId}_${dying}`
  expect((await own.call("POST", prefix, { body: { text: "die" } })).status).toBe(502)
  expect(await ready()).toMatchObject({ status: 503, body: { ready: false, deployments: { live: 1, failing: 1 } } })
  await deployed(own, works)
  expect(await ready()).toMatchObject({ status: 200, body: { ready: true, deployments: { live: 2, failing: 1 } } })
  // Nobody has to ask: a worker that comes up is enough.
  await eventually(async () => ((await ready()).body.deployments.failing === 0 ? true : null))
}, 180_000)

test("a deployment that nobody asks keeps no worker, and the next request brings one back", async () => {
  await using idle = await startTestAppliance({ environment: { MIXPEEK_REALTIME_IDLE_SECONDS: "1" } })
  const id = await published(idle, "sleepy", SEED_HANDLER)
  await deployed(idle, id)
  const path = `/inference/custom_plugin_${idle.namespaceId}_${id}`
  const health = async () => (await idle.call("GET", `${pluginRoute(idle, id)}/status`)).body.health
  expect((await idle.call("POST", path, { body: { text: "a" } })).body.calls).toBe(2)
  expect(await health()).toMatchObject({ replicas: 1, in_flight: 0, requests: 2, errors: 0, restarts: 0 })
  expect((await health()).latency_ms.p50).toBeGreaterThan(0)
  await eventually(async () => ((await health()).replicas === 0 ? true : null), 10_000)
  const asked = performance.now()
  const answers = await Promise.all(Array.from({ length: 5 }, () => idle.call("POST", path, { body: { text: "a" } })))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect(performance.now() - asked).toBeLessThan(2_000)
  expect(await health()).toMatchObject({ replicas: 1, restarts: 0 })
}, 180_000)
