import { expect, test } from "bun:test"
import type { WorkerRequest } from "../../src/workers/protocol.ts"
import { WorkerDied } from "../../src/workers/worker-died.ts"
import { ask, errorOf, startFake } from "./support.ts"

const PARTITION: WorkerRequest = {
  type: "run_partition",
  partition: "p",
  attempt: 1,
  input: "i",
  output: "o",
  features: [],
  asset_roots: {},
  concurrency: null,
  call_seconds: null,
  batch_rows: null,
}

test("many requests in flight get their own answers, in whatever order those come", async () => {
  await using fake = await startFake()
  const held = [1, 2, 3].map((number) => ask(fake.worker, { do: "hold", number }))
  const released = ask(fake.worker, { do: "release", number: 4 })
  const answers = await Promise.all([...held, released])
  expect(answers.map((answer) => Object(answer).number)).toEqual([1, 2, 3, 4])
})

test("a message far larger than the socket's buffer arrives whole, both ways", async () => {
  await using fake = await startFake()
  const text = "x".repeat(4_000_000)
  expect(await ask(fake.worker, { text })).toEqual({ text })
})

test("a message over the limit is refused before it is sent, and the worker goes on", async () => {
  await using fake = await startFake()
  expect(await errorOf(ask(fake.worker, { text: "x".repeat(4 * 1024 * 1024) }))).toBeInstanceOf(RangeError)
  expect(await ask(fake.worker, { still: "here" })).toEqual({ still: "here" })
})

test("a request that hangs ends the worker at its deadline, and everything else in flight with it", async () => {
  await using fake = await startFake()
  const late = ask(fake.worker, { do: "hang" }, 300)
  const other = ask(fake.worker, { number: 1 })
  const errors = await Promise.all([errorOf(late), errorOf(other)])
  for (const error of errors) expect(error).toMatchObject({ reason: "deadline" })
  expect(String(errors[0])).toContain("'predict' did not finish within 300 ms")
  expect(fake.worker.alive).toBe(false)
})

test("a worker that reports progress may take longer than its allowed silence; one that stops may not", async () => {
  await using fake = await startFake()
  const seen: number[] = []
  const off = fake.worker.onProgress((event) => event.type === "progress" && seen.push(event.rows))
  const request = (times: number) =>
    fake.worker.request({ type: "predict", request: { do: "slow_progress", times } }, { silenceMs: 1_000 })
  expect(await request(30)).toMatchObject({ type: "predicted" })
  expect(seen).toHaveLength(30)
  off()
  const hanging = fake.worker.request({ type: "predict", request: { do: "hang" } }, { silenceMs: 200 })
  expect(await errorOf(hanging)).toMatchObject({ reason: "deadline" })
  expect(seen).toHaveLength(30)
})

test("aborting a request ends the worker", async () => {
  await using fake = await startFake()
  const abort = new AbortController()
  const hanging = fake.worker.request({ type: "predict", request: { do: "hang" } }, { signal: abort.signal })
  abort.abort()
  expect(await errorOf(hanging)).toMatchObject({ reason: "aborted" })
})

test("a worker that exits in a request is reported with its code and its last words", async () => {
  await using fake = await startFake()
  const error = await errorOf(ask(fake.worker, { do: "exit", code: 7 }))
  expect(error).toMatchObject({ reason: "exit", code: 7, signal: null, lastOutput: "last words" })
})

test("a worker that dies by a signal is reported with the signal", async () => {
  await using fake = await startFake()
  expect(await errorOf(ask(fake.worker, { do: "signal" }))).toMatchObject({ reason: "signal", signal: "SIGSEGV" })
})

test("an answer that was sent just before the death counts; the next request does not get one", async () => {
  await using fake = await startFake()
  expect(await ask(fake.worker, { do: "answer_and_die" })).toMatchObject({ do: "answer_and_die" })
  expect(await errorOf(ask(fake.worker, {}))).toMatchObject({ reason: "exit", code: 3 })
})

test("a worker that dies between requests is noticed, and a request then fails at once", async () => {
  await using fake = await startFake()
  process.kill(fake.worker.pid, "SIGKILL")
  expect(await fake.worker.exited).toMatchObject({ reason: "signal", signal: "SIGKILL" })
  expect(fake.worker.alive).toBe(false)
  expect(await errorOf(ask(fake.worker, {}))).toBeInstanceOf(WorkerDied)
})

const BREACHES: [string, Record<string, unknown>][] = [
  ["a frame that announces 4 GB", { do: "giant" }],
  ["bytes that are no frames", { do: "garbage" }],
  ["a frame of another kind", { do: "raw", kind: 2, payload: "{}" }],
  ["a payload that is no JSON", { do: "raw", payload: "{" }],
  ["a payload that is no UTF-8", { do: "raw", payload: '{"type":"predicted","response":"\xff"}' }],
  ["an unknown message", { do: "raw", payload: '{"type":"surprise"}' }],
  ["an answer to another kind of request", { do: "raw", payload: '{"type":"loaded"}' }],
  ["an answer to no request", { do: "raw", id: 4_000_000_000, payload: '{"type":"predicted","response":1}' }],
  ["an answer with the id of events", { do: "raw", id: 0, payload: '{"type":"predicted","response":1}' }],
  [
    "an event with the id of a request",
    { do: "raw", payload: '{"type":"progress","partition":"p","attempt":1,"rows":1}' },
  ],
  [
    "an event of more than a few words",
    {
      do: "raw",
      id: 0,
      payload: JSON.stringify({ type: "progress", partition: "p", attempt: 1, rows: 1, x: "x".repeat(2000) }),
    },
  ],
  ["a second greeting", { do: "raw", id: 0, payload: '{"type":"hello","protocol":1,"pid":1,"python":"3"}' }],
  ["a flood of events", { do: "flood_events" }],
  ["a closed channel", { do: "close_channel" }],
]

test.each(BREACHES)("a worker is ended for %s", async (_title, request) => {
  await using fake = await startFake()
  expect(await errorOf(ask(fake.worker, request))).toMatchObject({ name: "WorkerDied", reason: "protocol" })
})

test("half a frame before the exit is no answer", async () => {
  await using fake = await startFake()
  expect(await errorOf(ask(fake.worker, { do: "half_a_frame" }))).toMatchObject({ reason: "exit", code: 0 })
})

test("a partition answered for another attempt ends the worker", async () => {
  await using honest = await startFake()
  expect(await honest.worker.request(PARTITION, { deadlineMs: 10_000 })).toMatchObject({ type: "partition_done" })
  await using liar = await startFake("other_attempt")
  expect(await errorOf(liar.worker.request(PARTITION, { deadlineMs: 10_000 }))).toMatchObject({ reason: "protocol" })
})
