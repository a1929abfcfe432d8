import { expect, setDefaultTimeout, test } from "bun:test"
import { readdirSync, symlinkSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { BASE_RECIPE } from "../../src/workers/environments/environment.ts"
import { parseLock } from "../../src/workers/environments/lock.ts"
import { SHARED_DATA } from "../support/appliance.ts"
import { serveIndex } from "../workers/environments/index-server.ts"
import { writeWheel } from "../workers/environments/wheel.ts"
import { interpreter } from "../workers/support.ts"
import { mixpeek, PROCESSES_MS, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

/** A data directory with the base environment of the gate, whose own store and environments are empty. */
async function dataDirectory() {
  const directory = await temporaryDirectory()
  const data = join(directory.path, "data")
  const wheelhouse = join(directory.path, "wheelhouse")
  const environments = join(data, "environments")
  await mkdir(environments, { recursive: true })
  await mkdir(wheelhouse)
  for (const name of readdirSync(join(SHARED_DATA, "environments"))) {
    if (/^[0-9a-f]{32}$/.test(name)) symlinkSync(join(SHARED_DATA, "environments", name), join(environments, name))
  }
  return { data, wheelhouse, path: directory.path, [Symbol.asyncDispose]: directory[Symbol.asyncDispose] }
}

test("wheels are checked when they are added, listed with whom they fit, and verified byte by byte", async () => {
  await using at = await dataDirectory()
  const good = await writeWheel(at.wheelhouse, { name: "sample_good" })
  await writeWheel(at.wheelhouse, { name: "sample_other", tag: "cp27-cp27m-win32" })
  const bytes = await readFile(join(at.wheelhouse, good.file))
  await writeFile(join(at.wheelhouse, "sample_liar-2.0-py3-none-any.whl"), bytes)
  const run = (...words: string[]) => mixpeek(["wheels", ...words, "--data", at.data, "--json"], {})

  const added = await run("add", at.wheelhouse)
  expect(added.code).toBe(1)
  expect(JSON.parse(added.stdout).wheels).toEqual([
    { file: good.file, outcome: "added", problem: null },
    {
      file: "sample_liar-2.0-py3-none-any.whl",
      outcome: "refused",
      problem: "inside it says that it is sample_good 1.0",
    },
    { file: "sample_other-1.0-cp27-cp27m-win32.whl", outcome: "added", problem: null },
  ])
  expect(JSON.parse((await run("add", join(at.wheelhouse, good.file))).stdout).wheels[0].outcome).toBe("there already")

  const listed = JSON.parse((await run("list")).stdout).wheels
  expect(listed.map(({ name, fits }: { name: string; fits: boolean }) => [name, fits])).toEqual([
    ["sample-good", true],
    ["sample-other", false],
  ])
  expect((await run("verify")).code).toBe(0)
  // One byte of the module, which is stored as it is.
  const stored = join(at.data, "wheels", good.file)
  const damaged = Buffer.from(bytes)
  damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0xff
  await writeFile(stored, damaged)
  const verified = await run("verify")
  expect(verified.code).toBe(1)
  expect(JSON.parse(verified.stdout).wheels[0]).toMatchObject({ file: good.file, problem: expect.any(String) })
  const again = await run("add", join(at.wheelhouse, good.file))
  expect(JSON.parse(again.stdout).wheels[0].outcome).toBe("replaced")
  expect((await run("verify")).code).toBe(0)

  await writeFile(join(at.wheelhouse, "sample_source-1.0.tar.gz"), "no archive")
  const source = await run("add", join(at.wheelhouse, "sample_source-1.0.tar.gz"))
  expect(JSON.parse(source.stdout).wheels[0]).toMatchObject({ outcome: "refused", problem: expect.any(String) })
})

test("what another machine needs is collected by its tags and markers, and not what it has", async () => {
  await using at = await dataDirectory()
  const printed = await mixpeek(["doctor", "--target", "--data", at.data], {})
  expect(printed.code).toBe(0)
  const target = JSON.parse(printed.stdout)
  expect(target.interpreters[0]).toMatchObject({
    version: interpreter.version,
    abi: interpreter.abi,
    base_ready: true,
    markers: { sys_platform: process.platform },
  })
  expect(target.interpreters[0].platforms).toContain("any")

  // Another Python on another machine, as its own doctor would have printed it.
  const other = {
    ...target.interpreters[0],
    version: "3.12.9",
    abi: "cp312",
    platforms: ["manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "linux_aarch64", "any"],
    markers: { ...target.interpreters[0].markers, python_version: "3.12", platform_machine: "aarch64" },
  }
  const file = join(at.path, "target.json")
  await writeFile(file, JSON.stringify({ ...target, interpreters: [other], cuda: null }))
  for (const { name, version } of parseLock(BASE_RECIPE.lock, { version: "3.12.9" })) {
    await writeWheel(at.wheelhouse, { name: name.replaceAll("-", "_"), version })
  }
  const fast = {
    name: "sample_fast",
    requires: ['sample-arm ; platform_machine == "aarch64"', 'sample-intel ; platform_machine == "x86_64"'],
  }
  await writeWheel(at.wheelhouse, { ...fast, tag: "cp312-cp312-manylinux_2_17_aarch64" })
  await writeWheel(at.wheelhouse, { ...fast, tag: "cp311-cp311-manylinux_2_17_x86_64" })
  await writeWheel(at.wheelhouse, { name: "sample_arm" })
  await writeWheel(at.wheelhouse, { name: "sample_intel" })
  using index = serveIndex(at.wheelhouse)
  const to = join(at.path, "collected")
  const words = ["wheels", "download", "sample-fast", "numpy", "--for", file, "--to", to, "--index", index.url]
  const collected = await mixpeek([...words, "--data", at.data], {})
  expect({ code: collected.code, said: collected.stderr }).toEqual({ code: 0, said: "" })
  expect(readdirSync(to).sort()).toEqual([
    "sample_arm-1.0-py3-none-any.whl",
    "sample_fast-1.0-cp312-cp312-manylinux_2_17_aarch64.whl",
  ])
  const absent = await mixpeek(
    ["wheels", "download", "sample-nowhere>=3", "--for", file, "--to", to, "--index", index.url, "--data", at.data],
    {},
  )
  expect(absent.code).toBe(1)
  expect(absent.stderr).toContain("sample-nowhere >=3 (sample_nowhere-*.whl for cp312, ")
})

test("an index that asks who is there gets the credentials of the file, and nobody sees them", async () => {
  await using at = await dataDirectory()
  const file = join(at.path, "target.json")
  await writeFile(file, (await mixpeek(["doctor", "--target", "--data", at.data])).stdout)
  for (const { name, version } of parseLock(BASE_RECIPE.lock, interpreter)) {
    await writeWheel(at.wheelhouse, { name: name.replaceAll("-", "_"), version })
  }
  const wheel = await writeWheel(at.wheelhouse, { name: "sample_private" })
  using index = serveIndex(at.wheelhouse, "reader:secret-word")
  const to = join(at.path, "collected")
  const words = [
    "wheels",
    "download",
    "sample-private",
    "--for",
    file,
    "--to",
    to,
    "--index",
    index.url,
    "--data",
    at.data,
  ]
  expect((await mixpeek(words)).code).toBe(1)
  const netrc = join(at.path, "netrc")
  await writeFile(netrc, "machine 127.0.0.1\nlogin reader\npassword secret-word\n", { mode: 0o600 })
  const answer = await mixpeek([...words, "--index-credentials", netrc])
  expect(answer.code).toBe(0)
  expect(`${answer.stdout}${answer.stderr}`).not.toContain("secret-word")
  expect(readdirSync(to)).toEqual([wheel.file])
})
