/**
 * Requests per second, latency and CPU per request of a deployed plugin and of its peers. CPU is of the whole process tree, the
 * generator's beside it: where other work shares the cores it holds better than wall time.
 */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { deployed, published } from "../test/deployments/support.ts"
import { removeDataDirectory, startTestAppliance, type TestAppliance } from "../test/support/appliance.ts"
import { cpuMs, launch, memory, type Running } from "./bench-servers.ts"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string" },
    lab: { type: "string" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    only: { type: "string", default: "." },
    loads: { type: "string", default: "." },
    out: { type: "string" },
  },
})
const peersDir = resolve(required(options.peers, "--peers"))
const lab = options.lab === undefined ? null : resolve(options.lab)
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const workDir = mkdtempSync(join(tmpdir(), "mixpeek-bench-"))
const START_DEADLINE_MS = 90_000
const TEXT =
  "the quick brown fox jumps over the lazy dog while seven wizards juggle boxes of liquor near a quiet harbour town and the market " +
  "closes early on every rainy monday of the long winter season"
const LOADS = [
  ["noop", 1],
  ["noop", 64],
  ["embed", 1],
  ["embed", 16],
  ["embed", 64],
  ["embed", 256],
  ["model", 1],
  ["model", 16],
  ["model", 64],
  ["model", 256],
].filter(([kind, connections]) => new RegExp(options.loads).test(`${kind}-${connections}`)) as [string, number][]

/** A server under test. */
interface Subject {
  readonly name: string
  /** Starts it, and answers where it is asked. */
  start(port: number): Promise<Running> | Running
  /** The only load that it knows. */
  readonly only?: string
  /** Its body is a list of requests. */
  readonly many?: boolean
}

interface Result {
  readonly name: string
  readonly round: number
  readonly kind: string
  readonly connections: number
  readonly rps: number
  readonly p50: number
  readonly p99: number
  readonly cpuUs: number
  readonly generatorUs: number
  readonly failed: number
}

const results: Result[] = []
const starts: { name: string; seconds: number; pssMb: number; processes: number }[] = []

const handler = readFileSync(join(peersDir, "handler.py"), "utf8")
  .replace(/os\.environ\.setdefault\(.*\n/, "\n")
  .replace(/os\.environ\.get\("HANDLER", "embed"\)/, '"embed"')
  .replace(/\nif __name__ ==[\s\S]*$/, "\n")
const unbatched = handler.replaceAll("predict_batch", "_predict_all")

function logOf(name: string): string {
  return join(workDir, `${name}.log`)
}

/** A data directory with one deployed plugin: every round starts the binary on it again. */
async function prepared(name: string, source: string): Promise<{ dataDir: string; path: string; key: string }> {
  const dataDir = join(workDir, name)
  mkdirSync(dataDir)
  await using appliance: TestAppliance = await startTestAppliance({ dataDir })
  const id = await published(appliance, name.replaceAll("-", "_"), source)
  const { status, error } = await deployed(appliance, id)
  if (status !== "DEPLOYED") throw new Error(`${name} was not deployed: ${error}`)
  return { dataDir, path: `/inference/custom_plugin_${appliance.namespaceId}_${id}`, key: appliance.adminKey }
}

async function appliance(name: string, source: string): Promise<Subject> {
  const { dataDir, path, key } = await prepared(name, source)
  return {
    name,
    start(port) {
      const binary = required(process.env.MIXPEEK_BINARY, "MIXPEEK_BINARY")
      const child = launch(logOf(name), [binary, "serve", "--data", dataDir, "--port", String(port)], workDir, {})
      return { ...child, url: `http://127.0.0.1:${port}${path}`, headers: { Authorization: `Bearer ${key}` } }
    },
  }
}

function peer(
  name: string,
  environment: string,
  command: string[],
  path: string,
  rest: {
    many?: boolean
    variables?: Record<string, string>
    alsoMatching?: RegExp
    cwd?: (port: number) => string
  } = {},
): Subject {
  return {
    name,
    ...(rest.many === undefined ? {} : { many: rest.many }),
    start(port) {
      const [program = "", ...args] = command.map((part) => part.replace("PORT", String(port)))
      const child = launch(
        logOf(name),
        [join(lab ?? "", environment, "bin", program), ...args],
        rest.cwd?.(port) ?? peersDir,
        {
          PYTHONPATH: peersDir,
          OPENBLAS_NUM_THREADS: "1",
          PORT: String(port),
          ...rest.variables,
        },
      )
      const also = rest.alsoMatching === undefined ? {} : { alsoMatching: rest.alsoMatching }
      return { ...child, ...also, url: `http://127.0.0.1:${port}${path}`, headers: {} }
    },
  }
}

/** Bun answers the no-op's bytes, after reading the body, with nothing behind it: what no server on Bun can be quicker than. */
const limit: Subject = {
  name: "bun-static",
  only: "noop",
  start(port) {
    const file = join(workDir, "static.ts")
    writeFileSync(
      file,
      `Bun.serve({ port: ${port}, hostname: "127.0.0.1", async fetch(request) {
        await request.arrayBuffer()
        return new Response('{"label":"ok"}', { headers: { "content-type": "application/json" } })
      } })`,
    )
    return {
      ...launch(logOf("bun-static"), [process.execPath, file], workDir, {}),
      url: `http://127.0.0.1:${port}/`,
      headers: {},
    }
  },
}

function mlserverDirectory(port: number): string {
  const directory = mkdtempSync(join(workDir, "mlserver-"))
  cpSync(join(peersDir, "mlserver_app"), directory, { recursive: true })
  const ports = { http_port: port, grpc_port: port + 500, metrics_port: port + 1000 }
  const settings = { ...ports, host: "127.0.0.1", debug: false, parallel_workers: 1 }
  writeFileSync(join(directory, "settings.json"), JSON.stringify(settings))
  return directory
}

const uvicorn = [
  "python",
  "-m",
  "uvicorn",
  "fastapi_app:app",
  "--port",
  "PORT",
  "--no-access-log",
  "--log-level",
  "warning",
]
const bento = ["bentoml", "serve", "bento_app:Svc", "--port", "PORT", "--host", "127.0.0.1"]
const quietBento = { BENTOML_DO_NOT_TRACK: "1", BENTOML_HOME: join(workDir, "bento") }
const rays = { alsoMatching: /v-ray|^ray::/ }
const subjects: Subject[] = [
  limit,
  await appliance("ours", unbatched),
  await appliance("ours-batch", handler),
  ...(lab === null
    ? []
    : [
        peer("fastapi", "v-base", uvicorn, "/predict"),
        peer("fastapi-tuned", "v-base", uvicorn, "/tuned"),
        peer("litserve", "v-litserve", ["python", "litserve_app.py", "PORT", "plain"], "/predict"),
        peer("litserve-batch", "v-litserve", ["python", "litserve_app.py", "PORT", "batch"], "/predict"),
        peer("mlserver", "v-mlserver", ["mlserver", "start", "."], "/predict", { cwd: mlserverDirectory }),
        peer("bentoml", "v-bentoml", bento, "/predict", { variables: quietBento }),
        peer("bentoml-batch", "v-bentoml", bento, "/predict_many", { many: true, variables: quietBento }),
        peer("ray", "v-ray", ["python", "ray_app.py", "PORT", "plain"], "/predict", rays),
        peer("ray-batch", "v-ray", ["python", "ray_app.py", "PORT", "batch"], "/predict", rays),
      ]),
].filter(({ name }) => new RegExp(options.only).test(name))

try {
  let port = 18_200
  for (let round = 1; round <= rounds; round++) {
    for (const subject of subjects) await measure(subject, round, port++)
  }
} finally {
  removeDataDirectory(workDir)
}
table()

async function measure(subject: Subject, round: number, port: number): Promise<void> {
  const launched = performance.now()
  const running = await subject.start(port)
  try {
    const up = await answers(running, subject)
    if (!up) {
      console.error(`${subject.name}: gave no answer in ${START_DEADLINE_MS / 1000} s`)
      return
    }
    const started = { name: subject.name, seconds: (performance.now() - launched) / 1000, ...memory(running) }
    for (const [kind, connections] of LOADS) {
      if (subject.only !== undefined && subject.only !== kind) continue
      // The first calls of a kind load weights, and warm what is compiled as it runs.
      await load(subject, running, kind, connections, 2)
      const before = cpuMs(running)
      const seen = await load(subject, running, kind, connections, kind === "model" ? Math.max(3, seconds) : seconds)
      const spent = cpuMs(running) - before
      const result: Result = {
        name: subject.name,
        round,
        kind,
        connections,
        ...seen,
        cpuUs: (spent * 1000) / seen.answered,
      }
      results.push(result)
      keep(result)
      const { rps, p50, p99, cpuUs, generatorUs, failed } = result
      console.error(
        `${round} ${subject.name} ${kind} ${connections}: ${rps.toFixed(0)}/s, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms, ` +
          `${cpuUs.toFixed(0)} us (generator ${generatorUs.toFixed(0)}), ${failed} failed`,
      )
    }
    starts.push(started)
    keep({ ...started, round })
  } finally {
    await running.stop()
  }
}

/** Until one request is answered with 200. */
async function answers({ url, headers }: Running, { many }: Subject): Promise<boolean> {
  const request = { text: TEXT, k: "embed" }
  const body = JSON.stringify(many === true ? { reqs: [request] } : request)
  const deadline = performance.now() + START_DEADLINE_MS
  while (performance.now() < deadline) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body,
    }).catch(() => null)
    if (answer?.status === 200) return true
    await Bun.sleep(10)
  }
  return false
}

async function load(
  subject: Subject,
  { url, headers }: Running,
  kind: string,
  connections: number,
  forSeconds: number,
) {
  const request = { text: TEXT, k: kind }
  const body = JSON.stringify(subject.many === true ? { reqs: [request] } : request)
  const script = join(workDir, "wrk.lua")
  const quoted = (text: string) => `[==[${text}]==]`
  const lines = Object.entries({ ...headers, "Content-Type": "application/json" }).map(
    ([name, value]) => `wrk.headers[ ${quoted(name)} ] = ${quoted(value)}`,
  )
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = ${quoted(body)}\n${lines.join("\n")}
done = function(s, l)
  local e = s.errors
  io.write(string.format("\\nRESULT %d %d %d %d %d\\n", s.requests, s.duration, l:percentile(50), l:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end\n`,
  )
  const generator = Bun.spawn(
    ["wrk", "-t1", `-c${connections}`, `-d${forSeconds}s`, "--timeout", "10s", "-s", script, url],
    { stdout: "pipe", stderr: "inherit" },
  )
  const out = await new Response(generator.stdout).text()
  await generator.exited
  const numbers = /RESULT (.*)/.exec(out)?.[1]?.split(" ").map(Number) ?? []
  const [answered = 0, duration = 1, p50 = 0, p99 = 0, failed = 0] = numbers
  const used = Number(generator.resourceUsage()?.cpuTime.total ?? 0)
  return {
    answered,
    rps: answered / (duration / 1e6),
    p50: p50 / 1000,
    p99: p99 / 1000,
    failed,
    generatorUs: used / Math.max(1, answered),
  }
}

function table(): void {
  console.log("medians; CPU of the whole process tree, us a request\n")
  for (const [kind, connections] of LOADS) {
    console.log(`${kind}, ${connections} connections`)
    for (const { name } of subjects) {
      const of = results.filter((one) => one.name === name && one.kind === kind && one.connections === connections)
      if (of.length === 0) continue
      const at = (field: "rps" | "p50" | "p99" | "cpuUs" | "generatorUs") => median(of.map((one) => one[field]))
      const failed = of.reduce((sum, one) => sum + one.failed, 0)
      console.log(
        `  ${name.padEnd(16)} ${at("rps").toFixed(0).padStart(7)}/s  p50 ${at("p50").toFixed(2).padStart(8)} ms  ` +
          `p99 ${at("p99").toFixed(2).padStart(8)} ms  CPU ${at("cpuUs").toFixed(0).padStart(6)} us  ` +
          `generator ${at("generatorUs").toFixed(0).padStart(4)} us  ${failed} failed`,
      )
    }
  }
  console.log("\nfrom launch to the first answer; memory before load")
  for (const { name } of subjects) {
    const of = starts.filter((one) => one.name === name)
    if (of.length === 0) continue
    const pss = median(of.map(({ pssMb }) => pssMb)).toFixed(0)
    console.log(
      `  ${name.padEnd(16)} ${median(of.map((one) => one.seconds)).toFixed(2)} s  ${pss} MB PSS  ` +
        `${median(of.map(({ processes }) => processes))} processes`,
    )
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function keep(line: object): void {
  if (options.out !== undefined) appendFileSync(options.out, `${JSON.stringify(line)}\n`)
}

function required(value: string | undefined, name: string): string {
  if (value !== undefined) return value
  console.error(`bench-realtime needs ${name}`)
  process.exit(2)
}
