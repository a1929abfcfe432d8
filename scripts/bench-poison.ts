/** Batches with and without poison in turn. CPU is of the whole process tree: it holds where other work shares the cores. */
import { parseArgs } from "node:util"
import { loadPoisonedRows, type PoisonedRows } from "../test/recovery/poisoned-rows.ts"
import { startTestAppliance } from "../test/support/appliance.ts"
import { waitForBatch } from "../test/support/batch.ts"
import { published } from "../test/support/plugins.ts"
import { descendants, processorMs } from "../test/support/processes.ts"
import { seededRandom, testSeed } from "../test/support/random.ts"

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    batches: { type: "string", default: "64,1024" },
    us: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
  },
})
const rows = whole(options.rows)
const rounds = whole(options.rounds)
const seconds = Number(options.us) / 1e6
const POISON = 0.001
const MOST = 0.2

const seed = testSeed()
console.log(`seed ${seed} (MIXPEEK_TEST_SEED repeats it)`)
const random = seededRandom(seed)
await using appliance = await startTestAppliance({ arguments: ["--log-level", "error"] })
const beds = {
  clean: await loadPoisonedRows(appliance, rows, { raises: 0, dies: 0 }, random),
  poisoned: await loadPoisonedRows(appliance, rows, { raises: Math.round(rows * POISON), dies: 0 }, random),
}
let dear = false
for (const size of options.batches.split(",").map(whole)) {
  const name = `poison_${size}`
  await published(appliance, {
    name,
    dimensions: 384,
    manifestExtra: `compute_profile = {"batch_size": ${size}}`,
    // Row by row, as many plugins do: what was computed before the poison is lost with its call.
    call: `vectors = []
for text in batch["text"].tolist():
    end = time.thread_time() + ${seconds}
    if text.startswith("raises"):
        raise ValueError(text)
    while time.thread_time() < end:
        pass
    vectors.append([float(len(text))] * 384)
batch["${name}_embedding"] = vectors
return batch`,
  })
  const taken: Record<keyof typeof beds, { wall: number; cpu: number }[]> = { clean: [], poisoned: [] }
  for (let round = 0; round <= rounds; round++) {
    // Who goes first has the warmer or the colder machine: by turns. The first round only warms.
    const order = round % 2 === 0 ? (["clean", "poisoned"] as const) : (["poisoned", "clean"] as const)
    for (const which of order) {
      const one = await batchOver(beds[which], name)
      if (round > 0) taken[which].push(one)
    }
  }
  const middle = (which: keyof typeof beds, what: "wall" | "cpu") => median(taken[which].map((one) => one[what]))
  // Of throughput: rows per second, not seconds.
  const lost = (what: "wall" | "cpu") => 1 - middle("clean", what) / middle("poisoned", what)
  dear ||= lost("wall") > MOST
  console.log(
    JSON.stringify({
      batch_size: size,
      rows,
      rounds,
      clean_rows_per_second: Math.round(rows / middle("clean", "wall")),
      poisoned_rows_per_second: Math.round(rows / middle("poisoned", "wall")),
      throughput_lost: Number(lost("wall").toFixed(3)),
      throughput_lost_by_cpu: Number(lost("cpu").toFixed(3)),
    }),
  )
}
console.log(dear ? `poison costs more than ${MOST * 100} % of throughput` : `under ${MOST * 100} % of throughput`)
process.exitCode = dear ? 1 : 0

/** Seconds, of the clock and of processors. */
async function batchOver({ bucket, kinds }: PoisonedRows, name: string): Promise<{ wall: number; cpu: number }> {
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: crypto.randomUUID(),
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  const id = collection.body.collection_id
  const cpu = cpuSeconds()
  const started = performance.now()
  const { body } = await appliance.call("POST", `/v1/buckets/${bucket}/batches/trigger`, {
    body: { collection_ids: [id] },
  })
  const batch = await waitForBatch(appliance, bucket, body.batch_id, 600_000)
  const taken = { wall: (performance.now() - started) / 1000, cpu: cpuSeconds() - cpu }
  const poison = kinds.filter((kind) => kind === "raises").length
  if (batch.rows_done !== rows - poison || batch.rows_failed !== poison)
    throw new Error(`the batch ended with ${batch.rows_done} done and ${batch.rows_failed} failed`)
  await appliance.call("DELETE", `/v1/collections/${id}`)
  return taken
}

/** Of what lives now and has ended below it. */
function cpuSeconds(): number {
  return [appliance.pid, ...descendants(appliance.pid)].reduce((sum, pid) => sum + processorMs(pid), 0) / 1000
}

function median(values: number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const half = sorted.length / 2
  return ((sorted[Math.ceil(half) - 1] ?? 0) + (sorted[Math.floor(half)] ?? 0)) / 2
}

function whole(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`'${text}' is not a whole number above 0`)
}
