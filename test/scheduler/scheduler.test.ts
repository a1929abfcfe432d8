import { expect, test } from "bun:test"
import { createLog } from "../../src/log.ts"
import { type Job, type SlotKind, scheduler } from "../../src/scheduler/scheduler.ts"

/** Jobs that run until they are told to end. */
function jobs(slots: number, kinds: SlotKind[] = []) {
  const state = { taken: 0, waiting: 10, refuse: false }
  /** Under way, and those of them that have a slot. */
  const begun = new Set<string>()
  const running = new Map<string, () => void>()
  let changed = Promise.withResolvers<void>()
  const notify = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const own = scheduler({
    slots,
    taken: () => state.taken,
    next(): Job | null {
      if (state.refuse) throw new Error("the disk is full")
      if (state.waiting === 0) return null
      const name = `job ${state.waiting--}`
      const kind = kinds.shift() ?? "cpu"
      return {
        name,
        async run(signal, slot) {
          begun.add(name)
          notify()
          try {
            using _ = await slot(signal, kind)
            const { promise, resolve: end } = Promise.withResolvers<void>()
            signal.addEventListener("abort", () => end())
            running.set(name, end)
            notify()
            await promise
          } catch (error) {
            if (!signal.aborted) throw error
          } finally {
            begun.delete(name)
            running.delete(name)
            notify()
          }
        },
        failed: () => undefined,
      }
    },
    log: createLog("silent"),
    retryMs: 1,
  })
  return {
    state,
    begun,
    running,
    abort: own.abort,
    endOne: () => [...running.values()][0]?.(),
    async until(count: number) {
      while (running.size !== count) await changed.promise
    },
    async untilLeft(count: number) {
      while (state.waiting !== count) await changed.promise
    },
    wake: own.wake,
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  }
}

test("all slots are filled, and again when a job ends", async () => {
  await using own = jobs(3)
  own.wake()
  await own.until(3)
  own.endOne()
  await own.untilLeft(5)
  await own.until(3)
})

test("one job more than there are slots is under way, and has a slot in its turn", async () => {
  await using own = jobs(2)
  own.wake()
  await own.until(2)
  expect([...own.begun]).toEqual(["job 10", "job 9", "job 8"])
  expect([...own.running.keys()]).toEqual(["job 10", "job 9"])
  own.endOne()
  await own.untilLeft(6)
  await own.until(2)
  expect([...own.running.keys()]).toEqual(["job 9", "job 8"])
})

test("a job that is aborted while it waits for a slot gives up its turn", async () => {
  await using own = jobs(1)
  own.wake()
  await own.until(1)
  expect([...own.begun]).toEqual(["job 10", "job 9"])
  own.abort((name) => name === "job 9")
  await own.untilLeft(7)
  expect([...own.begun]).toEqual(["job 10", "job 8"])
  own.endOne()
  await own.untilLeft(6)
  await own.until(1)
  expect([...own.running.keys()]).toEqual(["job 8"])
})

test("who goes first leaves fewer slots, but always one; what waits starts when it is done", async () => {
  await using own = jobs(3)
  own.state.taken = 2
  own.wake()
  await own.until(1)
  own.state.taken = 8
  own.endOne()
  await own.until(0)
  await own.until(1)
  own.state.taken = 1
  await own.until(2)
  own.state.taken = 0
  await own.until(3)
})

test("a ledger that cannot be asked is asked again", async () => {
  await using own = jobs(2)
  own.state.refuse = true
  own.wake()
  await Promise.resolve()
  own.state.refuse = false
  await own.until(2)
})

test("jobs that call services leave the slots to those that compute, and are as many at once", async () => {
  await using own = jobs(2, ["api", "api", "api"])
  own.wake()
  await own.until(4)
  expect([...own.running.keys()]).toEqual(["job 10", "job 9", "job 7", "job 6"])
  expect([...own.begun]).toContain("job 8")
  own.endOne()
  await own.untilLeft(4)
  await own.until(4)
  expect([...own.running.keys()]).toEqual(["job 9", "job 7", "job 6", "job 8"])
})
