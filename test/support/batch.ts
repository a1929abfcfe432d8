/** Steps that several tests and scripts take on the way to documents. */
import { Database } from "bun:sqlite"
import { join, resolve } from "node:path"
import { commandLine, eventually, SHARED_DATA, type TestAppliance } from "./appliance.ts"

const ROOT = resolve(import.meta.dir, "../..")

export const TERMINAL = ["COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"]

/** Publishes `plugins-sample/<category>` with the real command. */
export async function publishSample(appliance: TestAppliance, category: string): Promise<void> {
  await publishDirectory(appliance, join(ROOT, "plugins-sample", category))
}

export async function publishDirectory(appliance: TestAppliance, path: string): Promise<void> {
  const child = Bun.spawn(
    [
      ...commandLine(),
      "plugin",
      "publish",
      "--path",
      path,
      "--namespace",
      appliance.namespaceId,
      "--base-url",
      appliance.url,
      "--api-key",
      appliance.adminKey,
      "--data",
      SHARED_DATA,
      "--yes",
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  )
  const said = `${await new Response(child.stdout).text()}${await new Response(child.stderr).text()}`
  if ((await child.exited) !== 0) throw new Error(`publish failed:\n${said}`)
}

/** A bucket with so many distinct texts of the standard library; answers its id. */
export async function loadTexts(appliance: TestAppliance, rows: number): Promise<string> {
  const bucket = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: `texts ${crypto.randomUUID()}`, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const repeat = Math.ceil(rows / 5000)
  const child = Bun.spawn(
    ["python3", join(ROOT, "scripts/docstrings.py"), "--limit", String(rows), "--repeat", String(repeat)],
    { stdout: "pipe", stderr: "inherit" },
  )
  const texts = (await new Response(child.stdout).text()).split("\n").filter(Boolean)
  if (texts.length !== rows) throw new Error(`the corpus gave ${texts.length} texts in place of ${rows}`)
  for (let at = 0; at < rows; at += 100) {
    const objects = texts
      .slice(at, at + 100)
      .map((line) => ({ blobs: [{ property: "text", type: "text", data: JSON.parse(line).text }] }))
    const answer = await appliance.call("POST", `/v1/buckets/${bucket.body.bucket_id}/objects/batch`, {
      body: { objects },
    })
    if (answer.status !== 200 || answer.body.failed_count !== 0) throw new Error(answer.text)
  }
  return bucket.body.bucket_id
}

export async function waitForBatch(appliance: TestAppliance, bucket: string, batchId: string, deadlineMs = 180_000) {
  return eventually(async () => {
    const { body } = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${batchId}`)
    if (body?.lifecycle_reason?.startsWith("held: ")) throw new Error(`the batch is ${body.lifecycle_reason}`)
    return TERMINAL.includes(body?.status) ? body : null
  }, deadlineMs)
}

/** Every document id of a collection, by cursor. */
export async function documentIds(appliance: TestAppliance, collection: string): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | null = null
  do {
    const page = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { limit: 1000, select: ["document_id"], ...(cursor === null ? {} : { cursor }) },
    })
    if (page.status !== 200) throw new Error(page.text)
    ids.push(...page.body.results.map((document: { document_id: string }) => document.document_id))
    cursor = page.body.pagination.next_cursor
  } while (cursor !== null)
  return ids
}

/** By the ledger: what is done of a batch is done by whole partitions. */
export function rowsOfDonePartitions({ dataDir }: TestAppliance, batchId: string): number {
  using database = new Database(join(dataDir, "metadata.sqlite"), { readonly: true })
  const { rows } = database
    .query("SELECT coalesce(sum(rows_in), 0) AS rows FROM partitions WHERE batch_id = ? AND state = 'done'")
    .get(batchId) as { rows: number }
  return rows
}
