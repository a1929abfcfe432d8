/** Plugins with steps of several resource classes, and batches with them. */
import type { TestAppliance } from "../support/appliance.ts"
import { waitForBatch } from "../support/batch.ts"
import { bucketOf, collectionOf } from "../support/collections.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"
import { trigger } from "./support.ts"

export interface Step {
  readonly resource: "CPU" | "GPU" | "API"
  /** Body of `__call__(self, batch)` before its `return batch`; `S` is the module's own dict. */
  readonly call: string
  readonly condition?: string
}

/** Its steps are called `Step0`, `Step1`, and so on. `head`: of the module with the steps. */
export function steppedPlugin(name: string, steps: readonly Step[], head = "", profile = "{}"): PluginFiles {
  const classes = steps.map(({ call }, index) => {
    const body = call
      .split("\n")
      .map((line) => `        ${line}\n`)
      .join("")
    return `class Step${index}:\n    def __init__(self, config): pass\n    def __call__(self, batch):\n${body}        return batch\n`
  })
  const definitions = steps.map(
    ({ resource, condition = "ALWAYS" }, index) =>
      `StepDefinition(service_class=core.Step${index}, resource_type=ResourceType.${resource}, condition=RowCondition.${condition})`,
  )
  return {
    ...textPlugin({ name, manifestExtra: `compute_profile = ${profile}` }),
    "pipeline.py": `import os
from engine.plugins.extractors.pipeline import PipelineDefinition, ResourceType, RowCondition, StepDefinition, build_pipeline_steps
from .processors import core

def build_steps(extractor_request, **kwargs):
    steps = [
        ${definitions.join(",\n        ")},
    ]
    return {"steps": build_pipeline_steps(PipelineDefinition(name="${name}", version="1.0.0", steps=arranged(steps)))}

def arranged(steps):
    return steps
`,
    "processors/core.py": `import os
import signal
import time
import numpy as np
import pandas as pd
${head}
S = {}
${classes.join("\n")}`,
  }
}

/** A batch of the plugin over these texts, under way. */
export async function batchWith(appliance: TestAppliance, name: string, files: PluginFiles, texts: readonly string[]) {
  const published = await upload(appliance, files, { name })
  if (published.status !== 200) throw new Error(published.text)
  const { bucket } = await bucketOf(appliance, texts)
  const collection = await collectionOf(appliance, bucket, name)
  const path = await trigger(appliance, bucket, collection)
  return {
    path,
    done: () => waitForBatch(appliance, bucket, path.split("/").at(-1) ?? ""),
    async documents(): Promise<Record<string, unknown>[]> {
      const route = `/v1/collections/${collection}/documents/list`
      return (await appliance.call("POST", route, { body: { limit: 1000, return_vectors: true } })).body.results
    },
    async failed(): Promise<{ error: string; stage: string; error_type: string }[]> {
      return (await appliance.call("GET", `${path}/failed-documents`)).body.failed_documents
    },
  }
}
