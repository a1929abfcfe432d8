import { readFileSync } from "node:fs"
import { deployed, pluginRoute, published } from "../test/deployments/support.ts"
import { startTestAppliance } from "../test/support/appliance.ts"
import { descendants, processorMs, pssBytes, runs } from "../test/support/processes.ts"

const [kind = "rollouts", times] = process.argv.slice(2)
const RATE = 250
const CONNECTIONS = 16
/** The whole lasts as long at least. */
const LEAST_MS = 180_000

const handler = (version: number) => `import os
class RealtimeHandler:
    def predict(self, request):
        return {"pid": os.getpid(), "version": ${version}}
`

await using appliance = await startTestAppliance(
  kind === "idle" ? { environment: { MIXPEEK_REALTIME_IDLE_SECONDS: "2" } } : {},
)
const one = await published(appliance, "soaked", handler(1), "1.0.0")
const two = await published(appliance, "soaked", handler(2), "2.0.0")
await deployed(appliance, one)

interface Load {
  answered: number
  /** By status and message. */
  failures: Map<string, number>
  stale: number
  latencies: number[]
}

/** Asks at RATE until `done`; `retired` holds the pids that must not answer what is asked from now on. */
async function load(path: string, retired: ReadonlySet<number>, done: () => boolean): Promise<Load> {
  const seen: Load = { answered: 0, failures: new Map(), stale: 0, latencies: [] }
  const gap = (CONNECTIONS / RATE) * 1000
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, lane) => {
      await Bun.sleep((gap / CONNECTIONS) * lane)
      while (!done()) {
        const asked = performance.now()
        const gone = new Set(retired)
        const answer = await appliance.call("POST", path, { body: { text: "x" } })
        seen.latencies.push(performance.now() - asked)
        if (answer.status === 200) {
          seen.answered++
          if (gone.has(answer.body.pid)) seen.stale++
        } else {
          const message: string = answer.body?.error?.message ?? answer.text
          const what = `${answer.status} ${message.replaceAll(/\d{3,}/g, "N")}`
          seen.failures.set(what, (seen.failures.get(what) ?? 0) + 1)
        }
        await Bun.sleep(Math.max(0, gap - (performance.now() - asked)))
      }
    }),
  )
  return seen
}

function tell(what: string, { answered, failures, stale, latencies }: Load, ms: number): boolean {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1)
  const failed = [...failures.values()].reduce((sum, count) => sum + count, 0)
  const rate = Math.round(((answered + failed) / ms) * 1000)
  console.log(
    `${what}: ${answered} answered, ${failed} failed, ${stale} from a revision that had been replaced; ${rate}/s, ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(0.9999)} ms`,
  )
  for (const [message, count] of failures) console.log(`  ${count} × ${message}`)
  return failed === 0 && stale === 0
}

const pidOf = async (path: string): Promise<number> =>
  (await appliance.call("POST", path, { body: { text: "x" } })).body.pid

async function underLoad(
  what: string,
  path: string,
  count: number,
  roll: (n: number) => Promise<void>,
): Promise<boolean> {
  const retired = new Set<number>()
  let over = false
  const started = performance.now()
  const loading = load(path, retired, () => over)
  for (let n = 0; n < count || performance.now() - started < LEAST_MS; n++) {
    const before = await pidOf(path)
    await roll(n)
    retired.delete(await pidOf(path))
    retired.add(before)
    await Bun.sleep(100)
  }
  over = true
  const seen = await loading
  return tell(what, seen, performance.now() - started)
}

let good = true
if (kind === "idle") {
  const count = Number(times ?? 20)
  for (let n = 1; n < count; n++) await deployed(appliance, await published(appliance, `sleeping_${n}`, handler(n)))
  const pids = () => [appliance.pid, ...descendants(appliance.pid)].filter(runs)
  const replicas = () =>
    pids().filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("plugin_worker")).length
  // The launcher is one, kept for the next request.
  while (replicas() > 1) await Bun.sleep(500)
  await Bun.sleep(5_000)
  const cpuMs = () => pids().reduce((sum, pid) => sum + processorMs(pid), 0)
  const [before, since] = [cpuMs(), performance.now()]
  await Bun.sleep(60_000)
  const share = ((cpuMs() - before) / (performance.now() - since)) * 100
  const pss = pids().reduce((sum, pid) => sum + pssBytes(pid), 0) / 1024 ** 2
  console.log(
    `${count} deployments asleep: ${pss.toFixed(0)} MiB (PSS) in ${pids().length} processes, ${share.toFixed(2)} % CPU over a minute`,
  )
  const asked = performance.now()
  const { status } = await appliance.call("POST", `/inference/custom_plugin_${appliance.namespaceId}_${one}`, {
    body: { text: "x" },
  })
  const woke = performance.now() - asked
  console.log(`one of them woke and answered ${status} in ${woke.toFixed(0)} ms`)
  process.exit(pss < 300 && share < 1 && status === 200 && woke < 1_000 ? 0 : 1)
} else if (kind === "rollouts") {
  const count = Number(times ?? 50)
  const prefix = `/inference/custom_plugin_${appliance.namespaceId}_${one}`
  good = await underLoad(`${count} redeploys of one plugin id`, prefix, count, async () => {
    const { status, error } = await deployed(appliance, one)
    if (status !== "DEPLOYED") throw new Error(`the rollout ended ${status}: ${error}`)
  })
  await deployed(appliance, two)
  const flips = await underLoad(`${count} flips of a name`, "/v1/inference/custom/soaked", count, async (n) => {
    // To the other version by a deploy of it, which moves the name when it is ready.
    await deployed(appliance, n % 2 === 0 ? one : two)
  })
  good = good && flips
} else {
  const count = Number(times ?? 100)
  const prefix = `/inference/custom_plugin_${appliance.namespaceId}_${one}`
  let over = false
  const started = performance.now()
  const loading = load(prefix, new Set(), () => over)
  const outages: number[] = []
  for (let n = 0; n < count; n++) {
    await Bun.sleep(500)
    process.kill(await pidOf(prefix), "SIGKILL")
    const killed = performance.now()
    for (;;) {
      const answer = await appliance.call("POST", prefix, { body: { text: "x" } })
      if (answer.status === 200) break
    }
    outages.push(performance.now() - killed)
  }
  over = true
  const seen = await loading
  tell(`${count} kills`, seen, performance.now() - started)
  const failed = [...seen.failures.values()].reduce((sum, value) => sum + value, 0)
  const worst = Math.max(...outages)
  console.log(
    `service was back after ${outages.toSorted((a, b) => a - b)[Math.floor(count / 2)]?.toFixed(0)} ms, most ${worst.toFixed(0)} ms`,
  )
  // One request at a time is executed: a kill can cost one.
  good = failed <= count && worst < 1_000 && [...seen.failures.keys()].every((what) => what.startsWith("502 "))
}
const { body } = await appliance.call("GET", `${pluginRoute(appliance, one)}/status`)
console.log(JSON.stringify(body.health))
process.exit(good ? 0 : 1)
