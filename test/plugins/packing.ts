import { createWriteStream } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { buffer } from "node:stream/consumers"
import * as tar from "tar"
import { ZipFile } from "yazl"

/** A small plugin in the seed's form; it needs nothing but pydantic. */
export function pluginFiles(name: string, version = "1.0.0"): Record<string, string> {
  return {
    "manifest.py": `from pydantic import BaseModel, Field


class Input(BaseModel):
    text: str = Field(..., description="Input text")


class Output(BaseModel):
    label: str


class Params(BaseModel):
    threshold: float = Field(default=0.5, ge=0, le=1)


metadata = {
    "feature_extractor_name": "${name}",
    "version": "${version}",
    "description": "Counts letters",
    "category": "text",
}
input_schema = Input
output_schema = Output
parameter_schema = Params
supported_input_types = ["text"]
features = [
    {"feature_name": "${name}_embedding", "feature_type": "embedding", "embedding_dim": 4, "distance_metric": "cosine"},
]
`,
    "pipeline.py": `from .manifest import metadata
from .processors.core import Processor


def build_steps(extractor_request, container=None, base_steps=None, **kwargs):
    return {"steps": [], "prepare": lambda ds: ds}
`,
    "processors/core.py": `class Processor:
    def __init__(self, config, progress_actor=None):
        self.config = config

    def __call__(self, batch):
        return batch
`,
  }
}

/** Zips files in the order given, so that the same files give the same bytes. */
export async function zip(files: Record<string, string | Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const archive = new ZipFile()
  for (const [path, content] of Object.entries(files)) {
    archive.addBuffer(Buffer.from(content), path, { mtime: new Date("2026-01-10T00:00:00Z") })
  }
  archive.end()
  return new Uint8Array(await buffer(archive.outputStream))
}

export async function tarGz(files: Record<string, string>): Promise<Uint8Array<ArrayBuffer>> {
  const directory = await mkdtemp(join(tmpdir(), "mixpeek-pack-"))
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, "tree", path)), { recursive: true })
      await writeFile(join(directory, "tree", path), content)
    }
    const target = createWriteStream(join(directory, "out.tar.gz"))
    const packing = tar.create({ cwd: join(directory, "tree"), gzip: true, portable: true }, Object.keys(files))
    packing.pipe(target)
    await new Promise((resolve, reject) => target.on("close", resolve).on("error", reject))
    return await Bun.file(join(directory, "out.tar.gz")).bytes()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** All files below one directory, as archives with a top directory have them. */
export function below(directory: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [`${directory}/${path}`, content]))
}
