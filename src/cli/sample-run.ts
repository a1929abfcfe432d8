/** Checks 4 to 6 of `plugin test`: build the steps, run rows through them, construct the realtime handler. */
import { join, resolve } from "node:path"
import { z } from "zod"
import type { Manifest } from "../workers/protocol.ts"
import type { Worker } from "../workers/worker.ts"
import { type Check, check, count, failure } from "./check.ts"
import type { LocalPython } from "./local-python.ts"
import { type OutputRow, readOutput, readSampleData } from "./sample-files.ts"
import { type RowError, runPartition } from "./sample-partition.ts"
import { authorRows, generatedRows, SAMPLE_BUCKET, sampleAssets } from "./sample-rows.ts"

/** Models may load in the first step; rows come after that. */
const STEPS_DEADLINE_MS = 120_000
const REALTIME_DEADLINE_MS = 300_000
/** Failed rows that are named; the rest is counted. */
const SHOWN_FAILURES = 3
const SHOWN_NUMBERS = 4
const SHOWN_ITEMS = 8
const SHOWN_CHARACTERS = 500

type Row = Record<string, unknown>

interface Sample {
  readonly rows: readonly Row[]
  readonly assetRoots: Record<string, string>
  /** What is said of a failure beside the failed rows. */
  readonly advice: readonly string[]
  /** What a person calls the row: by its place in the file, or as the batch has it. */
  readonly called: (row: number) => string
}

export async function sampleRows(
  python: LocalPython,
  manifest: Manifest,
  sampleData: string | undefined,
): Promise<Sample> {
  const assets = sampleAssets(join(python.scratch, "assets"))
  const assetRoots = { [SAMPLE_BUCKET]: assets.root }
  const called = (row: number) => `row ${row + 1}`
  if (sampleData === undefined) {
    const advice = ["these rows were made up from the input schema; --sample-data FILE runs rows of yours"]
    return { rows: await generatedRows(manifest, assets), assetRoots, advice, called }
  }
  const path = resolve(sampleData)
  const given = await readSampleData(path, python.nativeDirectory)
  return { rows: await authorRows(given, path, manifest, assets), assetRoots, advice: [], called }
}

export async function checkPipeline(
  worker: Worker,
  { signal }: LocalPython,
  manifest: Manifest,
  rows: number,
  parameters: Record<string, unknown> = {},
): Promise<{ check: Check; callsOut: boolean }> {
  const defaults = await worker.request(
    { type: "validate_parameters", parameters },
    { deadlineMs: STEPS_DEADLINE_MS, signal },
  )
  const reply = await worker.request(
    {
      type: "build_steps",
      parameters: defaults.type === "parameters_valid" ? defaults.parameters : parameters,
      dataset_size: rows,
      content_flags: {},
      feature_extractor_name: manifest.feature_extractor_name,
      version: manifest.version,
    },
    { deadlineMs: STEPS_DEADLINE_MS, signal },
  )
  const required =
    defaults.type === "parameters_invalid"
      ? defaults.errors.map(({ location, message }) => `no default for parameter ${location.join(".")}: ${message}`)
      : []
  if (reply.type === "failed") return { check: failure("Pipeline", reply.error, required), callsOut: false }
  const steps = reply.steps.map(({ name, resource_type, condition }) =>
    [name, resource_type === "none" ? null : resource_type.toUpperCase(), condition]
      .filter((part) => part !== null)
      .join(" "),
  )
  const built = check("Pipeline", "passed", `${count(steps.length, "step")}: ${steps.join(", ") || "none"}`, {
    findings: required,
  })
  return { check: built, callsOut: reply.steps.some(({ resource_type }) => resource_type === "api") }
}

/**
 * Workers that have built their steps, another one each time: `built` first, which `checkPipeline` found so. What a worker may do is
 * fixed before it knows its steps, so that those that call outside services get another one from the start.
 */
export function sampleWorkers(
  built: Worker,
  { callsOut }: { readonly callsOut: boolean },
  start: () => Promise<Worker>,
): () => Promise<Worker> {
  let first = callsOut ? null : built
  return async () => {
    const worker = first ?? (await start())
    first = null
    return worker
  }
}

/** `workers`: see `sampleWorkers`. */
export async function checkSampleRun(
  workers: () => Promise<Worker>,
  python: LocalPython,
  manifest: Manifest,
  sample: Sample,
): Promise<Check> {
  const name = "Sample run"
  const features = manifest.features.flatMap(({ feature_name, embedding_dim }) =>
    embedding_dim === null ? [] : [{ feature_name, embedding_dim }],
  )
  const started = performance.now()
  const ran = await runPartition(workers, python, { ...sample, features })
  const milliseconds = Math.round(performance.now() - started)
  if (ran.kind === "failed") return failure(name, ran.error)
  const { reply, errors, output } = ran
  if (reply === null || errors.length > 0) return failedRows(name, sample, errors, ran.untried)
  const results = await readOutput(join(output, "scalars.parquet"), python.nativeDirectory)
  const missing = (feature: string) => results.filter(({ missingVectors }) => missingVectors.includes(feature)).length
  const absent = features.filter(({ feature_name }) => missing(feature_name) === results.length)
  const partial = features.filter((feature) => missing(feature.feature_name) > 0 && !absent.includes(feature))
  const first = await firstResult(results, output, features, reply.vectors)
  if (absent.length > 0) {
    return check(name, "failed", `no row has ${absent.map(({ feature_name }) => feature_name).join(", ")}`, {
      findings: absent.map(
        ({ feature_name, embedding_dim }) =>
          `the steps must write a column '${feature_name}' with ${embedding_dim} numbers a row, as manifest.py declares`,
      ),
      details: first,
    })
  }
  const produced = reply.rows_out === reply.rows_in ? "" : ` → ${count(reply.rows_out, "row")}`
  const vectors = features.map(({ feature_name, embedding_dim }) => `${feature_name} (${embedding_dim})`)
  return check(
    name,
    "passed",
    `${count(reply.rows_in, "row")}${produced} in ${milliseconds} ms; ${vectors.join(", ") || "no vectors"}`,
    {
      findings: [
        ...(ran.together === null
          ? []
          : [
              `with several rows at once it failed, with one a call it did not: ${ran.together.exception}: ${ran.together.message}`,
              "a batch finds that out too, each time anew; compute_profile's batch_size says how many rows it takes",
            ]),
        ...partial.map(
          ({ feature_name }) =>
            `${feature_name} is missing in ${missing(feature_name)} of ${count(results.length, "row")}`,
        ),
      ],
      details: first,
    },
  )
}

/** Constructs the handler in a worker of its own, as a deployment does; calls it when the author gave the data. */
export async function checkRealtime(
  worker: Worker,
  { signal }: LocalPython,
  manifest: Manifest,
  row: Row | null,
): Promise<Check> {
  const name = "Realtime"
  const constructed = await worker.request({ type: "construct_realtime" }, { deadlineMs: REALTIME_DEADLINE_MS, signal })
  if (constructed.type === "failed") return failure(name, constructed.error)
  if (row === null) return check(name, "passed", `${constructed.form} constructed`)
  const inputs = Object.keys(z.record(z.string(), z.unknown()).safeParse(manifest.input_schema?.properties).data ?? {})
  const request = Object.fromEntries(
    (inputs.length > 0 ? inputs : ["data"]).map((input) => [input, row[input] ?? null]),
  )
  const answer = await worker.request({ type: "predict", request }, { deadlineMs: REALTIME_DEADLINE_MS, signal })
  if (answer.type === "failed") return failure(name, answer.error)
  if (Array.isArray(answer.response)) {
    const pieces = count(answer.response.length, "piece")
    return check(name, "passed", `${constructed.form} streams ${pieces}`, { details: [shortJson(answer.response)] })
  }
  const keys = Object.keys(z.record(z.string(), z.unknown()).safeParse(answer.response).data ?? {})
  return check(name, "passed", `${constructed.form} answers ${keys.join(", ") || "an empty dict"}`, {
    details: [shortJson(answer.response)],
  })
}

function failedRows(name: string, sample: Sample, errors: readonly RowError[], untried: number): Check {
  const shown = errors.slice(0, SHOWN_FAILURES)
  return check(name, "failed", `${errors.length} of ${count(sample.rows.length, "row")} failed`, {
    findings: [
      ...shown.flatMap(({ row, exception, message }, at) => {
        // The sandbox says in further lines what it refused and what to do instead.
        const [first = "", ...more] = message.split("\n")
        const before = shown[at - 1]
        const same = before?.exception === exception && before.message === message
        return [`${sample.called(row)}: ${exception}: ${first}`, ...(same ? [] : more)]
      }),
      ...(errors.length > SHOWN_FAILURES ? [`and ${errors.length - SHOWN_FAILURES} more`] : []),
      ...(untried > 0 ? [`${count(untried, "row")} not tried after these`] : []),
      ...sample.advice,
    ],
    details: [...new Set(shown.map(({ traceback }) => traceback ?? ""))].flatMap((traceback) => traceback.split("\n")),
  })
}

async function firstResult(
  results: readonly OutputRow[],
  output: string,
  features: readonly { feature_name: string; embedding_dim: number }[],
  files: Readonly<Record<string, string>>,
): Promise<string[]> {
  const [first] = results
  if (first === undefined) return []
  const vectors: string[] = []
  for (const { feature_name, embedding_dim } of features) {
    const file = files[feature_name]
    if (file === undefined || first.missingVectors.includes(feature_name)) continue
    const numbers = new Float32Array(
      await Bun.file(join(output, file))
        .slice(0, embedding_dim * 4)
        .arrayBuffer(),
    )
    const start = [...numbers.slice(0, SHOWN_NUMBERS)].map((number) => number.toFixed(4)).join(", ")
    vectors.push(`${feature_name}: [${start}${embedding_dim > SHOWN_NUMBERS ? ", …" : ""}] (${numbers.length} numbers)`)
  }
  return [
    "first result:",
    ...vectors,
    ...Object.entries(first.fields).map(([field, value]) => `${field}: ${shortJson(value)}`),
  ]
}

/** One line: long lists, which are mostly vectors, by their beginning and length. */
function shortJson(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) =>
    Array.isArray(part) && part.length > SHOWN_ITEMS
      ? [...part.slice(0, SHOWN_ITEMS), `… ${part.length} in all`]
      : part,
  )
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
