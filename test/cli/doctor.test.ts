import { expect, setDefaultTimeout, test } from "bun:test"
import { chmod, mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { lockDirectory } from "../../src/metadata/directory-lock.ts"
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

test("workers are told to be unconfined as long as they are", async () => {
  const { found } = await findings(["--data", await preparedData()])
  expect(found("Isolation")).toMatchObject({ status: "notice", value: "none" })
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
