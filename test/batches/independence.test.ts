/**
 * Documents are what rows and plugin make them: how the rows were cut, how many workers had them and which kills came between
 * must not be seen in them. The cuts are drawn; MIXPEEK_TEST_SEED repeats them, MIXPEEK_TEST_RUNS draws more.
 */
import { expect, test } from "bun:test"
import { documentId } from "../../src/batches/document-id.ts"
import { strike } from "../recovery/strikes.ts"
import { eventually, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { published } from "../support/plugins.ts"
import { type Random, seededRandom, testSeed } from "../support/random.ts"

const NAME = "independent"
const ROWS = 110
const RUNS = Number(process.env.MIXPEEK_TEST_RUNS || 4)
/** `compute_profile.batch_size` of each version that is published. */
const BATCH_SIZES = { "1.0.0": 1, "1.0.1": 7, "1.0.2": 64 }
const VERSIONS = ["1.0.0", "1.0.1", "1.0.2"] as const

/** By a row's number: an exception, nothing, or some outputs, of which the vector may be refused. */
const CALL = `out = []
for row, text, kind in zip(batch["document_id"].tolist(), batch["text"].tolist(), batch["kind"].tolist()):
    number = int(text.split(" ")[1])
    time.sleep(0.003)
    if number % 41 == 7:
        raise ValueError(text + " is not liked")
    if number % 43 == 11:
        continue
    for piece in range(1 + number % 4):
        out.append({
            "document_id": row,
            "number": number,
            "piece": piece,
            "kind": kind.lower(),
            "half": number / 2 + piece / 7,
            "count": None if number % 5 == 0 else number,
            "label": None if number % 3 == 0 else text.upper(),
            "nested": {"words": [text, None, "\\u00e9" * piece], "even": number % 2 == 0},
            "${NAME}_embedding": [number / 3, piece / 7, -1.0 / (number + 1)] + ([0.5] if number % 47 != 13 else []),
        })
return pd.DataFrame(out)`

interface Cut {
  readonly partitionRows: number
  readonly workers: number
  /** That one aims at: of a second, these rows are slow enough to be cut by their time. */
  readonly partitionSeconds: number
  readonly version: (typeof VERSIONS)[number]
  readonly kill: "nothing" | "worker" | "appliance"
}

interface Outcome {
  /** By object and place among its outputs: everything but what names the collection and the run. */
  readonly documents: Record<string, unknown>
  readonly ids: Record<string, string>
  readonly errors: readonly string[]
  readonly counts: readonly number[]
}

interface First {
  readonly outcome: Outcome
  readonly collection: string
  readonly cut: Cut
}

test("documents do not depend on batch size, partition size, workers or kills", async () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  console.log(`seed ${seed} (MIXPEEK_TEST_SEED repeats it)`)
  await using appliance = await startTestAppliance()
  for (const version of VERSIONS) {
    const manifestExtra = `compute_profile = {"batch_size": ${BATCH_SIZES[version]}}`
    await published(appliance, { name: NAME, version, call: CALL, manifestExtra })
  }
  const bucket = await loaded(appliance)
  const versions = random.shuffled(VERSIONS)
  const kills = random.shuffled(["worker", "appliance", "nothing"] as const)
  let first: First | null = null
  for (let run = 0; run < RUNS; run++) {
    const drawn = drawCut(random, versions[run % 3] ?? "1.0.0", kills[run % 3] ?? "nothing")
    // The last one runs again over what the first one made: the same documents in place of the same documents.
    const again: First | null = run > 0 && run === RUNS - 1 ? first : null
    const cut: Cut = again === null ? drawn : { ...drawn, version: again.cut.version }
    const collection: string = again?.collection ?? (await collectionOver(appliance, bucket, cut))
    const outcome = await outcomeOf(appliance, bucket, collection, cut, random)
    const place = `seed ${seed}, run ${run}, ${JSON.stringify(cut)}`
    if (first === null) {
      expect(Object.keys(outcome.documents).length, place).toBe(expectedDocuments())
      first = { outcome, collection, cut }
    } else {
      expect({ place, ...outcome, ids: {} }).toEqual({ place, ...first.outcome, ids: {} })
    }
    if (again !== null) expect(outcome.ids).toEqual(again.outcome.ids)
  }
}, 600_000)

function drawCut(random: Random, version: Cut["version"], kill: Cut["kill"]): Cut {
  return {
    partitionRows: random.pick([7, 20, 40, 64, 1000]),
    workers: 1 + random.below(3),
    partitionSeconds: random.pick([1, 10]),
    version,
    kill,
  }
}

const leftOut = (number: number) => number % 10 === 3
const fails = (number: number) => number % 41 === 7 || number % 43 === 11 || number % 47 === 13

function expectedDocuments(): number {
  const numbers = Array.from({ length: ROWS }, (_, number) => number)
  return numbers
    .filter((number) => !leftOut(number) && !fails(number))
    .reduce((sum, number) => sum + 1 + (number % 4), 0)
}

async function loaded(appliance: TestAppliance): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: { bucket_name: "numbers", bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const objects = Array.from({ length: ROWS }, (_, number) => ({
    // The plugin makes it small letters: changed in some rows, in others as it was.
    kind: number % 3 === 0 ? "PRIME" : "prime",
    title: leftOut(number) ? "left out" : `title ${number}`,
    blobs: [{ property: "text", type: "text", data: `row ${number}` }],
  }))
  for (const part of [objects.slice(0, 100), objects.slice(100)]) {
    const { text, status } = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, {
      body: { objects: part },
    })
    if (status !== 200) throw new Error(text)
  }
  return body.bucket_id
}

async function collectionOver(appliance: TestAppliance, bucket: string, { version }: Cut): Promise<string> {
  const { body, status, text } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: crypto.randomUUID(),
      source: {
        type: "bucket",
        bucket_ids: [bucket],
        source_filters: { filters: { AND: [{ field: "title", operator: "ne", value: "left out" }] } },
      },
      feature_extractor: { feature_extractor_name: NAME, version, field_passthrough: ["title"] },
    },
  })
  if (status !== 200) throw new Error(text)
  return body.collection_id
}

async function outcomeOf(
  appliance: TestAppliance,
  bucket: string,
  collection: string,
  cut: Cut,
  random: Random,
): Promise<Outcome> {
  const environment = {
    MIXPEEK_PARTITION_ROWS: String(cut.partitionRows),
    MIXPEEK_WORKERS: String(cut.workers),
    MIXPEEK_PARTITION_SECONDS: String(cut.partitionSeconds),
  }
  await appliance.kill()
  await appliance.start(environment)
  const triggered = await appliance.call("POST", `/v1/collections/${collection}/trigger`, { body: { reembed: true } })
  const path = `/v1/buckets/${bucket}/batches/${triggered.body.batch_id}`
  if (cut.kill !== "nothing") {
    // In the middle, where the cut has one.
    await eventually(async () => (await appliance.call("GET", path)).body.status === "IN_PROGRESS")
    const over = async () => (await appliance.call("GET", path)).body.completed_at !== null
    if (cut.partitionRows < ROWS / 2) {
      await eventually(async () => (await appliance.call("GET", path)).body.rows_done > 0 || (await over()))
    }
    if (cut.kill === "worker") await strike("worker", { appliance, random, disk: null, whileDead: () => {}, over })
    else {
      await appliance.kill()
      await appliance.start(environment)
    }
  }
  const batch = await waitForBatch(appliance, bucket, triggered.body.batch_id)
  const { code_hash: codeHash } = batch.tier_tasks[0].extractor_jobs[0]
  const listed = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
    body: { limit: 1000, return_vectors: true },
  })
  const documents: Outcome["documents"] = {}
  const ids: Outcome["ids"] = {}
  for (const { document_id: id, collection_id: _, created_at: __, _internal: internal, ...rest } of listed.body
    .results) {
    const index: number = internal.processing.output_index
    const key = `${rest.object_id}/${index}`
    expect(id).toBe(documentId(collection, rest.object_id, cut.version, codeHash, index))
    expect(documents).not.toHaveProperty([key])
    const { feature_extractor_id: ___, feature_extractor_version: version, ...made } = rest
    expect(version).toBe(cut.version)
    documents[key] = made
    ids[key] = id
  }
  const failed = await appliance.call("GET", `${path}/failed-documents?limit=1000`)
  const errors = failed.body.failed_documents.map((row: { object_id: string; exception: string; error: string }) =>
    [row.object_id, row.exception, row.error].join(" "),
  )
  const counts = [batch.rows_in, batch.rows_done, batch.rows_failed, batch.rows_skipped]
  return { documents, ids, errors: errors.sort(), counts }
}
