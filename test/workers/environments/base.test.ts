import { expect, test } from "bun:test"
import { readdirSync, statSync } from "node:fs"
import { chmod, mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { EnvironmentBuildFailed } from "../../../src/workers/environments/build-failed.ts"
import {
  BASE_RECIPE,
  buildEnvironment,
  environmentOf,
  readRecord,
} from "../../../src/workers/environments/environment.ts"
import { parseLock } from "../../../src/workers/environments/lock.ts"
import { errorOf, interpreter, runs, temporaryDirectory, until } from "../support.ts"
import { writeWheel } from "./wheel.ts"

const BUILD = join(import.meta.dir, "build.ts")

/** A directory of two small wheels, the lock that names them, and a place for environments. */
async function smallEnvironment() {
  const directory = await temporaryDirectory()
  const wheels = join(directory.path, "wheels")
  const environmentsDir = join(directory.path, "environments")
  await mkdir(wheels)
  const first = await writeWheel(wheels, { name: "sample_first" })
  const second = await writeWheel(wheels, { name: "sample_second", version: "2.0" })
  const lines: string[] = []
  const recipe = { lock: first.lock + second.lock, modules: ["sample_first", "sample_second"] }
  const options = {
    environmentsDir,
    interpreter,
    recipe,
    wheels: [wheels],
    hostEnvironment: {},
    onLine: (line: string) => lines.push(line),
  }
  return {
    options,
    wheels,
    environmentsDir,
    first,
    second,
    lines,
    [Symbol.asyncDispose]: directory[Symbol.asyncDispose],
  }
}

test("the lock pins every base package for each Python, with hashes, and names no host", () => {
  for (const version of ["3.10.4", "3.11.7", "3.13.0"]) {
    const pins = parseLock(BASE_RECIPE.lock, { version })
    for (const name of ["numpy", "pandas", "pyarrow", "pydantic", "orjson"]) {
      expect(pins.filter((pin) => pin.name === name)).toHaveLength(1)
    }
    for (const pin of pins) expect(pin.hashes.size).toBeGreaterThan(0)
  }
  expect(BASE_RECIPE.lock).not.toMatch(/:\/\/|--index|--find|@/)
})

test("a pin for some Pythons counts for them alone, and another condition is no lock", () => {
  const hash = `    --hash=sha256:${"0".repeat(64)}`
  const lock = (one: string, other: string) => `a==1 ; ${one} \\\n${hash}\na==2 ; ${other} \\\n${hash}\n`
  const both = lock('python_version < "3.11"', 'python_version >= "3.11"')
  const versions = (version: string) => parseLock(both, { version }).map((pin) => pin.version)
  expect([versions("3.9.1"), versions("3.10.12"), versions("3.11.0"), versions("3.13.2")]).toEqual([
    ["1"],
    ["1"],
    ["2"],
    ["2"],
  ])
  expect(() => parseLock(lock('python_version < "3.11"', 'os_name == "nt"'), { version: "3.11.0" })).toThrow("no pin")
})

test("an environment is installed offline, compiled, recorded and shared by whoever asks for it again", async () => {
  await using small = await smallEnvironment()
  const { environment, built } = await buildEnvironment(small.options)
  expect(built).toBe(true)
  expect(environment).toMatchObject({ ready: true, directory: join(small.environmentsDir, environment.hash) })
  expect(readdirSync(small.environmentsDir)).toEqual([environment.hash])
  expect(readdirSync(environment.directory).sort()).toEqual(["environment.json", "site-packages"])
  expect(
    readdirSync(join(environment.sitePackages, "__pycache__")).some((file) => file.startsWith("sample_first.")),
  ).toBe(true)
  expect(await Bun.file(join(environment.directory, "environment.json")).json()).toMatchObject({
    hash: environment.hash,
    interpreter: { path: interpreter.path, version: interpreter.version },
    platform: interpreter.platform,
    packages: { sample_first: "1.0", sample_second: "2.0" },
  })
  expect(await buildEnvironment(small.options)).toEqual({ environment, built: false })
})

test("what is built takes no change any more", async () => {
  await using small = await smallEnvironment()
  const { environment } = await buildEnvironment(small.options)
  const { sitePackages } = environment
  const entries = readdirSync(sitePackages, { recursive: true, encoding: "utf8" })
  expect(entries.length).toBeGreaterThan(4)
  for (const path of [sitePackages, ...entries.map((entry) => join(sitePackages, entry))]) {
    expect(statSync(path).mode & 0o222).toBe(0)
  }
  expect(await Bun.file(join(environment.directory, "environment.json")).json()).toMatchObject({
    base: null,
    bytes: entries
      .map((entry) => statSync(join(sitePackages, entry)))
      .reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0),
  })
})

test("another lock, ABI or platform is another environment; a patch release of Python is the same", async () => {
  await using small = await smallEnvironment()
  const hashOf = (change: object, lock = small.options.recipe.lock) =>
    environmentOf({
      environmentsDir: small.environmentsDir,
      interpreter: { ...interpreter, ...change },
      recipe: { ...small.options.recipe, lock },
    }).hash
  const hashes = [
    hashOf({}),
    hashOf({ abi: "cp399" }),
    hashOf({ platform: "linux-aarch64" }),
    hashOf({}, small.first.lock),
  ]
  expect(new Set(hashes).size).toBe(4)
  expect(hashOf({ version: "3.99.1", path: "/elsewhere" })).toBe(hashOf({}))
})

test("what a plugin needed first is no set-up of the admin's, until the admin asks for the same", async () => {
  await using small = await smallEnvironment()
  const asked = small.options
  const made = await buildEnvironment({ ...asked, forPlugin: true })
  const record = () => readRecord(made.environment.directory)
  expect(record()?.for_plugin).toBe(true)
  expect((await buildEnvironment({ ...asked, forPlugin: true })).built).toBe(false)
  expect(record()?.for_plugin).toBe(true)
  expect((await buildEnvironment(asked)).built).toBe(false)
  expect(record()).toMatchObject({ hash: made.environment.hash, packages: { sample_first: "1.0" } })
  expect(record()?.for_plugin).toBeUndefined()
})

test("builds at the same time, here and in another process, build once", async () => {
  await using small = await smallEnvironment()
  const { environmentsDir, recipe, wheels } = small.options
  const argument = JSON.stringify({ environmentsDir, recipe, wheels, interpreter })
  const others = [1, 2].map(() => Bun.spawn([process.execPath, BUILD, argument], { stderr: "ignore" }))
  const here = await Promise.all([buildEnvironment(small.options), buildEnvironment(small.options)])
  const there = await Promise.all(
    others.map(async (other) => (await new Response(other.stdout).text()).trim() === "true"),
  )
  expect([...here.map(({ built }) => built), ...there].filter(Boolean)).toHaveLength(1)
  expect(readdirSync(environmentsDir)).toEqual([here[0].environment.hash])
})

test("a build that is killed leaves only what the next one sweeps, its installer included", async () => {
  await using small = await smallEnvironment()
  const { environmentsDir, recipe, wheels } = small.options
  // Stands in for an installer in the middle of its work: runs everything but pip, and then does not come back.
  const slow = join(environmentsDir, "..", "slow-python")
  await Bun.write(
    slow,
    `#!/bin/sh\ncase "$*" in *"-m pip install"*) exec sleep 600;; esac\nexec "${interpreter.path}" "$@"\n`,
  )
  await chmod(slow, 0o755)
  const argument = JSON.stringify({ environmentsDir, recipe, wheels, interpreter: { ...interpreter, path: slow } })
  const builder = Bun.spawn([process.execPath, BUILD, argument], { stderr: "ignore" })
  await mkdir(environmentsDir)
  let installer = 0
  await until("the sleeping installer", async () => {
    for (const path of new Bun.Glob("*.partial/installer.json").scanSync(environmentsDir)) {
      const record = await Bun.file(join(environmentsDir, path))
        .json()
        .catch(() => null)
      installer = record?.pid ?? 0
    }
    return installer !== 0
  })
  builder.kill("SIGKILL")
  await builder.exited
  expect(runs(installer)).toBe(true)
  expect(readdirSync(environmentsDir).every((name) => /\.(partial|lock)$/.test(name))).toBe(true)

  const { environment, built } = await buildEnvironment(small.options)
  expect(built).toBe(true)
  expect(readdirSync(environmentsDir)).toEqual([environment.hash])
  expect(runs(installer)).toBe(false)
})

test("missing wheels are named one by one, with what was found instead", async () => {
  await using small = await smallEnvironment()
  await rm(join(small.wheels, small.first.file))
  await writeWheel(small.wheels, { name: "sample_first", tag: "cp27-cp27m-win32" })
  await writeWheel(small.wheels, { name: "sample_second", version: "2.0", source: "VALUE = 2\n" })
  const third = await writeWheel(small.wheels, { name: "sample_third" })
  await rm(join(small.wheels, third.file))
  const recipe = { ...small.options.recipe, lock: small.options.recipe.lock + third.lock }
  const error = await errorOf(buildEnvironment({ ...small.options, recipe }))
  expect(error).toBeInstanceOf(EnvironmentBuildFailed)
  expect(error).toMatchObject({
    reason: "missing_wheels",
    missing: [
      {
        name: "sample_first",
        version: "1.0",
        found: ["sample_first-1.0-cp27-cp27m-win32.whl is for another Python or platform"],
      },
      {
        name: "sample_second",
        version: "2.0",
        found: ["sample_second-2.0-py3-none-any.whl is not the file that the lock records"],
      },
      { name: "sample_third", version: "1.0", tag: `${interpreter.abi}, ${interpreter.platform}`, found: [] },
    ],
  })
  expect(readdirSync(small.environmentsDir)).toEqual([])
})

test("an interpreter without pip is told how to get it, before anything is written", async () => {
  await using small = await smallEnvironment()
  const error = await errorOf(buildEnvironment({ ...small.options, interpreter: { ...interpreter, pip: false } }))
  expect(error).toMatchObject({ reason: "no_pip", message: expect.stringContaining("-m ensurepip --upgrade") })
})

test("an index that cannot be reached is said so", async () => {
  await using small = await smallEnvironment()
  const { wheels: _, ...options } = small.options
  const hostEnvironment = { PIP_CONFIG_FILE: "/dev/null", PIP_RETRIES: "1" }
  const error = await errorOf(buildEnvironment({ ...options, hostEnvironment, index: "http://127.0.0.1:1/simple" }))
  expect(error).toMatchObject({ reason: "index_unreachable", message: expect.stringContaining("--wheels") })
  expect(readdirSync(small.environmentsDir)).toEqual([])
})

test("packages that cannot be imported never become an environment", async () => {
  await using small = await smallEnvironment()
  const broken = await writeWheel(small.wheels, {
    name: "sample_broken",
    source: "raise ImportError('no libstdc++')\n",
  })
  const recipe = { lock: broken.lock, modules: ["sample_broken"] }
  const error = await errorOf(buildEnvironment({ ...small.options, recipe }))
  expect(error).toMatchObject({ reason: "unusable", message: expect.stringContaining("no libstdc++") })
  expect(readdirSync(small.environmentsDir)).toEqual([])
})

test("an aborted build ends its installer and leaves nothing", async () => {
  await using small = await smallEnvironment()
  const abort = new AbortController()
  const onLine = (line: string) => {
    if (line.startsWith("installing")) abort.abort(new Error("interrupted"))
  }
  const error = await errorOf(buildEnvironment({ ...small.options, onLine, signal: abort.signal }))
  expect(String(error)).toContain("interrupted")
  expect(readdirSync(small.environmentsDir)).toEqual([])
})
