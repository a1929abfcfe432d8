/**
 * What the binary carries and other programs must find on disk: the Python tree and the native libraries. Unpacked once
 * into `<directory>/<build id>/`, written aside and renamed, so that a kill in the middle leaves nothing half there.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, open, readdir, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { buildTarget, nativeFiles } from "./native-files.ts"
import { textTree } from "./text-tree.ts" with { type: "macro" }
import { VERSION } from "./version.ts"
import { PARTIAL_SUFFIX, renameDurably, syncDirectory } from "./write-durably.ts"

const PYTHON_TREE: Record<string, string> = textTree("python")

export interface Runtime {
  readonly buildId: string
  readonly directory: string
  /** Holds `engine/`, `shared/` and `plugin_worker/`. */
  readonly pythonTree: string
  /** Null in development: the packages in node_modules find their libraries themselves. */
  readonly nativeDirectory: string | null
}

/** The content hash of everything that is unpacked: two builds share a directory only when they carry the same bytes. */
export function buildId(): string {
  const hash = createHash("sha256").update(`${VERSION}\n${buildTarget}\n`)
  for (const [path, text] of Object.entries(PYTHON_TREE)) hash.update(`${path}\0${text}\0`)
  // An embedded file's own name carries a hash of its bytes.
  for (const [name, path] of Object.entries(nativeFiles)) hash.update(`${name}\0${path}\0`)
  return hash.digest("hex").slice(0, 16)
}

export async function prepareRuntime(directory: string): Promise<Runtime> {
  const id = buildId()
  const home = join(directory, id)
  const runtime: Runtime = {
    buildId: id,
    directory: home,
    pythonTree: join(home, "python"),
    nativeDirectory: Object.keys(nativeFiles).length === 0 ? null : join(home, "native"),
  }
  if (existsSync(home)) return runtime
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const partial = `${home}.${crypto.randomUUID()}${PARTIAL_SUFFIX}`
  try {
    await unpack(partial)
    await renameDurably(partial, home)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    // Another process of the same build may have finished first; its copy is as good.
    if (!existsSync(home)) throw error
  }
  return runtime
}

async function unpack(into: string): Promise<void> {
  await mkdir(into, { mode: 0o700 })
  for (const [path, text] of Object.entries(PYTHON_TREE)) {
    const target = join(into, "python", path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, text, { mode: 0o444, flush: true })
  }
  for (const [name, embedded] of Object.entries(nativeFiles)) {
    const target = join(into, "native", name)
    await mkdir(dirname(target), { recursive: true })
    // An embedded file has a path that only Bun reads: copyfile(2) does not know it.
    await Bun.write(target, Bun.file(embedded))
    const file = await open(target, "r+")
    await file.chmod(0o555)
    await file.sync()
    await file.close()
  }
  for (const entry of await readdir(into, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await syncDirectory(join(entry.parentPath, entry.name))
  }
}

/**
 * Tells the replaced loaders of DuckDB and ONNX Runtime where their libraries lie. Call before either is imported.
 * The symbol is the contract with `scripts/build.ts`.
 */
export function useNativeLibraries(nativeDirectory: string | null): void {
  Object.defineProperty(globalThis, Symbol.for("mixpeek.native"), { value: nativeDirectory, configurable: true })
}

/** argv that starts this same program again: the compiled binary alone, or Bun with the entry point. */
export function ownCommand(): string[] {
  return buildTarget === "development" ? [process.execPath, join(import.meta.dir, "main.ts")] : [process.execPath]
}
