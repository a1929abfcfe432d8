/** What one attempt at a partition works with, and why it may be missing. */
import type { ExtractorConfig } from "../collections/extractor.ts"
import type { BatchRow, RunRow } from "../metadata/batches.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { InputPlan } from "./inputs.ts"
import { dependencyError, type RunError } from "./run-error.ts"

export interface PartitionRun {
  readonly batch: BatchRow
  readonly run: RunRow
  readonly plan: InputPlan
  readonly plugin: RegisteredPlugin
  readonly namespace: Namespace
  readonly config: ExtractorConfig
}

export function embeddings(plugin: RegisteredPlugin) {
  return plugin.manifest.features
    .filter((feature) => feature.feature_type === "embedding")
    .map(({ feature_name, embedding_dim }) => ({ feature_name, embedding_dim }))
}

/** As a part's row keeps them: with all that is told of a version when its plugin may be gone. */
export function storedFeatures(plugin: RegisteredPlugin): string {
  const metrics = new Map(plugin.manifest.features.map((feature) => [feature.feature_name, feature]))
  return JSON.stringify(
    embeddings(plugin).map((feature, index) => ({
      ...feature,
      distance_metric: metrics.get(feature.feature_name)?.distance_metric,
      file_index: index,
    })),
  )
}

export function missingPlugin(id: string, what: string): Omit<RunError, "timestamp"> {
  return dependencyError(`'${id}' ${what}.`)
}
