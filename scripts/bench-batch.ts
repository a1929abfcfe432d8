/**
 * Rows per second, CPU and peak memory of a batch and of its peers over the same rows and processor, one engine at a time. CPU and
 * memory are of the whole process tree, by sampling /proc: CPU holds better than wall time where other work shares the cores.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { applianceWithRows, type Loaded, runBatch } from "../test/support/bench-appliance.ts"
import { descendants, ownProcessorMs, residentBytes } from "../test/support/processes.ts"
import { PROCESSORS, processorSource } from "./bench-processors.ts"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string" },
    lab: { type: "string" },
    data: { type: "string" },
    rows: { type: "string", default: "100000" },
    batches: { type: "string", default: "1024" },
    processor: { type: "string", default: "noop" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "." },
    out: { type: "string" },
  },
})
const rounds = whole(options.rounds, "--rounds")
const sizes = options.rows.split(",").map((size) => whole(size, "--rows"))
const batchRows = options.batches.split(",").map((size) => whole(size, "--batches"))
const peersDir = options.peers === undefined ? null : resolve(options.peers)
const lab = options.lab === undefined ? null : resolve(options.lab)
const processor = PROCESSORS.find((name) => name === options.processor)
if (processor === undefined) throw new Error(`--processor is one of ${PROCESSORS.join(", ")}`)
if (processor === "own" && peersDir === null)
  throw new Error("--processor own is the harness's: say --peers DIR, or take another one")
const workDir = mkdtempSync(join(tmpdir(), "mixpeek-bench-"))
const source = processorSource(processor, peersDir)
const PEER_DEADLINE_MS = 600_000
const SAMPLE_MS = 100

interface Result {
  readonly name: string
  readonly rows: number
  readonly round: number
  readonly rowsPerSecond: number
  readonly cpuMsPerThousand: number
  readonly peakMb: number
  /** Microseconds of CPU a row, by process: the appliance, the documents process, workers with their launcher. */
  readonly cpuUs?: Record<string, number>
  /** Of the appliance's own process. */
  readonly serveMb?: number
  readonly documentsMb?: number
}
const results: Result[] = []

/** An engine over so many rows; answers the seconds of the job itself, without what comes before its first row. */
interface Subject {
  readonly name: string
  run(rows: number): Promise<Omit<Result, "name" | "rows" | "round">>
}

const python = lab === null ? "python3" : join(lab, "v-base/bin/python")
const loaded = new Map<number, Loaded>()
try {
  for (const rows of sizes) {
    const input = await corpus(rows)
    const subjects = [...peers(input), ...batchRows.map((size) => ours(size))].filter(({ name }) =>
      new RegExp(options.only).test(name),
    )
    for (let round = 1; round <= rounds; round++) {
      for (const subject of subjects) {
        const result: Result = { name: subject.name, rows, round, ...(await subject.run(rows)) }
        results.push(result)
        console.error(JSON.stringify(result))
        if (options.out !== undefined) appendFileSync(options.out, `${JSON.stringify({ processor, ...result })}\n`)
      }
    }
  }
  table()
} finally {
  for (const { appliance } of loaded.values()) await appliance[Symbol.asyncDispose]()
  rmSync(workDir, { recursive: true, force: true })
}

/** The rows as Parquet, for the peers, by the harness's generator; without it as JSON lines of our own. */
async function corpus(rows: number): Promise<string> {
  const ending = peersDir === null ? "jsonl" : "parquet"
  const file = join(lab === null ? workDir : join(lab, "data"), `${rows}.${ending}`)
  if (existsSync(file)) return file
  mkdirSync(resolve(file, ".."), { recursive: true })
  const command =
    peersDir === null
      ? ["sh", "-c", `python3 scripts/docstrings.py --limit ${rows} --repeat 2000 > ${file}`]
      : [python, join(peersDir, "gen.py"), String(rows), file]
  const child = Bun.spawn(command, { cwd: resolve(import.meta.dir, ".."), stderr: "inherit", stdout: "ignore" })
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`)
  return file
}

function ours(size: number): Subject {
  return {
    name: `ours-${size}`,
    async run(rows) {
      let own = loaded.get(rows)
      if (own === undefined) {
        own = await applianceWithRows({ rows, texts: await corpus(rows), python, dataDir: options.data ?? null })
        loaded.set(rows, own)
      }
      const before = sample(own.appliance.pid)
      const watch = watching(own.appliance.pid)
      const seconds = await runBatch(own, `${processor}_${size}`, source, size)
      const { peak, cpu } = watch.end()
      const cpuUs: Record<string, number> = { serve: 0, documents: 0, workers: 0 }
      for (const [pid, ms] of cpu) {
        const role = pid === own.appliance.pid ? "serve" : isDocuments(pid) ? "documents" : "workers"
        cpuUs[role] = (cpuUs[role] ?? 0) + ((ms - (before.get(pid) ?? 0)) * 1000) / rows
      }
      return {
        rowsPerSecond: rows / seconds,
        cpuMsPerThousand: Object.values(cpuUs).reduce((sum, us) => sum + us, 0),
        cpuUs,
        peakMb: peak / 1024 ** 2,
        serveMb: peakMb(own.appliance.pid),
        documentsMb: Math.max(0, ...descendants(own.appliance.pid).filter(isDocuments).map(peakMb)),
      }
    },
  }
}

/** The harness's tools, each with this run's processor in place of the harness's. */
function peers(input: string): Subject[] {
  if (peersDir === null || lab === null) return []
  const directory = join(workDir, "peers")
  cpSync(peersDir, directory, { recursive: true })
  writeFileSync(join(directory, "processor.py"), source)
  const peer = (tool: string, environment: string, size: number): Subject => ({
    name: `${tool}-${size}`,
    run: (rows) => runPeer([join(lab, environment, "bin/python"), "peers.py", tool, input], directory, size, rows),
  })
  return batchRows.flatMap((size) => [
    peer("compute", "v-base", size),
    peer("single", "v-base", size),
    peer("pool", "v-base", size),
    peer("daft", "v-daft", size),
    peer("ray", "v-ray", size),
  ])
}

async function runPeer(command: string[], cwd: string, size: number, rows: number) {
  const out = join(workDir, "out")
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  const child = Bun.spawn([...command, out, String(size)], {
    cwd,
    env: { ...process.env, OPENBLAS_NUM_THREADS: "1", PYTHONPATH: cwd, RAY_DISABLE_IMPORT_WARNING: "1" },
    stdout: "pipe",
    stderr: "ignore",
    timeout: PEER_DEADLINE_MS,
  })
  const watch = watching(child.pid)
  const said = await new Response(child.stdout).text()
  await child.exited
  const { peak, cpu } = watch.end()
  const line = said.split("\n").find((text) => text.startsWith('{"job_s"'))
  if (line === undefined) throw new Error(`${command.join(" ")} told no time`)
  const { job_s: seconds }: { job_s: number } = JSON.parse(line)
  const spent = [...cpu.values()].reduce((sum, ms) => sum + ms, 0)
  return { rowsPerSecond: rows / seconds, cpuMsPerThousand: spent / (rows / 1000), peakMb: peak / 1024 ** 2 }
}

/** Looks at the tree until `end`: CPU by process as last seen, and the most memory that was resident at once. */
function watching(pid: number) {
  const cpu = new Map<number, number>()
  let peak = 0
  const look = () => {
    let resident = 0
    for (const each of [pid, ...descendants(pid)]) {
      const spent = ownProcessorMs(each)
      if (spent > 0) cpu.set(each, spent)
      resident += residentBytes(each)
    }
    peak = Math.max(peak, resident)
  }
  const timer = setInterval(look, SAMPLE_MS)
  look()
  return {
    end() {
      look()
      clearInterval(timer)
      return { cpu, peak }
    },
  }
}

function sample(pid: number): Map<number, number> {
  return new Map([pid, ...descendants(pid)].map((each) => [each, ownProcessorMs(each)]))
}

/** The kernel's own high-water mark of resident memory, whole process. */
function peakMb(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Math.round(Number(line) / 1024)
}

function isDocuments(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("documents-process")
  } catch {
    return false
  }
}

function table(): void {
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
  console.log(`processor ${processor}, medians of ${rounds} rounds`)
  console.log(
    "| engine | rows | rows/s (best) | CPU ms per 1,000 rows (least) | peak MB | serve, documents MB |\n|---|---|---|---|---|---|",
  )
  for (const rows of sizes) {
    for (const name of new Set(results.filter((result) => result.rows === rows).map((result) => result.name))) {
      const own = results.filter((result) => result.rows === rows && result.name === name)
      const rate = own.map((result) => result.rowsPerSecond)
      const cpu = own.map((result) => result.cpuMsPerThousand)
      const serve = own.map((result) => result.serveMb ?? Number.NaN)
      const documents = own.map((result) => result.documentsMb ?? Number.NaN)
      console.log(
        `| ${name} | ${rows} | ${Math.round(median(rate))} (${Math.round(Math.max(...rate))}) | ${median(cpu).toFixed(2)} (${Math.min(...cpu).toFixed(2)}) ` +
          `| ${Math.round(median(own.map((result) => result.peakMb)))} | ${Number.isNaN(serve[0]) ? "" : `${median(serve)}, ${median(documents)}`} |`,
      )
    }
  }
}

function whole(text: string, name: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1) return number
  throw new Error(`${name} takes whole numbers`)
}
