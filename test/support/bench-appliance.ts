/** An appliance with rows in a bucket, and batches over them with a processor that a benchmark gives. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startTestAppliance, type TestAppliance } from "./appliance.ts"
import { TERMINAL } from "./batch.ts"
import { upload } from "./plugins.ts"

export interface Loaded {
  readonly appliance: TestAppliance
  readonly bucket: string
  readonly rows: number
}

const BULK = 100
/** Bulk calls under way at once. */
const CALLS = 4
/** Asking costs the appliance what the batch could use. */
const POLL_MS = 100

interface Rows {
  readonly rows: number
  /** A Parquet file, or JSON lines with `text`. */
  readonly texts: string
  readonly python: string
  /** Kept for the next benchmark; null: a temporary one. */
  readonly dataDir: string | null
}

/** Of the server, to be tried with other values. */
const SETTINGS = ["MIXPEEK_PARTITION_ROWS", "MIXPEEK_PARTITION_SECONDS", "MIXPEEK_WORKERS"]

export async function applianceWithRows({ rows, texts, python, dataDir }: Rows): Promise<Loaded> {
  const own = dataDir === null ? null : `${dataDir}-${rows}`
  const appliance = await startTestAppliance({
    arguments: ["--log-level", "error"],
    environment: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
        SETTINGS.includes(name) && value !== undefined ? [[name, value]] : [],
      ),
    ),
    ...(own === null ? {} : { dataDir: own }),
  })
  const note = own === null ? null : join(own, "bench-bucket")
  if (note !== null && existsSync(note)) return { appliance, rows, bucket: readFileSync(note, "utf8") }
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `rows ${crypto.randomUUID()}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const bucket: string = body.bucket_id
  const load = async (objects: object[]) => {
    const answer = await appliance.call("POST", `/v1/buckets/${bucket}/objects/batch`, { body: { objects } })
    if (answer.status !== 200 || answer.body.failed_count !== 0) throw new Error(answer.text)
  }
  let calls: Promise<void>[] = []
  for await (const some of slices(texts, python)) {
    calls.push(load(some.map((text) => ({ blobs: [{ property: "text", type: "text", data: text }] }))))
    if (calls.length < CALLS) continue
    await Promise.all(calls)
    calls = []
  }
  await Promise.all(calls)
  if (note !== null) writeFileSync(note, bucket)
  // What the loading took is not what a batch takes.
  await appliance.stop()
  await appliance.start()
  return { appliance, rows, bucket }
}

/** Texts in slices of one bulk call, read as they come. */
async function* slices(file: string, python: string): AsyncGenerator<string[]> {
  const script = `import sys, json
if sys.argv[1].endswith(".parquet"):
    import pyarrow.parquet as pq
    for part in pq.ParquetFile(sys.argv[1]).iter_batches(${BULK}, columns=["text"]):
        print(json.dumps(part.column(0).to_pylist()))
else:
    some = []
    for line in open(sys.argv[1]):
        some.append(json.loads(line)["text"])
        if len(some) == ${BULK}:
            print(json.dumps(some)); some = []
    if some: print(json.dumps(some))
`
  const child = Bun.spawn([python, "-c", script, file], { stdout: "pipe", stderr: "inherit" })
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of child.stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) yield JSON.parse(line)
  }
}

/** Seconds from the submit of a batch over all rows to its last document readable, in a collection of its own. */
export async function runBatch(
  { appliance, bucket, rows }: Loaded,
  name: string,
  source: string,
  batchRows: number,
): Promise<number> {
  const found = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/plugins/bench_${name}_1_0_0`)
  if (found.status === 404) {
    const confirmed = await upload(appliance, benchPlugin(`bench_${name}`, source, batchRows), {
      name: `bench_${name}`,
    })
    if (confirmed.status !== 200) throw new Error(confirmed.text)
  }
  const collection = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `bench ${crypto.randomUUID()}`,
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: `bench_${name}`, version: "1.0.0" },
    },
  })
  const id: string = collection.body.collection_id
  const draft = await appliance.call("POST", `/v1/buckets/${bucket}/batches`, {
    body: { collection_ids: [id], filters: {} },
  })
  const started = performance.now()
  const submitted = await appliance.call("POST", `/v1/buckets/${bucket}/batches/${draft.body.batch_id}/submit`, {
    body: {},
  })
  if (submitted.status !== 200) throw new Error(submitted.text)
  let ended = submitted.body
  while (!TERMINAL.includes(ended.status)) {
    await Bun.sleep(POLL_MS)
    ended = (await appliance.call("GET", `/v1/buckets/${bucket}/batches/${draft.body.batch_id}`)).body
  }
  const page = await appliance.call("POST", `/v1/collections/${id}/documents/list`, { body: { limit: 1 } })
  const seconds = (performance.now() - started) / 1000
  const count = (await appliance.call("GET", `/v1/collections/${id}`)).body.document_count
  if (ended.status !== "COMPLETED" || count !== rows || page.body.results.length !== 1) {
    throw new Error(`the batch ended as ${ended.status} with ${count} of ${rows} documents`)
  }
  await appliance.call("DELETE", `/v1/collections/${id}`)
  return seconds
}

function benchPlugin(name: string, source: string, batchRows: number): Record<string, string> {
  const vectors = source.includes("VECTORS = False")
    ? "[]"
    : `[{"feature_name": "embedding", "feature_type": "embedding", "embedding_dim": 384, "distance_metric": "cosine"}]`
  return {
    "manifest.py": `from pydantic import BaseModel

class Input(BaseModel):
    text: str

class Output(BaseModel):
    label: str

metadata = {"feature_extractor_name": "${name}", "version": "1.0.0", "description": "A benchmark", "category": "text"}
input_schema = Input
output_schema = Output
supported_input_types = ["text"]
features = ${vectors}
compute_profile = {"batch_size": ${batchRows}}
`,
    "pipeline.py": `from .processors.core import Processor

def build_steps(extractor_request, container=None, base_steps=None, **kwargs):
    return {"steps": (base_steps or []) + [Processor()]}
`,
    "processors/core.py": source,
  }
}
