/** What a partition's attempt needs of its run, as it is now. */
import { mkdir, realpath } from "node:fs/promises"
import type { ExtractorConfig } from "../collections/extractor.ts"
import { rootBuckets } from "../collections/sources.ts"
import { parseExactly } from "../exact-json.ts"
import { type Filter, parseFilter } from "../filtering.ts"
import type { BatchRow } from "../metadata/batches.ts"
import type { CollectionRow } from "../metadata/collections.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PartitionRow } from "../metadata/partitions.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { ownFilters } from "./chain.ts"
import { inputPlan } from "./inputs.ts"
import { missingPlugin, type PartitionRun } from "./partition-context.ts"
import type { RunError } from "./run-error.ts"

interface Deps {
  metadata: Pick<Metadata, "read">
  namespaceById: (namespaceId: string) => Namespace | null
  pluginById: (namespace: Namespace, pluginId: string) => RegisteredPlugin | null
}

/** Or why it cannot run. */
export function preparedRun(
  { metadata, namespaceById, pluginById }: Deps,
  partition: PartitionRow,
): PartitionRun | Omit<RunError, "timestamp"> {
  const run = metadata.read.batches.run(partition.batch_id, partition.collection_id)
  const batch = metadata.read.batches.byId(partition.batch_id)
  const namespace = batch === undefined ? null : namespaceById(batch.namespace_id)
  if (run === undefined || batch === undefined || namespace === null)
    throw new Error(`partition ${partition.partition_id} has no run or namespace`)
  const plugin = pluginById(namespace, run.plugin_id)
  if (plugin === null || plugin.codeHash !== run.code_hash) {
    return missingPlugin(
      run.plugin_id,
      plugin === null ? "was deleted" : "was replaced by other code under the same version",
    )
  }
  const config: ExtractorConfig = parseExactly(run.feature_extractor)
  const collection = metadata.read.collections.get(namespace.namespaceId, partition.collection_id)
  if (collection === undefined) return missingPlugin(partition.collection_id, "is a collection that was deleted")
  const plan = inputPlan(run.collection_id, config, plugin.manifest, plugin.codeHash, sourceFilter(batch, collection))
  return { batch, run, plan, plugin, namespace, config }
}

/** What the collection takes of its buckets and, where objects are named, the request of these. */
function sourceFilter(batch: BatchRow, collection: CollectionRow): Filter | null {
  const { membership, membership_filters: requested } = batch
  const named = membership === "explicit" && requested !== null ? [parseExactly(requested)] : []
  const filters = [...ownFilters(collection), ...named].flatMap((filter) => parseFilter(filter) ?? [])
  const [first = null] = filters
  return filters.length < 2 ? first : { kind: "tree", and: filters, or: [], not: [], caseSensitive: false }
}

/** By bucket of the root objects. Made when they are not there: a folder that came later could not be granted to a worker that lives. */
export async function assetRoots(
  deps: { metadata: Pick<Metadata, "read">; blobDirectory: (namespace: Namespace, bucketId: string) => string },
  { run, namespace }: PartitionRun,
): Promise<Record<string, string>> {
  const roots: Record<string, string> = {}
  const collection = deps.metadata.read.collections.get(namespace.namespaceId, run.collection_id)
  for (const bucketId of collection === undefined ? [] : rootBuckets(collection)) {
    const directory = deps.blobDirectory(namespace, bucketId)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    roots[bucketId] = await realpath(directory)
  }
  return roots
}
