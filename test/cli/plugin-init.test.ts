import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { mixpeek, PROCESSES_MS, preparedData, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

const CATEGORIES = ["text", "image", "video", "audio", "document", "multimodal"]

for (const category of CATEGORIES) {
  test(`a new ${category} plugin passes 'plugin test' as it is`, async () => {
    await using directory = await temporaryDirectory()
    const init = await mixpeek(["plugin", "init", "my_extractor", "--category", category, "--output", directory.path])
    expect(init.stderr).toBe("")
    expect(init.code).toBe(0)
    const cwd = join(directory.path, "my_extractor")
    const tested = await mixpeek(["plugin", "test", "--json", "--data", await preparedData()], { cwd })
    const { checks } = JSON.parse(tested.stdout)
    const failed = checks.filter((check: { status: string }) => check.status === "failed")
    expect(failed).toEqual([])
    expect(tested.code).toBe(0)
  })
}

test("the new plugin carries its own name everywhere, description and author", async () => {
  await using directory = await temporaryDirectory()
  const description = 'Counts "words" \\ and more'
  await mixpeek([
    "plugin",
    "init",
    "word_counter",
    "--output",
    directory.path,
    "--description",
    description,
    "--author",
    "Ada",
  ])
  const plugin = join(directory.path, "word_counter")
  const files = (await readdir(plugin, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  for (const file of files) {
    expect(await readFile(join(file.parentPath, file.name), "utf8")).not.toContain("text_features")
  }
  const manifest = await readFile(join(plugin, "manifest.py"), "utf8")
  expect(manifest).toContain('"feature_extractor_name": "word_counter"')
  expect(manifest).toContain(`"description": ${JSON.stringify(description)},`)
  expect(manifest).toContain('"author": "Ada",')
  const readme = await readFile(join(plugin, "README.md"), "utf8")
  expect(readme).toStartWith(`# word_counter\n\n${description}\n\nAuthor: Ada\n`)
})

test("what was made and what comes next is printed", async () => {
  await using directory = await temporaryDirectory()
  const { stdout } = await mixpeek(["plugin", "init", "my_extractor"], { cwd: directory.path })
  for (const told of [
    "manifest.py",
    "processors/core.py",
    "cd my_extractor",
    "mixpeek plugin test",
    "mixpeek plugin publish",
  ]) {
    expect(stdout).toContain(told)
  }
})

test("--json lists the files that were made", async () => {
  await using directory = await temporaryDirectory()
  const { stdout } = await mixpeek(["plugin", "init", "my_extractor", "--json"], { cwd: directory.path })
  const { files, ...told } = JSON.parse(stdout)
  const made = await readdir(join(directory.path, "my_extractor"), { recursive: true, withFileTypes: true })
  expect(files).toHaveLength(made.filter((entry) => entry.isFile()).length)
  expect(told).toEqual({
    success: true,
    name: "my_extractor",
    category: "text",
    directory: join(directory.path, "my_extractor"),
  })
})

describe("a name that the server or Python would not take is refused", () => {
  for (const name of ["My_Extractor", "1st", "ab", "a".repeat(65), "with-dash", "../up", "class", "engine", "numpy"]) {
    test(`'${name.slice(0, 20)}'`, async () => {
      await using directory = await temporaryDirectory()
      const { code, stderr } = await mixpeek(["plugin", "init", name], { cwd: directory.path })
      expect(stderr).toContain("cannot be a plugin's name")
      expect(code).toBe(2)
      expect(await readdir(directory.path)).toEqual([])
    })
  }
})

test("a directory that holds something is left alone unless --force is given", async () => {
  await using directory = await temporaryDirectory()
  await mixpeek(["plugin", "init", "my_extractor"], { cwd: directory.path })
  const core = join(directory.path, "my_extractor/processors/core.py")
  const notes = join(directory.path, "my_extractor/notes.txt")
  await writeFile(core, "mine")
  await writeFile(notes, "mine")

  const refused = await mixpeek(["plugin", "init", "my_extractor"], { cwd: directory.path })
  expect(refused.stderr).toContain("is not empty")
  expect(refused.code).toBe(1)
  expect(await readFile(core, "utf8")).toBe("mine")

  const forced = await mixpeek(["plugin", "init", "my_extractor", "--force"], { cwd: directory.path })
  expect(forced.code).toBe(0)
  expect(await readFile(core, "utf8")).not.toBe("mine")
  expect(await readFile(notes, "utf8")).toBe("mine")
})

test("a file in the way is told", async () => {
  await using directory = await temporaryDirectory()
  await writeFile(join(directory.path, "my_extractor"), "")
  const { code, stderr } = await mixpeek(["plugin", "init", "my_extractor"], { cwd: directory.path })
  expect(stderr).toContain("is a file")
  expect(code).toBe(1)
})
