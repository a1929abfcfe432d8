import { expect, test } from "bun:test"
import { testSeed } from "../support/random.ts"
import { historyRun } from "./history/run.ts"

/** Longer finds more: MIXPEEK_TEST_HISTORY_SECONDS=600 after a change of how batches begin, end or replace. */
const MILLISECONDS = Number(process.env.MIXPEEK_TEST_HISTORY_SECONDS ?? 12) * 1000

test(
  "after any history of requests there is what the last of them made of each object, by each version, and what failed is listed",
  async () => {
    const seed = testSeed()
    console.info(`MIXPEEK_TEST_SEED=${seed}`)
    expect(await historyRun(seed, MILLISECONDS)).toBeGreaterThan(5)
  },
  MILLISECONDS + 120_000,
)
