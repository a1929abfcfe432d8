/**
 * Requests that schemathesis makes of /openapi.json, right and wrong ones, against the real binary: none may end in a fault,
 * a status or a body that the document does not name, or no answer within 30 seconds.
 *
 * No operation is left out. What would end the run early is met otherwise: it calls with the admin key of the first start,
 * which the API neither revokes, rotates nor confines, and every DELETE draws its ids from things made to be deleted, so that
 * the others still find theirs. 501 is what the not-enabled operations are documented to answer, and no fault.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type Answer, startTestAppliance, type TestAppliance } from "../test/support/appliance.ts"
import { loadTexts, publishSample, waitForBatch } from "../test/support/batch.ts"

const ROOT = resolve(import.meta.dir, "..")
const REPORT = join(ROOT, "dist/schemathesis-report")
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
]
const ROWS = 200
/** Of each kind, to be deleted. */
const SPARES = 20

const { values: options } = parseArgs({
  options: {
    examples: { type: "string", default: "200" },
    /** A run that is not over by then fails. */
    seconds: { type: "string", default: "1200" },
    seed: { type: "string", default: "1" },
  },
})

rmSync(REPORT, { recursive: true, force: true })
mkdirSync(REPORT, { recursive: true })
await using appliance = await startTestAppliance()
const configuration = join(REPORT, "schemathesis.toml")
writeFileSync(configuration, configurationOf(await makeKnown(), await makeSpare()))
const exitCode = await runSchemathesis()
writeFileSync(join(REPORT, "server.log"), appliance.log())
const problems = [
  ...(exitCode === 0 ? [] : [`schemathesis ended with ${exitCode}`]),
  ...(await stillThere(appliance)),
  ...faultsIn(appliance.log()),
]
for (const problem of problems) console.log(`FAILED: ${problem}`)
console.log(problems.length === 0 ? "schemathesis: passed" : `schemathesis: ${problems.length} failures, see ${REPORT}`)
process.exitCode = problems.length === 0 ? 0 : 1

/** Ids by the name of the parameter that takes them. */
type Ids = Record<string, readonly string[]>

async function made(path: string, body: unknown): Promise<Answer["body"]> {
  const answer = await appliance.call("POST", path, { body, namespace: appliance.namespaceId })
  if (answer.status >= 300) throw new Error(`POST ${path}: ${answer.text}`)
  return answer.body
}

/** A bucket with texts, a plugin, a collection and a finished batch. */
async function makeKnown(): Promise<Ids> {
  await publishSample(appliance, "text")
  const bucket = await loadTexts(appliance, ROWS)
  const collection = await collectionOf(bucket, "known")
  const batch = await made(`/v1/buckets/${bucket}/batches/trigger`, { collection_ids: [collection] })
  const batchId = batch.batch_id ?? ""
  const { task_id: task } = await waitForBatch(appliance, bucket, batchId)
  const objects = await made(`/v1/buckets/${bucket}/objects/list`, { limit: 20 })
  const documents = await made(`/v1/collections/${collection}/documents/list`, { limit: 20 })
  const published = await appliance.call("GET", `/v1/namespaces/${appliance.namespaceId}/plugins`)
  const plugins = idsOf(published.body.plugins, "plugin_id")
  const upload = await uploadOf(bucket, "known.txt")
  return {
    ...inNamespace(appliance.namespaceId),
    bucket_identifier: [bucket],
    collection_identifier: [collection],
    batch_id: [batchId],
    task_id: typeof task === "string" ? [task] : [],
    object_identifier: idsOf(objects.results, "object_id"),
    document_id: idsOf(documents.results, "document_id"),
    plugin_id: plugins,
    extractor_id: plugins,
    upload_id: [upload],
    user_email: ["admin@localhost"],
    key_name: ["admin-key"],
  }
}

async function makeSpare(): Promise<Ids> {
  const each = <T>(make: (index: number) => Promise<T>) =>
    Promise.all(Array.from({ length: SPARES }, (_, i) => make(i)))
  const buckets = await each(async (index) => {
    const bucket_schema = { properties: { text: { type: "text" } } }
    return (await made("/v1/buckets", { bucket_name: `spare ${index}`, bucket_schema })).bucket_id ?? ""
  })
  const [home = ""] = buckets
  const namespaces = await each(async (index) => {
    return (
      (await made("/v1/namespaces", { namespace_name: `spare-${index}`, feature_extractors: [] })).namespace_id ?? ""
    )
  })
  const path = "/v1/organizations/users/spare@localhost/api-keys"
  const keys = await each(async (index) => (await made(path, { name: `spare-${index}` })).name ?? "")
  return {
    bucket_identifier: buckets,
    namespace_identifier: namespaces,
    collection_identifier: await each((index) => collectionOf(home, `spare ${index}`)),
    object_identifier: await each(async () => {
      const blobs = [{ property: "text", type: "text", data: "to be deleted" }]
      return (await made(`/v1/buckets/${home}/objects`, { blobs })).object_id ?? ""
    }),
    upload_id: await each((index) => uploadOf(home, `spare-${index}.txt`)),
    user_email: ["spare@localhost"],
    key_name: keys,
  }
}

async function collectionOf(bucket: string, name: string): Promise<string> {
  const collection = await made("/v1/collections", {
    collection_name: name,
    source: { type: "bucket", bucket_ids: [bucket] },
    feature_extractor: { feature_extractor_name: "text_features", version: "1.0.0" },
  })
  return collection.collection_id ?? ""
}

async function uploadOf(bucket: string, filename: string): Promise<string> {
  const upload = await made(`/v1/buckets/${bucket}/uploads`, {
    filename,
    content_type: "text/plain",
    blob_property: "text",
    blob_type: "text",
  })
  return upload.upload_id ?? ""
}

function inNamespace(id: string): Ids {
  return { namespace_id: [id], namespace_identifier: [id] }
}

function idsOf(records: readonly Record<string, string>[], key: string): string[] {
  return records.map((record) => record[key] ?? "")
}

/** Most ids are ones that exist, the rest what schemathesis makes up. */
function configurationOf(known: Ids, spare: Ids): string {
  const dictionaries = (ids: Ids, prefix: string) =>
    Object.entries(ids).map(([name, values]) => `[dictionaries.${prefix}_${name}]\nvalues = ${JSON.stringify(values)}`)
  const bindings = (ids: Ids, prefix: string) =>
    Object.keys(ids).map((name) => `"path.${name}" = ${binding(`${prefix}_${name}`)}`)
  const binding = (dictionary: string) => `{ dictionary = "${dictionary}", probability = 0.7 }`
  const namespace = `"header.x-namespace" = ${binding("known_namespace_id")}`
  return `${[
    ...dictionaries(known, "known"),
    ...dictionaries(spare, "spare"),
    "[checks.not_a_server_error]",
    'expected-statuses = ["2xx", "3xx", "4xx", 501]',
    "[parameters]",
    namespace,
    ...bindings(known, "known"),
    `"body.source.bucket_ids[*]" = ${binding("known_bucket_identifier")}`,
    `"body.collection_ids[*]" = ${binding("known_collection_identifier")}`,
    `"body.object_ids[*]" = ${binding("known_object_identifier")}`,
    "[[operations]]",
    'include-method = "DELETE"',
    "[operations.parameters]",
    namespace,
    ...bindings(spare, "spare"),
  ].join("\n")}\n`
}

async function runSchemathesis(): Promise<number> {
  const child = Bun.spawn(
    [
      process.env.SCHEMATHESIS ?? "schemathesis",
      `--config-file=${configuration}`,
      "run",
      `${appliance.url}/openapi.json`,
      `--header=Authorization: Bearer ${appliance.adminKey}`,
      `--checks=${CHECKS.join()}`,
      `--max-examples=${options.examples}`,
      "--request-timeout=30",
      "--continue-on-failure",
      "--warnings=off",
      "--generation-database=none",
      `--seed=${options.seed}`,
      "--no-color",
    ],
    { cwd: REPORT, stdout: "inherit", stderr: "inherit", timeout: Number(options.seconds) * 1000 },
  )
  await child.exited
  if (child.signalCode !== null) console.log(`schemathesis was not done within ${options.seconds} s`)
  return child.exitCode ?? 1
}

async function stillThere({ call }: TestAppliance): Promise<string[]> {
  const answer = await call("GET", "/v1/namespaces").catch((error: unknown) => String(error))
  if (typeof answer === "string") return [`the appliance does not answer any more: ${answer}`]
  return answer.status === 200 ? [] : [`the admin key is answered ${answer.status} after the run`]
}

function faultsIn(log: string): string[] {
  const faults = log.split("\n").filter((line) => line.includes('"event":"request_failed"'))
  return faults.slice(0, 20).map((line) => `a fault in the log: ${line.slice(0, 1000)}`)
}
