/**
 * Real files of every kind in one batch over the samples, with the libraries that their requirements offer, inside the
 * isolation; and what each RowCondition makes of them.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { commandLine, startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { mediaPackages } from "../support/media-packages.ts"
import { type PluginFiles, upload } from "../support/plugins.ts"
import { sitePackages } from "../support/python.ts"

setDefaultTimeout(120_000)

const ROOT = resolve(import.meta.dir, "../..")

interface File {
  readonly name: string
  readonly data: unknown
  /** What the row goes by; null for the object that holds a text and no file. */
  readonly mime: string
}

let appliance: TestAppliance
let files: readonly File[] = []
let bucket = ""

beforeAll(async () => {
  const { wheels, packages } = await mediaPackages()
  const [started, made] = await Promise.all([startTestAppliance({ ownEnvironments: true }), makeFiles(packages)])
  appliance = started
  await run([...commandLine(), "wheels", "add", wheels, "--data", appliance.dataDir])
  files = mixed(made)
  bucket = await bucketOf(files)
})
afterAll(() => appliance?.[Symbol.asyncDispose]())

/** In an order that no kind keeps, and with declarations that are wrong. */
function mixed(made: Record<string, string>): File[] {
  const file = (name: string, mime: string, declared?: string) => {
    const base64 = made[name] ?? ""
    return {
      name,
      mime,
      data: { base64, filename: "file.bin", ...(declared === undefined ? {} : { mime_type: declared }) },
    }
  }
  const text = (name: string, mime: string, content: string, declared: string) => {
    const base64 = Buffer.from(content, "latin1").toString("base64")
    return { name, mime, data: { base64, mime_type: declared } }
  }
  return [
    file("report.pdf", "application/pdf", "image/png"),
    file("picture.png", "image/png", "text/plain"),
    text("notes.txt", "text/plain", "Costs fell, and companies grew.", "text/plain"),
    file("tone.wav", "audio/wav", "video/mp4"),
    { name: "words", mime: "text/plain", data: "A text in its object." },
    file("photo.jpg", "image/jpeg"),
    file("film.avi", "video/x-msvideo", "application/x-unknown"),
    text("broken.jpg", "image/jpeg", "<!doctype html><p>404 not found", "image/jpeg"),
    text("no.txt", "application/octet-stream", "text with a \0 in it", "text/plain"),
    file("film.mp4", "video/mp4", "image/jpeg"),
    text("table.csv", "text/csv", "a,b\n1,2\n", "text/csv"),
  ]
}

async function makeFiles(packages: string): Promise<Record<string, string>> {
  const said = await run(["python3", "-B", "library_files.py"], {
    cwd: join(ROOT, "test/plugins-sample"),
    env: { MIXPEEK_TEST_MEDIA_PACKAGES: packages, MIXPEEK_TEST_SITE_PACKAGES: sitePackages() },
  })
  return JSON.parse(said)
}

async function run(words: string[], { cwd = ROOT, env = {} }: { cwd?: string; env?: Record<string, string> } = {}) {
  const child = Bun.spawn(words, {
    cwd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed:\n${out}${errors}`)
  return out
}

async function bucketOf(content: readonly File[]): Promise<string> {
  const { body } = await appliance.call("POST", "/v1/buckets", {
    body: {
      bucket_name: `media ${crypto.randomUUID()}`,
      bucket_schema: { properties: { file: { type: "object" }, caption: { type: "text" } } },
    },
  })
  const objects = content.map(({ name, data }) => ({
    title: name,
    blobs: [
      typeof data === "string"
        ? { property: "caption", type: "text", data }
        : { property: "file", type: "object", data },
    ],
  }))
  const loaded = await appliance.call("POST", `/v1/buckets/${body.bucket_id}/objects/batch`, { body: { objects } })
  if (loaded.body.succeeded_count !== content.length) throw new Error(loaded.text)
  return body.bucket_id
}

async function collectionOver(at: string, name: string, parameters: Record<string, unknown> = {}): Promise<string> {
  const { status, body, text } = await appliance.call("POST", "/v1/collections", {
    body: {
      collection_name: `c ${crypto.randomUUID()}`,
      source: { type: "bucket", bucket_ids: [at] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0", parameters, field_passthrough: ["title"] },
    },
  })
  if (status !== 200) throw new Error(text)
  return body.collection_id
}

async function batchOf(at: string, collections: readonly string[]) {
  const started = await appliance.call("POST", `/v1/buckets/${at}/batches/trigger`, {
    body: { collection_ids: collections },
  })
  if (started.status !== 200) throw new Error(started.text)
  return waitForBatch(appliance, at, started.body.batch_id)
}

/** In the order of the objects. */
// biome-ignore lint/suspicious/noExplicitAny: documents hold what plugins made
async function documentsOf(collection: string): Promise<any[]> {
  const { body } = await appliance.call("POST", `/v1/collections/${collection}/documents/list`, {
    body: { limit: 100, return_vectors: true },
  })
  return body.results
}

/** A plugin with one step for each condition; each writes a column of its own into the rows that it gets. */
function conditionsPlugin(): PluginFiles {
  const steps = ["always", "text", "image", "audio", "video", "pdf"].map((name) => {
    const condition = name === "always" ? "ALWAYS" : `IS_${name.toUpperCase()}`
    return `StepDefinition(service_class=Mark, config=("${name}", params.refuse), condition=RowCondition.${condition})`
  })
  return {
    "manifest.py": `from pydantic import BaseModel
class Input(BaseModel):
    file: str
class Params(BaseModel):
    refuse: str = ""
metadata = {"feature_extractor_name": "conditions", "version": "1.0.0", "description": "d", "category": "multimodal"}
input_schema = Input
parameter_schema = Params
supported_input_types = ["text", "image", "audio", "video", "document"]
features = []
`,
    "pipeline.py": `from engine.plugins.extractors.pipeline import (
    PipelineDefinition, RowCondition, StepDefinition, build_pipeline_steps
)
from .manifest import Params, metadata
from .processors.core import Mark

def build_steps(extractor_request, container=None, base_steps=None, **kwargs):
    params = Params(**(extractor_request.extractor_config.parameters or {}))
    steps = [
        ${steps.join(",\n        ")},
    ]
    pipeline = PipelineDefinition(name="conditions", version="1.0.0", steps=steps)
    return {"steps": build_pipeline_steps(pipeline), "prepare": lambda rows: rows}
`,
    "processors/core.py": `from pathlib import Path
from shared.plugins import download_asset, open_asset

class Mark:
    def __init__(self, config, progress_actor=None):
        self.name, refuse = config
        if self.name == refuse:
            raise RuntimeError("built for no row")

    def __call__(self, batch):
        batch["by_" + self.name] = len(batch)
        batch["seen_by_" + self.name] = batch["mime_type"]
        if self.name == "always":
            batch["bytes"] = [self.size(value) for value in batch["file"]]
        return batch

    def size(self, value):
        if not value.startswith("s3://"):
            return len(value)
        path, temporary = download_asset(value)
        with open_asset(value, suffix=".bin") as copy:
            assert Path(path).read_bytes() == Path(copy).read_bytes() and copy.endswith(".bin") and not temporary
        return Path(path).stat().st_size
`,
  }
}

test("a row goes through the steps whose condition its bytes meet, and keeps its place and its None in all others", async () => {
  const published = await upload(appliance, conditionsPlugin(), { name: "conditions" })
  expect({ status: published.status, text: published.text }).toMatchObject({ status: 200 })
  const collection = await collectionOver(bucket, "conditions")
  const batch = await batchOf(bucket, [collection])
  expect([batch.status, batch.rows_in, batch.rows_done]).toEqual(["COMPLETED", files.length, files.length])

  const documents = await documentsOf(collection)
  expect(documents.map(({ title }) => title)).toEqual(files.map(({ name }) => name))
  const conditions: Record<string, RegExp> = {
    always: /./,
    text: /^text\//,
    image: /^image\//,
    audio: /^audio\//,
    video: /^video\//,
    pdf: /^application\/pdf$/,
  }
  for (const [index, { mime, data }] of files.entries()) {
    const document = documents[index]
    for (const [name, pattern] of Object.entries(conditions)) {
      const matching = files.filter((file) => pattern.test(file.mime)).length
      const meets = pattern.test(mime)
      expect([mime, document[`by_${name}`], document[`seen_by_${name}`]]).toEqual([
        mime,
        meets ? matching : null,
        meets ? mime : null,
      ])
    }
    const bytes =
      typeof data === "string" ? data.length : Buffer.from((data as { base64: string }).base64, "base64").length
    expect(document.bytes).toBe(bytes)
  }
})

test("a step that no row of a batch meets is not even built", async () => {
  const others = files.filter(({ mime }) => !mime.startsWith("video/"))
  const at = await bucketOf(others)
  const collection = await collectionOver(at, "conditions", { refuse: "video" })
  expect((await batchOf(at, [collection])).status).toBe("COMPLETED")
  const documents = await documentsOf(collection)
  expect(documents).toHaveLength(others.length)
  for (const document of documents) expect(document.by_video ?? null).toBeNull()
  const all = await collectionOver(bucket, "conditions", { refuse: "video" })
  expect((await batchOf(bucket, [all])).status).not.toBe("COMPLETED")
})

test("the samples extract from every kind of file with their libraries, and a damaged file is its row's error alone", async () => {
  const categories = ["image", "audio", "video", "document", "multimodal"]
  const published = await Promise.all(
    categories.map((category) => upload(appliance, withLibraries(category), { name: `${category}_features` })),
  )
  for (const answer of published) expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 })
  const collections = new Map<string, string>()
  for (const category of categories) collections.set(category, await collectionOver(bucket, `${category}_features`))
  const batch = await batchOf(bucket, [...collections.values()])
  expect(batch.status).toBe("COMPLETED_WITH_ERRORS")

  const failed = await appliance.call("GET", `/v1/buckets/${bucket}/batches/${batch.batch_id}/failed-documents`)
  expect(failed.status).toBe(200)
  const errors: { collection_id: string; error: string }[] = failed.body.failed_documents
  const readers = ["image", "multimodal"].map((category) => String(collections.get(category)))
  expect(errors.map(({ collection_id }) => collection_id).sort()).toEqual(readers.sort())
  for (const { error } of errors) {
    expect(error).toContain("this is no image that the plugin can read: it begins with the bytes 3c 21")
  }

  const titled = async (category: string) => {
    const documents = await documentsOf(collections.get(category) ?? "")
    return Object.fromEntries(documents.map((document) => [document.title, document]))
  }
  const [image, audio, video, document, multimodal] = await Promise.all(categories.map(titled))
  expect(Object.keys(image ?? {})).toEqual(files.map(({ name }) => name).filter((name) => name !== "broken.jpg"))

  const { "picture.png": picture, "photo.jpg": photo, "notes.txt": notes, "report.pdf": report } = image ?? {}
  expect([picture.format, photo.format, photo.decoded]).toEqual(["png", "jpeg", true])
  expect(distance(picture.perceptual_hash, photo.perceptual_hash)).toBeLessThanOrEqual(4)
  expect([notes.format, notes.perceptual_hash, report.decoded]).toEqual([null, null, null])

  expect(audio?.["tone.wav"]).toMatchObject({
    format: "wav",
    decoded: true,
    duration_seconds: 0.3,
    sample_rate: 16_000,
  })
  expect(audio?.["film.mp4"].decoded).toBeNull()

  for (const name of ["film.mp4", "film.avi"]) {
    expect(video?.[name]).toMatchObject({ decoded: true, width: 64, height: 48, duration_seconds: 2 })
    expect(video?.[name].scene_changes).toHaveLength(1)
  }
  expect(video?.["tone.wav"].decoded).toBeNull()

  expect(document?.["report.pdf"]).toMatchObject({ format: "pdf", page_count: 1, fonts: ["Helvetica"] })
  expect(document?.["report.pdf"].pages[0].blocks[0].text).toBe("The budget report of 2024\ncompanies grew")
  expect(document?.["notes.txt"].excerpt).toBe("Costs fell, and companies grew.")
  expect(document?.words.excerpt).toBe("A text in its object.")
  expect(document?.["picture.png"].format).toBeNull()

  expect(multimodal?.["photo.jpg"]).toMatchObject({ has_image: true, image_decoded: true, has_text: false })
  expect(multimodal?.words).toMatchObject({ has_image: false, has_text: true, word_count: 5 })
})

/** The sample with the line of its requirements taken in. */
function withLibraries(category: string): PluginFiles {
  const directory = join(ROOT, "plugins-sample", category)
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) => /\.(py|txt)$/.test(path))
  const files = Object.fromEntries(paths.map((path) => [path, readFileSync(join(directory, path), "utf8")]))
  const requirements = files["requirements.txt"]
  if (requirements === undefined) return files
  return { ...files, "requirements.txt": requirements.replace(/^# (\S+>=\S+)$/m, "$1") }
}

function distance(one: string, other: string): number {
  return (BigInt(`0x${one}`) ^ BigInt(`0x${other}`)).toString(2).replaceAll("0", "").length
}
