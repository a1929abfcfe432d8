/** The two files of a sample run that DuckDB reads: the author's CSV, and the Parquet that the worker wrote. */
import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { z } from "zod"
import { parseExactly } from "../exact-json.ts"
import { useNativeLibraries } from "../runtime.ts"
import { CommandFailed } from "./command-failed.ts"

const Rows = z.array(z.record(z.string(), z.unknown()))

/** @throws CommandFailed when the file is neither a JSON array of objects nor CSV with a header */
export async function readSampleData(path: string, nativeDirectory: string | null): Promise<Record<string, unknown>[]> {
  if (!(await Bun.file(path).exists())) throw new CommandFailed(`--sample-data: ${path} is not there.`)
  const rows = extname(path).toLowerCase() === ".csv" ? await csv(path, nativeDirectory) : await json(path)
  if (rows.length === 0) throw new CommandFailed(`--sample-data: ${path} holds no rows.`)
  return rows
}

async function json(path: string): Promise<Record<string, unknown>[]> {
  let value: unknown
  try {
    value = parseExactly(await readFile(path, "utf8"))
  } catch (error) {
    throw new CommandFailed(
      `--sample-data: ${path} is not JSON (${error instanceof Error ? error.message : error}): one array of objects, not an object a line.`,
    )
  }
  const rows = Rows.safeParse(value)
  if (!rows.success) throw new CommandFailed(`--sample-data: ${path} is not a JSON array of objects.`)
  return rows.data
}

async function csv(path: string, nativeDirectory: string | null): Promise<Record<string, unknown>[]> {
  try {
    const sql = "SELECT * FROM read_csv(?, header = true, all_varchar = true)"
    return Rows.parse(await query(nativeDirectory, sql, path))
  } catch (error) {
    // DuckDB goes on with settings and the query.
    const [words] = (error instanceof Error ? error.message : String(error)).split("\n\n")
    throw new CommandFailed(`--sample-data: ${path} is not CSV in UTF-8 (${words}).`)
  }
}

const OutputRow = z.object({ row: z.coerce.number(), fields: z.string(), missing_vectors: z.array(z.string()) })

export interface OutputRow {
  readonly row: number
  readonly fields: Record<string, unknown>
  readonly missingVectors: readonly string[]
}

/** The output rows of a partition, in their order. */
export async function readOutput(scalars: string, nativeDirectory: string | null): Promise<OutputRow[]> {
  const sql = "SELECT row, fields, missing_vectors FROM read_parquet(?)"
  return z
    .array(OutputRow)
    .parse(await query(nativeDirectory, sql, scalars))
    .map(({ row, fields, missing_vectors }) => ({
      row,
      fields: z.record(z.string(), z.unknown()).parse(parseExactly(fields)),
      missingVectors: missing_vectors,
    }))
}

async function query(nativeDirectory: string | null, sql: string, path: string): Promise<unknown[]> {
  useNativeLibraries(nativeDirectory)
  const { DuckDBInstance } = await import("@duckdb/node-api")
  const database = await DuckDBInstance.create(":memory:", { threads: "1" })
  try {
    const connection = await database.connect()
    const answer = await connection.runAndReadAll(sql, [path])
    return answer.getRowObjectsJson()
  } finally {
    database.closeSync()
  }
}
