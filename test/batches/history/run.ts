/**
 * Requests drawn by a seed against a real appliance, each awaited to its end, and after each a comparison of all that can be
 * listed with what the model says.
 */
import { startTestAppliance } from "../../support/appliance.ts"
import { seededRandom } from "../../support/random.ts"
import { comparison } from "./comparison.ts"
import { publishKinds } from "./plugins.ts"
import { requests } from "./requests.ts"
import { createWorld } from "./world.ts"

/** What an error tells of what came before it. */
const TOLD = 40

/** Answers how many requests were made. @throws Error with the seed and the requests at the first difference */
export async function historyRun(seed: number, milliseconds: number): Promise<number> {
  const random = seededRandom(seed)
  // A row that hangs takes one worker then, and no other row with it.
  const hanging = random.below(2) === 0
  await using appliance = await startTestAppliance({
    environment: hanging
      ? { MIXPEEK_PARTITION_ROWS: "1", MIXPEEK_WORKERS: "6" }
      : { MIXPEEK_PARTITION_ROWS: "5", MIXPEEK_WORKERS: "3" },
    arguments: ["--log-level", "warn"],
  })
  await publishKinds(appliance)
  const world = await createWorld(appliance, hanging)
  const { compareBatch, check } = comparison(world)
  const steps = requests(world, random, compareBatch).flatMap(([weight, step]) =>
    Array.from({ length: weight }, () => step),
  )
  const until = performance.now() + milliseconds
  try {
    while (performance.now() < until) {
      await steps[random.below(steps.length)]?.()
      await check()
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const told = world.told.slice(-TOLD).join("\n  ")
    throw new Error(`seed ${seed}, request ${world.told.length}: ${why}\n  ${told}`, { cause: error })
  }
  return world.told.length
}
