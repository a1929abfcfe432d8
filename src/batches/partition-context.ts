/** What one attempt at a partition works with, and why it may be missing. */
import { join } from "node:path"
import type { ExtractorConfig } from "../collections/extractor.ts"
import type { PartRef } from "../documents/process.ts"
import type { RunRow } from "../metadata/batches.ts"
import type { PartRow } from "../metadata/parts.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { InputPlan } from "./inputs.ts"
import { dependencyError, type RunError } from "./ledger.ts"

export interface PartitionRun {
  readonly run: RunRow
  readonly plan: InputPlan
  readonly plugin: RegisteredPlugin
  readonly namespace: Namespace
  readonly config: ExtractorConfig
}

/** A part as the documents process takes it. */
export function partRef(
  dataDir: string,
  part: Pick<PartRow, "part_id" | "file" | "dead_file" | "features" | "document_rows">,
): PartRef {
  return {
    part_id: part.part_id,
    path: join(dataDir, part.file),
    ...(part.dead_file === null ? {} : { dead_file: join(dataDir, part.dead_file) }),
    features: JSON.parse(part.features),
    rows: part.document_rows,
  }
}

export function embeddings(plugin: RegisteredPlugin) {
  return plugin.manifest.features
    .filter((feature) => feature.feature_type === "embedding")
    .map(({ feature_name, embedding_dim }) => ({ feature_name, embedding_dim }))
}

export function missingPlugin(id: string, what: string): Omit<RunError, "timestamp"> {
  return dependencyError(`'${id}' ${what}.`)
}
