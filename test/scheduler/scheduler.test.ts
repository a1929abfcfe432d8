import { expect, test } from "bun:test"
import { createLog } from "../../src/log.ts"
import { type Job, scheduler } from "../../src/scheduler/scheduler.ts"

/** Jobs that run until they are told to end. */
function jobs(slots: number) {
  const state = { taken: 0, waiting: 10, refuse: false }
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
      return {
        name,
        run: (signal) =>
          new Promise((resolve) => {
            const end = () => {
              running.delete(name)
              notify()
              resolve()
            }
            signal.addEventListener("abort", end)
            running.set(name, end)
            notify()
          }),
        failed: () => undefined,
      }
    },
    log: createLog("silent"),
    retryMs: 1,
  })
  return {
    state,
    running,
    endOne: () => [...running.values()][0]?.(),
    async until(count: number) {
      while (running.size !== count) await changed.promise
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
  await own.until(2)
  await own.until(3)
  expect(own.state.waiting).toBe(6)
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
