/** One timer for many deadlines. Times are real and short; what is awaited is the ring, never a time. */
import { expect, test } from "bun:test"
import { Alarm } from "../../src/deployments/alarm.ts"
import { Deadlines } from "../../src/deployments/deadlines.ts"
import type { Place } from "../../src/deployments/in-order.ts"

const now = () => performance.now()

test("an alarm that is put off rings once, when it was set to last", async () => {
  const rung = Promise.withResolvers<number>()
  let rings = 0
  const alarm = new Alarm(() => {
    rings += 1
    rung.resolve(now())
  })
  const first = now()
  alarm.setFor(first + 5)
  alarm.setFor(first + 40)
  expect(await rung.promise).toBeGreaterThanOrEqual(first + 40)
  const again = Promise.withResolvers<void>()
  new Alarm(again.resolve).setFor(now() + 5)
  await again.promise
  expect(rings).toBe(1)
})

test("an alarm that is brought forward rings earlier", async () => {
  const rung = Promise.withResolvers<number>()
  const alarm = new Alarm(() => rung.resolve(now()))
  const first = now()
  alarm.setFor(first + 60_000)
  alarm.setFor(first + 10)
  expect(await rung.promise).toBeLessThan(first + 10_000)
})

test("an alarm that was cleared does not ring, and rings when it is set again", async () => {
  let rings = 0
  const rung = Promise.withResolvers<void>()
  const alarm = new Alarm(() => {
    rings += 1
    rung.resolve()
  })
  alarm.setFor(now() + 1)
  alarm.clear()
  const later = Promise.withResolvers<void>()
  new Alarm(later.resolve).setFor(now() + 20)
  await later.promise
  expect(rings).toBe(0)
  alarm.setFor(now() + 1)
  await rung.promise
  expect(rings).toBe(1)
})

interface Bounded {
  readonly deadline: number
  readonly deadlineMs: number
  place: Place<Bounded> | null
  late(): void
}

test("whoever is late is told in the order of the deadlines, whatever order they came in; who was answered is not", async () => {
  const deadlines = new Deadlines<Bounded>()
  const told: string[] = []
  const all = Promise.withResolvers<void>()
  const from = now()
  const one = (name: string, deadlineMs: number): Bounded => ({
    deadline: from + deadlineMs,
    deadlineMs,
    place: null,
    late() {
      expect(now()).toBeGreaterThanOrEqual(from + deadlineMs)
      told.push(name)
      if (name === "last") all.resolve()
    },
  })
  const answered = one("answered", 15)
  for (const bounded of [one("last", 40), one("first", 5), answered, one("second", 20)]) deadlines.add(bounded)
  deadlines.delete(answered)
  await all.promise
  expect(told).toEqual(["first", "second", "last"])
})
