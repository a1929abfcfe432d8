/** Handlers that are `async def`: while some calls await something, others begin. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import type { ApplianceError } from "../../src/errors.ts"
import { BEGUN_FRAME } from "../../src/frames.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { fakeRevision, JSON_BODY } from "./fake-worker.ts"
import { deployed, pluginRoute, published } from "./support.ts"

const HANDLER = `import asyncio, os, time

class RealtimeHandler:
    def __init__(self):
        self.now = self.most = self.canceled = 0

    async def predict(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        print("began", request["text"])
        try:
            what, _, seconds = request["text"].partition(" ")
            if what == "stubborn":
                while True:
                    try:
                        await asyncio.sleep(600)
                    except asyncio.CancelledError:
                        continue
            if what == "wait":
                await asyncio.sleep(float(seconds))
                print("ended", request["text"])
            if what == "raise":
                await asyncio.sleep(0.05)
                raise ValueError("no good")
            return {"pid": os.getpid(), "most": self.most, "canceled": self.canceled, "text": request["text"]}
        except asyncio.CancelledError:
            self.canceled += 1
            raise
        finally:
            self.now -= 1
`
const STREAMING = `import asyncio
class RealtimeHandler:
    async def predict(self, request):
        for n in range(4):
            await asyncio.sleep(0.1)
            yield {"n": n, "text": request["text"]}
`

let appliance: TestAppliance
let id = ""
beforeAll(async () => {
  appliance = await startTestAppliance({ environment: { MIXPEEK_REQUEST_DEADLINE_SECONDS: "3" } })
  id = await published(appliance, "overlapping", HANDLER)
  expect(await deployed(appliance, id)).toMatchObject({ status: "DEPLOYED" })
}, 180_000)
afterAll(() => appliance[Symbol.asyncDispose]())

const path = (plugin = id) => `/inference/custom_plugin_${appliance.namespaceId}_${plugin}`
const ask = (text: string) => appliance.call("POST", path(), { body: { text } })
const health = async () => (await appliance.call("GET", `${pluginRoute(appliance, id)}/status`)).body.health

test("calls that wait are executed together in one worker, and each gets its own answer and lines", async () => {
  const began = performance.now()
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(`wait 0.${500 + n}`)))
  expect(performance.now() - began).toBeLessThan(3_000)
  expect(answers.map(({ body }) => body.text)).toEqual(Array.from({ length: 40 }, (_, n) => `wait 0.${500 + n}`))
  expect(new Set(answers.map(({ body }) => body.pid)).size).toBe(1)
  expect(Math.max(...answers.map(({ body }) => body.most))).toBeGreaterThan(20)
  const of = async (requestId: string | null) => {
    const { body } = await appliance.call("GET", `${pluginRoute(appliance, id)}/logs?request_id=${requestId}`)
    return body.logs.length === 2 ? body.logs.map((line: { message: string }) => line.message) : null
  }
  for (const answer of answers.slice(0, 5)) {
    const lines = await eventually(() => of(answer.headers.get("X-Request-Id")))
    expect(lines).toEqual([`began ${answer.body.text}`, `ended ${answer.body.text}`])
  }
}, 180_000)

test("one that raises, one that is late and one whose client goes away take nobody with them", async () => {
  const before = await ask("quick")
  const leaving = new AbortController()
  const headers = { Authorization: `Bearer ${appliance.adminKey}`, "Content-Type": "application/json" }
  const left = fetch(appliance.url + path(), {
    method: "POST",
    headers,
    body: JSON.stringify({ text: "wait 600" }),
    signal: leaving.signal,
  }).catch((error: Error) => error.name)
  const [late, raised, others] = [ask("wait 60"), ask("raise"), Array.from({ length: 5 }, () => ask("wait 1.0"))]
  await eventually(async () => ((await health()).in_flight >= 7 ? true : null))
  leaving.abort()
  expect(await left).toBe("AbortError")
  expect((await raised).body.error).toMatchObject({ message: "ValueError: no good" })
  expect((await Promise.all(others)).map(({ status }) => status)).toEqual(Array(5).fill(200))
  expect(await late).toMatchObject({ status: 504 })
  expect((await late).body.error.message).toMatch(
    /did not finish within the request's deadline of \d+ s \(MIXPEEK_REQUEST_DEADLINE_SECONDS\)/,
  )
  const after = await eventually(async () => {
    const answer = await ask("quick")
    return answer.body.canceled === before.body.canceled + 2 ? answer : null
  })
  expect(after.body.pid).toBe(before.body.pid)
  expect(await health()).toMatchObject({ restarts: 0, in_flight: 0 })
}, 180_000)

test("streams of one worker come side by side", async () => {
  const streaming = await published(appliance, "streaming", STREAMING)
  await deployed(appliance, streaming)
  const began = performance.now()
  const streams = await Promise.all(
    ["a", "b", "c"].map((text) => appliance.call("POST", path(streaming), { body: { text } })),
  )
  expect(performance.now() - began).toBeLessThan(1_000)
  for (const [index, { text }] of streams.entries()) {
    const pieces = [...text.matchAll(/^data: (\{"n".*)$/gm)].map((match) => JSON.parse(match[1] ?? ""))
    expect(pieces).toEqual([0, 1, 2, 3].map((n) => ({ n, text: ["a", "b", "c"][index] })))
  }
}, 180_000)

test("one that will not give up is ended with its worker, and others are answered by the next", async () => {
  const stubborn = ask("stubborn")
  expect(await stubborn).toMatchObject({ status: 504 })
  await eventually(async () => ((await health()).restarts === 1 ? true : null), 20_000)
  expect((await ask("quick")).status).toBe(200)
}, 180_000)

test("calls that do not give up do not follow one another: their worker is ended a second after the first of them", async () => {
  const before = await ask("quick")
  const swallowing = Array.from({ length: 10 }, () => ask("stubborn"))
  await Promise.all(swallowing)
  const late = performance.now()
  const after = await eventually(async () => {
    const answer = await ask("quick")
    return answer.body.pid !== undefined && answer.body.pid !== before.body.pid ? answer : null
  })
  expect(after.status).toBe(200)
  expect(performance.now() - late).toBeLessThan(2_500)
}, 180_000)

test("a stream without a piece is a stream that ends", async () => {
  const none =
    "class RealtimeHandler:\n    async def predict(self, request):\n        if False:\n            yield {}\n"
  const empty = await published(appliance, "empty_stream", none)
  await deployed(appliance, empty)
  const answer = await appliance.call("POST", path(empty), { body: { text: "x" } })
  expect(answer.headers.get("content-type")).toBe("text/event-stream")
  expect(answer.text).toBe("event: end\ndata: {}\n\n")
}, 180_000)

test("requests that end their worker, one after another, do not keep the next one waiting", async () => {
  const dying = await published(
    appliance,
    "dying",
    `import os
class Odd(Exception):
    def __str__(self):
        raise SystemExit(3)
class RealtimeHandler:
    def predict(self, request):
        if request["text"] == "odd":
            raise Odd()
        if request["text"] == "die":
            os._exit(3)
        return {}
`,
  )
  await deployed(appliance, dying)
  const send = (text: string) => appliance.call("POST", path(dying), { body: { text } })
  for (let count = 0; count < 9; count++) expect((await send("die")).status).toBe(502)
  const began = performance.now()
  expect((await send("fine")).status).toBe(200)
  expect(performance.now() - began).toBeLessThan(1_500)
  expect(await send("odd")).toMatchObject({ status: 500 })
}, 180_000)

const outcome = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: ApplianceError) => error.type,
  )

test("what has not begun when a worker dies goes to another; what awaited is lost", async () => {
  const { revision, workers } = fakeRevision("rev_1", 0, true)
  await revision.start()
  const ask = () => outcome(revision.call(JSON_BODY, { deadlineMs: 60_000, onPiece: () => undefined }))
  const calls = Array.from({ length: 6 }, ask)
  const [worker] = workers
  expect(worker?.calls).toEqual([1, 2])
  // The first awaits something and the second was taken: so may be as many as wait behind them.
  worker?.frame(0, BEGUN_FRAME, Uint8Array.of(1, 0, 0, 0))
  expect(worker?.calls).toEqual([1, 2, 3, 4])
  worker?.frame(0, BEGUN_FRAME, Uint8Array.of(1, 0, 0, 0))
  worker?.answer(1)
  await revision.workers[0]?.end()
  while (workers.length < 2) await Bun.sleep(1)
  while (workers[1]?.calls.length !== 2) await Bun.sleep(1)
  for (let call = 1; call <= 3; call++) {
    while ((workers[1]?.calls.length ?? 0) < call) await Bun.sleep(1)
    workers[1]?.answer(call)
  }
  expect(await Promise.all(calls)).toEqual([
    "answered",
    "BadGatewayError",
    "BadGatewayError",
    "answered",
    "answered",
    "answered",
  ])
  await revision.end()
})
