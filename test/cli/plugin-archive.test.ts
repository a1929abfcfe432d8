import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { chmod, mkdir, readFile, symlink, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { packPlugin } from "../../src/cli/plugin-archive.ts"
import { readPluginDirectory } from "../../src/cli/plugin-directory.ts"
import { temporaryDirectory } from "./run.ts"

const FILES = ["manifest.py", "pipeline.py", "processors/core.py", "models/weights.bin"]

async function plugin(root: string): Promise<string> {
  for (const file of FILES) {
    await mkdir(join(root, file, ".."), { recursive: true })
    await writeFile(join(root, file), `content of ${file}`)
  }
  return root
}

test("the same files make the same bytes, whatever their times, modes and place", async () => {
  await using directory = await temporaryDirectory()
  const digest = async (root: string) => {
    const target = join(directory.path, `${crypto.randomUUID()}.zip`)
    const size = await packPlugin(await readPluginDirectory(root), "my_plugin", target)
    const bytes = await readFile(target)
    expect(size).toBe(bytes.byteLength)
    return createHash("sha256").update(bytes).digest("hex")
  }
  const one = await plugin(join(directory.path, "one"))
  const two = await plugin(join(directory.path, "elsewhere", "two"))
  await utimes(join(two, "manifest.py"), 1, 1)
  await chmod(join(two, "pipeline.py"), 0o700)
  expect(await digest(one)).toBe(await digest(two))
})

test("there is one top directory, in sorted order", async () => {
  await using directory = await temporaryDirectory()
  const target = join(directory.path, "plugin.zip")
  await packPlugin(await readPluginDirectory(await plugin(join(directory.path, "p"))), "my_plugin", target)
  const listed = Bun.spawnSync(["python3", "-m", "zipfile", "-l", target]).stdout.toString()
  const names = listed
    .split("\n")
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] || [])
  expect(names).toEqual([...FILES].sort().map((file) => `my_plugin/${file}`))
})

test("what tools leave in a directory stays out; links are named as left out", async () => {
  await using directory = await temporaryDirectory()
  const root = await plugin(join(directory.path, "p"))
  for (const file of [
    "__pycache__/core.pyc",
    "processors/__pycache__/core.pyc",
    "old.pyc",
    ".git/config",
    ".env",
    ".venv/pyvenv.cfg",
    "myenv/pyvenv.cfg",
    "myenv/lib/thing.py",
    "node_modules/x/index.js",
  ]) {
    await mkdir(join(root, file, ".."), { recursive: true })
    await writeFile(join(root, file), "x")
  }
  await symlink("/etc/hostname", join(root, "models/link"))
  const { files, leftOut } = await readPluginDirectory(root)
  expect(files.map(({ path }) => path)).toEqual([...FILES].sort())
  expect(leftOut).toEqual(["models/link"])
})
