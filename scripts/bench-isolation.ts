import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { IsolationLevel } from "../src/isolation-levels.ts"
import { createLog } from "../src/log.ts"
import { findInterpreter } from "../src/workers/interpreters.ts"
import { type Launcher, startLauncher } from "../src/workers/launcher.ts"
import { startWorker, threadCounts, type Worker } from "../src/workers/worker.ts"

const ROUNDS = Number(process.argv[2] ?? 15)
const MANIFEST = 'feature_extractor_name = "bench"\nversion = "1.0.0"\nfeatures = []\n'
const REALTIME = `import time

class RealtimeInferenceService:
    def predict(self, request):
        import numpy as np, pandas as pd
        if request["what"] == "frame":
            return {"rows": len(pd.DataFrame({"a": range(1000)}))}
        wall, cpu = time.perf_counter(), time.process_time()
        rng = np.random.default_rng(7)
        frame = pd.DataFrame({"k": rng.integers(0, 1000, 400_000), "v": rng.random(400_000)})
        for _ in range(4):
            grouped = frame.groupby("k")["v"].agg(["mean", "std", "max"]).reset_index()
            merged = frame.merge(grouped, on="k")
            merged["z"] = (merged["v"] - merged["mean"]) / merged["std"]
            merged.sort_values("z").head(10)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
`

const home = realpathSync(mkdtempSync(join(tmpdir(), "mixpeek-bench-")))
const pythonTree = realpathSync(join(import.meta.dir, "../src/python"))
const environments = join(process.env.MIXPEEK_TEST_DATA ?? "dist/test-data", "environments")
const sitePackages = [...new Bun.Glob("*/site-packages").scanSync({ cwd: environments, onlyFiles: false })].map(
  (path) => realpathSync(join(environments, path)),
)
// As the appliance does at its start.
Bun.spawnSync(["python3", join(pythonTree, "plugin_worker/isolation_probe.py"), "99", "1"])
const search = await findInterpreter({ pathVariable: process.env.PATH ?? "" })
if (search.chosen === null) throw new Error(search.problem ?? "there is no Python")
const interpreter = search.chosen
const log = createLog("silent")
const plugin = join(home, "plugin")
mkdirSync(plugin)
writeFileSync(join(plugin, "manifest.py"), MANIFEST)
writeFileSync(join(plugin, "realtime.py"), REALTIME)

async function start(level: IsolationLevel, launcher: Launcher | null): Promise<Worker> {
  const scratch = mkdtempSync(join(home, "scratch-"))
  return startWorker({
    launcher,
    interpreter,
    pythonTree,
    scratch,
    exchange: scratch,
    plugin: { path: plugin, name: "bench", packageName: "plugin_bench" },
    sitePackages,
    confinement: {
      level,
      readable: [],
      writable: [],
      devices: [],
      hidden: [],
      network: { mode: "none" },
      limits: {
        memoryBytes: 4 * 1024 ** 3,
        threads: 256,
        scratchBytes: 1024 ** 3,
        scratchFiles: 10_000,
        openFiles: 1024,
        cpuMs: 3_600_000,
        logBytes: 1024 ** 2,
      },
      landlockAbiAtMost: 99,
      namespaces: true,
    },
    log,
  })
}

/** Of all its threads, in milliseconds: the first number of schedstat counts nanoseconds on a processor. */
function cpuMs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const times = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]))
  return times.reduce((sum, time) => sum + time, 0) / 1e6
}

async function answer(worker: Worker, what: string): Promise<Record<string, number>> {
  const constructed = await worker.request({ type: "construct_realtime" }, { deadlineMs: 60_000 })
  if (constructed.type !== "realtime_constructed") throw new Error(JSON.stringify(constructed))
  const reply = await worker.request({ type: "predict", request: { what } }, { deadlineMs: 60_000 })
  if (reply.type !== "predicted") throw new Error(JSON.stringify(reply))
  return reply.response as Record<string, number>
}

const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b)
const median = (values: readonly number[]) => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN
const least = (values: readonly number[]) => sorted(values)[0] ?? Number.NaN
const shown = (value: number) => value.toFixed(1)

try {
  const levels: IsolationLevel[] = ["none", "standard", "full"]
  const starts = new Map<IsolationLevel, number[]>(levels.map((level) => [level, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const level of levels) {
      await using worker = await start(level, null)
      starts.get(level)?.push(cpuMs(worker.pid))
    }
  }
  const bare = starts.get("none") ?? []
  console.log(
    `start of a Python worker, CPU ms, median (least) of ${ROUNDS}, in turns: none ${shown(median(bare))} (${shown(least(bare))})`,
  )
  for (const level of levels.slice(1)) {
    const own = starts.get(level) ?? []
    const paired = own.map((value, round) => value - (bare[round] ?? 0))
    console.log(
      `  ${level}: ${shown(median(own))} (${shown(least(own))}); the lock-down with its self-test: ` +
        `${shown(median(paired))} median of the pairs, ${shown(least(own) - least(bare))} between the least`,
    )
  }

  const launcher = await startLauncher({
    interpreterPath: interpreter.path,
    pythonTree,
    sitePackages,
    environment: { PATH: "/usr/bin:/bin", ...threadCounts(1) },
    log,
  })
  const first: number[] = []
  const work = {
    none: { cpu: [] as number[], wall: [] as number[] },
    full: { cpu: [] as number[], wall: [] as number[] },
  }
  for (let round = 0; round < ROUNDS; round++) {
    const asked = performance.now()
    await using worker = await start("full", launcher)
    await answer(worker, "frame")
    first.push(performance.now() - asked)
  }
  console.log(
    `from asking for a worker to its first DataFrame, through the warm launcher, level full: ` +
      `${shown(median(first))} ms median, ${shown(least(first))} least, ${shown(sorted(first).at(-1) ?? 0)} most`,
  )
  for (let round = 0; round < ROUNDS; round++) {
    for (const level of round % 2 === 0 ? (["none", "full"] as const) : (["full", "none"] as const)) {
      await using worker = await start(level, launcher)
      const { cpu = 0, wall = 0 } = await answer(worker, "work")
      work[level].cpu.push(cpu * 1000)
      work[level].wall.push(wall * 1000)
    }
  }
  for (const clock of ["cpu", "wall"] as const) {
    const ratios = work.full[clock].map((value, round) => value / (work.none[clock][round] ?? Number.NaN))
    console.log(
      `pandas workload, ${clock} ms: none ${shown(median(work.none[clock]))} (${shown(least(work.none[clock]))}), ` +
        `full ${shown(median(work.full[clock]))} (${shown(least(work.full[clock]))}); ` +
        `${((median(ratios) - 1) * 100).toFixed(1)} % median of the pairs, ` +
        `${((least(work.full[clock]) / least(work.none[clock]) - 1) * 100).toFixed(1)} % between the least`,
    )
  }
  await launcher.end()
} finally {
  rmSync(home, { recursive: true, force: true })
}
