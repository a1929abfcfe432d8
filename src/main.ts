import { VERSION } from "./version.ts"
import { grammarBytes, prepareRuntime, useNativeLibraries } from "./runtime.ts"
if (process.argv[2] === "--version") { console.log(VERSION) } else {
const r = await prepareRuntime("/tmp/probe/rt")
useNativeLibraries(r.nativeDirectory)
console.log(r, (await grammarBytes()).treeSitterWasm.length)
const { default: Database } = await import("better-sqlite3")
console.log(new Database(":memory:").prepare("select sqlite_version()").get())
const d = await import("@duckdb/node-api")
const c = await (await d.DuckDBInstance.create(":memory:")).connect()
console.log((await c.runAndReadAll("select version()")).getRows())
const o = await import("onnxruntime-node")
console.log(Object.keys(o).length)
}
