/** Two buckets and five collections over them and one another, on a real appliance and in the model of it. */
import type { TestAppliance } from "../../support/appliance.ts"
import type { ModelCollection } from "./entries.ts"
import { historyModel } from "./model.ts"
import { KINDS, type Kind } from "./plugins.ts"

// biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire says and asserts on it
export type Body = any

/** `hanging`: rows that hang are there, of which each takes a worker until its batch is canceled. */
export async function createWorld(appliance: TestAppliance, hanging: boolean) {
  const ask = async (method: string, path: string, body?: object, expected = [200]): Promise<Body> => {
    const answer = await appliance.call(method, path, body === undefined ? {} : { body })
    if (!expected.includes(answer.status))
      throw new Error(`${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`)
    return answer.body
  }
  const bucket = async () =>
    (
      await ask("POST", "/v1/buckets", {
        bucket_name: `bucket ${crypto.randomUUID()}`,
        bucket_schema: { properties: { text: { type: "text" } } },
      })
    ).bucket_id as string
  const buckets = [await bucket(), await bucket()] as const
  const [a, b] = buckets
  const kinds = new Map<string, Kind>()
  const below = (sources: readonly string[]) => kinds.get(sources[0] ?? "") ?? "words"
  const collection = async (
    kind: Kind,
    source: { buckets?: readonly string[]; collections?: readonly string[]; filters?: object },
    takes: ModelCollection["takes"] = () => true,
  ): Promise<ModelCollection> => {
    const own = source.filters === undefined ? {} : { source_filters: { filters: source.filters } }
    const { collection_id: id } = await ask("POST", "/v1/collections", {
      collection_name: `collection ${crypto.randomUUID()}`,
      source:
        source.buckets === undefined
          ? { type: "collection", collection_ids: source.collections, ...own }
          : { type: "bucket", bucket_ids: source.buckets, ...own },
      feature_extractor: {
        feature_extractor_name: kind,
        version: "1.0.0",
        ...(source.collections === undefined ? {} : { input_mappings: { text: `${below(source.collections)}_said` } }),
      },
    })
    kinds.set(id, kind)
    return {
      id,
      plugin: kind,
      cut: KINDS[kind].cut,
      bad: KINDS[kind].bad,
      hangs: KINDS[kind].hangs,
      buckets: source.buckets ?? [],
      sources: source.collections ?? [],
      takes,
      version: "1.0.0",
      enabled: true,
      documents: [],
      granules: new Map(),
      marks: new Map(),
      entered: new Map(),
    }
  }
  const one = await collection("words", { buckets: [a] })
  const both = await collection(
    "words",
    { buckets: [a, b], filters: { NOT: [{ field: "text", operator: "contains", value: "zap" }] } },
    ({ text }) => !text.includes("zap"),
  )
  const cut = await collection("pieces", { collections: [one.id] })
  const starts = await collection(
    "whole",
    { collections: [one.id, both.id], filters: { field: "words_place", operator: "eq", value: 0 } },
    ({ place }) => place === 0,
  )
  const last = await collection("whole", { collections: [cut.id] })
  const all = [one, both, cut, starts, last] as const
  const names = new Map(
    Object.entries({ one, both, cut, starts, last }).map(([name, { id }]): [string, string] => [id, name]),
  )

  async function listed(id: string, version: string | null): Promise<Body[]> {
    const found: Body[] = []
    for (let cursor: string | null = null; ; ) {
      const body = { limit: 50, ...(cursor === null ? {} : { cursor }), ...(version === null ? {} : { version }) }
      const page: Body = await ask("POST", `/v1/collections/${id}/documents/list`, body)
      found.push(...page.results)
      cursor = page.pagination.next_cursor ?? null
      if (cursor === null) return found
    }
  }

  return {
    appliance,
    hanging,
    ask,
    listed,
    buckets,
    all,
    model: historyModel(all),
    /** How a collection is called in what is told. */
    named: (id: string) => names.get(id) ?? id,
    /** The field of what a collection reads that it cuts. */
    readField: ({ sources }: ModelCollection) => (sources.length === 0 ? "text" : `${below(sources)}_said`),
    /** Those whose objects are at the root of its documents. */
    rootsOf: (of: ModelCollection): readonly string[] =>
      of.buckets.length > 0 ? of.buckets : of === starts ? buckets : [a],
    told: [] as string[],
  }
}

export type World = Awaited<ReturnType<typeof createWorld>>
