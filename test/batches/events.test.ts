import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import { batchEvents, type Followed } from "../../src/batches/events.ts"
import { createLog } from "../../src/log.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { published } from "../support/plugins.ts"
import { leased, type OpenLedger, openLedger } from "./ledger-support.ts"
import { trigger, words } from "./support.ts"

describe("following", () => {
  let opened: OpenLedger
  beforeAll(() => {
    opened = openLedger()
  })
  afterAll(() => opened[Symbol.dispose]())
  afterEach(() => {
    for (const id of opened.metadata.read.batches.liveOf(opened.namespace.namespaceId)) opened.ledger.cancel(id)
  })
  const hub = () => batchEvents({ metadata: opened.metadata, progress: opened.progress, log: createLog("silent") })
  const iterator = (followed: AsyncIterable<Followed>) => followed[Symbol.asyncIterator]()
  const statusOf = ({ value }: IteratorResult<Followed>) => [value?.event, value?.batch.status, value?.batch.rows_done]

  test("the state comes at once, then each change, then one end; whoever reads late misses states, not the last", async () => {
    using events = hub()
    const id = opened.start(opened.source(), 4, 2)
    const following = iterator(events.follow("ns", id, new AbortController().signal))
    const late = iterator(events.follow("ns", id, new AbortController().signal))
    expect(statusOf(await following.next())).toEqual(["progress", "IN_PROGRESS", 0])
    await late.next()
    opened.commit(leased(opened.ledger.lease()))
    expect(statusOf(await following.next())).toEqual(["progress", "IN_PROGRESS", 2])
    opened.suspension.pause(id)
    expect(statusOf(await following.next())).toEqual(["progress", "SUSPENDED", 2])
    opened.suspension.resume(id)
    opened.commit(leased(opened.ledger.lease()))
    expect(statusOf(await following.next())).toEqual(["progress", "COMPLETED", 4])
    expect(statusOf(await following.next())).toEqual(["end", "COMPLETED", 4])
    expect((await following.next()).done).toBe(true)
    expect(statusOf(await late.next())).toEqual(["progress", "COMPLETED", 4])
    expect(statusOf(await late.next())).toEqual(["end", "COMPLETED", 4])
    await late.next()
    expect(events.watched).toBe(0)
  })

  test("what does not change is a heartbeat, a deleted batch ends, and an aborted follower leaves nothing behind", async () => {
    using events = hub()
    const id = opened.draft(opened.source(), 1)
    const gone = new AbortController()
    const leaver = iterator(events.follow("ns", id, gone.signal))
    const following = iterator(events.follow("ns", id, new AbortController().signal))
    for (const each of [leaver, following]) expect(statusOf(await each.next())).toEqual(["progress", "DRAFT", 0])
    const waiting = leaver.next()
    gone.abort()
    expect((await waiting).done).toBe(true)
    expect(events.watched).toBe(1)
    expect((await following.next()).value).toBeNull()
    opened.metadata.transact((tx) => tx.write.batches.erase(id))
    expect(statusOf(await following.next())).toEqual(["end", "DRAFT", 0])
    expect((await following.next()).done).toBe(true)
    expect(events.watched).toBe(0)
  }, 10_000)

  test("a namespace follows so many at once and no more, another is not held back, and a stop ends them all", async () => {
    const events = hub()
    const id = opened.start(opened.source(), 1, 1)
    const signal = new AbortController().signal
    const open = Array.from({ length: 64 }, () => iterator(events.follow("ns", id, signal)))
    for (const each of open) await each.next()
    expect(() => events.follow("ns", id, signal)).toThrow("follows 64 batches already")
    const other = iterator(events.follow("ns_other", id, signal))
    await other.next()
    await open[0]?.return?.(undefined)
    const again = iterator(events.follow("ns", id, signal))
    await again.next()
    const waiting = [...open.slice(1), other, again].map((each) => each.next())
    events[Symbol.dispose]()
    for (const { done } of await Promise.all(waiting)) expect(done).toBe(true)
    expect(events.watched).toBe(0)
    expect((await iterator(events.follow("ns", id, signal)).next()).done).toBe(true)
  })
})

describe("over HTTP", () => {
  let appliance: TestAppliance
  beforeAll(async () => {
    appliance = await startTestAppliance()
    await published(appliance, {
      name: "takes_time",
      call: `time.sleep(0.05)
batch["takes_time_embedding"] = [[1.0] * 4] * len(batch)
return batch`,
    })
    await published(appliance, { name: "never_done", call: "time.sleep(600)\nreturn batch" })
  })
  afterAll(() => appliance[Symbol.asyncDispose]())

  const open = (path: string, signal?: AbortSignal) =>
    fetch(`${appliance.url}${path}/events`, {
      headers: { Authorization: `Bearer ${appliance.adminKey}`, "Last-Event-ID": "no such id" },
      ...(signal === undefined ? {} : { signal }),
    })

  test("a running batch is told of at most twice a second until its end, which closes the stream", async () => {
    const { bucket } = await bucketOf(appliance, words(2500))
    const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "takes_time"))
    const started = performance.now()
    const response = await open(path)
    expect(response.headers.get("Content-Type")).toContain("text/event-stream")
    const text = await response.text()
    const seconds = (performance.now() - started) / 1000
    const events = text
      .split("\n\n")
      .filter((block) => block.startsWith("event:"))
      .map((block) => ({
        event: /^event: (.*)$/m.exec(block)?.[1],
        ...JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? ""),
      }))
    expect(events.length).toBeGreaterThan(3)
    expect(events.length).toBeLessThanOrEqual(seconds * 2 + 3)
    expect(events.at(-1)).toMatchObject({ event: "end", status: "COMPLETED", rows_done: 2500 })
    const processed = events.map((event) => event.progress.processed)
    expect(processed).toEqual([...processed].sort((one, other) => one - other))
    expect(new Set(processed).size).toBeGreaterThan(2)
  })

  test("a quiet stream has heartbeats, a client that leaves frees its place, and shutdown waits for no stream", async () => {
    const { bucket } = await bucketOf(appliance, words(5))
    const path = await trigger(appliance, bucket, await collectionOf(appliance, bucket, "never_done"))
    const quiet = await open(path)
    if (quiet.body === null) throw new Error("no body")
    const reader = quiet.body.getReader()
    const decoder = new TextDecoder()
    let heard = ""
    const heartbeat = (async () => {
      while (!heard.includes(": heartbeat")) heard += decoder.decode((await reader.read()).value)
    })()
    // As many as there may be beside the first, all of which leave: their places are free again.
    const leaving = new AbortController()
    const others = await Promise.all(Array.from({ length: 63 }, () => open(path, leaving.signal)))
    expect(others.every((response) => response.status === 200)).toBe(true)
    const refused = await open(path)
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "5"])
    leaving.abort()
    await eventually(async () => {
      const one = new AbortController()
      const { status } = await open(path, one.signal)
      one.abort()
      return status === 200
    }, 10_000)
    await heartbeat
    const asked = performance.now()
    expect(await appliance.stop()).toBe(0)
    expect(performance.now() - asked).toBeLessThan(8000)
    await reader.cancel().catch(() => {})
  }, 180_000)
})
