/**
 * Rows for `plugin test`, in the shape the appliance gives them to a worker: one per object, with a column per input
 * field and the columns that describe the row's own blob. Binary values are files; rows hold their asset URLs.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { z } from "zod"
import { HEAD_BYTES, mimeType } from "../buckets/mime.ts"
import type { Manifest } from "../workers/protocol.ts"
import { CommandFailed } from "./command-failed.ts"
import { sampleMp4, samplePdf, samplePng, sampleWav } from "./sample-media.ts"

/** The bucket of the sample's asset URLs: `s3://sample/<sha256>`. */
export const SAMPLE_BUCKET = "sample"

type Kind = "text" | "image" | "video" | "audio" | "document"
type Values = Record<string, unknown>

const MIME: Record<Kind, string> = {
  text: "text/plain",
  image: "image/png",
  video: "video/mp4",
  audio: "audio/wav",
  document: "application/pdf",
}

const TEXTS = [
  "Reads a configuration file and returns its settings as a dictionary.",
  "Il pleut sur la ville ; demain, le soleil reviendra.",
  "東京の天気は晴れです。 Numbers such as 42 and 3.14 occur too!",
]

/** A field that may be None comes as `anyOf` of its type and null. */
const Typed = z.object({ type: z.string() })
const Properties = z.record(
  z.string(),
  z.object({
    type: z.unknown().optional(),
    anyOf: z.array(z.unknown()).optional(),
    enum: z.array(z.unknown()).optional(),
  }),
)

interface Input {
  readonly name: string
  readonly kind: Kind | null
  readonly type: string
  readonly required: boolean
  readonly choices: readonly unknown[]
}

/** Where files of the sample lie, as the appliance keeps blobs: `<root>/<first 2 hex>/<sha256>`. */
export function sampleAssets(root: string) {
  return {
    root,
    async add(bytes: Uint8Array): Promise<{ url: string; size: number }> {
      const sha256 = createHash("sha256").update(bytes).digest("hex")
      const path = join(root, sha256.slice(0, 2), sha256)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, bytes)
      return { url: `s3://${SAMPLE_BUCKET}/${sha256}`, size: bytes.byteLength }
    },
  }
}
export type SampleAssets = ReturnType<typeof sampleAssets>

/** Three rows, or for a plugin of several kinds one with everything and one for each kind alone. */
export async function generatedRows(manifest: Manifest, assets: SampleAssets): Promise<Values[]> {
  const inputs = inputsOf(manifest)
  const media = inputs.filter(({ kind }) => kind !== null)
  const plans =
    media.length > 1
      ? [
          { primary: media[0], present: inputs },
          ...media.map((primary) => ({
            primary,
            present: inputs.filter((input) => input === primary || input.required || input.kind === null),
          })),
        ]
      : [0, 1, 2].map(() => ({ primary: media[0], present: inputs }))
  return Promise.all(
    plans.map(async ({ primary, present }, index) => {
      const values: Values = Object.fromEntries(inputs.map(({ name }) => [name, null]))
      for (const input of present) values[input.name] = await generatedValue(input, index, assets)
      return row(index, values, primary, assets)
    }),
  )
}

/**
 * The author's own rows. A value of a binary field that names a file (relative to the sample file) becomes an asset.
 * @throws CommandFailed when a named file cannot be read
 */
export async function authorRows(
  rows: readonly Values[],
  sampleFile: string,
  manifest: Manifest,
  assets: SampleAssets,
): Promise<Values[]> {
  const inputs = inputsOf(manifest)
  return Promise.all(
    rows.map(async (given, index) => {
      const values: Values = { ...given }
      let mime: string | null = null
      const media = inputs.filter(({ name, kind }) => kind !== null && values[name] != null)
      for (const { name, kind } of media) {
        const value = values[name]
        if (kind === "text" || typeof value !== "string" || /^[a-z0-9]+:\/\//i.test(value)) continue
        const path = resolve(dirname(sampleFile), value)
        if (!existsSync(path)) throw new CommandFailed(`Row ${index + 1}: '${name}' names ${path}, which is not there.`)
        const bytes = await readFile(path)
        values[name] = (await assets.add(bytes)).url
        if (name === media[0]?.name) mime = await mimeType(bytes.subarray(0, HEAD_BYTES), null, basename(path))
      }
      for (const { name, type } of inputs) values[name] = typed(values[name] ?? null, type)
      return row(index, values, media[0], assets, mime)
    }),
  )
}

function inputsOf(manifest: Manifest): Input[] {
  const schema = manifest.input_schema ?? {}
  const properties = Object.entries(Properties.safeParse(schema.properties).data ?? {})
  const required = z.array(z.string()).safeParse(schema.required).data ?? []
  const supported = manifest.supported_input_types.map(kindNamed).filter((kind) => kind !== null)
  const [first = kindNamed(manifest.category ?? "") ?? "text"] = supported
  if (properties.length === 0) return [{ name: first, kind: first, type: "string", required: true, choices: [] }]
  return properties.map(([name, property]) => {
    const type = typeOf(property)
    // A single field, whatever its name, holds the kind the plugin says it takes.
    const kind = type === "string" ? (kindNamed(name) ?? (properties.length === 1 ? first : null)) : null
    return { name, kind, type, required: required.includes(name), choices: property.enum ?? [] }
  })
}

function typeOf(property: z.infer<typeof Properties>[string]): string {
  const types = [property, ...(property.anyOf ?? [])].map((option) => Typed.safeParse(option).data?.type)
  return types.find((type) => type !== undefined && type !== "null") ?? "string"
}

function kindNamed(name: string): Kind | null {
  const words = name.toLowerCase().split(/[^a-z]+/)
  for (const kind of ["text", "image", "video", "audio", "document"] as const) if (words.includes(kind)) return kind
  return words.includes("pdf") ? "document" : null
}

async function generatedValue({ kind, type, choices }: Input, index: number, assets: SampleAssets): Promise<unknown> {
  if (choices.length > 0) return choices[index % choices.length]
  switch (kind) {
    case "image":
      return (await assets.add(samplePng(index))).url
    case "audio":
      return (await assets.add(sampleWav(index))).url
    case "document":
      return (await assets.add(samplePdf(index))).url
    case "video":
      return (await assets.add(sampleMp4(index))).url
    case "text":
      return TEXTS[index % TEXTS.length]
    case null:
      return typed(type === "string" ? `sample ${index + 1}` : String(index + 1), type)
  }
}

/** CSV knows only text; the schema says what a number or a list is. */
function typed(value: unknown, type: string): unknown {
  if (typeof value !== "string") return value
  switch (type) {
    case "integer":
    case "number":
      return value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value
    case "boolean":
      return ["true", "1", "yes"].includes(value.toLowerCase())
    case "array":
    case "object":
      try {
        return JSON.parse(value)
      } catch {
        return type === "array" ? [value] : { value }
      }
    default:
      return value
  }
}

async function row(
  index: number,
  values: Values,
  primary: Input | undefined,
  assets: SampleAssets,
  mime: string | null = null,
): Promise<Values> {
  const kind = primary?.kind ?? null
  const data = primary === undefined ? null : (values[primary.name] ?? null)
  const isAsset = typeof data === "string" && data.startsWith(`s3://${SAMPLE_BUCKET}/`)
  const sha256 = isAsset ? data.slice(-64) : ""
  return {
    __row: index,
    document_id: `doc_sample_${index}`,
    object_id: `obj_sample_${index}`,
    collection_id: "col_sample",
    feature_extractor_id: "sample",
    blob_id: `blob_sample_${index}`,
    blob_property: primary?.name ?? null,
    blob_type: kind === "document" ? "pdf" : kind,
    mime_type: mime ?? (kind === null ? "application/json" : MIME[kind]),
    size_bytes: isAsset ? Bun.file(join(assets.root, sha256.slice(0, 2), sha256)).size : 0,
    data,
    source_url: isAsset ? data : null,
    ...values,
  }
}
