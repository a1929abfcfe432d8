/**
 * The main job, end to end, against the compiled binary and its public API: environment, server, plugin, texts, batch,
 * documents. Every step looks first at what is there, so that a second run is quick and changes nothing twice.
 */
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { Presets, SingleBar } from "cli-progress"

const ROOT = resolve(import.meta.dir, "..")
const BINARY = join(ROOT, "dist/mixpeek")
const PLUGIN = "text_features"

const options = readOptions()
const dataDir = resolve(options.data)
mkdirSync(dataDir, { recursive: true, mode: 0o700 })

const kept: { server: Server | null } = { server: null }
await step("Python environment", () => run([BINARY, "runtime", "setup", "--data", dataDir]))
const server = await step("server", () => findOrStartServer())
kept.server = server
const key = readFileSync(join(dataDir, "admin.key"), "utf8").trim()
try {
  await step("plugin", publishPlugin)
  const bucket = await step("bucket", makeBucket)
  await step("texts", () => loadTexts(bucket))
  const collection = await step("collection", () => makeCollection(bucket))
  await step("batch", () => runBatch(bucket, collection))
  await show(collection)
} finally {
  if (server.child !== null && !options.keep) {
    server.child.kill("SIGTERM")
    await server.child.exited
  }
}
process.exit(0)

function readOptions() {
  const usage = "usage: ./scripts/quickstart [--keep] [--data DIR] [--port N]"
  try {
    const { values } = parseArgs({
      options: {
        keep: { type: "boolean", default: false },
        data: { type: "string", default: join(ROOT, "data") },
        port: { type: "string", default: "8080" },
        help: { type: "boolean", default: false },
      },
    })
    if (!values.help) return values
    console.log(usage)
    process.exit(0)
  } catch (error) {
    console.error(`quickstart: ${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exit(2)
  }
}

interface Server {
  readonly url: string
  /** Null when it was running before. */
  readonly child: ReturnType<typeof Bun.spawn> | null
}

async function findOrStartServer(): Promise<Server> {
  const running = runningServer()
  if (running !== null && (await answers(running))) return { url: running, child: null }
  const log = openSync(join(dataDir, "serve.log"), "a", 0o600)
  const child = Bun.spawn(
    [BINARY, "serve", "--data", dataDir, "--port", (await portIsFree(options.port)) ? options.port : "0"],
    {
      stdin: "ignore",
      stdout: log,
      stderr: log,
      // Of its own session, so that the end of this script or a Ctrl-C in its terminal does not take a kept server down.
      detached: options.keep,
    },
  )
  if (options.keep) child.unref()
  for (let tries = 0; tries < 1200; tries++) {
    const url = runningServer(child.pid)
    if (url !== null && (await answers(url))) return { url, child }
    if (child.exitCode !== null) throw new Error(`the server did not start; see ${join(dataDir, "serve.log")}`)
    await Bun.sleep(50)
  }
  throw new Error("the server did not answer within a minute")
}

function holder(): { pid: number; url: string | null } | null {
  const path = join(dataDir, "holder.json")
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null
}

function runningServer(pid?: number): string | null {
  const found = holder()
  return found === null || (pid !== undefined && found.pid !== pid) ? null : found.url
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/v1/health/liveness`)).ok
  } catch {
    return false
  }
}

async function portIsFree(port: string): Promise<boolean> {
  try {
    Bun.serve({ hostname: "127.0.0.1", port: Number(port), fetch: () => new Response() }).stop(true)
    return true
  } catch {
    return false
  }
}

async function publishPlugin(): Promise<void> {
  const { plugins } = await api<{ plugins: { name: string }[] }>("GET", "/v1/namespaces/default/plugins")
  if (plugins.some((plugin) => plugin.name === PLUGIN)) return
  await run([
    BINARY,
    "plugin",
    "publish",
    "--path",
    join(ROOT, "plugins-sample/text"),
    "--namespace",
    "default",
    "--base-url",
    server.url,
    "--api-key",
    key,
    "--data",
    dataDir,
    "--yes",
  ])
}

async function makeBucket(): Promise<string> {
  const { results } = await api<{ results: { bucket_id: string; bucket_name: string }[] }>("POST", "/v1/buckets/list", {
    limit: 1000,
  })
  const existing = results.find((bucket) => bucket.bucket_name === "docstrings")
  if (existing !== undefined) return existing.bucket_id
  const created = await api<{ bucket_id: string }>("POST", "/v1/buckets", {
    bucket_name: "docstrings",
    description: "Documentation strings of the Python standard library",
    bucket_schema: {
      properties: { text: { type: "text", required: true }, name: { type: "string" }, kind: { type: "string" } },
    },
    // A run that was cut off goes on where it was: the same text is the same object.
    unique_key: { fields: ["name"], default_policy: "upsert" },
  })
  return created.bucket_id
}

interface Text {
  text: string
  name: string
  kind: string
}

async function loadTexts(bucket: string): Promise<void> {
  const texts = (await output(["python3", join(ROOT, "scripts/docstrings.py")]))
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Text => JSON.parse(line))
  const { object_count: present } = await api<{ object_count: number }>("GET", `/v1/buckets/${bucket}`)
  if (present >= new Set(texts.map((text) => text.name)).size) return
  const bar = progress("loading", texts.length)
  for (let at = 0; at < texts.length; at += 100) {
    const objects = texts.slice(at, at + 100).map(({ text, name, kind }) => ({
      blobs: [{ property: "text", type: "text", data: text }],
      name,
      kind,
    }))
    const answer = await api<{ failed_count: number; failed: { error: string }[] }>(
      "POST",
      `/v1/buckets/${bucket}/objects/batch`,
      { objects },
    )
    if (answer.failed_count > 0) throw new Error(`objects were refused: ${answer.failed[0]?.error}`)
    bar.update(Math.min(at + 100, texts.length))
  }
  bar.stop()
}

async function makeCollection(bucket: string): Promise<string> {
  const { results } = await api<{ results: { collection_id: string; collection_name: string }[] }>(
    "POST",
    "/v1/collections/list",
    { limit: 1000 },
  )
  const existing = results.find((collection) => collection.collection_name === "docstring_features")
  if (existing !== undefined) return existing.collection_id
  const created = await api<{ collection_id: string }>("POST", "/v1/collections", {
    collection_name: "docstring_features",
    source: { type: "bucket", bucket_ids: [bucket] },
    feature_extractor: {
      feature_extractor_name: PLUGIN,
      version: "1.0.0",
      field_passthrough: ["name", "kind", "text"],
    },
  })
  return created.collection_id
}

interface Batch {
  batch_id: string
  status: string
  error: string | null
  progress: { processed: number; total: number }
}

async function runBatch(bucket: string, collection: string): Promise<void> {
  const { object_count: objects } = await api<{ object_count: number }>("GET", `/v1/buckets/${bucket}`)
  const { document_count: documents } = await api<{ document_count: number }>("GET", `/v1/collections/${collection}`)
  if (documents >= objects) return
  const { results } = await api<{ results: Batch[] }>("POST", `/v1/buckets/${bucket}/batches/list`, { limit: 1 })
  const under = results.find((batch) => ["QUEUED", "PENDING", "IN_PROGRESS"].includes(batch.status))
  const { batch_id: id } =
    under ?? (await api<Batch>("POST", `/v1/buckets/${bucket}/batches/trigger`, { collection_ids: [collection] }))
  const bar = progress("extracting", objects)
  const started = performance.now()
  for (;;) {
    const batch = await api<Batch>("GET", `/v1/buckets/${bucket}/batches/${id}`)
    bar.update(batch.progress.processed)
    if (["COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"].includes(batch.status)) {
      bar.stop()
      if (batch.status !== "COMPLETED")
        throw new Error(`the batch ended as ${batch.status}: ${batch.error ?? "see its failed-documents"}`)
      const seconds = (performance.now() - started) / 1000
      console.log(`  ${objects} texts in ${seconds.toFixed(1)} s`)
      return
    }
    await Bun.sleep(200)
  }
}

async function show(collection: string): Promise<void> {
  const { results, pagination } = await api<{ results: Record<string, unknown>[]; pagination: { total: number } }>(
    "POST",
    `/v1/collections/${collection}/documents/list`,
    {
      limit: 3,
      include_total: true,
      return_vectors: true,
      filters: {
        AND: [
          { field: "kind", operator: "eq", value: "class" },
          { field: "word_count", operator: "gte", value: 40 },
        ],
      },
    },
  )
  console.log(
    `\n${pagination.total} documents are classes with 40 words of documentation or more; the first ${results.length}:\n`,
  )
  for (const document of results) console.log(JSON.stringify(shortened(document), null, 2))
  const up = options.keep || server.child === null
  const stopped = up ? "" : "  (the server is stopped; run with --keep to leave it up)"
  console.log(`
Go on with curl${stopped}:

  export API_KEY=$(cat ${join(dataDir, "admin.key")})
  curl -s ${server.url}/v1/collections/docstring_features/documents/list \\
    -H "Authorization: Bearer $API_KEY" -d '{"limit": 5, "filters": {"kind": "function"}}'

  documentation: ${server.url}/docs${up ? `\n  stop the server: kill ${holder()?.pid}` : ""}
`)
}

/** What a person wants to see of a document: its features, the vector cut short, no bookkeeping. */
function shortened(document: Record<string, unknown>): Record<string, unknown> {
  const hidden = /^(_internal|source_.*|document_blobs|root_.*|collection_id|created_at)$/
  return Object.fromEntries(
    Object.entries(document)
      .filter(([name]) => !hidden.test(name))
      .map(([name, value]) => [
        name,
        typeof value === "string" && value.length > 100
          ? `${value.slice(0, 100)}…`
          : Array.isArray(value) && typeof value[0] === "number" && value.length > 8
            ? `[${value
                .slice(0, 4)
                .map((number) => Number(number).toFixed(4))
                .join(", ")}, … ${value.length} numbers]`
            : value,
      ]),
  )
}

async function api<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, "X-Namespace": "default", "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const answer: unknown = await response.json()
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${JSON.stringify(answer)}`)
  // The API's own answer, by its contract.
  return answer as T
}

async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  try {
    const result = await work()
    console.log(`✓ ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
    return result
  } catch (error) {
    console.error(`✗ ${name}: ${error instanceof Error ? error.message : String(error)}`)
    if (!options.keep) kept.server?.child?.kill("SIGTERM")
    process.exit(1)
  }
}

function progress(name: string, total: number) {
  const bar = new SingleBar(
    { format: `  ${name} {bar} {value}/{total} {duration_formatted}`, noTTYOutput: true, notTTYSchedule: 5000 },
    Presets.shades_classic,
  )
  bar.start(total, 0)
  return bar
}

async function run(command: string[]): Promise<void> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "inherit", stderr: "inherit" })
  const code = await child.exited
  if (code !== 0) throw new Error(`${command.slice(0, 3).join(" ")} ended with ${code}`)
}

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed`)
  return text
}
