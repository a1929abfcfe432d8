import { expect, test } from "bun:test"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { environmentOf } from "../../src/workers/environments/environment.ts"
import { interpreter, temporaryDirectory } from "./support.ts"

const RUN = join(import.meta.dir, "..", "..", "src", "main.ts")

async function setup(options: string[], environment: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, RUN, "runtime", "setup", ...options], {
    env: { PATH: "/usr/bin:/bin", HOME: process.env.HOME ?? "/", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, code }
}

test("a set-up that is done already says so, changes nothing and exits 0", async () => {
  await using data = await temporaryDirectory()
  const { directory, hash } = environmentOf({ environmentsDir: join(data.path, "environments"), interpreter })
  await mkdir(join(directory, "site-packages"), { recursive: true })
  await Bun.write(join(directory, "environment.json"), "{}")
  const options = ["--data", data.path, "--python", interpreter.path]
  const text = await setup(options)
  expect(text).toMatchObject({ code: 0, stderr: "" })
  expect(text.stdout).toContain("base packages already installed")
  const json = await setup([...options, "--json"])
  expect(JSON.parse(json.stdout)).toMatchObject({
    success: true,
    environment: { hash, built: false },
    python: interpreter,
  })
})

test("without a usable Python it exits 1 and says what was looked at", async () => {
  await using data = await temporaryDirectory()
  const text = await setup(["--data", data.path, "--python", "/bin/false"])
  expect(text.code).toBe(1)
  expect(text.stderr).toContain("Python '/bin/false' cannot be run")
  const json = await setup(["--data", data.path, "--json"], { PATH: data.path })
  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({ success: false, error: { reason: "no_interpreter" } })
})

test("wheels that are missing are listed, exit 1", async () => {
  await using data = await temporaryDirectory()
  const wheels = join(data.path, "wheels")
  await mkdir(wheels)
  const options = ["--data", data.path, "--python", interpreter.path, "--wheels", wheels]
  const { code, stderr } = await setup(options)
  expect(code).toBe(1)
  expect(stderr).toMatch(/numpy \d[\d.]+ \(cp31\d, /)
  expect(stderr).toContain("pip download")
  const json = JSON.parse((await setup([...options, "--json"])).stdout)
  expect(json.error.missing.map((wheel: { name: string }) => wheel.name)).toContain("pandas")
})

test.each([
  ["both sources", ["--index", "http://127.0.0.1:1/", "--wheels", "."]],
  ["an index that is no URL", ["--index", "here"]],
  ["a directory that is not there", ["--wheels", "no/such/directory"]],
  ["an unknown option", ["--pythn", "x"]],
])("exits 2 for %s", async (_title, options) => {
  await using data = await temporaryDirectory()
  expect((await setup(["--data", data.path, ...options])).code).toBe(2)
})
