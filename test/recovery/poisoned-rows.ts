/** Rows of which some are poison, the plugin that they poison, and what a batch over them must have come to. */
import type { Answer, TestAppliance } from "../support/appliance.ts"
import { published } from "../support/plugins.ts"
import type { Random } from "../support/random.ts"

const NAME = "poisonable"
const MODULUS = 97

/** By what a row does to the plugin: `raises` an exception, `dies` with its worker. */
export type Kind = "fine" | "raises" | "dies"

export interface PoisonedRows {
  readonly bucket: string
  readonly kinds: readonly Kind[]
  /** Of object ids, the row's number. */
  readonly numbers: ReadonlyMap<string, number>
}

/** `pauseMs`: what the plugin takes for a row. */
export async function publishPoisonable(appliance: TestAppliance, pauseMs: number): Promise<void> {
  await published(appliance, {
    name: NAME,
    call: `words = [text.split(" ") for text in batch["text"].tolist()]
time.sleep(len(words) * ${pauseMs / 1000})
if any(kind == "dies" for kind, number in words):
    os.abort()
for kind, number in words:
    if kind == "raises":
        raise ValueError("row " + number + " is poison")
batch["number"] = [int(number) for kind, number in words]
batch["${NAME}_embedding"] = [[float(int(number) % ${MODULUS} + place) for place in range(4)] for kind, number in words]
return batch`,
  })
}

/** Poison at random places. */
export async function loadPoisonedRows(
  appliance: TestAppliance,
  rows: number,
  poison: { readonly raises: number; readonly dies: number },
  random: Random,
): Promise<PoisonedRows> {
  const kinds: Kind[] = random.shuffled([
    ...Array.from({ length: poison.raises }, () => "raises" as const),
    ...Array.from({ length: poison.dies }, () => "dies" as const),
  ])
  // Each poison row in a stretch of its own: real poison is spread as well.
  const stretch = Math.floor(rows / Math.max(1, kinds.length))
  const spread = Array.from({ length: rows }, (): Kind => "fine")
  for (const [index, kind] of kinds.entries()) spread[index * stretch + random.below(stretch)] = kind

  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: crypto.randomUUID(), bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const numbers = new Map<string, number>()
  for (let at = 0; at < rows; at += 100) {
    const objects = spread
      .slice(at, at + 100)
      .map((kind, index) => ({ blobs: [{ property: "text", type: "text", data: `${kind} ${at + index}` }] }))
    const loaded = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, { body: { objects } })
    if (loaded.status !== 200 || loaded.body.succeeded_count !== objects.length) throw new Error(loaded.text)
    for (const { object_id: id } of loaded.body.succeeded) numbers.set(id, numbers.size)
  }
  return { bucket: body.bucket_id, kinds: spread, numbers }
}

export async function collectionOf(appliance: TestAppliance, { bucket }: PoisonedRows): Promise<string> {
  const { body, status, text } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: crypto.randomUUID(),
      source: { type: "bucket", bucket_ids: [bucket] },
      feature_extractor: { feature_extractor_name: NAME, version: "1.0.0" },
    },
  })
  if (status !== 200) throw new Error(text)
  return body.collection_id
}

// biome-ignore lint/suspicious/noExplicitAny: a batch as the API answers it
type Batch = any

/** What is not as it must be, in words; none when all is well. */
export async function problemsOf(
  appliance: TestAppliance,
  rows: PoisonedRows,
  collection: string,
  batch: Batch,
): Promise<string[]> {
  const poison = rows.kinds.filter((kind) => kind !== "fine").length
  const fine = rows.kinds.length - poison
  const counts = [batch.status, batch.rows_in, batch.rows_done, batch.rows_failed, batch.rows_skipped].join(" ")
  const expected = [poison === 0 ? "COMPLETED" : "COMPLETED_WITH_ERRORS", rows.kinds.length, fine, poison, 0].join(" ")
  return [
    ...(counts === expected
      ? []
      : [
          `the batch ended as ${counts} in place of ${expected}: ${batch.error} ${JSON.stringify(batch.error_summary)}`,
        ]),
    ...(await documentProblems(appliance, rows, collection)),
    ...(await errorProblems(appliance, rows, batch.batch_id)),
  ]
}

async function documentProblems(appliance: TestAppliance, rows: PoisonedRows, collection: string): Promise<string[]> {
  const problems: string[] = []
  const ids = new Set<string>()
  const seen = new Set<number>()
  let cursor: string | null = null
  do {
    const page = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
      body: { limit: 1000, return_vectors: true, ...(cursor === null ? {} : { cursor }) },
    })
    if (page.status !== 200) throw new Error(page.text)
    for (const { document_id: id, number, root_object_id: object, [`${NAME}_embedding`]: vector } of page.body
      .results) {
      if (ids.has(id) || seen.has(number)) problems.push(`document ${id} of row ${number} is there twice`)
      ids.add(id)
      seen.add(number)
      if (rows.numbers.get(object) !== number) problems.push(`document ${id} of object ${object} has row ${number}`)
      const right = Array.from({ length: 4 }, (_, place) => (number % MODULUS) + place)
      if (JSON.stringify(vector) !== JSON.stringify(right)) problems.push(`row ${number} has vector ${vector}`)
      if (rows.kinds[number] !== "fine") problems.push(`poison row ${number} has a document`)
    }
    cursor = page.body.pagination.next_cursor
  } while (cursor !== null)
  for (const [number, kind] of rows.kinds.entries()) {
    if (kind === "fine" && !seen.has(number)) problems.push(`row ${number} has no document`)
  }
  return problems
}

async function errorProblems(appliance: TestAppliance, rows: PoisonedRows, batchId: string): Promise<string[]> {
  const problems: string[] = []
  const seen = new Set<number>()
  const path = `/v1/buckets/${rows.bucket}/batches/${batchId}/failed-documents?limit=1000`
  let cursor: string | null = null
  do {
    const page: Answer = await appliance.call("GET", cursor === null ? path : `${path}&cursor=${cursor}`)
    const { body } = page
    for (const { object_id: object, exception, error } of body.failed_documents) {
      const number = rows.numbers.get(object) ?? -1
      if (seen.has(number)) problems.push(`row ${number} failed twice`)
      seen.add(number)
      const kind = rows.kinds[number]
      const own =
        kind === "raises"
          ? exception === "ValueError" && error === `row ${number} is poison`
          : kind === "dies" && exception === "WorkerDied" && error.includes("SIGABRT")
      if (!own) problems.push(`row ${number} (${kind}) failed of ${exception}: ${error}`)
    }
    cursor = body.pagination.next_cursor
  } while (cursor !== null)
  for (const [number, kind] of rows.kinds.entries()) {
    if (kind !== "fine" && !seen.has(number)) problems.push(`poison row ${number} is not among the errors`)
  }
  return problems
}
