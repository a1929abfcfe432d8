import { edenGC, fullGC } from "bun:jsc"
import { expect, test } from "bun:test"
import { InOrder, type Place } from "../../src/deployments/in-order.ts"

test("what comes and leaves is found in its order, wherever it left", () => {
  const list = new InOrder<number>()
  const places = [1, 2, 3, 4, 5].map((value) => list.add(value))
  for (const index of [2, 0, 4]) list.remove(places[index] as Place<number>)
  expect([...list]).toEqual([2, 4])
  list.add(6)
  expect([...list]).toEqual([2, 4, 6])
  expect(list.size).toBe(3)
  expect(list.first?.value).toBe(2)
  list.clear()
  expect([...list]).toEqual([])
  expect(list.first).toBeNull()
})

test("what left is not held by what left before it: a collection of the young takes it", async () => {
  const list = new InOrder<{ body: Uint8Array }>()
  const left: WeakRef<object>[] = []
  const waiting: Place<{ body: Uint8Array }>[] = []
  fullGC()
  for (let turn = 0; turn < 20; turn++) {
    for (let call = 0; call < 500; call++) {
      const value = { body: new Uint8Array(100) }
      waiting.push(list.add(value))
      left.push(new WeakRef(value))
      const first = waiting.length > 20 ? waiting.shift() : undefined
      if (first !== undefined) list.remove(first)
    }
    // A WeakRef holds what it refers to until the turn of the event loop ends.
    await new Promise((resolve) => setImmediate(resolve))
    edenGC()
  }
  // Some are found on the stack, or wait still: a chain would have all 10,000.
  expect(left.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(2_000)
})
