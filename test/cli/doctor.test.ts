import { expect, setDefaultTimeout, test } from "bun:test"
import { chmod, mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { isBelow } from "../../src/isolation-levels.ts"
import { lockDirectory } from "../../src/metadata/directory-lock.ts"
import { REACHED } from "../support/isolation.ts"
import { mixpeek, PROCESSES_MS, preparedData, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

type Finding = { name: string; status: string; value: string; advice: string | null }

async function findings(args: readonly string[], environment: Record<string, string> = {}) {
  const { code, stdout } = await mixpeek(["doctor", "--json", ...args], { environment })
  const { success, findings } = JSON.parse(stdout)
  const found = (name: string): Finding | undefined => findings.find((finding: Finding) => finding.name === name)
  return { code, success, found }
}

test("on a machine that is set up everything is found and the native libraries load", async () => {
  const { code, success, found } = await findings(["--data", await preparedData()])
  for (const name of ["Python", "Base packages", "SQLite", "DuckDB", "ONNX Runtime"]) {
    expect(found(name)).toMatchObject({ status: "ok", value: expect.stringMatching(/\d/) })
  }
  expect({ code, success }).toEqual({ code: 0, success: true })
})

test("the isolation that this machine reaches is told with what it is made of", async () => {
  const { found } = await findings(["--data", await preparedData()])
  expect(found("Isolation")?.value).toStartWith(REACHED)
  expect(found("Minimum isolation") === undefined).toBe(!isBelow(REACHED, "standard"))
})

test("less isolation than the minimum fails it and says why; a lower minimum is said aloud", async () => {
  const args = ["--data", await preparedData()]
  const refused = await findings(args, { MIXPEEK_LANDLOCK_ABI: "0", MIXPEEK_MINIMUM_ISOLATION: "standard" })
  expect(refused.code).toBe(1)
  expect(refused.found("Isolation")).toMatchObject({
    status: "missing",
    advice: expect.stringContaining("no Landlock"),
  })
  const lowered = await findings(args, { MIXPEEK_LANDLOCK_ABI: "0", MIXPEEK_MINIMUM_ISOLATION: "none" })
  expect(lowered.code).toBe(0)
  expect(lowered.found("Isolation")).toMatchObject({ status: "notice" })
  expect(lowered.found("Minimum isolation")).toMatchObject({
    status: "notice",
    value: "none",
    advice: expect.stringContaining("LOWER"),
  })
})

test("missing base packages fail it and say how to get them", async () => {
  await using directory = await temporaryDirectory()
  const { code, success, found } = await findings(["--data", directory.path])
  expect(found("Base packages")).toMatchObject({
    status: "missing",
    advice: expect.stringContaining("mixpeek runtime setup"),
  })
  expect({ code, success }).toEqual({ code: 1, success: false })
})

test("without a Python it says which versions would do", async () => {
  const { code, found } = await findings(["--data", await preparedData()], { PATH: "/nonexistent" })
  expect(found("Python")).toMatchObject({ status: "missing", advice: expect.stringContaining("3.10 to 3.13") })
  expect(code).toBe(1)
})

test("a data directory that does not exist is not made", async () => {
  await using directory = await temporaryDirectory()
  const { found } = await findings(["--data", join(directory.path, "data")])
  expect(found("Data directory")?.value).toContain("not there yet")
  expect(await readdir(directory.path)).toEqual([])
})

test("a data directory that others may read is noticed", async () => {
  await using directory = await temporaryDirectory()
  const data = join(directory.path, "data")
  await mkdir(data)
  await chmod(data, 0o755)
  const { found } = await findings(["--data", data])
  expect(found("Data directory")).toMatchObject({ status: "notice", advice: expect.stringContaining("chmod 700") })
})

test("the server that holds the directory is named, and not disturbed", async () => {
  await using directory = await temporaryDirectory()
  {
    using lock = lockDirectory(directory.path, () => new Date())
    lock.announce("http://127.0.0.1:4321")
    const { found } = await findings(["--data", directory.path])
    expect(found("Server")?.value).toContain(`process ${process.pid} at http://127.0.0.1:4321`)
  }
  const { found } = await findings(["--data", directory.path])
  expect(found("Server")?.value).toContain("not running")
})
