/**
 * Rows of a run over collections: documents of its source parts, written by the documents process. What dies or goes
 * before its row is written is skipped; what does afterwards is seen at the commit.
 */
import { createReadStream } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { namedFields } from "../collections/extractor.ts"
import { partRef } from "../collections/part-ref.ts"
import { readDead } from "../documents/part-files.ts"
import type { Documents, RowPlan } from "../documents/process.ts"
import { parseExactly } from "../exact-json.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { RunSource, RunSourceRow } from "../metadata/run-sources.ts"
import { type InputPlan, MIME_OF_TYPE, TYPE_NAMES } from "./inputs.ts"
import type { PartitionRun } from "./partition-context.ts"
import { INPUT_BYTES, PARTITION_INPUT_BYTES, type RowInput, type WrittenRows } from "./rows.ts"

/** Failed rows that are made again together: what they have on disk meanwhile. */
const ROWS_AT_ONCE = 200

interface Deps {
  metadata: Pick<Metadata, "read">
  documents: Pick<Documents, "writeRows">
  dataDir: string
  now: () => Date
}

/** As `writeRows` of objects: into `directory`, which is created. */
export async function writeDocumentRows(
  deps: Deps,
  context: PartitionRun,
  partition: PartitionRow,
  directory: string,
): Promise<WrittenRows> {
  const readAt = deps.now().toISOString()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const input = join(directory, "input.jsonl")
  const lineage = join(directory, "lineage.tsv")
  const { written, sources } = await ask(deps, context, partition, deps.metadata.read.partitions.ordinals(partition), {
    input,
    lineage,
  })
  const rows = written.ordinals.length
  const objects = new Map(written.ordinals.map((ordinal, index) => [ordinal, written.object_ids[index] ?? ""]))
  return {
    readAt,
    readAfter: null,
    input,
    lineage,
    rows,
    objectIds: async () => objects,
    chain: {
      sources,
      documentIds: new Map(written.ordinals.map((ordinal, index) => [ordinal, written.document_ids[index] ?? ""])),
    },
    skipped: partition.rows_in - rows - written.failed.length,
    failed: written.failed,
  }
}

/**
 * What the plugin was given of these rows, made again from their documents and not from files that a worker could reach.
 * `directory` is the partition's own.
 */
export async function documentInputs(
  deps: Deps,
  context: PartitionRun,
  partition: PartitionRow,
  ordinals: readonly number[],
  directory: string,
): Promise<Map<number, RowInput>> {
  const inputs = new Map<number, RowInput>()
  let room = PARTITION_INPUT_BYTES
  for (let at = 0; at < ordinals.length; at += ROWS_AT_ONCE) {
    const files = {
      input: join(directory, `again-${at}.jsonl`),
      lineage: join(directory, `again-${at}.lineage.tsv`),
    }
    await ask(deps, context, partition, ordinals.slice(at, at + ROWS_AT_ONCE), files)
    for await (const line of createInterface({
      input: createReadStream(files.input),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      const { __row: ordinal, ...row } = parseExactly(line) as { __row: number } & Record<string, unknown>
      const text = JSON.stringify(row)
      const bytes = Buffer.byteLength(text)
      const kept = bytes <= Math.min(INPUT_BYTES, room)
      if (kept) room -= bytes
      inputs.set(ordinal, { text: kept ? text : null, bytes })
    }
    for (const file of Object.values(files)) await rm(file, { force: true })
  }
  return inputs
}

async function ask(
  { metadata, documents, dataDir }: Deps,
  { run, plan }: PartitionRun,
  { first_ordinal: first, end_ordinal: end }: PartitionRow,
  ordinals: readonly number[] | null,
  files: { readonly input: string; readonly lineage: string },
) {
  const { filters }: RunSource = parseExactly(run.source ?? "{}")
  const sources = metadata.read.runSources.between(run.batch_id, run.collection_id, first, end)
  const written = await documents.writeRows({
    sources: sources
      .filter(isThere)
      .map((source) => ({ part: partRef(dataDir, source), first_ordinal: source.first_ordinal })),
    first_ordinal: first,
    end_ordinal: end,
    filters: [...filters],
    ordinals: ordinals === null ? null : [...ordinals],
    plan: rowPlan(plan),
    ...files,
  })
  return { written, sources }
}

/** What the rows of a partition came from, as it is now. */
export interface SourcesNow {
  /** Those that are still there. */
  readonly sources: readonly PresentSource[]
  /** Of each, its dead file; undefined for one that is gone. What is committed rests on them. */
  readonly deadFiles: ReadonlyMap<string, string | null | undefined>
  /** Rows whose document has died since they were written. */
  readonly staleRows: readonly number[]
}

export async function lookAtSources(
  read: Metadata["read"],
  dataDir: string,
  { batch_id: batchId, collection_id: collectionId, first_ordinal: first, end_ordinal: end }: PartitionRow,
  { chain }: WrittenRows,
): Promise<SourcesNow | null> {
  if (chain === null) return null
  const before = new Map(chain.sources.map((source) => [source.part_id, source]))
  const now = read.runSources.between(batchId, collectionId, first, end)
  const staleRows: number[] = []
  for (const source of now) {
    const then = before.get(source.part_id)
    if (then === undefined || (then.file === source.file && then.dead_file === source.dead_file)) continue
    const dead =
      source.file === null || source.dead_file === null
        ? null
        : new Set(await readDead(join(dataDir, source.dead_file)))
    const { first_ordinal: start, document_rows: rows } = source
    for (const ordinal of chain.documentIds.keys()) {
      if (ordinal < start || ordinal >= start + rows) continue
      if (dead === null || dead.has(ordinal - start)) staleRows.push(ordinal)
    }
  }
  return {
    sources: now.filter(isThere),
    deadFiles: new Map(now.map((source) => [source.part_id, source.file === null ? undefined : source.dead_file])),
    staleRows,
  }
}

export type PresentSource = RunSourceRow & { readonly file: string; readonly features: string }

function isThere(source: RunSourceRow): source is PresentSource {
  return source.file !== null && source.features !== null
}

function rowPlan(plan: InputPlan): RowPlan {
  const passthrough = new Map(plan.config.field_passthrough.map((entry) => [entry.target_path, entry]))
  return {
    collection_id: plan.collectionId,
    plugin_id: plan.pluginId,
    plugin_version: plan.pluginVersion,
    code_hash: plan.codeHash,
    inputs: plan.inputs.map((name) => {
      const mapping = plan.mappings.get(name)
      return {
        name,
        path: mapping?.path ?? null,
        ...(mapping?.source_type === "literal" ? { literal: mapping.override ?? null } : {}),
        fallback: mapping?.override ?? null,
        mime_pattern: filePattern(name),
      }
    }),
    mime_of_type: Object.fromEntries(
      Object.entries(MIME_OF_TYPE).flatMap(([type, mime]) => (mime === undefined ? [] : [[type, mime]])),
    ),
    mime_patterns: plan.inputTypes.flatMap((type) => filePattern(type) ?? []),
    passthrough: [...passthrough.values()],
    include_all_source_fields: plan.config.include_all_source_fields,
    named: namedFields([...passthrough.values()]),
  }
}

/** Texts are values of documents, never their files. */
function filePattern(type: string): string | null {
  return type === "text" ? null : (TYPE_NAMES[type]?.source ?? null)
}
