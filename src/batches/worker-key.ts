import { createHash } from "node:crypto"
import type { ExtractorConfig } from "../collections/extractor.ts"
import type { Network } from "../egress.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import type { WorkerFailure } from "../workers/protocol.ts"

/** What a batch worker is started for: one namespace, one plugin version's code and environment, one collection's parameters. */
export interface BatchWorkerSpec {
  readonly namespace: Namespace
  readonly plugin: RegisteredPlugin
  readonly config: ExtractorConfig
  readonly collectionId: string
  /** Rows of the whole run, as build_steps is told. */
  readonly datasetSize: number
  /** Folders with the blobs of the collection's buckets. They exist, and are real paths. */
  readonly blobDirectories: readonly string[]
  /** What its steps of resource type API may reach. */
  readonly network: Network
}

/** Workers are shared by partitions with the same key and by nothing else. */
export function workerKey({
  namespace,
  plugin,
  config,
  collectionId,
  datasetSize,
  blobDirectories,
  network,
}: BatchWorkerSpec): string {
  const parameters = createHash("sha256")
    .update(JSON.stringify([config.parameters, config.params, datasetSize, blobDirectories, network]))
    .digest("hex")
  const environment = plugin.environment?.hash ?? "base"
  return [namespace.namespaceId, plugin.pluginId, plugin.codeHash, environment, collectionId, parameters].join("/")
}

/** What a key was made for. Ids have no slash. */
export function ownerOf(key: string) {
  const [namespaceId = "", pluginId = "", codeHash = "", , collectionId = ""] = key.split("/")
  return { namespaceId, pluginId, codeHash, collectionId }
}

/** `build_steps` of the plugin did not give steps: no row of this run can be processed. */
export class StepsNotBuilt extends Error {
  override readonly name = "StepsNotBuilt"
  readonly failure: WorkerFailure

  constructor(failure: WorkerFailure) {
    super(failure.message)
    this.failure = failure
  }
}
