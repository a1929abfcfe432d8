import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import { lineageLine } from "../../src/documents/lineage-line.ts"
import { type Documents, type PartRef, startDocuments } from "../../src/documents/process.ts"
import type { WritePartAnswer, WritePartRequest } from "../../src/documents/protocol.ts"
import { createLog } from "../../src/log.ts"

export const CHILD = [process.execPath, join(import.meta.dir, "documents-process.ts")]
export const IDENTITY = { collection_id: "col_1", plugin_id: "words_1_0_0", plugin_version: "1.0.0", code_hash: "abc" }
export const CREATED_AT = "2026-01-02T03:04:05.000Z"

export interface Output {
  readonly row: number
  readonly output_index?: number
  readonly fields: string
  readonly missing_vectors?: readonly string[]
}
export interface Lineage {
  readonly row: number
  readonly object_id: string
  readonly passthrough?: Record<string, unknown>
  readonly source?: Record<string, unknown>
}

export interface TestDocuments extends AsyncDisposable {
  readonly documents: Documents
  readonly directory: string
  /** Runs SQL in a DuckDB of the test's own. */
  sql(statement: string): Promise<Record<string, unknown>[]>
  spool(name: string): string
  writeLineage(rows: readonly Lineage[]): Promise<string>
  writeScalars(rows: readonly Output[]): Promise<string>
  writeVectors(vectors: readonly (readonly number[])[]): Promise<string>
  /** What `writePart` is asked with, for files that are already there. */
  request(lineage: string, scalars: string, change?: Partial<WritePartRequest>): WritePartRequest
  /** A part of one document per fields object, object ids `obj_<n>`, rows from 0. */
  part(documents: readonly Record<string, unknown>[], options?: PartOptions): Promise<PartRef>
}

export interface PartOptions {
  readonly name?: string
  readonly objects?: readonly string[]
  readonly vectors?: readonly (readonly number[])[]
  readonly source?: (index: number) => Record<string, unknown>
}

export async function startTestDocuments(
  options: { queryDeadlineMs?: number; threads?: number } = {},
): Promise<TestDocuments> {
  const directory = await mkdtemp(join(tmpdir(), "documents-"))
  await mkdir(join(directory, "spool"))
  const documents = await startDocuments({
    command: CHILD,
    dataDir: directory,
    memoryLimitMb: 256,
    threads: 2,
    temporaryDir: join(directory, "temporary"),
    log: createLog("silent"),
    ...options,
  })
  const instance = await DuckDBInstance.create(":memory:")
  const connection = await instance.connect()
  let files = 0
  const spool = (name: string) => join(directory, "spool", `${files++}-${name}`)
  const sql = async (statement: string) => (await connection.runAndReadAll(statement)).getRowObjectsJS()
  const self: TestDocuments = {
    documents,
    directory,
    sql,
    spool,
    async writeLineage(rows) {
      const path = spool("lineage.tsv")
      const full = rows.map((row) => ({ passthrough: {}, source: { bucket_id: "bkt_1" }, ...row }))
      await writeFile(
        path,
        full
          .map((row) =>
            lineageLine({
              ...row,
              passthrough: JSON.stringify(row.passthrough),
              source: JSON.stringify(row.source),
            }),
          )
          .join(""),
      )
      return path
    },
    async writeScalars(rows) {
      const json = spool("rows.jsonl")
      const full = rows.map((row) => ({ output_index: 0, missing_vectors: [], ...row }))
      await writeFile(json, full.map((row) => `${JSON.stringify(row)}\n`).join(""))
      const path = spool("scalars.parquet")
      const columns = "{row: 'BIGINT', output_index: 'INTEGER', fields: 'VARCHAR', missing_vectors: 'VARCHAR[]'}"
      await sql(
        `COPY (FROM read_json('${json}', format = 'newline_delimited', columns = ${columns})) TO '${path}' (FORMAT parquet)`,
      )
      return path
    },
    async writeVectors(vectors) {
      const path = spool("0.f32")
      await writeFile(path, new Uint8Array(Float32Array.from(vectors.flat()).buffer))
      return path
    },
    request: (lineage, scalars, change = {}) => ({
      lineage,
      scalars,
      vectors: [],
      part: join(directory, "documents", `part_${files++}`),
      identity: IDENTITY,
      created_at: CREATED_AT,
      ...change,
    }),
    async part(fields, { name, objects, vectors, source } = {}) {
      const lineage = await self.writeLineage(
        fields.map((_, row) => ({
          row,
          object_id: objects?.[row] ?? `obj_${String(row).padStart(4, "0")}`,
          ...(source === undefined ? {} : { source: source(row) }),
        })),
      )
      const scalars = await self.writeScalars(fields.map((field, row) => ({ row, fields: JSON.stringify(field) })))
      const dimension = vectors?.[0]?.length ?? 0
      const files =
        vectors === undefined
          ? []
          : [{ feature_name: "embedding", embedding_dim: dimension, path: await self.writeVectors(vectors) }]
      const request = self.request(lineage, scalars, {
        vectors: files,
        ...(name === undefined
          ? {}
          : { part: join(directory, "documents", name), identity: { ...IDENTITY, code_hash: name } }),
      })
      const answer = await documents.writePart(request)
      if (!answer.ok) throw new Error(answer.reason)
      return {
        part_id: name ?? request.part,
        path: request.part,
        features: files.map((file, file_index) => ({
          feature_name: file.feature_name,
          embedding_dim: file.embedding_dim,
          file_index,
        })),
        rows: answer.rows_out,
      }
    },
    async [Symbol.asyncDispose]() {
      await documents[Symbol.asyncDispose]()
      connection.closeSync()
      await rm(directory, { recursive: true, force: true })
    },
  }
  return self
}

export function reasonOf(answer: WritePartAnswer): string {
  if (answer.ok) throw new Error("the output was taken")
  return answer.reason
}
