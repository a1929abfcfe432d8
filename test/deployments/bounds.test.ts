/** What a hostile or a slow handler cannot do to its callers, to other plugins and to the server's memory. */
import { expect, test } from "bun:test"
import { deploymentLogs } from "../../src/deployments/deployment-logs.ts"
import { endpoint } from "../../src/deployments/endpoint.ts"
import { inputCheck } from "../../src/deployments/input-schema.ts"
import type { RunningRevision } from "../../src/deployments/revision.ts"
import { Shadow } from "../../src/deployments/shadow.ts"
import type { ApplianceError } from "../../src/errors.ts"
import { BEGUN_FRAME } from "../../src/frames.ts"
import { ProtocolBreach } from "../../src/workers/protocol.ts"
import { fakeRevision, JSON_BODY } from "./fake-worker.ts"

const outcome = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: ApplianceError) => error.type,
  )
const begun = (count: number) => new Uint8Array(new Uint32Array([count]).buffer)

async function started(id?: string) {
  const { revision, workers } = fakeRevision(id)
  await revision.start()
  const [worker] = workers
  if (worker === undefined) throw new Error("no worker was started")
  const ask = (deadlineMs: number) => outcome(revision.call(JSON_BODY, { deadlineMs, onPiece: () => undefined }))
  return { revision, workers, worker, ask }
}

test("behind a call that hangs each is told at its own deadline, and one worker is ended, not one for each", async () => {
  const { revision, workers, worker, ask } = await started()
  const calls = Array.from({ length: 5 }, () => ask(100))
  expect(await Promise.all(calls)).toEqual(Array(5).fill("TimeoutError"))
  expect(worker.failed).toContain("did not finish")
  // The next is started at once, and nobody is late in it.
  const next = ask(5_000)
  while (workers[1]?.calls.length !== 1) await Bun.sleep(1)
  workers[1]?.answer(1)
  expect(await next).toBe("answered")
  expect(workers.map(({ failed }) => failed !== null)).toEqual([true, false])
  await revision.end()
})

test("a worker that is only busy is not ended for a call that came to its turn just before its deadline", async () => {
  const { revision, worker, ask } = await started()
  const first = ask(2_000)
  const second = ask(300)
  await Bun.sleep(250)
  worker.answer(1)
  expect(await first).toBe("answered")
  // Past its deadline, and executed for less than a worker is ended for.
  await Bun.sleep(150)
  expect(worker.failed).toBeNull()
  worker.answer(2)
  expect(await second).toBe("answered")
  await revision.end()
})

test("calls are begun once: a worker that says so again while they are executed breaks the protocol", async () => {
  const { revision, worker, ask } = await started()
  const calls = [ask(1_000), ask(1_000)]
  worker.frame(0, BEGUN_FRAME, begun(2))
  expect(() => worker.frame(0, BEGUN_FRAME, begun(1))).toThrow(ProtocolBreach)
  worker.answer(1)
  worker.answer(2)
  expect(await Promise.all(calls)).toEqual(["answered", "answered"])
  await revision.end()
})

test("what waits while one revision takes the place of another keeps its deadline", async () => {
  const { revision: blue } = await started("rev_1")
  await blue.hold(1_000)
  const waits = outcome(blue.call(JSON_BODY, { deadlineMs: 300, onPiece: () => undefined }))
  // It has room for nobody: its one worker executes another call.
  const { revision: green, ask } = await started("rev_2")
  const before = [ask(60_000), ask(60_000)]
  green.takeOver(blue)
  await blue.drain(1_000)
  expect(await waits).toBe("TimeoutError")
  await green.end()
  expect(await Promise.all(before)).toEqual(["BadGatewayError", "InferenceServiceUnavailableError"])
})

test("pieces of nothing end a stream that nobody reads as well", async () => {
  let refused = ""
  let pieces = 0
  const flooding = {
    ask: (_: Uint8Array, { onPiece }: { onPiece: (piece: Uint8Array) => void }) => {
      try {
        for (; pieces < 1_000_000; pieces++) onPiece(new Uint8Array())
      } catch (error) {
        refused = (error as ApplianceError).message
      }
    },
  } as unknown as RunningRevision
  const { call } = endpoint({
    deployments: { answering: () => flooding, aliased: () => "", serves: () => true, shadowsOf: () => [] },
    registered: () => true,
    deadlineMs: 1_000,
  })
  const namespace = { namespaceId: "ns_1", name: "default", internalId: "int_1", orgId: "org_1" }
  const asker = { requestId: "req_1", signal: () => new AbortController().signal }
  await call(namespace, "flooding_1_0_0", { body: JSON_BODY, inputs: {} }, asker)
  expect(refused).toContain("behind the stream")
  expect(pieces).toBeLessThan(200_000)
})

test("a schema's regular expressions are not run here, its types and names are checked", () => {
  const check = inputCheck({
    type: "object",
    properties: { pattern: { type: "string", pattern: "^(a+)+$" }, of: { enum: [{ pattern: "x" }] } },
    patternProperties: { "^(b+)+$": { type: "number" } },
    required: ["pattern"],
  })
  const asked = performance.now()
  check({ pattern: `${"a".repeat(40)}!`, [`${"b".repeat(40)}!`]: 1 })
  expect(performance.now() - asked).toBeLessThan(1_000)
  expect(() => check({ pattern: 3 })).toThrow("pattern")
  expect(() => check({})).toThrow("pattern")
})

test("whole numbers past 53 bits fit where whole numbers do, within their bounds", () => {
  const integer = { type: "integer", minimum: 0 }
  const check = inputCheck({
    type: "object",
    properties: {
      n: integer,
      type: { type: "string" },
      many: { type: "array", items: { anyOf: [integer, { type: "null" }] } },
    },
    required: ["n"],
  })
  check({ n: 9007199254740993n, many: [18446744073709551615n, null, 3] })
  for (const wrong of [
    { n: -9007199254740993n },
    { n: 9007199254740993n, many: [1.5] },
    { n: 1, type: 9007199254740993n },
    { many: [9007199254740993n] },
  ]) {
    expect(() => check(wrong)).toThrow("does not fit the plugin's input schema")
  }
})

test("of a deployment 1,000 lines are kept, of long ones less, and none once it is forgotten", () => {
  const logs = deploymentLogs(() => new Date())
  const line = (message: string) => ({ revision_id: "rev_1", request_id: null, stream: "stdout" as const, message })
  const count = () => logs.read("ns_1", "p", { limit: 5_000 }).length
  logs.open("ns_1", "p")
  for (let n = 0; n < 1_500; n++) logs.add("ns_1", "p", line(`line ${n}`))
  expect(count()).toBe(1_000)
  expect(logs.read("ns_1", "p", { limit: 1 })[0]?.message).toBe("line 1499")
  for (let n = 0; n < 300; n++) logs.add("ns_1", "p", line("x".repeat(8_192)))
  expect(count()).toBeLessThanOrEqual(128)
  logs.forget("ns_1", "p")
  logs.add("ns_1", "p", line("late"))
  expect(count()).toBe(0)
})

test("a shadow is given eight copies at a time, and its report keeps names and examples short", async () => {
  const before = await started("rev_before")
  const after = await started("rev_after")
  const shadow = new Shadow(before.revision, after.revision, 1_000, new Date())
  const body = (value: object) => new TextEncoder().encode(JSON.stringify(value))
  for (let n = 0; n < 10; n++) shadow.copy(JSON_BODY, body({ text: "x".repeat(5_000), ["n".repeat(5_000)]: 1 }))
  expect(shadow.report()).toMatchObject({ requests: 10, skipped: 2, compared: 0 })
  for (let id = 1; id <= 8; id++) {
    while (after.worker.calls.length < id) await Bun.sleep(1)
    after.worker.answer(id)
  }
  while (shadow.report().compared < 8) await Bun.sleep(1)
  expect(shadow.report().fields.map(({ name }) => name)).toEqual(["text"])
  const differing = new Shadow(before.revision, after.revision, 1_000, new Date())
  differing.copy(JSON_BODY, body({ a: 1 }))
  while (after.worker.calls.length < 9) await Bun.sleep(1)
  after.worker.frame(9, 3, body({ a: "y".repeat(5_000) }))
  while (differing.report().compared < 1) await Bun.sleep(1)
  expect(differing.report().fields[0]?.examples).toEqual([{ before: "1", after: `"${"y".repeat(199)}` }])
  await Promise.all([before.revision.end(), after.revision.end()])
})
