import { expect, test } from "bun:test"
import { runsUnderWay } from "../../src/batches/runs-under-way.ts"

test("a run is passed by while it has as many partitions under way as its plugin takes", () => {
  const runs = runsUnderWay()
  const of = (collection_id: string) => ({ batch_id: "btch_1", collection_id })
  const first = runs.begin(of("col_1"), () => 2)
  expect(runs.full()).toEqual([])
  const second = runs.begin(of("col_1"), () => 99)
  runs.begin(of("col_2"), () => null)
  expect(runs.full()).toEqual(["btch_1/col_1"])
  second[Symbol.dispose]()
  expect(runs.full()).toEqual([])
  first[Symbol.dispose]()
  runs.begin(of("col_1"), () => 1)
  expect(runs.full()).toEqual(["btch_1/col_1"])
})
