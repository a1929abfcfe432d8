import { z } from "zod"
import { useNativeLibraries } from "../runtime.ts"

export interface LoadedLibrary {
  readonly name: string
  /** Empty when it did not load. */
  readonly version: string
  /** Why it did not load; null when it did. */
  readonly problem: string | null
}

/** Loads each library into this process and asks it something: a file that is there may still not fit the machine. */
export function loadNativeLibraries(nativeDirectory: string | null): Promise<LoadedLibrary[]> {
  useNativeLibraries(nativeDirectory)
  return Promise.all([attempt("SQLite", sqlite), attempt("DuckDB", duckdb), attempt("ONNX Runtime", onnx)])
}

async function attempt(name: string, load: () => Promise<string>): Promise<LoadedLibrary> {
  try {
    return { name, version: await load(), problem: null }
  } catch (error) {
    return { name, version: "", problem: error instanceof Error ? error.message : String(error) }
  }
}

async function sqlite(): Promise<string> {
  const { default: Database } = await import("better-sqlite3")
  const db = new Database(":memory:")
  try {
    return z.string().parse(db.prepare("SELECT sqlite_version()").pluck().get())
  } finally {
    db.close()
  }
}

async function duckdb(): Promise<string> {
  const { DuckDBInstance, version } = await import("@duckdb/node-api")
  const database = await DuckDBInstance.create(":memory:", { threads: "1" })
  try {
    await (await database.connect()).run("SELECT 1")
    return version()
  } finally {
    database.closeSync()
  }
}

async function onnx(): Promise<string> {
  const { env, listSupportedBackends } = await import("onnxruntime-node")
  if (listSupportedBackends().length === 0) throw new Error("it offers no backend")
  return env.versions.node ?? env.versions.common
}
