/** A plugin of two files, and `plugin test` on it. */
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { mixpeek, preparedData, temporaryDirectory } from "./run.ts"

type Check = { name: string; status: string; summary: string; findings: string[]; details: string[] }

export const MANIFEST = `
from pydantic import BaseModel

class Input(BaseModel):
    text: str

class Output(BaseModel):
    length: int

metadata = {"feature_extractor_name": "small_plugin", "version": "1.0.0", "description": "", "category": "text"}
input_schema = Input
output_schema = Output
features = [{"feature_name": "vector", "feature_type": "embedding", "embedding_dim": 2, "distance_metric": "cosine"}]
`
export const PIPELINE = `
def measure(batch):
    batch["length"] = [len(text or "") for text in batch["text"]]
    batch["vector"] = [[1.0, 2.0] for _ in batch["text"]]
    return batch

def build_steps(extractor_request, container=None, base_steps=None, **kwargs):
    return {"steps": [measure]}
`

/** A small plugin with some of its files replaced (or left out: null), run through `plugin test`. */
export async function check(files: Record<string, string | null>, ...args: string[]) {
  await using plugin = await pluginDirectory(files)
  const { code, stdout, stderr } = await mixpeek(
    ["plugin", "test", "--json", "--data", await preparedData(), ...args],
    {
      cwd: plugin.path,
    },
  )
  const { success, checks, scan } = JSON.parse(stdout)
  const named = (name: string): Check | undefined => checks.find((done: Check) => done.name === name)
  const statuses = Object.fromEntries(checks.map((done: Check) => [done.name, done.status]))
  return { code, success, checks, scan, named, statuses, stderr }
}

export async function pluginDirectory(files: Record<string, string | Uint8Array | null>) {
  const directory = await temporaryDirectory()
  const path = join(directory.path, "small_plugin")
  for (const [file, content] of Object.entries({ "manifest.py": MANIFEST, "pipeline.py": PIPELINE, ...files })) {
    if (content === null) continue
    await mkdir(join(path, file, ".."), { recursive: true })
    await writeFile(join(path, file), content)
  }
  return { path, [Symbol.asyncDispose]: () => rm(directory.path, { recursive: true, force: true }) }
}
