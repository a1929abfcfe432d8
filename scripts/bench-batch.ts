/** Loads N distinct texts in bulk calls of 100, runs the sample text plugin over them, and prints what it took. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const ROOT = resolve(import.meta.dir, "..")
const BINARY = join(ROOT, "dist/mixpeek")
const SHARED = join(ROOT, "dist/test-data")
const sizes = process.argv.slice(2).map(Number)
const MEBIBYTE = 1024 * 1024

if (sizes.some((size) => !Number.isInteger(size) || size < 1)) {
  console.error("bench-batch takes whole numbers of rows")
  process.exit(2)
}
if (!existsSync(join(SHARED, "environments"))) await run([BINARY, "runtime", "setup", "--data", SHARED])

const results = []
for (const rows of sizes.length === 0 ? [10_000, 100_000] : sizes) {
  const result = await measure(rows)
  results.push(result)
  console.log(JSON.stringify(result))
}
const [first, last] = [results[0], results.at(-1)]
if (first !== undefined && last !== undefined && first !== last) {
  const ratio = (last.serve_peak_mib / first.serve_peak_mib).toFixed(3)
  console.log(`peak memory of serve at ${last.rows} rows over that at ${first.rows}: ${ratio}`)
}

async function measure(rows: number) {
  const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-bench-"))
  symlinkSync(join(SHARED, "environments"), join(dataDir, "environments"))
  const server = Bun.spawn([BINARY, "serve", "--data", dataDir, "--port", "0", "--log-level", "error"], {
    stdout: "pipe",
    stderr: "inherit",
  })
  try {
    const url = await listening(server.stdout)
    const key = readFileSync(join(dataDir, "admin.key"), "utf8").trim()
    const api = async <T>(method: string, path: string, body?: object): Promise<T> => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer: unknown = await response.json()
      if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`)
      // The API's own answer, by its contract.
      return answer as T
    }
    await run(
      [
        BINARY,
        "plugin",
        "publish",
        "--path",
        join(ROOT, "plugins-sample/text"),
        "--namespace",
        "default",
        "--base-url",
        url,
        "--api-key",
        key,
        "--data",
        SHARED,
        "--yes",
      ],
      true,
    )
    const { bucket_id: bucket } = await api<{ bucket_id: string }>("POST", "/v1/buckets", {
      bucket_name: "texts",
      bucket_schema: { properties: { text: { type: "text" } } },
    })
    const loading = performance.now()
    for await (const texts of textsOf(rows)) {
      const objects = texts.map((text) => ({ blobs: [{ property: "text", type: "text", data: text }] }))
      await api("POST", `/v1/buckets/${bucket}/objects/batch`, { objects })
    }
    const loadSeconds = (performance.now() - loading) / 1000
    const { collection_id: collection } = await api<{ collection_id: string }>("POST", "/v1/collections", {
      collection_name: "features",
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: "text_features", version: "1.0.0" },
    })
    const running = performance.now()
    const { batch_id: id } = await api<{ batch_id: string }>("POST", `/v1/buckets/${bucket}/batches/trigger`, {
      collection_ids: [collection],
    })
    let status = ""
    while (!["COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"].includes(status)) {
      await Bun.sleep(100)
      status = (await api<{ status: string }>("GET", `/v1/buckets/${bucket}/batches/${id}`)).status
    }
    const batchSeconds = (performance.now() - running) / 1000
    const { document_count: documents } = await api<{ document_count: number }>("GET", `/v1/collections/${collection}`)
    if (status !== "COMPLETED" || documents !== rows)
      throw new Error(`the batch ended as ${status} with ${documents} of ${rows} documents`)
    return {
      rows,
      load_rows_per_second: Math.round(rows / loadSeconds),
      batch_rows_per_second: Math.round(rows / batchSeconds),
      batch_seconds: Number(batchSeconds.toFixed(2)),
      serve_peak_mib: peakMebibytes(server.pid),
      documents_peak_mib: Math.max(0, ...childrenOf(server.pid).filter(isDocuments).map(peakMebibytes)),
    }
  } finally {
    server.kill("SIGTERM")
    await server.exited
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Slices of 100 texts, read as they come: the harness holds no more than that either. */
async function* textsOf(rows: number): AsyncGenerator<string[]> {
  const child = Bun.spawn(
    ["python3", join(ROOT, "scripts/docstrings.py"), "--limit", String(rows), "--repeat", "1000"],
    { stdout: "pipe", stderr: "inherit" },
  )
  const decoder = new TextDecoder()
  let rest = ""
  let slice: string[] = []
  for await (const chunk of child.stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      slice.push(JSON.parse(line).text)
      if (slice.length === 100) {
        yield slice
        slice = []
      }
    }
  }
  if (slice.length > 0) yield slice
}

/** The kernel's own high-water mark of resident memory, whole process. */
function peakMebibytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Math.round((Number(line) * 1024) / MEBIBYTE)
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number)
}

function isDocuments(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("documents-process")
}

async function listening(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true })
    const url = /listening on (http:\/\/\S+)/.exec(text)?.[1]
    if (url !== undefined) return url
  }
  throw new Error(`the server did not start: ${text}`)
}

async function run(command: string[], quiet = false): Promise<void> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: quiet ? "ignore" : "inherit", stderr: "inherit" })
  if ((await child.exited) !== 0) throw new Error(`${command.slice(0, 3).join(" ")} failed`)
}
