import { killingRun } from "../test/recovery/killing-run.ts"
import { testSeed } from "../test/support/random.ts"

const kills = Number(process.argv[2] ?? 20)
const rows = Number(process.argv[3] ?? 20_000)
const seed = testSeed()
console.log(`seed ${seed} (MIXPEEK_TEST_SEED repeats the choices)`)

const share = (part: number) => Math.round(kills * part)
const others = { eio: share(0.1), launcher: share(0.15), worker: share(0.3), documents: share(0.15) }
const started = performance.now()
const {
  batches,
  polls,
  struck,
  kills: done,
} = await killingRun({
  seed,
  rows,
  // 0.1 %, of which a few take their worker with them.
  poison: { raises: Math.round(rows * 0.00095), dies: Math.max(1, Math.round(rows * 0.00005)) },
  // Undisturbed, a batch takes 10 s at least: long enough to be struck.
  pauseMs: Math.max(0.2, 20_000 / rows),
  partitionRows: 2000,
  strikes: {
    ...others,
    appliance: kills - Object.values(others).reduce((sum, count) => sum + count, 0),
    full: share(0.1),
  },
  gapMs: 3000,
  diskMebibytes: 3072,
  say: console.log,
})
const minutes = ((performance.now() - started) / 60_000).toFixed(1)
const each = [...struck].map(([kind, count]) => `${kind} ${count}`).join(", ")
console.log(
  `${done} kills in ${batches} batches of ${rows} rows, ${minutes} min: ${each}; ${polls} polls, each of which added up`,
)
console.log("nothing lost, nothing doubled, exactly the poison rows in the errors")
