import { expect, test } from "bun:test"
import { startTestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { seededRandom, testSeed } from "../support/random.ts"
import { killingRun } from "./killing-run.ts"
import { collectionOf, loadPoisonedRows, problemsOf, publishPoisonable } from "./poisoned-rows.ts"
import { strike } from "./strikes.ts"

test("a batch that is struck by kills of every process, a full disk and a failing one loses, doubles and blames no row", async () => {
  const seed = testSeed()
  console.log(`seed ${seed} (MIXPEEK_TEST_SEED repeats it)`)
  const strikes = { appliance: 1, eio: 1, launcher: 1, worker: 2, documents: 1, full: 1 }
  const { struck } = await killingRun({
    seed,
    rows: 2000,
    poison: { raises: 2, dies: 1 },
    pauseMs: 4,
    partitionRows: 200,
    strikes,
    gapMs: 600,
    diskMebibytes: 768,
    say: () => {},
  })
  expect(Object.fromEntries(struck)).toEqual(strikes)
}, 600_000)

test("a row that stands alone is not blamed for a worker that somebody else killed", async () => {
  const random = seededRandom(1)
  await using appliance = await startTestAppliance({ environment: { MIXPEEK_PARTITION_ROWS: "1" } })
  await publishPoisonable(appliance, 300)
  const rows = await loadPoisonedRows(appliance, 3, { raises: 0, dies: 0 }, random)
  const collection = await collectionOf(appliance, rows)
  const { body } = await appliance.call("POST", `/v1/collections/${collection}/trigger`)
  const struck = await strike("worker", { appliance, random, disk: null, whileDead: () => {}, over: async () => false })
  expect(struck).toBe(true)
  const batch = await waitForBatch(appliance, rows.bucket, body.batch_id)
  expect(await problemsOf(appliance, rows, collection, batch)).toEqual([])
}, 180_000)
