import type { Network } from "../egress.ts"
import type { Log } from "../log.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RegisteredPlugin } from "../plugins/registry.ts"
import { declaresGpu, gpuDemand } from "../scheduler/gpu-demand.ts"
import type { GpuLeases } from "../scheduler/gpu-leases.ts"
import { actorMemoryBytes } from "../workers/compute-profile.ts"
import type { WorkerStarter } from "../workers/starter.ts"
import type { DeploymentLogs, LogLine } from "./deployment-logs.ts"
import { RunningRevision } from "./revision.ts"

/** Calls that a handler with `predict_batch` gets at once when its manifest does not say. */
const DEFAULT_BATCH = 32
const MAX_BATCH = 256
const MAX_REPLICAS = 32

interface Deps {
  starter: Pick<WorkerStarter, "start">
  gpus: Pick<GpuLeases, "fits" | "lease">
  /** What plugins of resource type API of a namespace may reach. */
  networkOf: (namespace: Namespace) => Network
  /** Replicas that need not be kept end after so long without a request; 0: never. */
  idleMs: number
  logs: Pick<DeploymentLogs, "open" | "add">
  log: Log
}

/** Makes revisions whose replicas are workers of this appliance; `compute_profile` of the manifest sizes them. */
export function revisionStart({ starter, gpus, networkOf, idleMs, logs, log }: Deps) {
  return (id: string, namespace: Namespace, plugin: RegisteredPlugin): RunningRevision => {
    const profile = plugin.manifest.compute_profile ?? {}
    logs.open(namespace.namespaceId, plugin.pluginId)
    const keep = (line: LogLine) => logs.add(namespace.namespaceId, plugin.pluginId, line)
    const environment = plugin.environment?.hash ?? "base"
    const key = [namespace.namespaceId, plugin.pluginId, plugin.codeHash, environment, "realtime"].join("/")
    const gpu = declaresGpu(plugin) ? gpuDemand(namespace.namespaceId, plugin, { key, realtime: true }) : null
    const output = log.child({ namespace_id: namespace.namespaceId, plugin_id: plugin.pluginId, revision_id: id })
    return new RunningRevision({
      id,
      inputSchema: plugin.manifest.input_schema,
      minReplicas: bounded(profile.min_replicas, 0, MAX_REPLICAS),
      maxReplicas: bounded(profile.max_replicas ?? profile.replicas, 1, MAX_REPLICAS),
      idleMs,
      maxBatch: bounded(profile.max_batch_size, DEFAULT_BATCH, MAX_BATCH),
      computes: profile.resource_type !== "api",
      fits: async (without) => gpu === null || gpus.fits(gpu, without),
      start: (replica, signal) =>
        starter.start(plugin, {
          signal,
          gpu:
            gpu === null
              ? null
              : async (until) => {
                  const lease = await gpus.lease(gpu, until)
                  replica.onFirstAnswer = () => lease?.worked()
                  return lease
                },
          onCallFrame: replica.onCallFrame,
          memoryBytes: actorMemoryBytes(profile),
          network: profile.resource_type === "api" ? networkOf(namespace) : { mode: "none" },
          onLog({ stream, text, call }) {
            const requestId = replica.requestOf(call)
            keep({ revision_id: id, request_id: requestId, stream, message: text })
            output.debug({ event: "plugin_output", request_id: requestId, stream, text }, "plugin output")
          },
        }),
      onFailure(requestId, error) {
        const traceback = error.details?.traceback
        const message = typeof traceback === "string" ? `${error.message}\n${traceback}` : error.message
        keep({ revision_id: id, request_id: requestId, stream: "error", message })
      },
      log,
    })
  }
}

function bounded(value: unknown, fallback: number, most: number): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 ? Math.min(value, most) : fallback
}
