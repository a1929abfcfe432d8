/** The requests of a history, each made and awaited by the appliance and by the model. */
import { eventually } from "../../support/appliance.ts"
import { waitForBatch } from "../../support/batch.ts"
import type { Random } from "../../support/random.ts"
import { type Comparison, same } from "./comparison.ts"
import { type Filter, type ModelBatch, type ModelCollection, VERSIONS } from "./entries.ts"
import { publishKind } from "./plugins.ts"
import type { Body, World } from "./world.ts"

/** Each with how often it is drawn. */
export function requests(world: World, random: Random, compareBatch: Comparison["compareBatch"]) {
  const { appliance, ask, buckets, all, model, named, readField, rootsOf } = world
  const [a] = buckets
  const note = (line: string) => void world.told.push(line)

  const WORDS = ["a", "b-c", "d-e-f", "g", "h-a", "zap", "a-b-c-d"] as const
  const BAD = ["ubad", "ubad1", "dbad", "x-dbad1", "ebad", "ebad1", "a-ebad1"] as const
  const HANGING = ["uhang", "dhang", "x-dhang", "a-ehang"] as const
  const text = () => {
    const words = Array.from({ length: 1 + random.below(3) }, () => random.pick(WORDS) as string)
    if (random.below(4) === 0) words.splice(random.below(words.length + 1), 0, random.pick(BAD))
    if (random.below(15) === 0) return ""
    // One that hangs takes a worker for each document that is made of it.
    if (
      world.hanging &&
      random.below(2) === 0 &&
      ![...model.objects.values()].some((object) => object.text.includes("hang"))
    )
      words.splice(random.below(words.length + 1), 0, random.pick(HANGING))
    return words.join(" ")
  }
  const blobs = (of: string) => ({ blobs: [{ property: "text", type: "text", data: of }] })
  const anyOf = <T>(items: readonly T[]): T | undefined => items[random.below(items.length)]
  const some = <T>(items: readonly T[], most: number): T[] =>
    random.shuffled(items).slice(0, 1 + random.below(Math.min(most, items.length)))

  /** One that hangs is canceled as soon as it does nothing else. */
  async function ended(batch: ModelBatch): Promise<Body> {
    if (batch.status !== "HANGS") return waitForBatch(appliance, batch.bucket, batch.id)
    const path = `/v1/buckets/${batch.bucket}/batches/${batch.id}`
    const runs = new Map(batch.runs.map((run) => [run.collection, run]))
    await eventually(async () =>
      (await ask("GET", path)).tier_tasks
        .flatMap((tier: Body) => tier.extractor_jobs)
        .every((job: Body) => {
          const run = runs.get(job.collection_ids[0])
          if (run === undefined) return false
          const open = job.rows_in - job.rows_done - job.rows_failed - job.rows_skipped
          const outcomes = job.rows_done === run.done && job.rows_failed === run.failed.size - run.hanging.failed
          const waits = run.status === "HANGS" || run.status === "PENDING"
          return outcomes && open === run.hanging.rows && (waits || job.status === run.status)
        }),
    )
    note(`cancel batch ${batch.number}`)
    await ask("POST", `${path}/cancel`)
    model.cancel(batch)
    return waitForBatch(appliance, batch.bucket, batch.id)
  }

  const FILTERS: readonly (Filter & { readonly filter: (field: string) => object })[] = ["a", "b", "g"].map(
    (letter) => ({
      name: letter,
      takes: ({ text: of }) => of.includes(letter),
      filter: (field) => ({ field, operator: "contains", value: letter }),
    }),
  )

  async function triggerCollection(of: ModelCollection): Promise<void> {
    const how = random.pick([
      "new",
      "new",
      "new",
      "new",
      "new",
      "reembed",
      "ids",
      "filtered ids",
      "filter",
      "filtered reembed",
      "included",
    ])
    const filter = how.includes("filter") ? (anyOf(FILTERS) ?? null) : null
    const chained = of.sources.length > 0
    const path = `/v1/collections/${of.id}/trigger`
    if (!of.enabled) {
      note(`trigger ${named(of.id)}, which is disabled`)
      await ask("POST", path, {}, [400])
      return
    }
    const body: Record<string, unknown> = {}
    if (filter !== null) body.source_filters = filter.filter(readField(of))
    if (how.includes("reembed")) body.reembed = true
    const candidates = [...model.objects.values()].filter(({ bucket: own }) => rootsOf(of).includes(own))
    const ids = how.endsWith("ids") && candidates.length > 0 ? some(candidates, 4).map(({ id }) => id) : null
    if (ids !== null) body.object_ids = ids
    if (!chained) {
      const included = how === "included" ? some(of.buckets, 2) : of.buckets
      if (how === "included") body.include_buckets = included
      note(`trigger ${named(of.id)} ${JSON.stringify(body)}`)
      const expected = included.flatMap((own) => {
        const members = model.newOf(of.id, own, filter)
        if (ids !== null) {
          const named = ids.filter((id) => model.objects.get(id)?.bucket === own)
          return named.length === 0 ? [] : [{ own, after: 0, members: named }]
        }
        if (body.reembed !== true) return [{ own, ...members }]
        const every = [...model.objects.values()].filter(({ bucket: its }) => its === own)
        const taken = every.filter(
          (object) => filter?.takes({ source: "", root: "", text: object.text, place: 0 }) ?? true,
        )
        return [{ own, after: 0, members: taken.map(({ id }) => id) }]
      })
      const answer = await ask("POST", path, body, [202])
      same("batches of the trigger", answer.batch_ids.length, expected.length)
      for (const [index, { own, after, members }] of expected.entries()) {
        const id = answer.batch_ids[index]
        const kind =
          ids === null
            ? { kind: body.reembed === true ? ("all" as const) : ("changes" as const), filter: filter?.name ?? null }
            : { kind: "explicit" as const, filter }
        const expectedBatch = model.ranOverBucket(id, own, [of.id], members, kind, after)
        const batch = await ended(expectedBatch)
        same(`object_count of ${id}`, batch.object_count, members.length)
        await compareBatch(expectedBatch, batch)
      }
      return
    }
    const included = how === "included" ? some(of.sources, 2) : of.sources
    if (how === "included") body.include_collections = included
    note(`trigger ${named(of.id)} ${JSON.stringify(body)}`)
    const fresh = ids === null && body.reembed !== true
    const { documents, granules } = model.above(of.id, included, filter?.name ?? null, fresh)
    const answer = await ask("POST", path, body, [202])
    same("document_count", answer.document_count, documents)
    const takes = (row: { root: string; text: string; place: number; source: string }) =>
      (filter?.takes(row) ?? true) && (ids?.includes(row.root) ?? true)
    const claim = ids === null ? { filter: filter?.name ?? null } : null
    const batch = model.ranOverDocuments(answer.batch_id, a, of.id, included, granules, takes, claim)
    await compareBatch(batch, await ended(batch))
  }

  async function triggerBucket(): Promise<void> {
    const of = random.pick(buckets)
    const path = `/v1/buckets/${of}/batches/trigger`
    const readers = all.filter((one) => one.buckets.includes(of) && one.enabled)
    const how = random.pick(["all", "all", "ids", "filter", "filtered ids", "one"])
    const filter = how.startsWith("filter") ? (anyOf(FILTERS) ?? null) : null
    const every = [...model.objects.values()].filter(({ bucket: own }) => own === of)
    const ids = how.endsWith("ids") && every.length > 0 ? some(every, 4).map(({ id }) => id) : null
    const body: Record<string, unknown> = {}
    if (filter !== null) body.filters = filter.filter("text")
    if (ids !== null) body.object_ids = ids
    const targets = how === "one" && readers.length > 0 ? some(readers, 1) : readers
    if (how === "one" && readers.length > 0) body.collection_ids = targets.map(({ id }) => id)
    note(`batch of ${of === a ? "a" : "b"} ${JSON.stringify(body)}`)
    if (readers.length === 0) {
      await ask("POST", path, body, [400])
      return
    }
    const members =
      ids ??
      every
        .filter((object) => filter?.takes({ source: "", root: "", text: object.text, place: 0 }) ?? true)
        .map(({ id }) => id)
    const answer = await ask("POST", path, body)
    const kind =
      ids === null ? { kind: "all" as const, filter: filter?.name ?? null } : { kind: "explicit" as const, filter }
    const collections = targets.map(({ id }) => id)
    const expected = model.ranOverBucket(answer.batch_id, of, collections, members, kind)
    const batch = await ended(expected)
    same("object_count", batch.object_count, members.length)
    await compareBatch(expected, batch)
  }

  async function retry(): Promise<void> {
    const failed = model.batches.filter((batch) => batch.runs.some((run) => run.failed.size + run.untried.size > 0))
    const canceled = model.batches.filter(({ status }) => status === "CANCELED")
    const from = canceled.length > 0 ? random.pick([failed, canceled]) : failed
    const batch = random.below(3) === 0 ? anyOf(model.batches) : anyOf(from)
    if (batch === undefined) return
    const tiers = random.below(3) === 0 ? [random.below(3)] : null
    const max = 1 + random.below(4)
    const body = { retry_mode: "all", max_retry_count: max, ...(tiers === null ? {} : { tier_nums: tiers }) }
    note(`retry batch ${batch.number} ${JSON.stringify(body)}`)
    const answer = await ask("POST", `/v1/buckets/${batch.bucket}/batches/${batch.id}/retry`, body)
    const rows = model.retried(batch, tiers, max)
    same("retried_rows", answer.retried_rows, rows)
    same("retry_count", answer.retry_count, batch.retry)
    await compareBatch(batch, await ended(batch))
  }

  async function add(): Promise<void> {
    const of = random.pick(buckets)
    if (model.objects.size > 12) return
    const texts = Array.from({ length: 1 + random.below(4) }, text)
    note(`add ${JSON.stringify(texts)} to ${of === a ? "a" : "b"}`)
    const { succeeded } = await ask("POST", `/v1/buckets/${of}/objects/batch`, { objects: texts.map(blobs) })
    for (const [index, object] of succeeded.entries()) model.write(object.object_id, of, texts[index] ?? "")
  }

  async function rewrite(): Promise<void> {
    const every = [...model.objects.values()]
    const hanging = random.below(4) === 0 ? every.find((object) => object.text.includes("hang")) : undefined
    const object = hanging ?? anyOf(every)
    if (object === undefined) return
    const to = random.below(5) === 0 ? object.text : text()
    note(`rewrite ${object.id} '${object.text}' as '${to}'`)
    await ask("PUT", `/v1/buckets/${object.bucket}/objects/${object.id}`, blobs(to))
    model.write(object.id, object.bucket, to, to !== object.text)
  }

  async function tag(): Promise<void> {
    const object = anyOf([...model.objects.values()])
    if (object === undefined) return
    note(`tag ${object.id} '${object.text}'`)
    const metadata = { tag: crypto.randomUUID() }
    await ask("PATCH", `/v1/buckets/${object.bucket}/objects/${object.id}`, { metadata })
    model.write(object.id, object.bucket, object.text)
  }

  async function remove(): Promise<void> {
    const object = anyOf([...model.objects.values()])
    if (object === undefined) return
    note(`delete ${object.id} '${object.text}'`)
    await ask("DELETE", `/v1/buckets/${object.bucket}/objects/${object.id}`, undefined, [204])
    model.remove(object.id)
  }

  async function publish(): Promise<void> {
    const kind = random.pick(["words", "pieces", "whole"] as const)
    const [version, code] = [random.pick(VERSIONS), random.pick(["x", "y"])]
    note(`publish ${kind} ${version} with code ${code}`)
    await ask("DELETE", `/v1/namespaces/${appliance.namespaceId}/plugins/${kind}_${version.replaceAll(".", "_")}`)
    await publishKind(appliance, kind, version, code)
    model.publish(kind, version, code)
  }

  async function move(): Promise<void> {
    const of = random.pick(all)
    const version = random.pick(VERSIONS)
    note(`move ${named(of.id)} to ${version}`)
    await ask("PATCH", `/v1/collections/${of.id}`, { feature_extractor: { version } })
    model.move(of.id, version)
  }

  async function drop(): Promise<void> {
    const of = random.pick(all)
    const version = VERSIONS.find((other) => other !== of.version) ?? of.version
    note(`drop ${version} of ${named(of.id)}`)
    const held = of.documents.some((document) => document.version === version)
    const path = `/v1/collections/${of.id}/features?version=${version}`
    const answer = await ask("DELETE", path, undefined, [held ? 200 : 404])
    if (held) same("documents_removed", answer.documents_removed, model.drop(of.id, version))
  }

  async function toggle(): Promise<void> {
    const of = all.find(({ enabled }) => !enabled) ?? random.pick(all)
    note(`${of.enabled ? "disable" : "enable"} ${named(of.id)}`)
    await ask("PATCH", `/v1/collections/${of.id}`, { enabled: !of.enabled })
    of.enabled = !of.enabled
  }

  return [
    [5, add],
    [5, rewrite],
    [1, tag],
    [2, remove],
    [2, publish],
    [10, () => triggerCollection(random.pick(all))],
    [4, triggerBucket],
    [4, retry],
    [3, move],
    [1, drop],
    [2, toggle],
  ] as const
}
