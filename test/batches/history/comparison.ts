/** What can be listed, beside what the model says. */
import type { ModelBatch, ModelCollection, ModelDocument } from "./entries.ts"
import type { Body, World } from "./world.ts"

export function comparison({ ask, listed, all, model, named }: World) {
  /** By the id of a document, what the model calls it. */
  const keys = new Map<string, string>()

  /** Of a batch that has ended: its status, the rows of its runs, and which of them failed. */
  async function compareBatch(expected: ModelBatch, batch: Body): Promise<void> {
    const what = `batch ${expected.number} (${expected.id})`
    same(
      `runs of ${what}`,
      batch.tier_tasks.flatMap((tier: Body) =>
        tier.extractor_jobs.map((job: Body) =>
          [
            tier.tier_num,
            named(job.collection_ids[0]),
            job.status,
            job.plugin_version,
            job.rows_done,
            job.rows_failed,
          ].join(" "),
        ),
      ),
      expected.runs.map((run) =>
        [run.tier, named(run.collection), run.status, run.version, run.done, run.failed.size].join(" "),
      ),
    )
    same(`status of ${what}`, batch.status, expected.status)
    for (const job of batch.tier_tasks.flatMap((tier: Body) => tier.extractor_jobs))
      same(`account of ${what}`, job.rows_in, job.rows_done + job.rows_failed + job.rows_skipped)
    await compareFailed(expected)
  }

  async function compareFailed(expected: ModelBatch): Promise<void> {
    const path = `/v1/buckets/${expected.bucket}/batches/${expected.id}/failed-documents`
    const found: Body[] = []
    for (let cursor = ""; ; ) {
      const page = await ask("GET", `${path}?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`)
      found.push(...page.failed_documents)
      if (page.pagination.next_cursor == null) {
        same(`total of failed rows of batch ${expected.number}`, page.total, found.length)
        break
      }
      cursor = page.pagination.next_cursor
    }
    if (found.some((row) => row.source_document_id !== undefined && !keys.has(row.source_document_id)))
      for (const of of all) for (const document of await listed(of.id, "all")) identified(of, document)
    same(
      `failed rows of batch ${expected.number}`,
      found.map((row) =>
        [
          named(row.collection_id),
          row.object_id,
          row.source_document_id === undefined ? row.object_id : (keys.get(row.source_document_id) ?? "?"),
          row.retry_count,
        ].join(" "),
      ),
      expected.runs.flatMap((run) =>
        [...run.failed.values()].map(({ source, object, retries }) =>
          [named(run.collection), object, source, retries].join(" "),
        ),
      ),
    )
  }

  /** A document as the model names it; what is below it can be named from then on. */
  function identified(of: ModelCollection, document: Body) {
    const source = document.source_document_id === null ? document.object_id : keys.get(document.source_document_id)
    const own = (field: string) => document[`${of.plugin}_${field}`]
    const name = `${document.feature_extractor_version}/${own("code")}`
    const key = `${of.id} ${name} (${source}) ${document._internal.processing.output_index}`
    keys.set(document.document_id, key)
    return { key, line: `${key} ${own("said")} ${own("by")} ${own("place")} ${document.root_object_id}` }
  }

  async function check(): Promise<void> {
    for (const of of all) {
      const rows = await listed(of.id, "all")
      const seen = rows.map((document) => identified(of, document))
      const present = new Set(seen.map(({ key }) => key))
      // What was made of a document that is gone goes when its object is processed next, at the latest.
      of.documents = of.documents.filter(
        (one) => present.has(one.key) || of.sources.length === 0 || model.living(one.source),
      )
      const line = ({ key, said, version, place, root }: ModelDocument) => `${key} ${said} ${version} ${place} ${root}`
      same(
        `documents of ${named(of.id)}`,
        seen.map((one) => one.line),
        of.documents.map(line),
      )
      same(
        `document_count of ${named(of.id)}`,
        (await ask("GET", `/v1/collections/${of.id}`)).document_count,
        rows.length,
      )
      const ids = (documents: readonly Body[]) => documents.map((document) => keys.get(document.document_id) ?? "?")
      const keysOf = (documents: readonly ModelDocument[]) => documents.map(({ key }) => key)
      same(`documents shown of ${named(of.id)}`, ids(await listed(of.id, null)), keysOf(model.shown(of.id)))
      const current = of.documents.filter(({ version }) => version === of.version)
      same(`current documents of ${named(of.id)}`, ids(await listed(of.id, "current")), keysOf(current))
    }
  }

  return { compareBatch, check }
}

export type Comparison = ReturnType<typeof comparison>

/** Lists in any order. @throws Error that says what is too much and what is missing */
export function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [found, expected].map((value) => (Array.isArray(value) ? [...value].sort() : value))
  if (JSON.stringify(one) === JSON.stringify(other)) return
  if (!Array.isArray(one) || !Array.isArray(other))
    throw new Error(`${what}: ${JSON.stringify(one)}, not ${JSON.stringify(other)}`)
  const left = [...other]
  const more = one.filter((value) => {
    const at = left.indexOf(value)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
  throw new Error(
    `${what}:\n    too much ${JSON.stringify(more, null, 1)}\n    missing ${JSON.stringify(left, null, 1)}`,
  )
}
