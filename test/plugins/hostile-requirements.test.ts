import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { create } from "tar"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { textPlugin, upload } from "../support/plugins.ts"
import { serveIndex } from "../workers/environments/index-server.ts"
import { writeWheel } from "../workers/environments/wheel.ts"

let appliance: TestAppliance
let index: ReturnType<typeof serveIndex>
let wheelhouse = ""
let count = 0

/** With an index pip runs unconfined: nothing of a plugin may tell it anything but names and versions. */
beforeAll(async () => {
  const directory = join(process.env.TMPDIR ?? "/tmp", `mixpeek-index-${crypto.randomUUID()}`)
  wheelhouse = directory
  await mkdir(join(directory, "evil-1.0"), { recursive: true })
  await writeWheel(directory, { name: "sample_plain" })
  index = serveIndex(directory)
  appliance = await startTestAppliance({
    ownEnvironments: true,
    arguments: ["--index", index.url],
    environment: { PIP_RETRIES: "0" },
  })
  // Its build writes a file: that it ran can be seen.
  const mark = `open(${JSON.stringify(join(directory, "ran"))}, "w").close()`
  await writeFile(join(directory, "evil-1.0", "setup.py"), `${mark}\n`)
  await writeFile(join(directory, "evil-1.0", "backend.py"), `${mark}\n`)
  const system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
  await writeFile(join(directory, "evil-1.0", "pyproject.toml"), system)
  await create({ gzip: true, cwd: directory, file: join(directory, "evil-1.0.tar.gz") }, ["evil-1.0"])
  const place = `${index.url.replace("/simple", "/files")}/evil-1.0.tar.gz`
  await writeWheel(directory, { name: "sample_carrier", requires: [`evil @ ${place}`] })
}, 180_000)

afterAll(async () => {
  await appliance[Symbol.asyncDispose]()
  index[Symbol.dispose]()
})

async function asked(requirements: readonly string[], file?: string) {
  const name = `hostile_${++count}`
  const files = textPlugin({ name, manifestExtra: `dependencies = ${JSON.stringify(requirements)}` })
  const started = performance.now()
  const answer = await upload(appliance, file === undefined ? files : { ...files, "requirements.txt": file }, { name })
  return { ...answer, seconds: (performance.now() - started) / 1000 }
}

const evil = () => `${index.url.replace("/simple", "/files")}/evil-1.0.tar.gz`

describe("a requirement is a name and versions, and tells pip nothing else", () => {
  const lines: Record<string, () => string> = {
    "a second line that is a URL": () => `sample-plain==\n${evil()}`,
    "a form feed and a URL": () => `sample-plain==\x0c${evil()}`,
    "a line separator and an option": () => "sample-plain!=\u2028--pre",
    "a file of requirements": () => "sample-plain==\n-r/etc/passwd",
    "another index": () => "sample-plain==1.0,==\n--extra-index-url=http://127.0.0.1:1/other",
    "a variable of the environment": () => ["sample-nowhere==$", "{PIP_INDEX_URL}"].join(""),
    "text compared as a version": () => "sample-plain===whatever",
    "a marker that compares nothing": () => 'sample-plain ; python_version ~= "abc"',
    "a marker nested too deep": () => `sample-plain ; ${"(".repeat(450)}os_name=="x"${")".repeat(450)}`,
    "half of a character": () => "sample-plain ; os_name != '\ud800'",
  }
  test.each(Object.keys(lines))("%s is refused", async (what) => {
    const answer = await asked([lines[what]?.() ?? ""])
    expect({ status: answer.status, text: answer.text.slice(0, 300) }).toMatchObject({ status: 400 })
    expect(answer.text).not.toMatch(/root:|127\.0\.0\.1:\d+\/simple|Traceback|site-packages/)
    expect(answer.text.length).toBeLessThan(10_000)
  })

  test("in requirements.txt too", async () => {
    const answer = await asked([], `sample-plain==\x0c${evil()}\n`)
    expect(answer.status).toBe(400)
  })

  afterAll(() => {
    expect(existsSync(join(wheelhouse, "ran"))).toBe(false)
    expect(index.asked.filter((path) => path.includes("evil"))).toEqual([])
  })
})

test("a place that a wheel's metadata names is not followed, and nothing is built", async () => {
  const answer = await asked(["sample-carrier"])
  expect(answer.status).toBe(400)
  expect(answer.text).toContain("names a place")
  expect(existsSync(join(wheelhouse, "ran"))).toBe(false)
  expect(index.asked.filter((path) => path.includes("/files/evil"))).toEqual([])
  expect((await asked(["sample-plain"])).status).toBe(200)
})

test("neither long lines nor many of them hold up the server or fill an answer", async () => {
  for (const file of [`a${" #".repeat(200_000)}\u2028x`, "!\n".repeat(300_000), "sample-plain\n".repeat(50_000)]) {
    const answer = await asked([], file)
    expect(answer.status).toBe(400)
    expect(answer.text.length).toBeLessThan(20_000)
    expect(answer.seconds).toBeLessThan(10)
  }
  expect((await asked(Array.from({ length: 500 }, () => "sample-plain"))).status).toBe(400)
})

test("a hash that is stated is compared, whoever has the package", async () => {
  const wrong = `--hash=sha256:${"0".repeat(64)}`
  for (const line of [`sample-plain ${wrong}`, `numpy ${wrong}`, "numpy --hash=md5:00000000000000000000000000000000"]) {
    expect((await asked([], `${line}\n`)).status).toBe(400)
  }
})
