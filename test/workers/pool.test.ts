import { expect, test } from "bun:test"
import { workerPool } from "../../src/workers/pool.ts"
import { ask, errorOf, type FakeWorker, runs, startFake } from "./support.ts"

async function poolOfFakes() {
  const clock = { now: 0 }
  const started: FakeWorker[] = []
  const keys: string[] = []
  const unwanted = new Set<string>()
  const pool = workerPool({
    async start(key, signal) {
      keys.push(key)
      const fake = await startFake(key === "hangs" ? "hang_at_start" : "", { signal })
      started.push(fake)
      return fake.worker
    },
    wanted: (key) => !unwanted.has(key),
    maxIdleMs: 60_000,
    now: () => clock.now,
  })
  return {
    pool,
    clock,
    keys,
    unwanted,
    started,
    async [Symbol.asyncDispose]() {
      await pool.closeAll()
      await Promise.all(started.map((fake) => fake[Symbol.asyncDispose]()))
    },
  }
}

test("a worker that was given back serves the same key again", async () => {
  await using fakes = await poolOfFakes()
  const first = await pidOf(fakes.pool, "a")
  expect(await pidOf(fakes.pool, "a")).toBe(first)
  expect(fakes.keys).toEqual(["a"])
})

test("a worker never serves another key", async () => {
  await using fakes = await poolOfFakes()
  const first = await pidOf(fakes.pool, "a")
  expect(await pidOf(fakes.pool, "b")).not.toBe(first)
  expect(fakes.keys).toEqual(["a", "b"])
})

test("two permits at once are two workers", async () => {
  await using fakes = await poolOfFakes()
  using one = await fakes.pool.acquire("a")
  using other = await fakes.pool.acquire("a")
  expect(one.worker.pid).not.toBe(other.worker.pid)
})

test("a poisoned worker is ended, not used again", async () => {
  await using fakes = await poolOfFakes()
  let poisoned = 0
  {
    using permit = await fakes.pool.acquire("a")
    permit.poison()
    poisoned = permit.worker.pid
  }
  expect(await pidOf(fakes.pool, "a")).not.toBe(poisoned)
  await fakes.started[0]?.worker.exited
  expect(runs(poisoned)).toBe(false)
})

test("a worker that died, lent or idle, is replaced", async () => {
  await using fakes = await poolOfFakes()
  let dead = 0
  {
    using permit = await fakes.pool.acquire("a")
    dead = permit.worker.pid
    await errorOf(ask(permit.worker, { do: "exit", code: 1 }))
  }
  const second = await pidOf(fakes.pool, "a")
  expect(second).not.toBe(dead)
  process.kill(second, "SIGKILL")
  await fakes.started[1]?.worker.exited
  expect(await pidOf(fakes.pool, "a")).not.toBe(second)
})

test("a worker is ended when it was idle for too long, not before", async () => {
  await using fakes = await poolOfFakes()
  const pid = await pidOf(fakes.pool, "a")
  fakes.clock.now = 59_999
  await fakes.pool.endIdle()
  expect(fakes.pool.idle).toBe(1)
  fakes.clock.now = 60_000
  await fakes.pool.endIdle()
  expect(fakes.pool.idle).toBe(0)
  expect(runs(pid)).toBe(false)
})

test("a worker whose key is not wanted any more is ended when it is idle, and when it is given back", async () => {
  await using fakes = await poolOfFakes()
  const idle = await pidOf(fakes.pool, "a")
  const kept = await pidOf(fakes.pool, "b")
  let lent = 0
  {
    using permit = await fakes.pool.acquire("c")
    lent = permit.worker.pid
    fakes.unwanted.add("a").add("c")
    await fakes.pool.endUnwanted()
    expect([runs(idle), runs(lent), runs(kept)]).toEqual([false, true, true])
  }
  await fakes.started[2]?.worker.exited
  expect(fakes.pool.idle).toBe(1)
  expect(await pidOf(fakes.pool, "b")).toBe(kept)
})

test("who gives up waiting ends the start", async () => {
  await using fakes = await poolOfFakes()
  const abort = new AbortController()
  const waiting = fakes.pool.acquire("hangs", abort.signal)
  abort.abort(new Error("given up"))
  expect(await errorOf(waiting)).toMatchObject({ name: "WorkerDied", reason: "aborted" })
})

test("closing ends idle, lent and starting workers, and nothing can be acquired afterwards", async () => {
  await using fakes = await poolOfFakes()
  const idle = await pidOf(fakes.pool, "a")
  const permit = await fakes.pool.acquire("b")
  const starting = errorOf(fakes.pool.acquire("hangs"))
  await fakes.pool.closeAll()
  expect(await starting).toMatchObject({ reason: "aborted" })
  expect([runs(idle), runs(permit.worker.pid)]).toEqual([false, false])
  permit[Symbol.dispose]()
  expect(fakes.pool.idle).toBe(0)
  expect(String(await errorOf(fakes.pool.acquire("a")))).toContain("closed")
})

async function pidOf(pool: Awaited<ReturnType<typeof poolOfFakes>>["pool"], key: string): Promise<number> {
  using permit = await pool.acquire(key)
  return permit.worker.pid
}
