/** Plugins as tests need them: files in memory, packed as zip, published through the API. */
import { ZipFile } from "yazl"
import type { Answer, TestAppliance } from "./appliance.ts"

export type PluginFiles = Readonly<Record<string, string>>

export interface PluginOptions {
  readonly name?: string
  readonly version?: string
  /** Body of `__call__(self, batch)`, indented by eight spaces where it is put. */
  readonly call?: string
  readonly manifestExtra?: string
  readonly dimensions?: number
}

/** A text plugin of the seed's form: `<name>_embedding` and `label`, with a stub encoder. */
export function textPlugin(options: PluginOptions = {}): PluginFiles {
  const { name = "my_extractor", version = "1.0.0", dimensions = 4 } = options
  const call =
    options.call ??
    `texts = batch["text"].fillna("").tolist()
batch["${name}_embedding"] = [[float(len(t) % 7 + 1)] * ${dimensions} for t in texts]
batch["label"] = ["long" if len(t) > self.config.threshold * 20 else "short" for t in texts]
return batch`
  return {
    "manifest.py": `from typing import List
from pydantic import BaseModel, Field

class MyInput(BaseModel):
    text: str = Field(..., description="Input text")

class MyOutput(BaseModel):
    embedding: List[float] = Field(..., description="embedding")
    label: str

class MyParams(BaseModel):
    """User-configurable parameters for collections."""
    threshold: float = Field(default=0.5, ge=0, le=1)

metadata = {
    "feature_extractor_name": "${name}",
    "version": "${version}",
    "description": "A test extractor",
    "category": "text",
}
input_schema = MyInput
output_schema = MyOutput
parameter_schema = MyParams
supported_input_types = ["text"]
features = [
    {
        "feature_name": "${name}_embedding",
        "feature_type": "embedding",
        "embedding_dim": ${dimensions},
        "distance_metric": "cosine",
    },
]
${options.manifestExtra ?? ""}
`,
    "pipeline.py": `from typing import Any, Dict, Optional
from engine.plugins.extractors.pipeline import (
    PipelineDefinition, ResourceType, RowCondition, StepDefinition, build_pipeline_steps
)
from .manifest import MyParams, metadata
from .processors.core import MyConfig, MyProcessor

def build_steps(
    extractor_request: Any,
    container: Optional[Any] = None,
    base_steps: Optional[list] = None,
    **kwargs
) -> Dict[str, Any]:
    params = MyParams(**(extractor_request.extractor_config.parameters or {}))
    steps = [
        StepDefinition(
            service_class=MyProcessor,
            resource_type=ResourceType.CPU,
            config=MyConfig(threshold=params.threshold),
            condition=RowCondition.IS_TEXT,
        ),
    ]
    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline), "prepare": lambda ds: ds}
`,
    "processors/core.py": `from dataclasses import dataclass
import os
import signal
import sys
import time
import pandas as pd

@dataclass
class MyConfig:
    threshold: float = 0.5

class MyProcessor:
    def __init__(self, config: MyConfig, progress_actor=None):
        self.config = config

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
${call
  .split("\n")
  .map((line) => `        ${line}`)
  .join("\n")}
`,
  }
}

export async function zip(files: PluginFiles, top = ""): Promise<Uint8Array<ArrayBuffer>> {
  const archive = new ZipFile()
  for (const [path, text] of Object.entries(files)) archive.addBuffer(Buffer.from(text), `${top}${path}`)
  archive.end()
  const chunks: Buffer[] = []
  for await (const chunk of archive.outputStream) chunks.push(Buffer.from(chunk))
  return new Uint8Array(Buffer.concat(chunks))
}

/** The seed's sequence: reserve, PUT, confirm. Answers the confirm's answer whatever it is. */
export async function upload(
  appliance: TestAppliance,
  files: PluginFiles,
  { name = "my_extractor", version = "1.0.0", namespace = appliance.namespaceId } = {},
): Promise<Answer> {
  const reserved = await appliance.call("POST", `/v1/namespaces/${namespace}/plugins/uploads`, {
    body: { name, version },
  })
  if (reserved.status !== 200) return reserved
  const put = await appliance.call("PUT", reserved.body.presigned_url, {
    key: null,
    headers: { "Content-Type": "application/zip" },
    raw: await zip(files),
  })
  if (put.status !== 200) return put
  return appliance.call("POST", `/v1/namespaces/${namespace}/plugins/uploads/${reserved.body.upload_id}/confirm`)
}

/** Uploads and demands that it passes; answers the plugin id. */
export async function published(appliance: TestAppliance, options: PluginOptions = {}): Promise<string> {
  const answer = await upload(appliance, textPlugin(options), {
    name: options.name ?? "my_extractor",
    version: options.version ?? "1.0.0",
  })
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body.plugin_id
}
