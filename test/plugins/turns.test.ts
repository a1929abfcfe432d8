import { expect, test } from "bun:test"
import { atMost, inTurns } from "../../src/plugins/turns.ts"

test("work of one key runs in order though the first fails; another key does not wait", async () => {
  const inTurn = inTurns()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = inTurn("a", async () => {
    await gate.promise
    seen.push("a1")
    throw new Error("a1 failed")
  })
  const second = inTurn("a", async () => seen.push("a2"))
  await inTurn("b", async () => seen.push("b1"))
  gate.resolve()
  expect(await first.catch((error: Error) => error.message)).toBe("a1 failed")
  await second
  expect(seen).toEqual(["b1", "a1", "a2"])
})

test("no more run at once than there are places, and every one runs", async () => {
  const withRoom = atMost(2)
  let running = 0
  let most = 0
  const work = async (index: number) => {
    most = Math.max(most, ++running)
    await Bun.sleep(1)
    running--
    if (index === 1) throw new Error("one fails")
    return index
  }
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map((index) => withRoom(() => work(index))))
  expect(most).toBe(2)
  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(4)
})
