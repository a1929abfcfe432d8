/**
 * Makes `dist/mixpeek`, the one binary. `bun scripts/build.ts [--target linux-x64|linux-arm64|darwin-arm64|darwin-x64] [--outfile PATH]`.
 * linux-x64 is tested in the gate; linux-arm64 is built by the same steps and untested; macOS is for development and
 * untested too. A foreign target's platform packages come from the npm registry, by the versions that the lockfile pins.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import type { BunPlugin } from "bun"

const ROOT = resolve(import.meta.dir, "..")

interface Target {
  readonly bun: "bun-linux-x64" | "bun-linux-arm64" | "bun-darwin-x64" | "bun-darwin-arm64"
  readonly bunPackage: string
  readonly duckdbLibrary: string
  /** Null where onnxruntime-node carries no library for the platform. */
  readonly onnx: { readonly folder: string; readonly library: string } | null
  readonly tested: boolean
}

const TARGETS: Record<string, Target> = {
  "linux-x64": {
    bun: "bun-linux-x64",
    bunPackage: "@oven/bun-linux-x64",
    duckdbLibrary: "libduckdb.so",
    onnx: { folder: "linux/x64", library: "libonnxruntime.so.1" },
    tested: true,
  },
  "linux-arm64": {
    bun: "bun-linux-arm64",
    bunPackage: "@oven/bun-linux-aarch64",
    duckdbLibrary: "libduckdb.so",
    onnx: { folder: "linux/arm64", library: "libonnxruntime.so.1" },
    tested: false,
  },
  "darwin-arm64": {
    bun: "bun-darwin-arm64",
    bunPackage: "@oven/bun-darwin-aarch64",
    duckdbLibrary: "libduckdb.dylib",
    onnx: { folder: "darwin/arm64", library: "libonnxruntime.1.dylib" },
    tested: false,
  },
  "darwin-x64": {
    bun: "bun-darwin-x64",
    bunPackage: "@oven/bun-darwin-x64",
    duckdbLibrary: "libduckdb.dylib",
    onnx: null,
    tested: false,
  },
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { target: { type: "string" }, outfile: { type: "string" } },
})
const name = values.target ?? `${process.platform}-${process.arch}`
const target = TARGETS[name]
if (target === undefined) {
  console.error(`build: unknown target '${name}'; known: ${Object.keys(TARGETS).join(", ")}`)
  process.exit(2)
}
const native = name === `${process.platform}-${process.arch}`
const outfile = resolve(values.outfile ?? join(ROOT, native ? "dist/mixpeek" : `dist/mixpeek-${name}`))

const duckdbPackage = platformPackage(`@duckdb/node-bindings-${name}`)
const libraries: Record<string, string> = {
  "duckdb.node": join(duckdbPackage, "duckdb.node"),
  [target.duckdbLibrary]: join(duckdbPackage, target.duckdbLibrary),
}
if (target.onnx !== null) {
  const folder = join(ROOT, "node_modules/onnxruntime-node/bin/napi-v6", target.onnx.folder)
  libraries["onnxruntime_binding.node"] = join(folder, "onnxruntime_binding.node")
  libraries[target.onnx.library] = join(folder, target.onnx.library)
}

/** The expression that loads an unpacked addon; `src/runtime.ts` sets the symbol. */
const loadUnpacked = (file: string) =>
  `(() => { const m = { exports: {} }; process.dlopen(m, require("node:path").join(globalThis[Symbol.for("mixpeek.native")], ${JSON.stringify(file)})); return m.exports })()`

const embedNativeLibraries: BunPlugin = {
  name: "embed-native-libraries",
  setup(build) {
    build.onLoad({ filter: /src[/\\]native-files\.ts$/ }, () => ({
      loader: "ts",
      contents: [
        ...Object.values(libraries).map(
          (path, index) => `import file${index} from ${JSON.stringify(path)} with { type: "file" }`,
        ),
        `export const nativeFiles = { ${Object.keys(libraries)
          .map((file, index) => `${JSON.stringify(file)}: file${index}`)
          .join(", ")} }`,
        `export const buildTarget = ${JSON.stringify(name)}`,
      ].join("\n"),
    }))
    build.onLoad({ filter: /@duckdb[/\\]node-bindings[/\\]duckdb\.js$/ }, () => ({
      loader: "js",
      contents: `module.exports = ${loadUnpacked("duckdb.node")}`,
    }))
    build.onLoad({ filter: /onnxruntime-node[/\\]dist[/\\]binding\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8")
      const contents = source.replace(
        /require\(`[^`]*onnxruntime_binding\.node`\)/,
        loadUnpacked("onnxruntime_binding.node"),
      )
      if (contents === source) throw new Error("onnxruntime-node's loader has changed: look at scripts/build.ts")
      return { loader: "js", contents }
    })
    build.onResolve({ filter: /^better-sqlite3$/ }, () => ({
      path: join(ROOT, "node_modules/better-sqlite3/lib", `${name}.js`),
    }))
  },
}

mkdirSync(dirname(outfile), { recursive: true })
const result = await Bun.build({
  entrypoints: [join(ROOT, "src/main.ts")],
  target: "bun",
  minify: true,
  // One chunk per lazily loaded command: `--version` does not parse the appliance.
  splitting: true,
  plugins: [embedNativeLibraries],
  compile: native
    ? { outfile }
    : { outfile, target: target.bun, executablePath: join(platformPackage(target.bunPackage), "bin/bun") },
})
if (!result.success) {
  for (const message of result.logs) console.error(message)
  process.exit(1)
}
const megabytes = Math.round(statSync(outfile).size / 1e6)
console.log(`${outfile} (${name}, ${megabytes} MB${target.tested ? "" : ", untested on this platform"})`)

/** The directory of an installed platform package; one of a foreign platform is fetched from the npm registry once. */
function platformPackage(packageName: string): string {
  const installed = join(ROOT, "node_modules", packageName)
  if (existsSync(installed)) return installed
  const lock: unknown = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"))
  const version = lockedVersion(lock, `node_modules/${packageName}`)
  const home = join(ROOT, "dist/.targets", `${packageName.replaceAll("/", "-")}-${version}`)
  if (existsSync(home)) return home
  const partial = `${home}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  run(["npm", "pack", "--silent", "--pack-destination", partial, `${packageName}@${version}`])
  const archive = [...new Bun.Glob("*.tgz").scanSync(partial)][0]
  if (archive === undefined) throw new Error(`npm pack brought nothing for ${packageName}@${version}`)
  run(["tar", "-xzf", join(partial, archive), "-C", partial])
  run(["mv", join(partial, "package"), home])
  rmSync(partial, { recursive: true, force: true })
  return home
}

function run(command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" })
  if (exitCode !== 0) throw new Error(`${command[0]} failed: ${stderr.toString()}`)
}

function lockedVersion(lock: unknown, key: string): string {
  if (typeof lock === "object" && lock !== null && "packages" in lock) {
    const packages = lock.packages as Record<string, { version?: string }>
    const version = packages[key]?.version
    if (version !== undefined) return version
  }
  throw new Error(`package-lock.json does not pin ${key}`)
}
