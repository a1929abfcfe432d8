import { expect, test } from "bun:test"
import { actorMemoryBytes, callThreads, maxConcurrency, shareOf } from "../../src/workers/compute-profile.ts"

test.each([
  [8, 1, 8],
  [8, 2, 4],
  [8, 3, 2],
  [3, 16, 1],
  [1, 2, 1],
])("of %i calls each of %i workers has %i, and together they have no more", (calls, workers, expected) => {
  expect(shareOf(calls, workers)).toBe(expected)
  expect(shareOf(calls, workers) * Math.min(workers, calls)).toBeLessThanOrEqual(calls)
})

test("what a profile says is read as the worker checks it, and anything else is as if it were not there", () => {
  expect(
    [null, {}, { max_concurrency: 4 }, { max_concurrency: 4.5 }, { max_concurrency: "4" }].map(maxConcurrency),
  ).toEqual([null, null, 4, null, null])
  expect([null, { actor_memory_gb: 2.5 }, { actor_memory_gb: -1 }].map(actorMemoryBytes)).toEqual([
    null,
    2.5 * 1024 ** 3,
    null,
  ])
  expect([256, 8, 1].map(callThreads)).toEqual([64, 2, 1])
})
